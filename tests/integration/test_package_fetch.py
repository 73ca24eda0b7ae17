"""Archives as the dev lattice starts them, by file and from a registry; and what `provider doctor` says of keys and registries."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provider_packaging import doctor, fetch
from provider_packaging.archive import open_archive
from provider_packaging.keys import Kind, generate
from provider_packaging.oci import transfer
from provider_packaging.oci.reference import Reference
from provider_packaging.targets import native_target
from provider_sdk.errors import InvalidArgument, NotFound, PreconditionFailed, Unauthenticated, Unavailable
from provider_sdk.findings import Finding, Level
from tests.integration.oci import ANONYMOUS, archive
from tests.servers import registry as servers
from tests.servers.registry import PASSWORD, USER, RegistryServer

SIZE = 5000


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home of its own, with nothing in it."""
    for name in (
        "WASH_KEYS",
        "WASH_KEYS_DIR",
        "WASH_REG_USER",
        "WASH_REG_PASSWORD",
        "DOCKER_CONFIG",
        "REGISTRY_AUTH_FILE",
        "XDG_RUNTIME_DIR",
    ):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    return folder


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with servers.distribution(tmp_path_factory.mktemp("open")) as server:
        yield server


@pytest.fixture(scope="module")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with servers.distribution(tmp_path_factory.mktemp("closed"), login=True) as server:
        yield server


def a_file(folder: Path, seed: int = 0) -> Path:
    if native_target() != "x86_64-linux":
        raise AssertionError("these archives are of x86_64-linux")
    return archive(folder / "kv.par.gz", SIZE, seed)


def test_the_program_of_a_file_is_unpacked_once_and_can_be_executed(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    found = fetch.runnable(str(path))
    program = Path(found.command[0])
    with open_archive(path) as opened:
        assert b"".join(opened.pieces("x86_64-linux")) == program.read_bytes()
        assert found.key == opened.claims.subject
    assert found.sources == (path,)
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    before = program.stat().st_ino
    assert fetch.runnable(str(path)) == found
    assert program.stat().st_ino == before


def test_a_program_in_the_cache_that_somebody_changed_is_unpacked_anew(tmp_path: Path) -> None:
    found = fetch.runnable(str(a_file(tmp_path)))
    program = Path(found.command[0])
    right = program.read_bytes()
    program.write_bytes(b"another")
    fetch.runnable(str(tmp_path / "kv.par.gz"))
    assert program.read_bytes() == right


@pytest.mark.needs("docker-registry")
def test_one_from_a_registry_is_fetched_again_only_when_its_tag_has_moved(tmp_path: Path, open_registry: RegistryServer) -> None:
    reference = f"oci://{open_registry.host}/acme/kv:0.1.0"
    transfer.push(a_file(tmp_path, 1), Reference.parse(reference), ANONYMOUS)
    first = fetch.runnable(reference)
    assert first.sources == ()
    cached = {path: path.stat().st_ino for path in fetch.fetched(Reference.parse(reference)).parent.iterdir()}
    assert fetch.runnable(reference) == first
    assert {path: path.stat().st_ino for path in next(iter(cached)).parent.iterdir()} == cached
    transfer.push(a_file(tmp_path, 2), Reference.parse(reference), ANONYMOUS)
    second = fetch.runnable(reference)
    assert Path(second.command[0]).read_bytes() != Path(first.command[0]).read_bytes()


@pytest.mark.needs("docker-registry")
def test_one_that_is_pinned_by_digest_needs_no_registry_the_second_time(tmp_path: Path) -> None:
    with servers.distribution(tmp_path / "registry") as server:
        name = Reference.parse(f"{server.host}/acme/kv:0.1.0")
        pinned = str(name.pinned(transfer.push(a_file(tmp_path), name, ANONYMOUS)))
        first = fetch.runnable(pinned)
    assert fetch.runnable(pinned) == first
    with pytest.raises(Unavailable):
        fetch.runnable(str(name))


def test_archives_that_are_not_sound_are_not_started(tmp_path: Path) -> None:
    path = archive(tmp_path / "kv.par", SIZE)
    content = path.read_bytes()
    changed = {
        "another program": (content.replace(content[2048:2064], bytes(16)), PreconditionFailed),
        "another signature": (_with_other_signature(content), Unauthenticated),
        "half of it": (content[: len(content) // 2], InvalidArgument),
    }
    for name, (bad, error) in changed.items():
        path.write_bytes(bad)
        with pytest.raises(error):
            fetch.runnable(str(path))
        assert not list((tmp_path / "home" / "cache").rglob("kv")), name


def _with_other_signature(content: bytes) -> bytes:
    end = content.index(b"\0", 512)
    last = content[end - 20 : end - 19]
    return content[: end - 20] + (b"A" if last != b"A" else b"B") + content[end - 19 :]


def test_one_without_a_program_for_this_machine_names_those_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = a_file(tmp_path)
    monkeypatch.setattr(fetch, "native_target", lambda: "aarch64-linux")
    with pytest.raises(NotFound, match="it has no program for this machine, aarch64-linux: there are x86_64-linux"):
        fetch.runnable(str(path))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("oci://ghcr.io/acme/kv:1", True),
        ("127.0.0.1:5055/kv:1", True),
        ("localhost/kv:1", True),
        ("dist/kv.par.gz", False),
        ("./dist/kv.par", False),
        ("/srv/127.0.0.1:5055/kv", False),
        ("file://kv.par", False),
        ("kv.par.gz", False),
    ],
)
def test_what_is_a_reference_and_what_a_file(text: str, *, is_one: bool) -> None:
    assert fetch.is_reference(text) is is_one


def found(folder: Path, subject: str) -> list[Finding]:
    return [finding for finding in doctor.checks(folder) if finding.subject.startswith(subject)]


def manifest(folder: Path, server: RegistryServer) -> Path:
    image = f"        image: oci://{server.host}/acme/kv:0.1.0\n        image: registry.example/wasmcloud/httpserver:0.1.0\n"
    (folder / "wadm-1x.yaml").write_text(image)
    return folder


def test_doctor_misses_the_account_key_and_is_content_once_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")
    (missing,) = found(tmp_path, "keys")
    assert (missing.level, "ada_account.nk" in missing.message) == (Level.WARNING, True)
    assert "provider package keys generate account ada" in missing.advice
    generate(Kind.ACCOUNT, "ada")
    (there,) = found(tmp_path, "keys")
    assert there.level is Level.OK


def test_doctor_warns_of_keys_that_others_may_read_and_of_files_that_hold_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")
    _, path = generate(Kind.ACCOUNT, "ada")
    path.chmod(0o644)
    path.parent.chmod(0o755)
    path.with_name("broken_service.nk").write_text("SVnot a seed")
    path.with_name("broken_service.nk").chmod(0o600)
    said = [(finding.level, finding.message, finding.advice) for finding in found(tmp_path, "keys")]
    assert (Level.WARNING, f"{path.parent} is open to others", f"chmod 700 {path.parent}") in said
    assert (Level.WARNING, f"{path} may be read by others", f"chmod 600 {path}") in said
    assert [message for level, message, _ in said if level is Level.WRONG and "not a seed" not in message.rpartition(":")[0]]
    assert "SVnot" not in str(said)


@pytest.mark.needs("docker-registry")
def test_doctor_tries_the_registry_of_the_manifest_and_no_other(tmp_path: Path, open_registry: RegistryServer) -> None:
    (only,) = found(manifest(tmp_path, open_registry), "registry")
    assert (only.level, only.subject) == (Level.OK, f"registry {open_registry.host}")


@pytest.mark.needs("docker-registry")
def test_doctor_says_whether_a_login_is_accepted(tmp_path: Path, closed_registry: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = manifest(tmp_path, closed_registry)
    (refused,) = found(folder, "registry")
    assert (refused.level, refused.advice) == (Level.WRONG, f"provider package login {closed_registry.host}")
    monkeypatch.setenv("WASH_REG_USER", USER)
    monkeypatch.setenv("WASH_REG_PASSWORD", PASSWORD)
    (accepted,) = found(folder, "registry")
    assert accepted.level is Level.OK
    assert USER in accepted.message
    assert PASSWORD not in accepted.message


def test_doctor_says_that_a_registry_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "wadm.yaml").write_text("  image: 127.0.0.1:1/acme/kv:0.1.0\n")
    (away,) = found(tmp_path, "registry")
    assert (away.level, away.advice.startswith("provider dev registry starts one here")) == (Level.WARNING, True)


@pytest.mark.needs("docker-registry")
def test_one_that_several_want_at_once_is_fetched_by_one_and_found_by_the_others(tmp_path: Path, open_registry: RegistryServer) -> None:
    reference = Reference.parse(f"{open_registry.host}/acme/several:1")
    transfer.push(a_file(tmp_path, 3), reference, ANONYMOUS)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(fetch.fetched, [reference] * 8))
    assert len(found) == 1 and found.pop().read_bytes() == (tmp_path / "kv.par.gz").read_bytes()
