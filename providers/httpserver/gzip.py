"""Compressed responses, where the setting asks for them and the client takes them (RFC 9110 §12.5.3)."""

from __future__ import annotations

import asyncio
import re
import zlib

from providers.httpserver.answer import Answer

IN_THREAD_FROM = 64 * 1024
LEVEL = 5
_WORTH_IT = re.compile(r"(text/[^;]+|[^;]+[+/](json|xml)|application/(x-)?javascript|application/wasm)\s*(;.*)?", re.IGNORECASE)
_VARY = ("vary", "accept-encoding")


async def compress(answer: Answer, accepted: str, smallest: int) -> None:
    """Replace the body of `answer` by its gzip form, if it is worth it, is not to be left alone, and `accepted` allows it."""
    header = dict(answer.lines)
    if len(answer.whole) < smallest or not _WORTH_IT.fullmatch(header.get("content-type", "")):
        return
    if "content-encoding" in header or answer.status in (206, 304) or "no-transform" in header.get("cache-control", ""):
        return
    answer.lines.append(_VARY)
    if not _takes_gzip(accepted):
        return
    body = answer.whole
    answer.whole = await asyncio.to_thread(_gzip, body) if len(body) >= IN_THREAD_FROM else _gzip(body)
    # A strong validator stands for the very bytes (RFC 9110 §8.8.1).
    answer.lines = [(name, f"W/{value}" if name == "etag" and value.startswith('"') else value) for name, value in answer.lines]
    answer.lines.append(("content-encoding", "gzip"))


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def _takes_gzip(accepted: str) -> bool:
    weights = {}
    for item in accepted.lower().split(","):
        coding, _, parameter = item.partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            weights[coding.strip()] = float(weight) if name.strip() == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0
