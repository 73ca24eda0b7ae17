"""NATS as the SDK's message bus, on nats-py (wasmbus-0x.md §2).

nats-py's own reconnecting is turned off: it gives up for good on authorization errors, and buffers what should not be sent late. A closed
client is replaced here by a new one that has the same subscriptions, for ever, with jitter. One way of mending serves every way of breaking.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import logging
import secrets
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provider_sdk.errors import DeadlineExceeded, InvalidArgument, ProviderError, ResourceExhausted, Unauthenticated, Unavailable
from provider_sdk.nkeys import KeyPair
from provider_sdk.transport.base import Credentials, Handler, Message, ObjectStore

log = logging.getLogger("provider.nats")

DEFAULT_URL = "nats://127.0.0.1:4222"
ATTEMPT_TIMEOUT = 2.0
LONGEST_WAIT = 2.0
# A peer that stops answering (SIGSTOP, a cut cable) is noticed after two unanswered pings; a server paused for 5 s is ridden out.
PING_EVERY = 5
UNANSWERED_PINGS = 2
WAIT_FOR_CONNECTION = 2.0
HEADER_OVERHEAD = len(b"NATS/1.0\r\n\r\n")
_HIDDEN = ("aiohttp", "multidict")


@contextlib.contextmanager
def _without_websockets() -> Iterator[None]:
    """Keep nats-py from importing aiohttp for WebSocket connections: 150 ms that every start would pay (§6.2: a late subscription loses links)."""
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # None makes an import of the name fail
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


with _without_websockets():
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription as NatsSubscription
    from nats.errors import AuthorizationError
    from nats.errors import Error as NatsError


def urls(text: str) -> list[str]:
    """The server addresses of `host:port`, `nats://…` or `tls://…`, several separated by commas; the default where there is none. InvalidArgument."""
    found = []
    for part in filter(None, (item.strip() for item in text.split(","))):
        url = part if "://" in part else f"nats://{part}"
        scheme, _, rest = url.partition("://")
        if scheme not in ("nats", "tls") or not rest:
            raise InvalidArgument(f"NATS address {part!r}: expected host:port, nats://host:port or tls://host:port")
        found.append(url)
    return found or [DEFAULT_URL]


@dataclass(eq=False)
class _Subscription:
    """A subscription of ours, which outlives the clients that carry it out."""

    transport: NatsTransport
    subject: str
    queue: str
    handler: Handler
    live: NatsSubscription | None = None

    async def deliver(self, message: Msg) -> None:
        try:
            await self.handler(message)
        except Exception as error:
            self.transport.fail(f"the handler of {self.subject} failed: {type(error).__name__}: {error}", error)

    async def unsubscribe(self) -> None:
        """Stop receiving; what has arrived is still handled."""
        self.transport.forget(self)
        live, self.live = self.live, None
        if live is not None:
            with contextlib.suppress(NatsError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await live.drain()  # type: ignore[no-untyped-call]  # nats-py leaves it untyped


class NatsTransport:
    """A Transport (see base.py) over NATS."""

    def __init__(self, credentials: Credentials) -> None:
        self.reconnects = 0
        self._credentials = credentials
        self._urls = urls(credentials.url)
        self._client = Client()
        self._subscriptions: list[_Subscription] = []
        self._up = asyncio.Event()
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._closing = False
        self._mending: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._inbox = ""
        self._tokens = itertools.count()
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._objects: dict[str, ObjectStore] = {}
        self._error: BaseException | None = None

    @property
    def max_payload(self) -> int:
        """The server's limit for one message, bytes."""
        return self._client.max_payload

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._up.is_set()

    @property
    def client(self) -> Client:
        """The nats-py client of the moment, for nats_objects.py."""
        return self._client

    async def open(self) -> None:
        """The first connection, bounded by `connect_timeout`. Unauthenticated at once, Unavailable after the bound."""
        shown, limit = ", ".join(self._urls), self._credentials.connect_timeout
        try:
            async with asyncio.timeout(limit):
                while not await self._attempt():
                    if isinstance(self._error, AuthorizationError):
                        raise Unauthenticated(f"NATS at {shown} refused the credentials: check the user JWT and seed that the host was given")
                    await asyncio.sleep(0.1 + 0.2 * secrets.randbelow(1000) / 1000)
        except TimeoutError:
            raise Unavailable(f"no NATS server at {shown} within {limit:g} s ({_words(self._error)}): start one there, or correct the address") from None

    async def _attempt(self) -> bool:
        """One try to connect and subscribe; the reason of a failure is kept."""
        client, self._error = Client(), None
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT * len(self._urls)):
                await client.connect(self._urls, **self._options(client))
                self._client = client
                await self._subscribe_all()
        except (NatsError, OSError, TimeoutError, ValueError) as error:
            self._error = self._error or error
            with contextlib.suppress(Exception):
                await client.close()
            return False
        if client.is_closed:
            return False
        self._up.set()
        return True

    def _options(self, client: Client) -> dict[str, Any]:
        async def on_error(error: Exception) -> None:
            self._error = error
            log.warning("NATS: %s", _words(error))

        async def on_closed() -> None:
            self._lost(client)

        async def on_lame_duck() -> None:
            log.warning("NATS: the server enters lame duck mode and will close the connection")

        given = self._credentials
        options: dict[str, Any] = {
            "name": given.name,
            "allow_reconnect": False,
            "connect_timeout": ATTEMPT_TIMEOUT,
            "ping_interval": PING_EVERY,
            "max_outstanding_pings": UNANSWERED_PINGS,
            "error_cb": on_error,
            "closed_cb": on_closed,
            "lame_duck_mode_cb": on_lame_duck,
            "skip_subject_validation": True,
        }
        if given.user_jwt or given.user_seed:
            key, jwt = KeyPair.from_seed(given.user_seed), given.user_jwt.encode()
            options["user_jwt_cb"] = lambda: bytearray(jwt)
            options["signature_cb"] = lambda nonce: base64.b64encode(key.sign(nonce.encode()))
        if given.tls or given.ca_file or any(url.startswith("tls://") for url in self._urls) or "ssl context" in str(self._error or "").lower():
            options["tls"] = ssl.create_default_context(cafile=given.ca_file)
        return options

    async def _subscribe_all(self) -> None:
        client = self._client
        self._inbox = f"_INBOX.{secrets.token_hex(11)}."
        await client.subscribe(f"{self._inbox}*", cb=self._answered, pending_msgs_limit=0, pending_bytes_limit=0)
        for subscription in self._subscriptions:
            await self._start(subscription)
        await client.flush()

    async def _start(self, subscription: _Subscription) -> None:
        subscription.live = await self._client.subscribe(
            subscription.subject, subscription.queue, subscription.deliver, pending_msgs_limit=0, pending_bytes_limit=0
        )

    def _lost(self, client: Client) -> None:
        if self._closing or client is not self._client or not self._up.is_set():
            return
        self._up.clear()
        log.warning("NATS: connection lost (%s): reconnecting", _words(self._error))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Unavailable("the NATS connection was lost before an answer came"))
        self._mending = asyncio.create_task(self._mend(), name="NATS reconnect")
        self._mending.add_done_callback(self._mended)

    async def _mend(self) -> None:
        wait = 0.0
        while True:
            await asyncio.sleep(wait * (0.5 + secrets.randbelow(1000) / 2000))
            if await self._attempt():
                break
            wait = min(LONGEST_WAIT, wait * 1.6 or 0.1)
        self.reconnects += 1
        log.info("NATS: connected again")
        for callback in self._callbacks:
            callback()

    def _mended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(f"reconnecting failed: {type(error).__name__}: {error}", error)

    def fail(self, reason: str, error: BaseException) -> None:
        """End for good: a fault of the program, not of the network."""
        log.critical("%s", reason, exc_info=error)
        if not self._ended.done():
            self._ended.set_result(reason)

    def forget(self, subscription: _Subscription) -> None:
        """Do not make this subscription again after a reconnect."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    async def _connection(self, seconds: float) -> None:
        """Wait for the connection: what is sent while there is none would arrive after its caller has left."""
        try:
            async with asyncio.timeout(seconds):
                await self._up.wait()
        except TimeoutError:
            raise Unavailable(f"there is no connection to NATS at {', '.join(self._urls)}") from None

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> _Subscription:
        """See Transport."""
        subscription = _Subscription(self, subject, queue, handler)
        if not self._up.is_set():
            await self._connection(WAIT_FOR_CONNECTION)
        self._subscriptions.append(subscription)
        try:
            await self._start(subscription)
        except (NatsError, OSError) as error:
            raise Unavailable(f"NATS: {_words(error)}") from error
        return subscription

    async def publish(self, subject: str, data: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        """See Transport."""
        if not self._up.is_set():
            await self._connection(WAIT_FOR_CONNECTION)
        size = len(data)
        if headers:
            size += HEADER_OVERHEAD + sum(len(key.encode()) + len(value.encode()) + 4 for key, value in headers.items())
        if size > self._client.max_payload:
            raise ResourceExhausted(f"a message of {size} bytes is over the NATS server's limit of {self._client.max_payload}")
        try:
            await self._client.publish(subject, data, reply, dict(headers) if headers else None)
        except (NatsError, OSError) as error:
            raise Unavailable(f"NATS: {_words(error)}") from error

    async def request(self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None) -> Message:
        """See Transport."""
        loop = asyncio.get_running_loop()
        if not self._up.is_set():
            until = loop.time() + timeout
            await self._connection(timeout)
            timeout = max(0.0, until - loop.time())
        token = f"{self._inbox}{next(self._tokens)}"
        answer: asyncio.Future[Msg] = loop.create_future()
        self._waiting[token] = answer
        timer = loop.call_later(timeout, _expire, answer, timeout)
        try:
            await self.publish(subject, data, reply=token, headers=headers)
            message = await answer
        finally:
            timer.cancel()
            del self._waiting[token]
        if message.headers and message.headers.get("Status") == "503" and not message.data:
            raise Unavailable("nobody listens there (no responders)")
        return message

    async def _answered(self, message: Msg) -> None:
        waiting = self._waiting.get(message.subject)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def flush(self, timeout: float = 2.0) -> None:
        """See Transport."""
        try:
            async with asyncio.timeout(timeout):
                await self._up.wait()
                await self._client.flush()
        except (TimeoutError, NatsError) as error:
            raise DeadlineExceeded(f"the NATS server did not answer within {timeout:g} s") from error

    def objects(self, bucket: str) -> ObjectStore:
        """See Transport."""
        found = self._objects.get(bucket)
        if found is None:
            from provider_sdk.transport.nats_objects import NatsObjects

            found = self._objects[bucket] = NatsObjects(self, bucket)
        return found

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """See Transport."""
        self._callbacks.append(callback)

    async def closed(self) -> str:
        """See Transport."""
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """See Transport."""
        self._closing = True
        if self._mending is not None and not self._mending.done():
            self._mending.cancel()
            await asyncio.wait([self._mending])
        if self._up.is_set():
            self._up.clear()
            with contextlib.suppress(NatsError, TimeoutError, OSError):
                async with asyncio.timeout(1.0):
                    await self._client.flush()
        with contextlib.suppress(NatsError, TimeoutError, OSError):
            async with asyncio.timeout(1.0):
                await self._client.close()


def _expire(answer: asyncio.Future[Msg], timeout: float) -> None:
    if not answer.done():
        answer.set_exception(DeadlineExceeded(f"no answer within {timeout:g} s"))


def _words(error: BaseException | None) -> str:
    return "no answer" if error is None or isinstance(error, TimeoutError) else str(error).removeprefix("nats: ") or type(error).__name__


async def connect(credentials: Credentials) -> NatsTransport:
    """Connect to NATS: Unavailable with one line where no server answers in time, Unauthenticated where it refuses, InvalidArgument for a bad address or seed."""
    transport = NatsTransport(credentials)
    try:
        await transport.open()
    except ProviderError:
        await transport.close()
        raise
    return transport
