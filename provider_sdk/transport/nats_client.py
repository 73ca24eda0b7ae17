"""nats-py's client, with its handling of a broken connection taken out.

Its own way waits for the peer to take what is unsent, which a stopped server never does, and ends for good on authorization errors.
This one says that it is broken and lets go of the socket when told.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

from provider_sdk.errors import Unavailable
from provider_sdk.transport.base import Message

MOST_PENDING = 8 * 1024 * 1024
LOOK_EVERY = 256 * 1024
_HIDDEN = ("aiohttp", "multidict")


@contextlib.contextmanager
def _without_websockets() -> Iterator[None]:
    """Keep nats-py from importing aiohttp for WebSocket connections: a start would take longer, and lose links meanwhile (§6.2)."""
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # None makes an import of the name fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _without_websockets():
    from nats.aio import client as nats_py
    from nats.aio.client import PING_PROTO, Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.errors import Error as NatsError
    from nats.protocol.parser import MAX_CONTROL_LINE_SIZE, PERMISSIONS_ERR, Parser

# What is read at once, as much as asyncio takes from a socket: nats-py's 32 KiB cut a large message in a dozen pieces.
nats_py.DEFAULT_BUFFER_SIZE = 256 * 1024


_HEAD = b"NATS/1.0\r\n"
LARGEST_REMEMBERED = 4096
"""Bytes of headers that may be remembered, and go the short way: a peer may send as much as a message has room for."""


class Received(NamedTuple):
    """A message, as a transport.base.Message."""

    subject: str
    reply: str
    data: bytes
    headers: Mapping[str, str] | None = None


@dataclass(slots=True)
class _Begun:
    """A message of which `missing` bytes have not come yet, the line's end behind it included."""

    take: Callable[[Message], None]
    subject: str
    reply: str
    pieces: list[bytes]
    missing: int


class ShortParser(Parser):
    """nats-py's parser, past which go messages for direct subscriptions: small ones need a tenth of its time. Of those with headers, the
    ones that have come whole, and no status.

    What is in several reads is joined once, when it is whole. nats-py gets the rest, one thing at a time: with the beginning of another in
    its buffer it would have that one as well.
    """

    def __init__(self, client: NatsClient) -> None:
        super().__init__(client)
        self._direct = client.direct
        self._begun: _Begun | None = None
        self._line = b""
        self._owed = 0

    async def parse(self, data: bytes = b"") -> None:
        while data := self.taken(data):
            size = self._owed or _size(data)
            self._owed = max(0, size - len(data))
            await super().parse(data[:size])
            data = data[size:]

    def taken(self, data: bytes) -> bytes:
        """What is left of `data` behind what goes the short way at its beginning: nothing, or what nats-py has to read first."""
        if self._begun is not None:
            data = self._joined(self._begun, data)
        elif self._line:
            data, self._line = self._line + data, b""
        return data if self._owed or not data else self._whole(data)

    def _whole(self, data: bytes) -> bytes:
        at = 0
        while True:
            if data.startswith(b"HMSG ", at):
                stop = self._with_headers(data, at)
                if not stop:
                    break
                at = stop
                continue
            if not data.startswith(b"MSG ", at) or (end := data.find(b"\r\n", at)) < 0:
                break
            parts = data[at + 4 : end].split(b" ")
            # subject, subscription, reply if there is one, size
            if len(parts) not in (3, 4) or not (parts[1].isdigit() and parts[-1].isdigit()):
                break
            take, stop = self._direct.get(int(parts[1])), end + 2 + int(parts[-1])
            if take is None:
                break
            subject, reply = _text(parts[0]), _text(parts[2]) if len(parts) == 4 else ""
            if len(data) < stop + 2:
                self._begun = _Begun(take, subject, reply, [data[end + 2 :]], stop + 2 - len(data))
                return b""
            take(Received(subject, reply, data[end + 2 : stop]))
            at = stop + 2
        rest = data[at:] if at else data
        if len(rest) < MAX_CONTROL_LINE_SIZE and b"\r\n" not in rest:
            self._line, rest = rest, b""
        return rest

    def _with_headers(self, data: bytes, at: int) -> int:
        """Where the message that begins at `at` ends, when it was handed on; 0 where it is nats-py's to read."""
        end = data.find(b"\r\n", at)
        parts = data[at + 5 : end].split(b" ") if end >= 0 else []
        # subject, subscription, reply if there is one, size of the headers, size of all
        if len(parts) not in (4, 5) or not (parts[1].isdigit() and parts[-1].isdigit() and parts[-2].isdigit()):
            return 0
        take, body, stop = self._direct.get(int(parts[1])), end + 2 + int(parts[-2]), end + 2 + int(parts[-1])
        if take is None or len(data) < stop + 2 or body - end > LARGEST_REMEMBERED:
            return 0
        headers = _plain_headers(data[end + 2 : body])
        if headers is None:
            return 0
        reply = _text(parts[2]) if len(parts) == 5 else ""
        take(Received(_text(parts[0]), reply, data[body:stop], headers))
        return stop + 2

    def _joined(self, begun: _Begun, data: bytes) -> bytes:
        """What is left of `data` behind the rest of the message that has begun."""
        missing = begun.missing
        if len(data) < missing:
            begun.pieces.append(data)
            begun.missing -= len(data)
            return b""
        self._begun = None
        # The last two bytes, which are not the message's, may have come in two reads.
        payload = b"".join((*begun.pieces, data[: missing - 2])) if missing >= 2 else b"".join(begun.pieces)[:-1]
        begun.take(Received(begun.subject, begun.reply, payload))
        return data[missing:]


def _text(subject: bytes) -> str:
    """A subject of a peer, which the server does not check: one that is no UTF-8 must cost nothing but its own message."""
    return subject.decode("utf-8", "replace")


@lru_cache(maxsize=256)
def _plain_headers(raw: bytes) -> Mapping[str, str] | None:
    """Headers without a status, each once; None for all else. Remembered, since a caller sends the same ones with each call."""
    if not raw.startswith(_HEAD) or not raw.endswith(b"\r\n\r\n"):
        return None
    headers: dict[str, str] = {}
    try:
        for line in raw[len(_HEAD) : -4].decode().split("\r\n"):
            name, colon, value = line.partition(":")
            if not colon or not name or name in headers or name != name.strip():
                return None
            headers[name] = value.strip()
    except UnicodeDecodeError:
        return None
    return MappingProxyType(headers)


def _size(data: bytes) -> int:
    """Bytes of what `data` begins with, whether they are all there or not: a line, and the payload behind that of a message."""
    end = data.find(b"\r\n")
    if end < 0:
        return len(data)
    words = data[:end].split(b" ")
    payload = int(words[-1]) + 2 if words[0] in (b"MSG", b"HMSG") and words[-1].isdigit() else 0
    return end + 2 + payload


class NatsClient(Client):
    """One connection, used once.

    `on_break` is called, with this client and the reason, when it has broken.
    """

    def __init__(self, on_break: Callable[[NatsClient, Exception], None], *, wants_tls: bool) -> None:
        super().__init__()
        self.broken = False
        self._on_break = on_break
        self.direct: dict[int, Callable[[Message], None]] = {}
        self._short = self._ps = ShortParser(self)
        self._writing = False
        self._unlooked = 0
        self._turn = asyncio.Lock()
        self._in_line = 0
        self._wants_tls = wants_tls

    async def connect(self, *arguments: Any, **options: Any) -> None:
        await super().connect(*arguments, **options)
        reader = getattr(self._transport, "_io_reader", None)
        if reader is not None:
            reader.feed_data = partial(self._fed, reader, reader.feed_data)

    def _fed(self, reader: Any, buffer: Callable[[bytes], None], data: bytes) -> None:
        # While nats-py's read loop waits for data, nothing that came before is still to be handled. asyncio has no other word for it.
        if getattr(reader, "_waiter", None) is not None:
            data = self._short.taken(data)
        if data:
            buffer(data)

    @property
    def unsent(self) -> int:
        """Bytes that the system has not taken yet, nats-py's and asyncio's: the `drain` of some Pythons (3.13.0) waits for nothing."""
        writer = getattr(self._transport, "_io_writer", None)
        return self._pending_data_size + (writer.transport.get_write_buffer_size() if writer else 0)

    def crowded(self, size: int) -> bool:
        """Whether another `size` bytes have to wait: for what is unsent, looked at once in a while only, or for who waits already."""
        self._unlooked += size + 64
        if self._unlooked < LOOK_EVERY:
            return self._in_line > 0
        self._unlooked = 0
        return self._in_line > 0 or self.unsent > MOST_PENDING

    async def room(self, within: float) -> bool:
        """Wait in line until the server has taken some of what was sent, of which nats-py tells nothing; Unavailable after `within`.

        False where the connection has broken meanwhile: what is sent over it goes nowhere.
        """
        self._in_line += 1
        try:
            async with asyncio.timeout(within), self._turn:
                while self.unsent > MOST_PENDING and not self.broken:
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise Unavailable(f"the NATS server takes no data: {self.unsent} bytes wait for it already") from None
        finally:
            self._in_line -= 1
        return not self.broken

    async def subscribe_direct(self, subject: str, queue: str, take: Callable[[Message], None]) -> Subscription:
        """Subscribe past the queue and the task that nats-py has for each subscription: `take` is called as messages are read."""
        subscription = await self.subscribe(subject, queue)
        self.direct[self._sid] = take
        return subscription

    def send(self, subject: str, reply: str, data: bytes | memoryview, headers: bytes = b"") -> None:
        """Publish, with headers as the wire has them: the first of a turn of the loop is written at once, the others together at its end.

        nats-py wakes a task for each flush, which costs as much as the rest of a publish.
        """
        words = f"{subject} {reply}" if reply else subject
        if headers:
            head = f"HPUB {words} {len(headers)} {len(headers) + len(data)}\r\n".encode() + headers
        else:
            head = f"PUB {words} {len(data)}\r\n".encode()
        self._pending += (head, data, b"\r\n")  # type: ignore[arg-type]  # a view is written as bytes are
        self._pending_data_size += len(head) + len(data) + 2
        if not self._writing:
            self._writing = True
            asyncio.get_running_loop().call_soon(self._end_turn)
            self._write()

    def _end_turn(self) -> None:
        self._writing = False
        self._write()

    def _write(self) -> None:
        if self._pending and self._transport is not None and not self.broken:
            pending, self._pending, self._pending_data_size = self._pending, [], 0
            self._transport.writelines(pending)

    async def abandon(self) -> None:
        """Let go of the socket with what is unsent, and end nats-py's tasks."""
        self.broken = True
        self._pending, self._pending_data_size = [], 0
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        with contextlib.suppress(Exception):
            await self.close()
        self._end_flushes(NatsError("the connection is closed"))

    def _break(self, error: Exception) -> None:
        if not self.broken and not self.is_closed:
            self.broken = True
            self._end_flushes(error)
            self._on_break(self, error)

    def _end_flushes(self, error: Exception) -> None:
        # nats-py would let them wait for their time to be over.
        for pong in self._pongs:
            if not pong.done():
                pong.set_exception(error)
                pong.exception()  # nobody awaits those of the pings that nats-py sends by itself

    async def _process_op_err(self, error: Exception) -> None:
        self._break(error)

    async def _process_err(self, text: str) -> None:
        if PERMISSIONS_ERR in text:
            await super()._process_err(text)
        else:
            self._break(NatsError(text.strip("'")))

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        # nats-py writes a ping past what is pending, and its flush would be over before the server has seen a subscription.
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        await self._send_command(PING_PROTO)
        await self._flush_pending()

    async def _process_pong(self) -> None:
        # nats-py would set a result on a flush that was given up, and that would end its read loop.
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _read_loop(self) -> None:
        await super()._read_loop()
        # nats-py logs what went wrong in it, and would be deaf until pings stay unanswered.
        self._break(NatsError("what came from the server cannot be read"))

    def _build_message(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None) -> Msg:
        message: Msg = super()._build_message(sid, _text(subject).encode(), _text(reply).encode(), data, headers)
        return message

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        # An error would end the read loop. A message whose headers are none is handed on without.
        try:
            return await super()._process_headers(headers)
        except (ValueError, IndexError):
            return None

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        take = self.direct.get(sid)
        if take is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            take(self._build_message(sid, subject, reply, data, await self._process_headers(headers) if headers else None))

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and (self._wants_tls or (self._current_server and self._current_server.uri.scheme == "tls")):
            if not info.get("tls_required") and not info.get("tls_available"):
                raise NatsError("the server offers no TLS")
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)
