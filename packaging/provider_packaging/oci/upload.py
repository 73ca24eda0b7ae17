"""A blob into a registry: asked for first, then in chunks that are gone on with after a loss, or whole where chunks are not taken.

What registries do, besides what the protocol says:

- docker-registry 2.x (and what is built on it): `Location` carries the state in its query, and is used up once part of a chunk has come;
  asked for the status with a `Location` that is behind, it drops the upload. Version 3 answers, and goes on.
- Google's Go registry: a relative `Location`, no status at all, ranges of downloads only with both ends.
- GHCR: 413 or 416 for more than 4 MiB in a request. ECR: 201 for a chunk, and a `Range` that stays at the first one; Zot had one too low.
  So what was answered well is taken as stored, and the digest at the end is the judge.
- ACR: 404 BLOB_UPLOAD_INVALID after a loss: from the beginning. GAR and others: no chunks: whole.
- `OCI-Chunk-Min-Length` makes chunks larger; a registry behind a proxy names `http://` in `Location`: the scheme is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import quote

from provider_packaging.oci.blob import Blob, Progress, nobody
from provider_packaging.oci.registry import BUSY, Answer, Body, Registry
from provider_sdk.errors import NotFound, PermissionDenied, ProviderError, Unavailable

CHUNK = 4 << 20
LARGEST_CHUNK = 256 << 20

_ACCEPTED = frozenset({200, 201, 202, 204})
_SETTLED = frozenset(range(200, 600)) - BUSY
_RANGE = re.compile(r"(?:bytes[= ])?0-([0-9]{1,18})")
_COUNT = re.compile(r"[0-9]{1,18}")
_OCTETS = "application/octet-stream"


class _Over(Exception):
    """The upload cannot be gone on with: another one is begun."""


class _Whole(Exception):
    """The registry does not take chunks, or not these: the blob is sent in one request."""


@dataclass
class _Session:
    location: str
    chunk: int
    done: int = 0
    refused_at: int = -1


class Upload:
    """One blob on its way into a repository."""

    def __init__(self, registry: Registry, repository: str, blob: Blob, progress: Progress = nobody) -> None:
        self._registry, self._repository, self._blob, self._progress = registry, repository, blob, progress
        self._size, self._digest = blob.descriptor.size, blob.descriptor.digest
        self._scope = f"repository:{repository}:pull,push"
        self._what = f"upload to {repository}"

    def run(self, mount_from: str = "") -> bool:
        """Send it; False where the registry had it. `mount_from` is another repository of the registry that has it."""
        if self._is_there():
            self._progress(self._size, self._size)
            return False
        whole, failures = False, 0
        while True:
            try:
                session = self._begin(mount_from)
                if session is None:
                    self._progress(self._size, self._size)
                    return False
                if whole or self._size <= session.chunk:
                    self._send_whole(session)
                else:
                    self._send_chunks(session)
                return True
            except _Whole:
                whole = True
            except _Over as over:
                failures += 1
                if failures >= self._registry.access.attempts:
                    assert isinstance(over.__cause__, ProviderError)
                    raise over.__cause__ from None
                self._registry.rest(failures)

    def _is_there(self) -> bool:
        path = f"/v2/{self._repository}/blobs/{self._digest}"
        try:
            self._registry.request("HEAD", path, scope=self._scope, what=self._what)
        except (NotFound, PermissionDenied):
            return False
        return True

    def _begin(self, mount_from: str) -> _Session | None:
        scope, path = self._scope, f"/v2/{self._repository}/blobs/uploads/"
        if mount_from:
            path += f"?mount={quote(self._digest, safe='')}&from={quote(mount_from, safe='')}"
            scope += f" repository:{mount_from}:pull"
        answer = self._registry.request(
            "POST", path, scope=scope, headers={"Content-Length": "0"}, expected=(201, 202) if mount_from else (202,), what=self._what
        )
        if answer.status == 201:
            return None
        least = answer.headers.get("OCI-Chunk-Min-Length", "")
        chunk = min(max(CHUNK, int(least) if _COUNT.fullmatch(least) else 0), LARGEST_CHUNK)
        return _Session(self._location(answer), chunk)

    def _location(self, answer: Answer, before: str = "") -> str:
        named = answer.headers.get("Location")
        if not named and not before:
            raise Unavailable(f"{self._what}: {self._registry.host} names no place to send the blob to", retryable=False)
        return self._registry.located(named, answer.url) if named else before

    def _send_whole(self, session: _Session) -> None:
        headers = {"Content-Type": _OCTETS, "Content-Length": str(self._size)}
        sent = 0

        def pieces() -> Iterator[bytes]:
            nonlocal sent
            sent = 0
            for piece in self._blob.pieces(0):
                yield piece
                sent += len(piece)
                self._progress(sent, self._size)

        body: Body = pieces if self._size > CHUNK else b"".join(self._blob.pieces(0))
        self._finish(session, headers, body)
        self._progress(self._size, self._size)

    def _send_chunks(self, session: _Session) -> None:
        failures = 0
        while session.done < self._size:
            before = session.done
            try:
                self._send_from(session)
            except Unavailable as error:
                failures = 1 if session.done > before else failures + 1
                if not error.retryable or failures >= self._registry.access.attempts:
                    raise
                self._registry.rest(failures)
                self._ask_how_far(session, error)
        self._finish(session, {"Content-Length": "0"}, b"")

    def _send_from(self, session: _Session) -> None:
        with closing(self._blob.chunks(session.done, session.chunk)) as chunks:
            for chunk in chunks:
                answer = self._patch(session, chunk)
                if answer.status not in _ACCEPTED:
                    break
                session.location = self._location(answer, session.location)
                session.done += len(chunk)
                self._progress(session.done, self._size)
            else:
                return
        self._refused(session, answer)

    def _patch(self, session: _Session, chunk: bytes) -> Answer:
        headers = {
            "Content-Type": _OCTETS,
            "Content-Length": str(len(chunk)),
            "Content-Range": f"{session.done}-{session.done + len(chunk) - 1}",
        }
        answer = self._registry.exchange("PATCH", session.location, scope=self._scope, headers=headers, body=chunk)
        if answer.status in BUSY:
            if "Retry-After" in answer.headers:
                self._registry.rest(1, answer.headers["Retry-After"])
            raise Unavailable(self._registry.refusal(answer, self._what).message)
        return answer

    def _refused(self, session: _Session, answer: Answer) -> None:
        """Not stored: for the wrong place, for something that another try may mend, or because chunks are not taken."""
        error = self._registry.refusal(answer, self._what)
        if answer.status in {401, 403}:
            raise error
        if answer.status == 416 and session.refused_at != session.done and session.done:
            session.refused_at = session.done
            self._ask_how_far(session, error)
            return
        if answer.status == 404 and session.done:
            raise _Over from error
        raise _Whole from error

    def _ask_how_far(self, session: _Session, error: ProviderError) -> None:
        """Take the place to go on from the registry's word: never behind what it has answered for, unless it then refuses that."""
        answer = self._registry.request("GET", session.location, scope=self._scope, expected=_SETTLED, what=self._what)
        named = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
        if answer.status not in _ACCEPTED or named is None:
            raise _Over from error
        last = int(named[1])
        stored = last + 1 if last else 0
        if session.refused_at != session.done:
            stored = max(stored, session.done)
        if stored > self._size:
            raise _Over from error
        session.location, session.done = self._location(answer, session.location), stored

    def _finish(self, session: _Session, headers: dict[str, str], body: Body) -> None:
        joint = "&" if "?" in session.location else "?"
        target = f"{session.location}{joint}digest={quote(self._digest, safe='')}"
        for attempt in range(1, self._registry.access.attempts + 1):
            try:
                answer = self._registry.exchange("PUT", target, scope=self._scope, headers=headers, body=body)
            except Unavailable as error:
                if not error.retryable:
                    raise
                trouble: ProviderError = error
                after = None
            else:
                if answer.status in {201, 204}:
                    return
                trouble = self._registry.refusal(answer, self._what)
                if answer.status not in BUSY:
                    self._not_finished(answer, trouble, chunked=not body)
                after = answer.headers.get("Retry-After")
            self._registry.rest(attempt, after)
            if self._is_there():
                return
            if body:
                raise _Over from trouble
        raise _Over from trouble

    def _not_finished(self, answer: Answer, trouble: ProviderError, *, chunked: bool) -> None:
        if answer.status == 404:
            raise _Over from trouble
        if chunked and answer.status in {400, 416}:
            raise _Whole from trouble
        raise trouble
