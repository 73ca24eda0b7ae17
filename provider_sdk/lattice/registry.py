"""A registry for development: the OCI distribution protocol over a folder, on this machine's own address alone, without logins.

    with open_registry(Path(".provider/registry"), port=5055) as registry:
        print(registry.address)

Blobs whole, in chunks and mounted; manifests, tags, ranges, deletion. No referrers: clients then use the tag that the protocol has instead.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from provider_sdk.errors import Unavailable
from provider_sdk.lattice.registry_store import NAME, TAG, Store, is_digest

PORT = 5055
LARGEST_MANIFEST = 4 << 20
IDLE = 60.0
_BLOCK = 1 << 18
_PATH = re.compile(r"/v2/(?P<name>.+)/(?:(?P<kind>manifests|blobs)/(?P<which>[^/]+)|(?P<list>tags/list))")
_UPLOAD = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/?(?P<which>[^/]*)")
_OURS = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?", re.IGNORECASE)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry: `address` is what references begin with."""

    address: str
    folder: Path


@contextmanager
def open_registry(folder: Path, *, port: int = 0, say: Say | None = None) -> Iterator[Registry]:
    """Serve `folder` (made where it is missing) on 127.0.0.1 until left; Unavailable where the port is taken.

    `say` gets a line for each push.
    """
    store = Store(folder)
    try:
        server = _Server(("127.0.0.1", port), store, say or (lambda _: None))
    except OSError as error:
        raise Unavailable(
            f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): end what listens there, or give another port"
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="registry", daemon=True)
    thread.start()
    try:
        yield Registry(f"127.0.0.1:{server.server_address[1]}", folder)
    finally:
        server.shutdown()
        thread.join()
        server.end()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], store: Store, say: Say) -> None:
        self.store = store
        self.say = say
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def end(self) -> None:
        self.server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE
    server: _Server
    _taken = False
    _length = "0"

    def _serve(self) -> None:
        self._taken = False
        try:
            # A page in a browser reaches this address too, under a name of its own.
            if not _OURS.fullmatch(self.headers.get("Host", "")):
                raise _Refused(403, "DENIED", "this registry serves its own machine alone")
            self._route()
        except _Refused as refused:
            self.close_connection = self.close_connection or not self._taken
            body = {"errors": [{"code": refused.code, "message": str(refused)}]}
            self._answer(refused.status, json.dumps(body).encode(), {"Content-Type": "application/json", **refused.headers})
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def parse_request(self) -> bool:
        """Whether the request can be served at all; a length that is none is refused here."""
        if not super().parse_request():
            return False
        self._length = self.headers.get("Content-Length") or "0"
        if self._length.isascii() and self._length.isdecimal():
            return True
        self.send_error(400, "Content-Length is not a number")
        return False

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  # names of http.server

    def _route(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path in ("/v2", "/v2/"):
            return self._answer(200, b"{}", {"Content-Type": "application/json"})
        found = _UPLOAD.fullmatch(parts.path) or _PATH.fullmatch(parts.path)
        if found is None:
            raise _Refused(404, "UNSUPPORTED", f"{parts.path} is nothing that this registry serves")
        name = found["name"]
        if len(name) > 255 or not NAME.fullmatch(name):
            raise _Refused(400, "NAME_INVALID", f"{name!r} is no repository's name")
        groups = found.groupdict()
        read = self.command in ("GET", "HEAD")
        if "kind" not in groups:
            return self._upload(name, found["which"], query)
        if groups["list"] and read:
            return self._tags(name, query)
        handler: Callable[[str, str], None] | None = getattr(self, f"_{'get' if read else self.command.lower()}_{groups['kind']}", None)
        if handler is None:
            raise _Refused(405, "UNSUPPORTED", f"{self.command} is not served for {parts.path}")
        return handler(name, groups["which"])

    def _tags(self, name: str, query: dict[str, str]) -> None:
        tags = self.server.store.tags(name)
        if tags is None:
            raise _Refused(404, "NAME_UNKNOWN", f"there is no repository {name}")
        tags = [tag for tag in tags if tag > query.get("last", "")]
        most = int(query["n"]) if query.get("n", "").isdecimal() else len(tags)
        more = {"Link": f'</v2/{name}/tags/list?n={most}&last={tags[most - 1]}>; rel="next"'} if 0 < most < len(tags) else {}
        self._answer(200, json.dumps({"name": name, "tags": tags[:most]}).encode(), {"Content-Type": "application/json", **more})

    def _get_manifests(self, name: str, reference: str) -> None:
        found = self.server.store.manifest(name, _reference(reference))
        path = self.server.store.blob(found[0]) if found else None
        if found is None or path is None:
            raise _Refused(404, "MANIFEST_UNKNOWN", f"there is no manifest {reference} in {name}")
        self._answer(200, path.read_bytes(), {"Content-Type": found[1], "Docker-Content-Digest": found[0]})

    def _put_manifests(self, name: str, reference: str) -> None:
        body = b"".join(self._body(LARGEST_MANIFEST))
        try:
            document = json.loads(body)
            named = [item["digest"] for item in (*document.get("layers", ()), *filter(None, [document.get("config")]))]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise _Refused(400, "MANIFEST_INVALID", "the manifest is not a JSON object whose layers have digests") from None
        for digest in named:
            if not is_digest(digest) or self.server.store.blob(digest) is None:
                raise _Refused(400, "MANIFEST_BLOB_UNKNOWN", f"the manifest names {digest}, which is not here")
        media_type = self.headers.get("Content-Type") or str(document.get("mediaType", "application/vnd.oci.image.manifest.v1+json"))
        digest = self.server.store.put_manifest(name, _reference(reference), body, media_type)
        if not digest:
            raise _Refused(400, "DIGEST_INVALID", f"the manifest has not the digest {reference}")
        self.server.say(f"{name}{'@' if is_digest(reference) else ':'}{reference} pushed{'' if is_digest(reference) else f' ({digest})'}")
        self._answer(201, b"", {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest})

    def _delete_manifests(self, name: str, reference: str) -> None:
        if not self.server.store.delete_manifest(name, _reference(reference)):
            raise _Refused(404, "MANIFEST_UNKNOWN", f"there is no manifest {reference} in {name}")
        self._answer(202, b"", {})

    def _get_blobs(self, name: str, digest: str) -> None:
        path = self.server.store.blob(digest) if is_digest(digest) else None
        if path is None:
            raise _Refused(404, "BLOB_UNKNOWN", f"there is no blob {digest} in {name}")
        with path.open("rb") as file:
            self._send_file(file, path.stat().st_size, {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest})

    def _send_file(self, file: BinaryIO, size: int, headers: dict[str, str]) -> None:
        status, first, last = 200, 0, size - 1
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            status, first, last = 206, int(wanted[1]), min(int(wanted[2] or last), last)
            if first > last:
                raise _Refused(416, "RANGE_INVALID", f"the blob has {size} bytes", {"Content-Range": f"bytes */{size}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._head(status, last - first + 1, {**headers, "Accept-Ranges": "bytes"})
        if self.command == "GET":
            file.seek(first)
            left = last - first + 1
            while left and (block := file.read(min(left, _BLOCK))):
                self.wfile.write(block)
                left -= len(block)

    def _upload(self, name: str, identifier: str, query: dict[str, str]) -> None:
        store, digest = self.server.store, query.get("digest", "")
        if digest and not is_digest(digest):
            raise _Refused(400, "DIGEST_INVALID", f"{digest!r} is no digest of a kind that is served")
        if self.command == "POST" and not identifier:
            mounted = query.get("mount", "")
            if is_digest(mounted) and store.blob(mounted):
                return self._blob_is_there(name, mounted)
            identifier = store.begin()
            if not digest:
                return self._told(202, name, identifier)
        path = store.upload(identifier)
        if path is None:
            raise _Refused(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload, or it has ended")
        if self.command == "DELETE":
            path.unlink()
            return self._answer(204, b"", {})
        if self.command == "GET":
            return self._told(204, name, identifier)
        if self.command not in ("POST", "PUT", "PATCH") or (self.command == "PUT" and not digest):
            raise _Refused(400, "DIGEST_INVALID", "an upload is ended by PUT with ?digest=")
        self._append(name, identifier, path)
        if self.command == "PATCH":
            return self._told(202, name, identifier)
        if not store.finish(identifier, digest):
            raise _Refused(400, "DIGEST_INVALID", f"what was uploaded has not the digest {digest}")
        return self._blob_is_there(name, digest)

    def _append(self, name: str, identifier: str, path: Path) -> None:
        size, given = path.stat().st_size, self.headers.get("Content-Range")
        if given is not None and (not re.fullmatch(r"\d+-\d+", given) or int(given.partition("-")[0]) != size):
            raise _Refused(416, "BLOB_UPLOAD_INVALID", f"the next byte is {size}, and {given!r} was sent", _place(name, identifier, size))
        with path.open("ab") as file:
            for block in self._body():
                file.write(block)

    def _told(self, status: int, name: str, identifier: str) -> None:
        path = self.server.store.upload(identifier)
        self._answer(status, b"", {"Docker-Upload-UUID": identifier, **_place(name, identifier, path.stat().st_size if path else 0)})

    def _blob_is_there(self, name: str, digest: str) -> None:
        self._answer(201, b"", {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})

    def _body(self, most: int | None = None) -> Iterator[bytes]:
        """The request's body, of known length or in HTTP's chunks."""
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        taken = 0
        while length := self._chunk_length() if chunked else int(self._length) - taken:
            if length < 0 or (most is not None and taken + length > most):
                raise _Refused(413, "SIZE_INVALID", f"the body is longer than {most} bytes")
            left = length
            while left:
                block = self.rfile.read(min(left, _BLOCK))
                if not block:
                    raise ConnectionResetError
                left -= len(block)
                yield block
            taken += length
            if chunked:
                self.rfile.readline()
        if chunked:
            while self.rfile.readline(_BLOCK).strip():
                pass
        self._taken = True

    def _chunk_length(self) -> int:
        line = self.rfile.readline(_BLOCK).partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", line):
            raise _Refused(400, "SIZE_INVALID", "the body is not in chunks, although its headers say so")
        return int(line, 16)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, len(body), headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        if not self._taken and (self.headers.get("Transfer-Encoding") or int(self._length)):
            self.close_connection = True
        self.send_response(status)
        for key, value in {"Docker-Distribution-Api-Version": "registry/2.0", **headers}.items():
            self.send_header(key, value)
        if status != 204:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Pushes are told of by `say`; the rest is nobody's concern."""


def _reference(text: str) -> str:
    if is_digest(text) or TAG.fullmatch(text):
        return text
    raise _Refused(404, "MANIFEST_UNKNOWN", f"{text!r} is neither a tag nor a digest")


def _place(name: str, identifier: str, size: int) -> dict[str, str]:
    return {"Location": f"/v2/{name}/blobs/uploads/{identifier}", "Range": f"0-{max(size - 1, 0)}"}
