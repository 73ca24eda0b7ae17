"""Blobs, read from any place on, with an eye on their digest: from files, from bytes, and from registries."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import urllib3

from provider_packaging.oci.manifest import Descriptor, Digester, digest_of
from provider_packaging.oci.registry import Answer, Registry, lost
from provider_sdk.errors import PreconditionFailed, Unavailable

PIECE = 1 << 18

Pieces = Generator[bytes, None, None]

Progress = Callable[[int, int], None]
"""Is told how many bytes are done, and of how many."""


def nobody(done: int, total: int) -> None:
    """Tell nobody."""


class Blob:
    """Bytes whose digest is known. What is read is compared with it, in whatever pieces, once the last byte was seen."""

    def __init__(self, descriptor: Descriptor, read: Callable[[int], Pieces], where: str) -> None:
        self.descriptor, self.where = descriptor, where
        self._read = read
        self._found, self._hashed = Digester(descriptor.digest), 0

    def pieces(self, start: int) -> Pieces:
        """From a place on, to the end."""
        place = start
        with closing(self._read(start)) as read:
            for piece in read:
                self._note(place, piece)
                place += len(piece)
                if place == self.descriptor.size:
                    self._check()
                yield piece
        if place != self.descriptor.size:
            raise PreconditionFailed(f"{self.where}: {place} bytes, and not {self.descriptor.size}: has it changed meanwhile?")

    def chunks(self, start: int, length: int) -> Pieces:
        """The same in chunks of one length; the last one is shorter."""
        held = bytearray()
        with closing(self.pieces(start)) as pieces:
            for piece in pieces:
                held += piece
                while len(held) >= length:
                    yield bytes(held[:length])
                    del held[:length]
        if held:
            yield bytes(held)

    def _note(self, place: int, piece: bytes) -> None:
        if place <= self._hashed < place + len(piece):
            self._found.update(piece[self._hashed - place :])
            self._hashed = place + len(piece)

    def _check(self) -> None:
        found = self._found.digest
        if self._hashed == self.descriptor.size and found != self.descriptor.digest:
            raise PreconditionFailed(f"{self.where}: the bytes are not those of {self.descriptor.digest}, but of {found}")


def file_blob(path: Path, media_type: str) -> Blob:
    """A file, read once for its digest."""
    found, size = Digester(), 0
    with path.open("rb") as opened:
        while piece := opened.read(PIECE):
            found.update(piece)
            size += len(piece)

    def read(start: int) -> Pieces:
        with path.open("rb") as again:
            again.seek(start)
            while part := again.read(PIECE):
                yield part

    return Blob(Descriptor(media_type, found.digest, size), read, str(path))


def bytes_blob(content: bytes, media_type: str) -> Blob:
    """Some bytes."""
    return Blob(Descriptor(media_type, digest_of(content), len(content)), lambda start: (one for one in [content[start:]]), "bytes")


def remote_blob(registry: Registry, repository: str, descriptor: Descriptor) -> Blob:
    """One in a registry."""
    where = f"{registry.host}/{repository}"
    return Blob(descriptor, lambda start: stream(registry, repository, descriptor, start), where)


def stream(registry: Registry, repository: str, descriptor: Descriptor, start: int) -> Pieces:
    """A blob's bytes from a place on. Where the connection is lost, it goes on from the byte after the last one that came."""
    place, failures = start, 0
    while place < descriptor.size:
        before = place
        try:
            with closing(_attempt(registry, repository, descriptor, place)) as pieces:
                for piece in pieces:
                    yield piece
                    place += len(piece)
            if place < descriptor.size:
                raise Unavailable(f"{registry.host}/{repository}: the blob ended after {place} of {descriptor.size} bytes")
        except Unavailable as error:
            failures = 1 if place > before else failures + 1
            if not error.retryable or failures >= registry.access.attempts:
                raise
            registry.rest(failures)


def _attempt(registry: Registry, repository: str, descriptor: Descriptor, start: int) -> Pieces:
    answer = _opened(registry, repository, descriptor, start)
    try:
        skip = start if answer.status == 200 else 0
        left = descriptor.size - start
        while True:
            try:
                piece = answer.raw.read(PIECE)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise lost(error, answer.url) from error
            if not piece:
                return
            skipped, piece = min(skip, len(piece)), piece[skip:]
            skip -= skipped
            if len(piece) > left:
                raise PreconditionFailed(f"{registry.host}/{repository}: the blob has more than its {descriptor.size} bytes")
            left -= len(piece)
            if piece:
                yield piece
            if not left:
                return
    finally:
        answer.raw.close()


def _opened(registry: Registry, repository: str, descriptor: Descriptor, start: int) -> Answer:
    """Asked for from a place on, with both ends named: there are registries that take no open range. Some have no ranges at all."""
    path, scope = f"/v2/{repository}/blobs/{descriptor.digest}", f"repository:{repository}:pull"
    what = f"blob {descriptor.digest[:19]}… of {repository}"
    headers = {"Range": f"bytes={start}-{descriptor.size - 1}"} if start else {}
    answer = registry.request("GET", path, scope=scope, headers=headers, expected=(200, 206, 416), what=what, stream=True)
    named = answer.headers.get("Content-Range", "").strip()
    if answer.status == 416 or (answer.status == 206 and not named.startswith(f"bytes {start}-")):
        answer.raw.close()
        if not start:
            raise registry.refusal(answer, what)
        answer = registry.request("GET", path, scope=scope, what=what, stream=True)
    length = answer.headers.get("Content-Length", "")
    whole = descriptor.size if answer.status == 200 else descriptor.size - start
    if re.fullmatch("[0-9]+", length) and int(length[:19]) > whole:
        answer.raw.close()
        raise PreconditionFailed(f"{registry.host}/{repository}: the blob has more than its {descriptor.size} bytes")
    return answer
