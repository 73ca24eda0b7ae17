"""What a call's values need of the wire: bytes on paths (wrpc-1x.md §3.2, §3.3). A path is `0.1`, the empty one the values themselves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Protocol


class Channel(Protocol):
    """The bytes that come on one path, in order; borders of messages mean nothing."""

    async def read(self) -> bytes:
        """Bytes that have come and were not read yet, at least one; none at the end.

        ProviderError where the call was given up: its time is over, a limit was reached, the connection is lost.
        """

    def close(self) -> None:
        """Nobody reads any more: what comes is dropped."""


class Channels(Protocol):
    """The paths of one call on which its streams and futures come."""

    def open(self, path: str) -> Channel:
        """The channel of a path, which may have begun."""


@dataclass(slots=True)
class Pending:
    """A stream or future of a value that was encoded: it goes on a path of its own, behind the value.

    `pieces(limit)` gives what to send, in pieces of 1 to `limit` bytes, a stream's end included; not the empty message that ends the path.
    `source` is the iterator or awaitable that they come from. `cut` goes behind pieces that are not all, so that they do not pass for all.
    """

    path: str
    pieces: Callable[[int], AsyncGenerator[bytes, None]]
    source: object
    cut: bytes = b""


@dataclass(slots=True)
class Encoded:
    """Values as bytes, and what follows them on paths of their own. Whatever turns out to hold streams adds to `pending` as it goes."""

    data: bytes
    pending: list[Pending] = field(default_factory=list)
