"""Reading an object: the body of one answer, gone on with by another where it breaks off."""

from __future__ import annotations

import asyncio
from typing import Any

from provider_sdk import ProviderError, Unavailable
from providers.blobstore.backend import First, ObjectInfo, Reading, shown, span
from providers.blobstore.backends.s3.calls import Calls
from providers.blobstore.backends.s3.errors import FAILURES, refusal, status_of
from providers.blobstore.backends.s3.objects import answered

RESUMED = 3
"""How often a body is asked for again without a byte of it."""
FARTHEST = 1 << 53
BEHIND, MISSING, CHANGED = 416, 404, 412


def open_reading(calls: Calls, bucket: str, key: str, name: str, start: int, end: int | None, first: First) -> S3Reading:
    """The beginning of an object or of a range, with its first bytes; in the thread of the caller."""
    if start > FARTHEST or (end is not None and end < start):
        return _nothing(calls, bucket, key, name, start)
    try:
        answer = calls.request("get_object", Bucket=bucket, Key=key, **_range(start, end))
    except ProviderError as error:
        if status_of(error) == BEHIND:
            return _nothing(calls, bucket, key, name, start)
        raise
    whole = answer.get("ContentRange", "").rpartition("/")[2]
    info = answered(answer, name, int(whole) if whole.isdigit() else answer["ContentLength"])
    if start and not whole and info.size:
        answer["Body"].close()
        raise Unavailable(f"S3 at {calls.where} answers a range with the whole object")
    reading = S3Reading(calls, (bucket, key), info, start, span(start, end, info.size), answer)
    try:
        reading.first = reading.fetch(first(reading.length)) if reading.length else b""
    except BaseException:
        reading.let_go()
        raise
    return reading


def _nothing(calls: Calls, bucket: str, key: str, name: str, start: int) -> S3Reading:
    answer = calls.request_head("head_object", Bucket=bucket, Key=key)
    return S3Reading(calls, (bucket, key), answered(answer, name, answer["ContentLength"]), start, 0, answer)


def _range(start: int, end: int | None) -> dict[str, str]:
    if not start and end is None:
        return {}
    return {"Range": f"bytes={start}-{'' if end is None else min(end, FARTHEST)}"}


class S3Reading(Reading):
    """Each hop into a thread reads what is asked for; between them no thread is held."""

    first = b""

    def __init__(self, calls: Calls, place: tuple[str, str], info: ObjectInfo, start: int, length: int, answer: dict[str, Any]) -> None:
        self.info, self.start, self.length = info, start, length
        self._calls = calls
        self._place = place
        self._version = answer.get("ETag")
        self._body: Any = answer.get("Body")
        self._at, self._end = start, start + length
        self._hop: asyncio.Task[bytes] | None = None
        self._left = b""
        self._closed = False

    async def read(self, size: int) -> bytes:
        if not self._left:
            if self._hop is None:
                if self._at >= self._end or self._closed:
                    return b""
                self._hop = self._calls.task(self._calls.run(lambda: self.fetch(size)))
            # A caller that is cancelled leaves the bytes to the next one.
            self._left = await asyncio.shield(self._hop)
            self._hop = None
        data, self._left = self._left[:size], self._left[size:]
        return data

    async def close(self) -> None:
        self._closed = True
        if self._hop is not None and not self._hop.done():
            self._hop.add_done_callback(lambda _: self.let_go())
        else:
            self.let_go()

    def let_go(self) -> None:
        """Close the body, which closes the connection where there is more to come on it."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def fetch(self, size: int) -> bytes:
        """The next bytes, in the thread of the caller."""
        wanted = min(size, self._end - self._at)
        pieces: list[bytes] = []
        left, failed = wanted, 0
        while left:
            try:
                if self._body is None:
                    self._body = self._again()
                piece = self._body.read(left)
                trouble: ProviderError | None = (
                    None if piece else Unavailable(f"S3 at {self._calls.where} has broken off the object {shown(self.info.name)}")
                )
            except FAILURES as error:
                piece, trouble = b"", refusal(self._calls.where, error)
            if trouble is not None:
                self.let_go()
                failed += 1
                if failed > RESUMED or self._closed:
                    raise trouble
            else:
                failed = 0
                pieces.append(piece)
                left -= len(piece)
                self._at += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _broken_off(self) -> Unavailable:
        return Unavailable(f"S3 at {self._calls.where} has broken off the object {shown(self.info.name)}")

    def _again(self) -> Any:
        bucket, key = self._place
        same = {"IfMatch": self._version} if self._version else {}
        try:
            answer = self._calls.request("get_object", Bucket=bucket, Key=key, Range=f"bytes={self._at}-{self._end - 1}", **same)
        except ProviderError as error:
            if status_of(error) in (MISSING, CHANGED, BEHIND):
                what = "removed" if status_of(error) == MISSING else "changed"
                raise Unavailable(f"the object {shown(self.info.name)} was {what} while it was read") from error
            raise
        return answer["Body"]
