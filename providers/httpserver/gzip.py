"""Compressed responses, where the setting asks for them and the client takes them (RFC 9110 §12.5.3)."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator

from providers.httpserver.answer import Answer
from providers.httpserver.streamed import StreamedAnswer
from providers.httpserver.weights import weighted

IN_THREAD_FROM = 64 * 1024
LEVEL = 5
_WORTH_IT = re.compile(r"(text/[^;]+|[^;]+[+/](json|xml)|application/(x-)?javascript|application/wasm)\s*(;.*)?", re.IGNORECASE)
_AS_IT_IS = (204, 206, 304)
_OF_THE_BYTES = {"content-encoding", "content-range", "content-digest", "repr-digest", "digest", "content-md5"}
_VARY = ("vary", "accept-encoding")


async def compress(answer: Answer, accepted: str, smallest: int) -> None:
    """Replace the body of `answer` by its gzip form, if it is worth it, is not to be left alone, and `accepted` allows it.

    A body that is still to come is compressed part by part, so that none waits for the next; without a known length it counts as long.
    """
    header = dict(answer.lines)
    size = answer.length if isinstance(answer, StreamedAnswer) else len(answer.whole)
    if (size is not None and size < smallest) or answer.status in _AS_IT_IS or not _WORTH_IT.fullmatch(header.get("content-type", "")):
        return
    if _OF_THE_BYTES & header.keys() or any(name == "cache-control" and "no-transform" in value.lower() for name, value in answer.lines):
        return
    answer.lines.append(_VARY)
    if not _takes_gzip(accepted):
        return
    if isinstance(answer, StreamedAnswer):
        answer.body = _gzipped(answer.body)
    else:
        body = answer.whole
        answer.whole = await asyncio.to_thread(_gzip, body) if len(body) >= IN_THREAD_FROM else _gzip(body)
    # A strong validator, and ranges, stand for the very bytes (RFC 9110 §8.8.1).
    lines = [(name, f"W/{value}" if name == "etag" and value.startswith('"') else value) for name, value in answer.lines]
    gone = ("accept-ranges", "content-length") if answer.comes_later else ("accept-ranges",)
    answer.lines = [line for line in lines if line[0] not in gone]
    answer.lines.append(("content-encoding", "gzip"))


async def _gzipped(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def pressed(part: bytes) -> bytes:
        return compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH)

    async for part in body:
        yield await asyncio.to_thread(pressed, part) if len(part) >= IN_THREAD_FROM else pressed(part)
    yield compressor.flush()


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def _takes_gzip(accepted: str) -> bool:
    weights = dict(weighted(accepted))
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0
