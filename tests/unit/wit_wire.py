"""Values of 1.x without a network: codecs of single annotations, and the paths of a call in memory."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from provider_sdk.hosts.wrpc.channels import Encoded
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.values import OperationCodec, operation_codec
from provider_sdk.interface import Failure, Interface, Operation, Parameter


class Anything(Interface, wit="test:values/anything"):
    """The interface of operations that tests make up."""


def codec_of(*parameters: Any, result: Any = None, failure: Failure | None = None, era: Era = Era.SECOND) -> OperationCodec:
    """The codec of an operation with parameters `a`, `b`, … of these annotations."""
    named = tuple(Parameter("abcdefgh"[number], annotation, required=True) for number, annotation in enumerate(parameters))
    return operation_codec(Operation(Anything, "call", "Anything.Call", named, result, "call", failure), era)


class Paths:
    """The channels of one call: what was `sent` to each path before it was opened comes in those pieces, then the end."""

    def __init__(self, sent: dict[str, list[bytes]] | None = None) -> None:
        self.sent: dict[str, list[bytes]] = defaultdict(list, sent or {})
        self.opened: list[str] = []
        self.closed: list[str] = []

    def open(self, path: str) -> _Path:
        """The channel of a path."""
        self.opened.append(path)
        return _Path(self, path)


class _Path:
    def __init__(self, paths: Paths, path: str) -> None:
        self.paths, self.path = paths, path
        self.pieces = deque(paths.sent[path])

    async def read(self) -> bytes:
        return self.pieces.popleft() if self.pieces else b""

    def close(self) -> None:
        self.paths.closed.append(self.path)


class Source:
    """A stream that has something to let go of."""

    closed = 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        return bytes(10)

    async def aclose(self) -> None:
        self.closed += 1


async def carried(encoded: Encoded, limit: int = 1024) -> Paths:
    """What follows a value, sent: also what comes up while it is sent."""
    paths = Paths()
    for pending in encoded.pending:
        async for piece in pending.pieces(limit):
            assert 0 < len(piece) <= limit
            paths.sent[pending.path].append(piece)
    return paths
