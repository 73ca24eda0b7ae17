"""What the SDK needs of a message bus; transport/nats.py is NATS as one. Knows no payload format."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

WAIT_FOR_CONNECTION = 2.0
"""Seconds that a message waits for a connection that is lost."""
ENDS_WITHIN = 60.0
"""Seconds for what ends a call, as an answer does: hosts of either generation wait for it without a limit of their own."""


class Message(Protocol):
    """A received message; `reply` is the subject to answer on, empty for none.

    A protocol, so that the bus's own object serves without a copy.
    """

    @property
    def subject(self) -> str:
        """Where it was sent."""

    @property
    def reply(self) -> str:
        """Where an answer is awaited."""

    @property
    def data(self) -> bytes:
        """The payload."""

    @property
    def headers(self) -> Mapping[str, str] | None:
        """NATS headers."""


Handler = Callable[[Message], Awaitable[None] | None]
"""Called once a message, in the order of arrival within a subscription; a plain function at once as messages are read, in the order
of arrival over all of them. It must not wait for anything slow: it starts a task for that. An exception from it is a fault of the SDK
and ends the process."""


class Subscription(Protocol):
    """A live subscription."""

    async def unsubscribe(self) -> None:
        """Stop receiving; messages already received are still handled."""


class ObjectStore(Protocol):
    """Large values beside the messages (wasmbus-0x.md §4.7). Raises Unavailable where the server has none."""

    async def put(self, name: str, data: bytes) -> None:
        """Store `data` under `name`, complete when this returns."""

    async def take(self, name: str, limit: int) -> bytes:
        """Read the object and delete it; NotFound, or ResourceExhausted above `limit` bytes."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach and enter a bus.

    `url` as `host:port`, `nats://…` or `tls://…`, several separated by commas; user JWT and seed both or neither; `tls` refuses a server
    without TLS whatever the scheme; `ca_file` replaces the system's authorities; `connect_timeout` bounds the first connect, seconds.
    """

    url: str
    user_jwt: str = ""
    user_seed: str = ""
    tls: bool = False
    ca_file: Path | None = None
    name: str = ""
    connect_timeout: float = 5.0

    def __repr__(self) -> str:
        return f"Credentials(url={re.sub(r'[^/,]*@', '', self.url)!r})"


class Transport(Protocol):
    """A connection that mends itself: reconnects for ever with jitter and subscribes again."""

    reconnects: int
    losses: int
    """How often the connection was lost. While that stays the same, messages go over one connection: this one, or else the next."""

    @property
    def max_payload(self) -> int:
        """The largest message that the server takes, headers included, bytes."""

    @property
    def connected(self) -> bool:
        """Whether the connection stands now."""

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Subscription:
        """Receive what is sent to `subject`; with `queue` as one of a group. Active at the server once `flush` returns."""

    async def publish(
        self,
        subject: str,
        data: bytes | memoryview,
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
        within: float = WAIT_FOR_CONNECTION,
        losses: int | None = None,
    ) -> None:
        """Send; ResourceExhausted for a message over `max_payload` (never a closed connection).

        While the connection stands, messages leave in the order of the calls. While it is lost a message waits for it, `within` seconds
        and in a bounded company; then, or where that is full, Unavailable. Also Unavailable, and not sent, where `losses` is not what the
        transport counts: it belongs behind what an earlier connection may have lost.
        """

    def send(self, subject: str, data: bytes, reply: str = "") -> bool:
        """Send to a subject that a message came with, at once; False where that needs waiting or is not possible: `publish` says why."""

    async def request(self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None) -> Message:
        """Send and await one answer; DeadlineExceeded after `timeout` seconds, Unavailable where nobody listens (said at once)."""

    async def flush(self, timeout: float = 2.0) -> None:
        """Await that the server has processed what was sent; DeadlineExceeded, or Unavailable where the connection is lost meanwhile."""

    def objects(self, bucket: str) -> ObjectStore:
        """The object store of that name; made on first use."""

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after each re-established connection."""

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """Have `callback` called with one line when the connection is lost: messages that were on their way will not come."""

    async def closed(self) -> str:
        """Returns the reason when the connection has ended for good without `close` having been called."""

    async def close(self) -> None:
        """Flush and end."""
