"""Ours and others' clients at the same registries: skopeo and oras-py read what we push, and we read what they push."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from oras.client import OrasClient  # type: ignore[import-untyped]  # a judge without types

from provider_packaging.oci import transfer
from provider_packaging.oci.manifest import CONFIG, CONFIG_BYTES, LAYER
from tests.integration.oci import ANONYMOUS, MIB, archive, package, reference, sha256
from tests.servers import registry as servers
from tests.servers.registry import PASSWORD, USER, RegistryServer

EACH = [
    pytest.param("docker-registry", marks=pytest.mark.needs("docker-registry")),
    pytest.param("registry-go", marks=pytest.mark.needs("registry-go")),
]


@pytest.fixture(scope="module", params=EACH)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("registry")
    with servers.in_memory(folder) if request.param == "registry-go" else servers.distribution(folder) as running:
        yield running


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive(tmp_path_factory.mktemp("archives") / "kv.par.gz", 5 * MIB)


def skopeo(*words: object, home: Path) -> str:
    """A run that must succeed; a policy and no logins of this machine."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    command = ["skopeo", "--insecure-policy", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.needs("skopeo")
def test_skopeo_reads_what_we_push_and_makes_the_same_digest_of_it(server: RegistryServer, made: Path, tmp_path: Path) -> None:
    ref = reference(server.host, "acme/read:0.1.0")
    digest = transfer.push(made, ref, ANONYMOUS, annotations={"org.example": "1"})
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{ref}", home=tmp_path)
    assert raw.encode() == transfer.manifest(ref, ANONYMOUS).raw
    skopeo("copy", "--src-tls-verify=false", f"docker://{ref}", f"dir:{tmp_path / 'dir'}", home=tmp_path)
    assert sha256(tmp_path / "dir" / sha256(made).partition(":")[2]) == sha256(made)
    assert skopeo("manifest-digest", tmp_path / "dir" / "manifest.json", home=tmp_path).strip() == digest
    listed = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{ref.name}", home=tmp_path))
    assert listed["Tags"] == transfer.tags(ref, ANONYMOUS) == ["0.1.0"]


@pytest.mark.needs("skopeo")
def test_what_skopeo_carries_over_a_layout_is_still_ours(server: RegistryServer, made: Path, tmp_path: Path) -> None:
    ref, back = reference(server.host, "acme/there:1"), reference(server.host, "acme/back:1")
    digest = transfer.push(made, ref, ANONYMOUS)
    skopeo("copy", "--src-tls-verify=false", f"docker://{ref}", f"oci:{tmp_path / 'layout'}:kv", home=tmp_path)
    skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path / 'layout'}:kv", f"docker://{back}", home=tmp_path)
    pulled = transfer.pull(back, tmp_path / "kv.par.gz", ANONYMOUS, digest=digest)
    assert sha256(pulled.path) == sha256(made)


@pytest.mark.needs("skopeo", "docker-registry")
def test_a_login_that_skopeo_kept_is_found_and_ours_is_found_by_skopeo(tmp_path: Path) -> None:
    with servers.distribution(tmp_path / "registry", login=True) as server:
        skopeo("login", "--tls-verify=false", "-u", USER, "-p", PASSWORD, server.host, home=tmp_path)
        assert (tmp_path / "containers" / "auth.json").exists()
        missing = package(tmp_path, "digest", f"{server.host}/acme/kv:1", XDG_RUNTIME_DIR=str(tmp_path))
        assert missing.returncode == 1 and "answers 404" in missing.stderr
        skopeo("logout", server.host, home=tmp_path)
        assert "asks for a login" in package(tmp_path, "digest", f"{server.host}/acme/kv:1", XDG_RUNTIME_DIR=str(tmp_path)).stderr
        words = ("login", server.host, "--username", USER, "--password-stdin")
        assert package(tmp_path, *words, stdin=f"{PASSWORD}\n").returncode == 0
        assert skopeo("login", "--get-login", server.host, home=tmp_path).strip() == USER


def test_oras_pulls_what_we_push_under_its_own_name(server: RegistryServer, made: Path, tmp_path: Path) -> None:
    ref = reference(server.host, "acme/oras:1")
    transfer.push(made, ref, ANONYMOUS)
    files = OrasClient(hostname=server.host, insecure=True).pull(target=str(ref), outdir=str(tmp_path))
    assert [Path(file).name for file in files] == ["kv.par.gz"] and sha256(Path(files[0])) == sha256(made)


def test_what_oras_pushes_is_pulled(server: RegistryServer, made: Path, tmp_path: Path) -> None:
    ref, config = reference(server.host, "acme/by-oras:1"), tmp_path / "config.json"
    config.write_bytes(CONFIG_BYTES)
    client = OrasClient(hostname=server.host, insecure=True)
    answer = client.push(
        target=str(ref), files=[f"{made}:{LAYER}"], manifest_config=f"{config}:{CONFIG}", disable_path_validation=True, do_chunked=True
    )
    assert answer.status_code == 201
    pulled = transfer.pull(ref, tmp_path / "kv.par.gz", ANONYMOUS)
    assert sha256(pulled.path) == sha256(made)
