"""Registries and ways to them that fail: cut connections, busy, slow and lying answers, redirects. A proxy before real registries."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provider_packaging.oci import transfer
from provider_packaging.oci.credentials import Credentials
from provider_packaging.oci.download import partial_file
from provider_packaging.oci.manifest import INDEX, LAYER, digest_of
from provider_packaging.oci.registry import LARGEST_ANSWER, Access, Registry
from provider_packaging.oci.upload import CHUNK
from provider_sdk.errors import NotFound, PreconditionFailed, ProviderError, ResourceExhausted, Unavailable
from tests.integration.oci import ANONYMOUS, MIB, archive, reference, sha256, somebody
from tests.servers import registry as servers
from tests.servers.fault_proxy import Fault, FaultProxy, Seen, fault_proxy
from tests.servers.registry import RegistryServer
from tests.tiers import scale

SIZE = scale(test=9, ci=9, soak=200) * MIB
ROUNDS = scale(test=1, ci=2, soak=50)
RANDOM = random.Random(7)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Another archive each time, or a registry would have it already."""
    folder = tmp_path_factory.mktemp("archives")
    return lambda: archive(folder / "kv.par", SIZE, RANDOM.getrandbits(32))


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with servers.distribution(tmp_path_factory.mktemp("debian")) as running:
        yield running


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with servers.distribution(tmp_path_factory.mktemp("v3"), program="registry-v3") as running:
        yield running


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with servers.in_memory(tmp_path_factory.mktemp("go")) as running:
        yield running


@pytest.fixture
def proxy(debian: RegistryServer) -> Iterator[FaultProxy]:
    with fault_proxy(debian.host) as running:
        yield running


def some(faults: list[Fault], matches: Callable[[Seen], bool]) -> Callable[[Seen], Fault | None]:
    """The faults one after the other, for the requests that match."""
    left = list(faults)
    return lambda seen: left.pop(0) if left and matches(seen) else None


def always(fault: Fault, matches: Callable[[Seen], bool]) -> Callable[[Seen], Fault | None]:
    """The fault for each request that matches."""
    return lambda seen: fault if matches(seen) else None


def is_patch(seen: Seen) -> bool:
    return seen.method == "PATCH"


def is_blob(seen: Seen) -> bool:
    return seen.method == "GET" and "/blobs/sha256:" in seen.path


def is_manifest(seen: Seen) -> bool:
    return "/manifests/" in seen.path


def pushed(host: str, path: Path, access: Access = ANONYMOUS) -> str:
    """Push, and see with the registry itself that all is there."""
    digest = transfer.push(path, reference(host), access)
    assert transfer.digest(reference(host), access) == digest
    return digest


@pytest.mark.soak
@pytest.mark.needs("registry-v3")
def test_an_upload_that_was_cut_goes_on_where_the_registry_has_it(third: RegistryServer, made: Callable[[], Path]) -> None:
    for _ in range(ROUNDS):
        path, cuts = made(), [RANDOM.randrange(1, CHUNK) for _ in range(3)]
        with fault_proxy(third.host) as proxy:
            proxy.script = some([Fault(cut_request=cut) for cut in cuts], is_patch)
            pushed(proxy.host, path)
            assert proxy.up < path.stat().st_size + len(cuts) * MIB
            assert len(proxy.methods("POST")) <= 2


@pytest.mark.soak
@pytest.mark.needs("registry-v3")
def test_an_answer_that_was_lost_costs_no_chunk(third: RegistryServer, made: Callable[[], Path]) -> None:
    path = made()
    with fault_proxy(third.host) as proxy:
        proxy.script = some([Fault(lose_answer=True)] * 2, is_patch)
        pushed(proxy.host, path)
        assert proxy.up < path.stat().st_size + MIB


@pytest.mark.needs("docker-registry")
def test_a_registry_that_forgets_a_cut_upload_gets_it_from_the_beginning(proxy: FaultProxy, made: Callable[[], Path]) -> None:
    proxy.script = some([Fault(), Fault(cut_request=MIB)], is_patch)
    path = made()
    pushed(proxy.host, path)
    assert proxy.up < path.stat().st_size + CHUNK + 2 * MIB


@pytest.mark.needs("registry-go")
def test_a_registry_that_tells_nothing_of_an_upload_gets_it_from_the_beginning(strict: RegistryServer, made: Callable[[], Path]) -> None:
    with fault_proxy(strict.host) as proxy:
        proxy.script = some([Fault(), Fault(cut_request=MIB)], is_patch)
        pushed(proxy.host, made())


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("busy", [Fault(status=429, headers={"Retry-After": "0"}), Fault(status=500), Fault(status=503), Fault(status=408)])
def test_busy_answers_are_waited_for_everywhere(proxy: FaultProxy, made: Callable[[], Path], busy: Fault, tmp_path: Path) -> None:
    met = set[tuple[str, str]]()

    def first_of_each(seen: Seen) -> Fault | None:
        one = (seen.method, seen.path.partition("?")[0])
        known = one in met
        met.add(one)
        return None if known else busy

    proxy.script = first_of_each
    path = archive(tmp_path / "kv.par", 5 * MIB, RANDOM.getrandbits(32))
    digest = transfer.push(path, reference(proxy.host), ANONYMOUS)
    assert transfer.pull(reference(proxy.host), tmp_path / "back.par", ANONYMOUS).digest == digest


@pytest.mark.needs("docker-registry")
def test_a_registry_that_stays_busy_is_given_up_with_its_words(proxy: FaultProxy) -> None:
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\\u001b[31m down"}]}'
    proxy.script = lambda seen: Fault(status=429, headers={"Retry-After": "0"}, body=body)
    with pytest.raises(ResourceExhausted, match=r"answers 429 \(TOOMANYREQUESTS: slow \[31m down\)"):
        transfer.manifest(reference(proxy.host), ANONYMOUS)
    assert len(proxy.seen) == ANONYMOUS.attempts


@pytest.mark.needs("docker-registry")
def test_a_registry_without_chunks_gets_the_whole(proxy: FaultProxy, made: Callable[[], Path]) -> None:
    for status in (404, 405, 416, 501):
        proxy.seen.clear()
        proxy.script = always(Fault(status=status), is_patch)
        pushed(proxy.host, made())
        assert proxy.methods("PATCH") == ["PATCH"]


@pytest.mark.needs("docker-registry")
def test_a_range_that_stands_still_does_not_stop_an_upload(proxy: FaultProxy, made: Callable[[], Path]) -> None:
    proxy.script = lambda seen: Fault(change={"Range": f"0-{CHUNK - 1}"}) if is_patch(seen) else None
    path = made()
    pushed(proxy.host, path)
    assert proxy.up < path.stat().st_size + MIB


@pytest.mark.needs("docker-registry")
def test_chunks_are_as_large_as_the_registry_wants_them(proxy: FaultProxy, made: Callable[[], Path]) -> None:
    wanted = 5 * MIB
    proxy.script = lambda seen: Fault(change={"OCI-Chunk-Min-Length": str(wanted)}) if seen.method == "POST" else None
    pushed(proxy.host, made())
    sizes = [int(seen.headers["Content-Length"]) for seen in proxy.seen if is_patch(seen)]
    assert set(sizes[:-1]) == {wanted}


@pytest.mark.needs("docker-registry")
def test_a_push_whose_last_answers_are_lost_is_found_to_be_done(proxy: FaultProxy, made: Callable[[], Path]) -> None:
    lost = {"PUT blob": 1, "PUT manifest": 1}

    def script(seen: Seen) -> Fault | None:
        kind = f"{seen.method} {'manifest' if is_manifest(seen) else 'blob'}"
        if lost.get(kind, 0) and "44136fa355b3678a" not in seen.path:
            lost[kind] -= 1
            return Fault(lose_answer=True)
        return None

    proxy.script = script
    path = made()
    pushed(proxy.host, path)
    assert proxy.up < path.stat().st_size + MIB and not any(lost.values())


@pytest.mark.needs("docker-registry")
def test_a_push_that_fails_leaves_no_tag(proxy: FaultProxy, made: Callable[[], Path]) -> None:
    ref = reference(proxy.host, "acme/half:1")
    proxy.script = lambda seen: Fault(cut_request=1000) if is_patch(seen) else None
    with pytest.raises(Unavailable):
        transfer.push(made(), ref, replace(ANONYMOUS, attempts=2))
    assert "PUT" not in [seen.method for seen in proxy.seen if is_manifest(seen)]


@pytest.mark.needs("docker-registry")
def test_a_download_that_was_cut_goes_on_from_the_next_byte(proxy: FaultProxy, made: Callable[[], Path], tmp_path: Path) -> None:
    path = made()
    digest = pushed(proxy.host, path)
    for _ in range(ROUNDS):
        cuts = [RANDOM.randrange(0, SIZE // 4) for _ in range(3)]
        proxy.down, proxy.script = 0, some([Fault(cut_response=cut) for cut in cuts], is_blob)
        pulled = transfer.pull(reference(proxy.host), tmp_path / "back.par", ANONYMOUS)
        assert (pulled.digest, sha256(pulled.path)) == (digest, sha256(path))
        assert proxy.down < path.stat().st_size + MIB


@pytest.mark.needs("docker-registry")
def test_a_later_run_goes_on_with_what_an_earlier_one_has_fetched(proxy: FaultProxy, made: Callable[[], Path], tmp_path: Path) -> None:
    path = made()
    pushed(proxy.host, path)
    target, once = tmp_path / "back.par", replace(ANONYMOUS, attempts=1)
    proxy.down, proxy.script = 0, some([Fault(cut_response=SIZE // 2)], is_blob)
    with pytest.raises(Unavailable):
        transfer.pull(reference(proxy.host), target, once)
    partial = partial_file(target, sha256(path))
    assert [one.name for one in tmp_path.iterdir()] == [partial.name] and SIZE // 2 - MIB < partial.stat().st_size <= SIZE // 2
    transfer.pull(reference(proxy.host), target, once)
    assert sha256(target) == sha256(path) and list(tmp_path.iterdir()) == [target]
    assert proxy.down < path.stat().st_size + 2 * MIB


@pytest.mark.needs("docker-registry")
def test_a_partial_file_that_is_wrong_is_thrown_away(proxy: FaultProxy, made: Callable[[], Path], tmp_path: Path) -> None:
    path = made()
    pushed(proxy.host, path)
    target = tmp_path / "back.par"
    for wrong in (b"x" * 1000, b"x" * path.stat().st_size, b"x" * (path.stat().st_size + 1)):
        partial_file(target, sha256(path)).write_bytes(wrong)
        transfer.pull(reference(proxy.host), target, ANONYMOUS)
        assert sha256(target) == sha256(path) and list(tmp_path.iterdir()) == [target]


@pytest.mark.needs("docker-registry")
def test_a_registry_without_ranges_sends_all_again(proxy: FaultProxy, made: Callable[[], Path], tmp_path: Path) -> None:
    path = made()
    pushed(proxy.host, path)
    for answer in (Fault(status=416), Fault(change={"Content-Range": "bytes 0-9/10"})):
        cut = some([Fault(cut_response=MIB)], is_blob)
        refuse = always(answer, lambda seen: "Range" in seen.headers)
        proxy.script = lambda seen, cut=cut, refuse=refuse: refuse(seen) or cut(seen)  # type: ignore[misc]
        proxy.seen.clear()
        transfer.pull(reference(proxy.host), tmp_path / "back.par", ANONYMOUS)
        assert sha256(tmp_path / "back.par") == sha256(path)
        assert [("Range" in seen.headers) for seen in proxy.seen if is_blob(seen)] == [False, True, False]


@pytest.mark.needs("docker-registry")
def test_bytes_that_are_not_those_of_the_digest_leave_no_file(proxy: FaultProxy, made: Callable[[], Path], tmp_path: Path) -> None:
    pushed(proxy.host, made())
    target = tmp_path / "back.par"
    for fault, matches, reason in (
        (Fault(flip=True), is_blob, "not those of its digest"),
        (Fault(flip=True), is_manifest, "manifest's bytes are not those"),
        (Fault(length=2 * SIZE), is_blob, "more than its"),
    ):
        proxy.script = always(fault, matches)
        with pytest.raises(PreconditionFailed, match=reason):
            transfer.pull(reference(proxy.host), target, replace(ANONYMOUS, attempts=2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs("docker-registry")
def test_a_body_that_ends_early_again_and_again_is_given_up(proxy: FaultProxy, made: Callable[[], Path], tmp_path: Path) -> None:
    pushed(proxy.host, made())
    proxy.script = lambda seen: Fault(cut_response=0) if is_blob(seen) else None
    with pytest.raises(Unavailable):
        transfer.pull(reference(proxy.host), tmp_path / "back.par", ANONYMOUS)
    assert len([seen for seen in proxy.seen if is_blob(seen)]) == ANONYMOUS.attempts


@pytest.mark.needs("docker-registry")
def test_an_endless_manifest_is_not_read(proxy: FaultProxy) -> None:
    proxy.script = lambda seen: Fault(status=200, body=b" " * (LARGEST_ANSWER + 1))
    with pytest.raises(Unavailable, match=f"more than {LARGEST_ANSWER} bytes"):
        transfer.manifest(reference(proxy.host), ANONYMOUS)


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"[" * 100_000, b'{"schemaVersion":2,"layers":{}}', b'{"schemaVersion":2,"layers":[{}]}']
)
def test_a_manifest_of_nonsense_is_one_line(proxy: FaultProxy, tmp_path: Path, body: bytes) -> None:
    proxy.script = lambda seen: Fault(status=200, body=body)
    with pytest.raises(PreconditionFailed) as refused:
        transfer.pull(reference(proxy.host), tmp_path / "back.par", ANONYMOUS)
    assert len(str(refused.value).splitlines()) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.needs("docker-registry")
def test_redirects_are_followed_elsewhere_without_the_login(proxy: FaultProxy, made: Callable[[], Path], tmp_path: Path) -> None:
    path = made()
    pushed(proxy.host, path)
    with fault_proxy(proxy.upstream) as store:
        asked = {"WWW-Authenticate": 'Basic realm="tests"'}

        def script(seen: Seen) -> Fault | None:
            if not seen.headers.get("Authorization"):
                return Fault(status=401, headers=asked)
            return Fault(status=307, headers={"Location": f"http://{store.host}{seen.path}"}) if is_blob(seen) else None

        proxy.script = script
        transfer.pull(reference(proxy.host), tmp_path / "back.par", replace(ANONYMOUS, credentials=somebody))
        assert sha256(tmp_path / "back.par") == sha256(path)
        assert len(store.seen) == 1 and "Authorization" not in store.seen[0].headers
        proxy.script = lambda seen: Fault(status=307, headers={"Location": f"http://{store.host}/v2/"})
        store.script = lambda seen: Fault(status=401, headers=asked)
        with pytest.raises(ProviderError):
            transfer.manifest(reference(proxy.host), replace(ANONYMOUS, credentials=somebody))
        assert not any("Authorization" in seen.headers for seen in store.seen)


@pytest.mark.needs("docker-registry")
def test_redirects_without_end_are_ended(proxy: FaultProxy) -> None:
    proxy.script = lambda seen: Fault(status=302, headers={"Location": seen.path})
    with pytest.raises(Unavailable, match="redirects without end"):
        transfer.manifest(reference(proxy.host), ANONYMOUS)
    proxy.script = lambda seen: Fault(status=302, headers={"Location": f"{seen.path}x"})
    with pytest.raises(Unavailable, match="redirects without end"):
        transfer.manifest(reference(proxy.host), ANONYMOUS)
    assert len(proxy.seen) < 15


@pytest.mark.needs("docker-registry")
def test_the_login_goes_to_no_token_server_elsewhere_by_plain_http(proxy: FaultProxy) -> None:
    proxy.script = lambda seen: Fault(status=401, headers={"WWW-Authenticate": 'Bearer realm="http://tokens.example/token",service="x"'})
    with pytest.raises(ProviderError, match=r"sent to tokens\.example unencrypted"):
        transfer.manifest(reference(proxy.host), replace(ANONYMOUS, credentials=somebody))


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("realm", ["", "nowhere", "http://[", "http://[1::2::3]/", "http://127.0.0.1:99999/", "ftp://tokens.example/"])
def test_a_token_server_that_cannot_be_is_one_line(proxy: FaultProxy, realm: str) -> None:
    proxy.script = lambda seen: Fault(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'})
    with pytest.raises(Unavailable, match="names no place to have a token from"):
        transfer.manifest(reference(proxy.host), ANONYMOUS)


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 5}', b'{"token": "a\\nb"}', b" " * (LARGEST_ANSWER + 1)])
def test_a_token_server_of_nonsense_is_one_line(proxy: FaultProxy, body: bytes) -> None:
    bearer = {"WWW-Authenticate": f'Bearer realm="http://{proxy.host}/token",service="x"'}
    proxy.script = lambda seen: Fault(status=200, body=body) if seen.path.startswith("/token") else Fault(status=401, headers=bearer)
    known = replace(ANONYMOUS, credentials=lambda registry, repository: Credentials("me", "the secret"))
    with pytest.raises(Unavailable) as refused:
        transfer.manifest(reference(proxy.host), known)
    assert len(str(refused.value).splitlines()) == 1 and "the secret" not in str(refused.value)


@pytest.mark.needs("docker-registry")
def test_a_slow_registry_is_waited_for_and_one_that_hangs_is_not(proxy: FaultProxy, made: Callable[[], Path]) -> None:
    proxy.script = some([Fault(seconds=0.2)] * 3, lambda seen: True)
    pushed(proxy.host, made())
    proxy.script = lambda seen: Fault(seconds=1.0)
    with pytest.raises(Unavailable, match="timed out"):
        transfer.manifest(reference(proxy.host), replace(ANONYMOUS, waiting=0.1, attempts=2))


@pytest.mark.soak
@pytest.mark.needs("docker-registry", "registry-v3")
def test_a_copy_goes_on_when_either_side_is_cut(
    debian: RegistryServer, proxy: FaultProxy, third: RegistryServer, made: Callable[[], Path]
) -> None:
    path = made()
    digest = pushed(debian.host, path)
    with fault_proxy(third.host) as far:
        proxy.script = some([Fault(cut_response=SIZE // 3), Fault(cut_response=SIZE // 3)], is_blob)
        far.script = some([Fault(cut_request=MIB), Fault(lose_answer=True)], is_patch)
        assert transfer.copy(reference(proxy.host), reference(far.host, "acme/copied:1"), ANONYMOUS, ANONYMOUS) == digest
        assert far.up < path.stat().st_size + 2 * MIB
    assert transfer.digest(reference(third.host, "acme/copied:1"), ANONYMOUS) == digest


@pytest.mark.needs("docker-registry")
def test_a_chunk_that_is_refused_is_asked_about_and_then_the_whole_is_sent(proxy: FaultProxy, made: Callable[[], Path]) -> None:
    def second(seen: Seen) -> bool:
        return is_patch(seen) and not seen.headers["Content-Range"].startswith("0-")

    path = made()
    proxy.script = some([Fault(status=416)], second)
    pushed(proxy.host, path)
    assert proxy.up < path.stat().st_size + MIB
    proxy.seen.clear()
    proxy.script = always(Fault(status=416), second)
    pushed(proxy.host, made())
    assert proxy.methods("PATCH", "GET", "POST") == ["POST", "PATCH", "PATCH", "GET", "PATCH", "POST"]


def test_a_proxy_of_the_environment_is_used_and_not_for_what_it_excepts(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"tags":["1"]}'
    with fault_proxy("127.0.0.1:9") as proxy:
        proxy.script = lambda seen: Fault(status=200, body=body)
        monkeypatch.setenv("http_proxy", f"http://me:secret@{proxy.host}")
        insecure = replace(ANONYMOUS, insecure=True, attempts=1)
        assert transfer.tags(reference("registry.invalid"), insecure) == ["1"]
        assert proxy.seen[0].path.startswith("http://registry.invalid/v2/acme/kv/tags/list")
        assert proxy.seen[0].headers["proxy-authorization"].startswith("Basic ")
        monkeypatch.setenv("no_proxy", "registry.invalid")
        with pytest.raises(Unavailable, match="no such host"):
            transfer.tags(reference("registry.invalid"), insecure)
        assert len(proxy.seen) == 1


def test_a_place_that_a_registry_names_keeps_our_scheme_and_never_falls_back_to_plain_http() -> None:
    with Registry("registry.example", ANONYMOUS, lambda: None) as client:
        assert client.located("/v2/a?b=1") == "https://registry.example/v2/a?b=1"
        assert client.located("http://registry.example/v2/a?b=1") == "https://registry.example/v2/a?b=1"
        assert client.located("http://registry.example:80/v2/a") == "https://registry.example/v2/a"
        assert client.located("https://store.example/x?sig=1") == "https://store.example/x?sig=1"
        for place in ("http://store.example/x", "file:///etc/passwd", "//["):
            with pytest.raises(Unavailable):
                client.located(place)


@pytest.mark.needs("docker-registry")
def test_a_file_that_cannot_be_written_is_said_in_a_line(proxy: FaultProxy, made: Callable[[], Path], tmp_path: Path) -> None:
    pushed(proxy.host, made())
    for target in (tmp_path / "nowhere" / "kv.par", Path("/dev/full/kv.par")):
        with pytest.raises(Unavailable, match=r"No such file|Not a directory"):
            transfer.pull(reference(proxy.host), target, ANONYMOUS)
    assert transfer.pull(reference(proxy.host), tmp_path, ANONYMOUS).path == tmp_path / "kv.par"


@pytest.mark.needs("docker-registry")
def test_what_a_registry_says_of_itself_is_cut_and_moves_no_terminal(proxy: FaultProxy, tmp_path: Path) -> None:
    entry = {"platform": {"os": "\x1b[2J\nprovider: all is well", "architecture": "x" * 100_000}}
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] * 20}).encode()
    proxy.script = lambda seen: Fault(status=200, body=body)
    with pytest.raises(NotFound) as refused:
        transfer.pull(reference(proxy.host), tmp_path / "back.par", ANONYMOUS)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 2000 and list(tmp_path.iterdir()) == []


@pytest.mark.needs("docker-registry")
def test_a_layer_that_is_larger_than_archives_are_is_not_fetched(proxy: FaultProxy, tmp_path: Path) -> None:
    layer = {"mediaType": LAYER, "digest": f"sha256:{'0' * 64}", "size": 10**4000}
    proxy.script = lambda seen: Fault(status=200, body=json.dumps({"schemaVersion": 2, "layers": [layer]}).encode())
    with pytest.raises(PreconditionFailed, match=r"larger than archives are: they have at most [0-9]+ bytes$"):
        transfer.pull(reference(proxy.host), tmp_path / "back.par", ANONYMOUS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs("docker-registry")
def test_indexes_within_indexes_are_left_at_some_depth(proxy: FaultProxy) -> None:
    body, bodies = json.dumps({"schemaVersion": 2, "layers": []}).encode(), {}
    for _ in range(1500):
        digest = digest_of(body)
        bodies[digest] = body
        body = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": INDEX, "digest": digest, "size": len(body)}]}).encode()
    proxy.script = lambda seen: Fault(status=200, body=bodies.get(seen.path.rpartition("/")[2], body))
    with pytest.raises(PreconditionFailed, match="more than 4 indexes within each other"):
        transfer.copy(reference(proxy.host), reference(proxy.host, "acme/moved:1"), ANONYMOUS, ANONYMOUS)
