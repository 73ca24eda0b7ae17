"""NATS as the SDK's message bus, on nats-py (wasmbus-0x.md §2).

nats-py's own reconnecting is not used: see nats_client.py. A broken client is replaced by a new one that has the same subscriptions, for
ever, with jitter. One way of mending serves every way of breaking.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
import random
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from provider_sdk.errors import DeadlineExceeded, InvalidArgument, ProviderError, ResourceExhausted, Unauthenticated, Unavailable
from provider_sdk.transport.base import WAIT_FOR_CONNECTION, Credentials, Handler, Message, ObjectStore
from provider_sdk.transport.nats_client import MOST_PENDING, NatsClient
from provider_sdk.transport.nats_options import ATTEMPT_TIMEOUT, options, urls
from provider_sdk.transport.nats_requests import Requests

# The client comes first: its import keeps nats-py from importing aiohttp.
from nats.aio.msg import Msg  # isort: skip
from nats.aio.subscription import Subscription as NatsSubscription  # isort: skip
from nats.errors import BadSubjectError, NoServersError  # isort: skip
from nats.errors import Error as NatsError  # isort: skip

log = logging.getLogger("provider.nats")

ABANDON_TIMEOUT = 0.2
LONGEST_WAIT = 2.0
# What a message that waits costs beside its bytes.
_UPKEEP = 1024
# Where nats-server closes a connection: subjects, lengths and verb have to fit into a line of 4096 bytes.
LONGEST_SUBJECTS = 3072
# Texts of violated permissions that are logged once each.
MOST_DENIED = 256


class NoResponders(Unavailable):
    """Nobody listens on the subject of a request."""


@dataclass(eq=False)
class _Subscription:
    """A subscription of ours, which outlives the clients that carry it out."""

    transport: NatsTransport
    subject: str
    queue: str
    handler: Handler
    carrier: NatsClient | None = None
    live: NatsSubscription | None = None

    async def carry(self, client: NatsClient) -> None:
        self.carrier = client
        if inspect.iscoroutinefunction(self.handler):
            self.live = await client.subscribe(self.subject, self.queue, self._await, pending_msgs_limit=0, pending_bytes_limit=0)
        else:
            self.live = await client.subscribe_direct(self.subject, self.queue, self._call)

    async def _await(self, message: Msg) -> None:
        try:
            await self.handler(message)  # type: ignore[misc]  # a coroutine function, as carry has seen
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # nats-py would end this subscription without a word.
            self._failed(error)
        except Exception as error:
            self._failed(error)

    def _call(self, message: Message) -> None:
        try:
            self.handler(message)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self.transport.fail(f"the handler of {self.subject} failed: {type(error).__name__}: {error}", error)

    async def unsubscribe(self) -> None:
        """Stop receiving; what has arrived is still handled."""
        self.transport.forget(self)
        live, self.live = self.live, None
        if live is not None:
            # It goes on beyond the second: what has arrived may take longer, or wait for the very handler that unsubscribes.
            await asyncio.wait([self.transport.drain(live)], timeout=1.0)


class NatsTransport:
    """A Transport (see base.py) over NATS."""

    def __init__(self, credentials: Credentials) -> None:
        self.reconnects = self.losses = 0
        self._urls = urls(credentials.url)
        self._shown = ", ".join(url.replace(f"{urlsplit(url).netloc.rpartition('@')[0]}@", "") for url in self._urls)
        random.shuffle(self._urls)
        self._limit = credentials.connect_timeout
        self._new_client = partial(NatsClient, self._lost, wants_tls=credentials.tls)
        self._options = options(credentials, self._urls) | {"error_cb": self._noted, "lame_duck_mode_cb": self._lame_duck}
        self._client = self._new_client()
        self._error: BaseException | None = None
        self._up = asyncio.Event()
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._closing = False
        self._denied: set[str] = set()
        self._mending: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._mourners: list[Callable[[str], None]] = []
        self._held = 0
        self._requests = Requests()
        self._subscriptions: list[_Subscription] = []
        self._draining: set[asyncio.Task[None]] = set()
        self._objects: dict[str, ObjectStore] = {}

    @property
    def max_payload(self) -> int:
        """See Transport."""
        return self._client.max_payload

    @property
    def connected(self) -> bool:
        """See Transport."""
        return self._up.is_set()

    async def open(self) -> None:
        """The first connection, bounded by `connect_timeout`. Unauthenticated at once, Unavailable after the bound."""
        try:
            async with asyncio.timeout(self._limit):
                while not await self._attempt():
                    if _refused(self._error):
                        raise Unauthenticated(
                            f"NATS at {self._shown} refused the credentials ({_words(self._error)}): check the user JWT and seed"
                        )
                    if isinstance(self._error, ssl.SSLCertVerificationError):
                        raise Unavailable(
                            f"NATS at {self._shown} is not trusted ({_words(self._error)}): "
                            "name its authority in the CA file or the system's, and the server as its certificate does"
                        )
                    await asyncio.sleep(random.uniform(0.05, 0.2))
                return
        except TimeoutError:
            pass
        why = f"within {self._limit:g} s ({_words(self._error)})"
        raise Unavailable(f"no connection to NATS at {self._shown} {why}: start a server there, or correct the address")

    async def _attempt(self) -> bool:
        """One try to connect and subscribe; the reason of a failure is kept."""
        client = self._new_client()
        # Each address comes first in its turn: nats-py looks no further than the first that takes a TCP connection.
        self._urls.append(self._urls.pop(0))
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT * len(self._urls)):
                await client.connect(list(self._urls), **self._options)
                await client.subscribe_direct(self._requests.subject, "", self._requests.answered)
                await client.flush()
                while missing := [one for one in self._subscriptions if one.carrier is not client]:
                    for subscription in missing:
                        await subscription.carry(client)
                    await client.flush()
            if not client.broken:
                self._client = client
                self._up.set()
                return True
        except (NatsError, OSError, TimeoutError) as error:
            # What went wrong with each server has been noted by then.
            if not isinstance(error, NoServersError):
                self._error = error
        except Exception as error:
            # nats-py stumbles in many ways over what is no NATS server.
            self._error = NatsError("what answers there does not speak NATS")
            log.debug("NATS: %s: %s", type(error).__name__, error)
        except BaseException:
            await _abandon(client)
            raise
        await _abandon(client)
        return False

    async def _noted(self, error: Exception) -> None:
        words = _words(error)
        if not words.startswith("permissions violation"):
            self._error = error
        elif words not in self._denied and len(self._denied) < MOST_DENIED:
            self._denied.add(words)
            # nats-py has made the text lower case, and keys are not.
            for subscription in self._subscriptions:
                words = words.replace(f'"{subscription.subject.lower()}"', f'"{subscription.subject}"')
            log.error("NATS: %s: the permissions of the user JWT, or of the server's configuration, have to allow it", words)

    async def _lame_duck(self) -> None:
        log.warning("NATS: the server is about to shut down and will close the connection")

    def _lost(self, client: NatsClient, error: Exception) -> None:
        self._error = error
        if client is not self._client or not self._up.is_set() or self._closing:
            return
        self._up.clear()
        self.losses += 1
        log.warning("NATS: connection lost (%s): reconnecting", _words(error))
        self._give_up("lost")
        self._mending = asyncio.create_task(self._mend(client), name="NATS reconnect")
        self._mending.add_done_callback(self._mended)

    def _give_up(self, how: str) -> None:
        """Nothing that belongs to this connection will come to its end."""
        reason = f"the NATS connection was {how} before an answer came"
        self._requests.give_up(reason)
        for callback in self._mourners:
            callback(reason)
        for task in self._draining:
            task.cancel()

    async def _mend(self, broken: NatsClient) -> None:
        await _abandon(broken)
        wait, told = 0.05, ""
        while True:
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            if await self._attempt():
                break
            wait = min(LONGEST_WAIT, wait * 2)
            if (words := _words(self._error)) != told:
                log.warning("NATS: no connection to %s yet: %s", self._shown, words)
                told = words
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

    def drain(self, live: NatsSubscription) -> asyncio.Task[None]:
        """Have what has arrived handled, and nothing more, for as long as the connection stands."""

        async def drained() -> None:
            with contextlib.suppress(NatsError):
                await live.drain()  # type: ignore[no-untyped-call]  # nats-py leaves it untyped

        task = asyncio.create_task(drained(), name=f"NATS drain {live.subject}")
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)
        return task

    async def _connection(self, seconds: float, size: int) -> None:
        """Wait for the connection: what were sent blindly into a buffer might arrive long after its caller has left."""
        if self._closing:
            raise Unavailable("the NATS connection is closed")
        # A small message costs no more than the task that waits with it, and what ends a call is small.
        if size > 2 * _UPKEEP and self._held + size > MOST_PENDING:
            raise Unavailable(f"there is no connection to NATS at {self._shown}, and {self._held} bytes wait for it already")
        self._held += size
        try:
            async with asyncio.timeout(seconds):
                await self._up.wait()
        except TimeoutError:
            raise Unavailable(f"there is no connection to NATS at {self._shown}") from None
        finally:
            self._held -= size
        if self._closing:
            raise Unavailable("the NATS connection is closed")

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> _Subscription:
        """See Transport."""
        subscription = _Subscription(self, subject, queue, handler)
        self._subscriptions.append(subscription)
        try:
            await subscription.carry(self._client)
        except BadSubjectError:
            self.forget(subscription)
            raise InvalidArgument(f"{subject!r} with queue {queue!r} is not a subject to subscribe to") from None
        except (NatsError, OSError) as error:
            log.debug("NATS: %s: will be subscribed with the next connection: %s", subject, _words(error))
        return subscription

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
        """See Transport."""
        head = _header_block(subject, headers) if headers else b""
        size = len(head) + len(data)
        if len(subject) + len(reply) > LONGEST_SUBJECTS:
            raise InvalidArgument(f"NATS cannot send to {subject[:64]!r}…: it has {len(subject)} characters")
        if not subject or " " in subject or not subject.isprintable():
            raise InvalidArgument(f"NATS cannot send to {subject!r}")
        while losses is None or losses == self.losses:
            client = self._client
            if not self._up.is_set():
                await self._connection(within, size + _UPKEEP)
            elif size > client.max_payload:
                raise ResourceExhausted(f"a message of {size} bytes is over the NATS server's limit of {client.max_payload}")
            elif not client.crowded(size) or await client.room(within):
                client.send(subject, reply, data, head)
                return
        raise Unavailable("the NATS connection was lost on the way")

    def send(self, subject: str, data: bytes, reply: str = "") -> bool:
        """See Transport."""
        client = self._client
        if (
            len(data) > client.max_payload
            or len(subject) + len(reply) > LONGEST_SUBJECTS
            or not self._up.is_set()
            or client.crowded(len(data))
        ):
            return False
        client.send(subject, reply, data)
        return True

    async def request(self, subject: str, data: bytes, *, timeout: float, headers: Mapping[str, str] | None = None) -> Message:
        """See Transport."""
        token, answer = self._requests.begin(timeout)
        try:
            await self.publish(subject, data, reply=token, headers=headers, within=timeout, losses=self.losses)
            message = await answer
        finally:
            self._requests.end(token)
            # An error that came refers to this frame and, through the answer, to itself: the callers' payloads would stay with it.
            del answer
        if message.headers and not message.data and message.headers.get("Status") == "503":
            raise NoResponders("nobody listens there (no responders)")
        return message

    async def flush(self, timeout: float = 2.0) -> None:
        """See Transport."""
        try:
            async with asyncio.timeout(timeout):
                await self._up.wait()
                await self._client.flush(math.ceil(timeout))
        except TimeoutError as error:
            raise DeadlineExceeded(f"the NATS server did not answer within {timeout:g} s") from error
        except (NatsError, OSError) as error:
            raise Unavailable("the NATS connection was lost on the way") from error

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

    def on_lost(self, callback: Callable[[str], None]) -> None:
        """See Transport."""
        self._mourners.append(callback)

    async def closed(self) -> str:
        """See Transport."""
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """See Transport."""
        self._closing = True
        if self._mending is not None and not self._mending.done():
            self._mending.cancel()
            await asyncio.wait([self._mending])
        if self.connected:
            with contextlib.suppress(ProviderError):
                await self.flush(1.0)
        # Wakes who waits for a connection: there will be none.
        self._up.set()
        self._up.clear()
        self._give_up("closed")
        if self._draining:
            await asyncio.wait(self._draining)
        await _abandon(self._client)


def _header_block(subject: str, headers: Mapping[str, str]) -> bytes:
    lines = ["NATS/1.0"]
    for given, value in headers.items():
        name = given.strip()
        if not name or not name.isprintable() or ":" in name or "\r" in value or "\n" in value:
            raise InvalidArgument(f"NATS cannot send to {subject!r} with a header {given!r} of {value[:64]!r}")
        lines.append(f"{name}: {value.strip()}")
    return "\r\n".join((*lines, "", "")).encode("utf-8", "backslashreplace")


async def _abandon(client: NatsClient) -> None:
    """Bounded: asyncio's end of a connection that broke in its TLS handshake is never told."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ABANDON_TIMEOUT):
            await client.abandon()


def _refused(error: BaseException | None) -> bool:
    words = _words(error).lower()
    return "authorization violation" in words or "authentication" in words


def _words(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if error is None or isinstance(error, TimeoutError):
        return "no answer"
    return str(error).removeprefix("nats: ").strip("'") or type(error).__name__


async def connect(credentials: Credentials) -> NatsTransport:
    """Connect to NATS.

    Raises Unavailable where no server answers in time, Unauthenticated where it refuses, InvalidArgument for a bad address, seed or CA
    file.
    """
    transport = NatsTransport(credentials)
    try:
        await transport.open()
    except BaseException:
        await transport.close()
        raise
    return transport
