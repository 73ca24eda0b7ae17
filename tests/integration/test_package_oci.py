"""Archives in real registries: pushed, pulled, copied, listed, and who may."""

from __future__ import annotations

import json
import shutil
import stat
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provider_packaging.oci import transfer
from provider_packaging.oci.credentials import Credentials
from provider_packaging.oci.manifest import CONFIG, LAYER, MANIFEST
from provider_packaging.oci.reference import Reference
from provider_packaging.oci.registry import Access, Registry
from provider_sdk.errors import NotFound, PreconditionFailed, Unauthenticated, Unavailable
from tests.integration.certificates import RSA, Authority
from tests.integration.oci import ANONYMOUS, MIB, archive, package, reference, sha256, somebody
from tests.servers import registry as servers
from tests.servers.ports import free_port
from tests.servers.registry import PASSWORD, USER, RegistryServer, TokenServer
from tests.tiers import scale

SIZE = scale(test=10, ci=10, soak=300) * MIB + 12345
EACH = [
    pytest.param("docker-registry", marks=pytest.mark.needs("docker-registry")),
    # Minutes of building, for what the second version of the same server does alike.
    pytest.param("registry-v3", marks=[pytest.mark.needs("registry-v3"), pytest.mark.soak]),
    pytest.param("registry-go", marks=pytest.mark.needs("registry-go")),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module")
def large(folder: Path) -> Path:
    return archive(folder / "kv.par.gz", SIZE)


@pytest.fixture(scope="module")
def small(folder: Path) -> Path:
    return archive(folder / "small.par", 3000)


@pytest.fixture(scope="module", params=EACH)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("registry")
    with servers.in_memory(folder) if request.param == "registry-go" else servers.distribution(folder, program=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with servers.distribution(tmp_path_factory.mktemp("debian")) as running:
        yield running


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with servers.distribution(tmp_path_factory.mktemp("basic"), login=True) as running:
        yield running


def test_what_is_pushed_is_what_is_pulled_and_its_digest_is_the_registrys(server: RegistryServer, large: Path, tmp_path: Path) -> None:
    ref, told = reference(server.host), list[tuple[int, int]]()
    digest = transfer.push(large, ref, ANONYMOUS, annotations={"org.example.by": "ä test"}, progress=lambda *at: told.append(at))
    assert told[-1] == (large.stat().st_size, large.stat().st_size) and told == sorted(told)
    assert digest == transfer.digest(ref, ANONYMOUS) == transfer.manifest(ref, ANONYMOUS).digest
    pulled = transfer.pull(ref.pinned(digest), tmp_path / "back.par.gz", ANONYMOUS, digest=digest)
    assert (pulled.digest, sha256(pulled.path)) == (digest, sha256(large))
    assert [path.name for path in tmp_path.iterdir()] == ["back.par.gz"]


def test_the_manifest_is_the_one_of_wash_with_the_name_of_the_file(server: RegistryServer, small: Path) -> None:
    ref = reference(server.host, "acme/form:1")
    transfer.push(small, ref, ANONYMOUS, annotations={"b": "2", "a": "1"})
    found = transfer.manifest(ref, ANONYMOUS)
    assert found.raw == json.dumps(found.content(), sort_keys=True, separators=(",", ":")).encode()
    assert found.content() == {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "annotations": {"a": "1", "b": "2"},
        "config": {
            "mediaType": CONFIG,
            "size": 2,
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        },
        "layers": [
            {
                "mediaType": LAYER,
                "size": small.stat().st_size,
                "digest": sha256(small),
                "annotations": {"org.opencontainers.image.title": "small.par"},
            }
        ],
    }


def test_tags_are_listed_over_all_pages(server: RegistryServer, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [f"0.{number}.0" for number in range(5)]
    for tag in wanted:
        transfer.push(small, reference(server.host, f"acme/tags:{tag}"), ANONYMOUS)
    monkeypatch.setattr(transfer, "PAGE", 2)
    assert transfer.tags(reference(server.host, "acme/tags"), ANONYMOUS) == wanted


def test_a_copy_has_the_same_digest_in_the_same_registry_and_in_another(
    server: RegistryServer, debian: RegistryServer, large: Path, tmp_path: Path
) -> None:
    source = reference(server.host, "acme/copied:1")
    digest = transfer.push(large, source, ANONYMOUS)
    for target in (reference(server.host, "acme/copy:2"), reference(debian.host, f"from/{server.port}/copy:2")):
        assert transfer.copy(source, target, ANONYMOUS, ANONYMOUS) == digest
        assert sha256(transfer.pull(target.pinned(digest), tmp_path / "a.par.gz", ANONYMOUS).path) == sha256(large)


def test_what_is_not_there_is_said_to_be_not_there(server: RegistryServer) -> None:
    for call in (transfer.digest, transfer.manifest, transfer.tags):
        with pytest.raises(NotFound, match="acme/nothing"):
            call(reference(server.host, "acme/nothing:1"), ANONYMOUS)


@pytest.mark.needs("docker-registry")
def test_an_index_is_copied_whole_and_pulled_as_hosts_do(debian: RegistryServer, small: Path, tmp_path: Path) -> None:
    source = reference(debian.host, "acme/several:1")
    digest = transfer.push(small, source, ANONYMOUS)
    entry = {"mediaType": MANIFEST, "digest": digest, "size": len(transfer.manifest(source, ANONYMOUS).raw)}
    index = source.pinned("")
    for name, architectures in {"all": ("amd64", "arm64", "arm"), "none": ("s390x",)}.items():
        entries = [{**entry, "platform": {"os": "linux", "architecture": architecture}} for architecture in architectures]
        body = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}).encode()
        with Registry.of(index, ANONYMOUS) as client:
            path, kind = f"/v2/acme/several/manifests/{name}", {"Content-Type": "application/vnd.oci.image.index.v1+json"}
            client.request("PUT", path, headers=kind, body=body, expected=(201,))
    copied = transfer.copy(reference(debian.host, "acme/several:all"), reference(debian.host, "acme/moved:all"), ANONYMOUS, ANONYMOUS)
    pulled = transfer.pull(reference(debian.host, "acme/moved:all"), tmp_path / "a.par", ANONYMOUS, digest=copied)
    assert sha256(pulled.path) == sha256(small)
    with pytest.raises(NotFound, match=r"only linux/s390x"):
        transfer.pull(reference(debian.host, "acme/several:none"), tmp_path / "b.par", ANONYMOUS)


@pytest.mark.needs("docker-registry")
def test_what_the_registry_has_is_not_sent_again(debian: RegistryServer, large: Path) -> None:
    for tag in ("1", "2"):
        transfer.push(large, reference(debian.host, f"acme/again:{tag}"), ANONYMOUS)
    told: list[int] = []
    transfer.push(large, reference(debian.host, "acme/again:3"), ANONYMOUS, progress=lambda done, total: told.append(done))
    assert told == [large.stat().st_size]


@pytest.mark.needs("docker-registry")
def test_what_is_no_archive_is_not_pushed(debian: RegistryServer, small: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.par"
    broken.write_bytes(small.read_bytes()[:-2000])
    with pytest.raises(PreconditionFailed, match="is not pushed"):
        transfer.push(broken, reference(debian.host, "acme/broken:1"), ANONYMOUS)
    with pytest.raises(NotFound):
        transfer.digest(reference(debian.host, "acme/broken:1"), ANONYMOUS)


@pytest.mark.needs("docker-registry")
def test_a_pull_refuses_another_digest_and_what_hosts_refuse(debian: RegistryServer, small: Path, tmp_path: Path) -> None:
    ref = reference(debian.host, "acme/refused:1")
    digest = transfer.push(small, ref, ANONYMOUS)
    other = f"sha256:{'0' * 64}"
    with pytest.raises(PreconditionFailed, match=f"is {digest}, and not {other}"):
        transfer.pull(ref, tmp_path / "a", ANONYMOUS, digest=other)
    layer = transfer.manifest(ref, ANONYMOUS).content()["layers"][0]
    for name, layers, reason in (
        ("two", [layer, layer], "2 layers"),
        ("none", [], "0 layers"),
        ("gzip", [{**layer, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}], r"type 'application/vnd.*gzip'"),
        ("wasm", [{**layer, "mediaType": "application/wasm"}], "WebAssembly component"),
    ):
        body = json.dumps({**transfer.manifest(ref, ANONYMOUS).content(), "layers": layers}).encode()
        with Registry.of(ref, ANONYMOUS) as client:
            client.request("PUT", f"/v2/acme/refused/manifests/{name}", headers={"Content-Type": MANIFEST}, body=body, expected=(201,))
        with pytest.raises(PreconditionFailed, match=reason):
            transfer.pull(reference(debian.host, f"acme/refused:{name}"), tmp_path / "a", ANONYMOUS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs("docker-registry")
def test_memory_does_not_grow_with_the_archive(debian: RegistryServer, large: Path, tmp_path: Path) -> None:
    ref = reference(debian.host, "acme/memory:1")
    tracemalloc.start()
    try:
        sized = archive(tmp_path / "big.par", scale(test=40, ci=40, soak=1000) * MIB)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        transfer.push(sized, ref, ANONYMOUS)
        transfer.copy(ref, reference(debian.host, "acme/memory-copy:1"), ANONYMOUS, replace(ANONYMOUS))
        transfer.pull(ref, tmp_path / "back.par", ANONYMOUS)
        assert tracemalloc.get_traced_memory()[1] - before < 20 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.needs("docker-registry")
def test_a_registry_with_basic_login_takes_the_right_one_alone(basic: RegistryServer, small: Path, tmp_path: Path) -> None:
    ref = reference(basic.host)
    digest = transfer.push(small, ref, replace(ANONYMOUS, credentials=somebody))
    assert transfer.pull(ref, tmp_path / "a.par", replace(ANONYMOUS, credentials=somebody)).digest == digest
    with pytest.raises(Unauthenticated, match=f"{basic.host} asks for a login: provider package login"):
        transfer.push(small, ref, ANONYMOUS)
    wrong = replace(ANONYMOUS, credentials=lambda registry, repository: Credentials(USER, "a wrong secret", source="a test"))
    with pytest.raises(Unauthenticated, match="refuses the login 'tester' from a test") as refused:
        transfer.pull(ref, tmp_path / "b.par", wrong)
    assert "wrong secret" not in str(refused.value)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    with servers.token_server(tmp_path_factory.mktemp("tokens")) as running:
        yield running


@pytest.fixture(scope="module")
def bearer(tmp_path_factory: pytest.TempPathFactory, tokens: TokenServer) -> Iterator[RegistryServer]:
    with servers.distribution(tmp_path_factory.mktemp("bearer"), tokens=tokens) as running:
        yield running


@pytest.mark.needs("docker-registry", "openssl")
def test_bearer_tokens_are_had_by_password_and_kept(bearer: RegistryServer, tokens: TokenServer, large: Path, tmp_path: Path) -> None:
    tokens.given.clear()
    ref, known = reference(bearer.host, "public/kv:1"), replace(ANONYMOUS, credentials=somebody)
    transfer.push(large, ref, known)
    assert tokens.given == ["repository:public/kv:pull,push"]
    assert sha256(transfer.pull(ref, tmp_path / "a.par.gz", ANONYMOUS).path) == sha256(large)
    assert tokens.given[1:] == ["repository:public/kv:pull"]
    with pytest.raises(Unauthenticated, match="asks for a login"):
        transfer.push(large, ref, ANONYMOUS)
    wrong = replace(ANONYMOUS, credentials=lambda registry, repository: Credentials(USER, "wrong"))
    with pytest.raises(Unauthenticated, match="refuses the login"):
        transfer.push(large, ref, wrong)


@pytest.mark.needs("docker-registry", "openssl")
def test_an_identity_token_is_exchanged_by_post(bearer: RegistryServer, tokens: TokenServer, small: Path) -> None:
    tokens.methods.clear()
    by_token = replace(ANONYMOUS, credentials=lambda registry, repository: Credentials(identity_token=tokens.identity))
    transfer.push(small, reference(bearer.host, "private/kv:1"), by_token)
    assert tokens.methods == ["POST"]


@pytest.mark.needs("docker-registry", "openssl")
def test_a_copy_within_a_registry_asks_for_both_repositories(bearer: RegistryServer, tokens: TokenServer, small: Path) -> None:
    known, source = replace(ANONYMOUS, credentials=somebody), reference(bearer.host, "private/from:1")
    digest = transfer.push(small, source, known)
    tokens.given.clear()
    assert transfer.copy(source, reference(bearer.host, "private/to:1"), known, known) == digest
    assert "repository:private/to:pull,push repository:private/from:pull" in tokens.given


@pytest.mark.needs("docker-registry", "openssl")
def test_a_token_that_is_no_longer_taken_is_renewed(tmp_path: Path) -> None:
    with servers.token_server(tmp_path / "tokens") as tokens, servers.distribution(tmp_path / "registry", tokens=tokens) as server:
        ref, path, scope = reference(server.host), "/v2/acme/kv/blobs/uploads/", "repository:acme/kv:pull,push"
        with Registry.of(ref, replace(ANONYMOUS, credentials=somebody)) as client:
            client.request("POST", path, scope=scope, expected=(202,))
            client.request("POST", path, scope=scope, expected=(202,))
            assert len(tokens.given) == 1
            other = Authority(tmp_path / "others", "others").issue("tokens", kind=RSA)
            shutil.copy(other.cert, tokens.pair.cert)
            shutil.copy(other.key, tokens.pair.key)
            server.kill()
            server.start()
            client.request("POST", path, scope=scope, expected=(202,))
            assert len(tokens.given) == 2


@pytest.mark.needs("docker-registry", "openssl")
def test_tls_is_spoken_with_the_authority_that_is_given(tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path / "ca", "registry")
    with servers.distribution(tmp_path / "registry", tls=(authority.issue("localhost"), authority.cert)) as server:
        ref = reference(server.host)
        digest = transfer.push(small, ref, replace(ANONYMOUS, ca_file=authority.cert))
        other = Authority(tmp_path / "ca", "other")
        with pytest.raises(Unavailable, match="give its authority with --ca-file"):
            transfer.digest(ref, replace(ANONYMOUS, ca_file=other.cert))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
        assert transfer.digest(ref, replace(ANONYMOUS, ca_file=other.cert)) == digest


def test_plain_http_is_for_loopback_or_by_flag_alone() -> None:
    def origin(host: str, access: Access) -> str:
        with Registry(host, access, lambda: None) as client:
            return client.origin

    insecure = replace(ANONYMOUS, insecure=True)
    assert [origin(host, ANONYMOUS) for host in ("127.0.0.1:5000", "localhost:5000", "[::1]:5000", "127.9.9.9")] == [
        "http://127.0.0.1:5000",
        "http://localhost:5000",
        "http://[::1]:5000",
        "http://127.9.9.9",
    ]
    assert [origin(host, ANONYMOUS) for host in ("ghcr.io", "registry.example:5000", "10.0.0.1:5000", "docker.io")] == [
        "https://ghcr.io",
        "https://registry.example:5000",
        "https://10.0.0.1:5000",
        "https://registry-1.docker.io",
    ]
    assert origin("registry.example:5000", insecure) == "http://registry.example:5000"


@pytest.mark.needs("docker-registry")
def test_nobody_answers_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+: .*refused"):
        transfer.digest(reference(f"127.0.0.1:{free_port()}"), ANONYMOUS)


@pytest.mark.needs("docker-registry")
def test_the_verbs_work_together(basic: RegistryServer, small: Path, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    made = archive(tmp_path / "dist" / "verbs.par.gz", 4000)
    ref = f"{basic.host}/acme/verbs:0.1.0"
    refused = package(tmp_path, "push", ref)
    assert refused.returncode == 1 and refused.stderr == (f"provider: {basic.host} asks for a login: provider package login {basic.host}\n")
    kept = package(tmp_path, "login", basic.host, "--username", USER, "--password-stdin", stdin=f"{PASSWORD}\n")
    file = tmp_path / ".docker" / "config.json"
    assert kept.returncode == 0 and str(file) in kept.stdout and stat.S_IMODE(file.stat().st_mode) == 0o600
    wrong = package(tmp_path, "login", basic.host, "--username", USER, "--password-stdin", stdin="another secret\n")
    assert wrong.returncode == 1 and "another secret" not in wrong.stderr + wrong.stdout

    pushed = package(tmp_path, "push", ref, "-a", "org.example=1")
    assert pushed.returncode == 0, pushed.stderr
    pinned = pushed.stdout.strip()
    digest = pinned.rpartition("@")[2]
    assert pinned == f"{ref}@{digest}" and package(tmp_path, "digest", ref).stdout.strip() == digest
    pulled = json.loads(package(tmp_path, "pull", pinned, "--json").stdout)
    assert pulled["digest"] == digest and sha256(tmp_path / pulled["file"]) == sha256(made) and pulled["file"] == "verbs.par.gz"
    copied = package(tmp_path, "copy", ref, f"{basic.host}/acme/verbs:0.2.0", "--json")
    assert json.loads(copied.stdout)["digest"] == digest
    assert package(tmp_path, "tags", f"{basic.host}/acme/verbs").stdout.split() == ["0.1.0", "0.2.0"]
    assert json.loads(package(tmp_path, "manifest", ref).stdout)["annotations"] == {"org.example": "1"}

    assert package(tmp_path, "logout", basic.host).returncode == 0
    assert package(tmp_path, "digest", ref).returncode == 1
    by_variables = {"WASH_REG_USER": USER, "WASH_REG_PASSWORD": PASSWORD}
    assert package(tmp_path, "digest", ref, **by_variables).stdout.strip() == digest


def test_wrong_words_are_wrong_usage(tmp_path: Path) -> None:
    for words, reason in (
        (("push", "acme.example/kv:latest", "x.par"), "hosts refuse 'latest'"),
        (("push", "acme.example/kv", "x.par"), "no tag means 'latest'"),
        (("push", "acme.example/kv:1"), "dist/ has none"),
        (("push", "acme.example/kv:1", "x.par", "-a", "novalue"), "KEY=VALUE"),
        (("pull", "acme.example/kv:V1"), "write 'v1'"),
        (("digest", "acme.example/kv:1", "--username", "me"), "wants a password"),
        (("login", "acme"), "'acme' is no registry"),
        (("login", "acme.example/kv"), "is no registry"),
        (("logout", ""), "'' is no registry"),
    ):
        done = package(tmp_path, *words)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert reason in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_proxy_that_is_no_url_is_told_of_and_not_shown(tmp_path: Path) -> None:
    done = package(tmp_path, "tags", "acme.example/kv", https_proxy="http://me:secret@[")
    assert (done.returncode, done.stderr) == (
        2,
        "provider: the proxy for https that the environment names is no URL: see https_proxy\n",
    )


def test_a_reference_of_latest_may_be_pushed_when_that_is_said() -> None:
    assert Reference.parse("acme.example/kv").for_push(allow_latest=True).tag == "latest"
