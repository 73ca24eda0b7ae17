"""The registry for development, asked by programs of others and byte by byte."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from oras.client import OrasClient  # type: ignore[import-untyped]  # a judge without types

from provider_sdk.errors import Unavailable
from provider_sdk.lattice.registry import Registry, open_registry
from tests.tiers import scale

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SIZE = scale(test=3_000_001, ci=3_000_001, soak=300_000_001)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "registry") as opened:
        yield opened


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Client:
    """One connection that is kept."""

    def __init__(self, registry: Registry) -> None:
        self.connection = http.client.HTTPConnection(registry.address, timeout=60)

    def ask(
        self, method: str, path: str, body: bytes | Iterator[bytes] | None = None, **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, given, encode_chunked=isinstance(body, Iterator))
        answer = self.connection.getresponse()
        return answer.status, answer.read(), answer.headers

    def begin(self) -> str:
        status, _, headers = self.ask("POST", "/v2/a/b/blobs/uploads/")
        assert status == 202
        return headers["Location"]

    def blob(self, data: bytes) -> str:
        assert self.ask("PUT", f"{self.begin()}?digest={digest_of(data)}", data)[0] == 201
        return digest_of(data)


@pytest.fixture
def client(registry: Registry) -> Iterator[Client]:
    made = Client(registry)
    yield made
    made.connection.close()


def skopeo(*arguments: str) -> str:
    return subprocess.run(["skopeo", *arguments], capture_output=True, text=True, check=True, timeout=240).stdout


def oci_layout(folder: Path, data: bytes) -> None:
    """An image of one layer as skopeo reads it from a folder."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, media_type: str) -> dict[str, object]:
        (blobs / digest_of(content).removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}

    config = blob(
        json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(data)]}}).encode(),
        "application/vnd.oci.image.config.v1+json",
    )
    manifest = {"schemaVersion": 2, "config": config, "layers": [blob(data, "application/vnd.oci.image.layer.v1.tar+gzip")]}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), MANIFEST)]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


@pytest.mark.needs("skopeo")
def test_skopeo_pushes_inspects_copies_lists_and_deletes(registry: Registry, tmp_path: Path) -> None:
    data = gzip.compress(bytes(range(256)) * (SIZE // 256), 0)
    oci_layout(tmp_path / "image", data)
    place = f"docker://{registry.address}/some/image"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path / 'image'}", f"{place}:v1")
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"{place}:v1", f"docker://{registry.address}/other:v2")
    found = json.loads(skopeo("inspect", "--tls-verify=false", f"{place}:v1"))
    assert (found["RepoTags"], found["Layers"]) == (["v1"], [digest_of(data)])
    skopeo("copy", "--src-tls-verify=false", f"docker://{registry.address}/other@{found['Digest']}", f"dir:{tmp_path / 'back'}")
    assert (tmp_path / "back" / digest_of(data).removeprefix("sha256:")).read_bytes() == data
    skopeo("delete", "--tls-verify=false", f"{place}:v1")
    with pytest.raises(subprocess.CalledProcessError):
        skopeo("inspect", "--tls-verify=false", f"{place}:v1")


def test_oras_pushes_and_pulls_a_file(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("thing.par").write_bytes(b"archive" * 1000)
    oras = OrasClient(hostname=registry.address, insecure=True)
    target = f"{registry.address}/acme/thing:0.1.0"
    oras.push(target=target, files=["thing.par"])
    assert oras.get_tags(target) == ["0.1.0"]
    (pulled,) = oras.pull(target=target, outdir=str(tmp_path / "back"))
    assert Path(pulled).read_bytes() == b"archive" * 1000


def test_what_was_pushed_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    data = b"kept"
    for status in (201, 200):
        with open_registry(tmp_path) as registry:
            client = Client(registry)
            if status == 201:
                digest = client.blob(data)
                manifest = json.dumps({"schemaVersion": 2, "layers": [{"digest": digest}]}).encode()
                assert client.ask("PUT", "/v2/a/manifests/v1", manifest, Content_Type=MANIFEST)[0] == status
            assert client.ask("GET", "/v2/a/manifests/v1")[1] == manifest
            assert client.ask("GET", f"/v2/a/blobs/{digest}")[1] == data
            client.connection.close()


def test_an_upload_goes_on_where_it_stopped_and_only_there(client: Client) -> None:
    data = b"0123456789"
    place = client.begin()
    assert client.ask("PATCH", place, data[:4], Content_Range="0-3")[2]["Range"] == "0-3"
    status, body, headers = client.ask("PATCH", place, data[5:], Content_Range="5-9")
    assert (status, headers["Range"], b"the next byte is 4" in body) == (416, "0-3", True)
    status, _, headers = client.ask("GET", place)
    assert (status, headers["Range"]) == (204, "0-3")
    assert client.ask("PATCH", place, iter([data[4:6], data[6:]]), Transfer_Encoding="chunked")[2]["Range"] == "0-9"
    assert client.ask("PUT", f"{place}?digest={digest_of(data)}")[0] == 201
    assert client.ask("GET", f"/v2/a/b/blobs/{digest_of(data)}")[1] == data
    assert client.ask("GET", place)[0] == 404


def test_a_blob_in_one_request_mounted_and_given_up(client: Client) -> None:
    data = b"whole"
    assert client.ask("POST", f"/v2/a/blobs/uploads/?digest={digest_of(data)}", data)[0] == 201
    assert client.ask("POST", f"/v2/b/blobs/uploads/?mount={digest_of(data)}&from=a")[0] == 201
    assert client.ask("POST", f"/v2/b/blobs/uploads/?mount={digest_of(b'none')}&from=a")[0] == 202
    place = client.begin()
    assert (client.ask("DELETE", place)[0], client.ask("GET", place)[0]) == (204, 404)


def test_a_part_of_a_blob_is_had_by_its_range(client: Client) -> None:
    path = f"/v2/a/b/blobs/{client.blob(b'0123456789')}"
    status, body, headers = client.ask("GET", path, Range="bytes=7-")
    assert (status, body, headers["Content-Range"]) == (206, b"789", "bytes 7-9/10")
    assert client.ask("GET", path, Range="bytes=2-4")[:2] == (206, b"234")
    assert client.ask("GET", path, Range="bytes=10-")[0] == 416
    status, body, headers = client.ask("HEAD", path)
    assert (status, body, headers["Content-Length"]) == (200, b"", "10")


def test_tags_come_in_order_and_in_pages_and_go(client: Client) -> None:
    manifest = b'{"schemaVersion": 2, "layers": []}'
    for tag in ("b", "a", "c"):
        assert client.ask("PUT", f"/v2/x/manifests/{tag}", manifest, Content_Type=MANIFEST)[0] == 201
    assert json.loads(client.ask("GET", "/v2/x/tags/list")[1]) == {"name": "x", "tags": ["a", "b", "c"]}
    _, body, headers = client.ask("GET", "/v2/x/tags/list?n=2")
    assert (json.loads(body)["tags"], headers["Link"]) == (["a", "b"], '</v2/x/tags/list?n=2&last=b>; rel="next"')
    assert json.loads(client.ask("GET", "/v2/x/tags/list?n=2&last=b")[1])["tags"] == ["c"]
    assert client.ask("DELETE", "/v2/x/manifests/b")[0] == 202
    assert client.ask("GET", f"/v2/x/manifests/{digest_of(manifest)}")[1] == manifest
    assert client.ask("DELETE", f"/v2/x/manifests/{digest_of(manifest)}")[0] == 202
    assert json.loads(client.ask("GET", "/v2/x/tags/list")[1])["tags"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v2/a/manifests/none", None, 404, "MANIFEST_UNKNOWN"),
        ("GET", f"/v2/a/blobs/{digest_of(b'none')}", None, 404, "BLOB_UNKNOWN"),
        ("GET", "/v2/a/blobs/..%2f..", None, 404, "BLOB_UNKNOWN"),
        ("GET", "/v2/../b/manifests/x", None, 400, "NAME_INVALID"),
        ("GET", "/v2/Upper/tags/list", None, 400, "NAME_INVALID"),
        ("GET", "/v2/none/tags/list", None, 404, "NAME_UNKNOWN"),
        ("GET", "/etc/passwd", None, 404, "UNSUPPORTED"),
        ("DELETE", f"/v2/a/blobs/{digest_of(b'none')}", None, 405, "UNSUPPORTED"),
        ("PUT", "/v2/a/manifests/v1", b"no manifest", 400, "MANIFEST_INVALID"),
        ("PUT", "/v2/a/manifests/v1", json.dumps({"layers": [{"digest": digest_of(b"none")}]}).encode(), 400, "MANIFEST_BLOB_UNKNOWN"),
        ("PUT", f"/v2/a/manifests/{digest_of(b'other')}", b'{"layers": []}', 400, "DIGEST_INVALID"),
        ("POST", f"/v2/a/blobs/uploads/?digest={digest_of(b'other')}", b"content", 400, "DIGEST_INVALID"),
        ("PATCH", f"/v2/a/blobs/uploads/{'0' * 32}", b"content", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PATCH", "/v2/a/blobs/uploads/..", b"content", 404, "BLOB_UPLOAD_UNKNOWN"),
    ],
)
def test_what_is_wrong_is_refused_by_the_codes_of_the_protocol(
    client: Client, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    answered, text, _ = client.ask(method, path, body)
    assert (answered, json.loads(text)["errors"][0]["code"]) == (status, code)
    assert client.ask("GET", "/v2/")[0] == 200


def test_it_answers_its_own_machine_alone(registry: Registry, client: Client) -> None:
    assert client.ask("GET", "/v2/", Host="registry.example")[0] == 403
    assert client.ask("GET", "/v2/", Host="localhost:5055")[0] == 200
    port = int(registry.address.rpartition(":")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))


def test_a_port_that_is_taken_is_said(registry: Registry, tmp_path: Path) -> None:
    port = int(registry.address.rpartition(":")[2])
    with pytest.raises(Unavailable, match=f"port {port} of 127.0.0.1 cannot be used"), open_registry(tmp_path / "other", port=port):
        pass


def test_the_verb_serves_this_folder_until_it_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "provider_sdk.cli.main", "dev", "registry", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"listens on (127\.0\.0\.1:\d+);", process.stdout.readline())
        assert found
        client = Client(Registry(found[1], tmp_path))
        client.blob(b"content")
        manifest = b'{"schemaVersion": 2, "layers": []}'
        assert client.ask("PUT", "/v2/hello/manifests/0.1.0", manifest, Content_Type=MANIFEST)[0] == 201
        process.send_signal(signal.SIGINT)
        assert f"hello:0.1.0 pushed ({digest_of(manifest)})" in process.communicate(timeout=60)[0]
        client.connection.close()
    assert process.returncode == 0
    assert (tmp_path / ".provider" / "registry" / "blobs" / "sha256" / digest_of(b"content").removeprefix("sha256:")).exists()
