"""Calls out (wrpc-1x.md §3.2, §3.4): components and providers of a 1.x lattice, asked by providers and by any program with a connection.

The answer may come before the parameters have gone, so both go on at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from provider_sdk.context import Context
from provider_sdk.errors import DeadlineExceeded, Internal, InvalidArgument, ProviderError, ResourceExhausted, Unavailable, error_of
from provider_sdk.hosts.base import StreamLimits
from provider_sdk.hosts.wrpc.channels import Encoded
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.inbox import Inbox
from provider_sdk.hosts.wrpc.incoming import Incoming
from provider_sdk.hosts.wrpc.names import invocation_subject
from provider_sdk.hosts.wrpc.outgoing import break_off, discard, end_early, send_pending, send_value
from provider_sdk.hosts.wrpc.spool import Budget
from provider_sdk.hosts.wrpc.values import Incomplete, OperationCodec, operation_codec
from provider_sdk.interface import Operation, Target
from provider_sdk.transport.base import Message, Transport

log = logging.getLogger("provider.calls")

HEAD = len(b"NATS/1.0\r\n") + len(b"\r\n")
LARGEST_RESULTS = 256 << 20
ACCEPTED_WITHIN = 10.0
"""Seconds in which the accept of a call may still come that was given up; as long as providers of ours repeat it."""
LULL = 0.05
"""Seconds without a message after which half of an answer may be all that comes."""


class Client:
    """Makes calls in the name of `origin`, a component's or provider's id; `timeout` bounds each until its values are there, seconds."""

    def __init__(
        self,
        transport: Transport,
        inbox: Inbox,
        *,
        lattice: str,
        origin: str,
        timeout: float = 2.0,
        era: Era = Era.SECOND,
        budget: Budget | None = None,
    ) -> None:
        self.transport = transport
        self.inbox = inbox
        self.lattice = lattice
        self.origin = origin
        self.timeout = timeout
        self.era = era
        self.budget = budget or Budget(StreamLimits())
        self._sending: set[asyncio.Task[None]] = set()

    async def call(self, identifier: str, link_name: str, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> Any:
        """Ask a function of `identifier`; `timeout` None is the client's own. Raises ProviderError."""
        limit, headers = timeout if timeout is not None else self.timeout, self._headers(identifier, link_name)
        context = Context.or_none()
        if context is not None:
            limit = min(limit, context.remaining())
            if limit <= 0:
                raise DeadlineExceeded(f"{operation.name} to {identifier}: no time is left of the call that asked for it")
            if context.trace is not None:
                headers["traceparent"] = context.trace.traceparent
                if context.trace.tracestate:
                    headers["tracestate"] = context.trace.tracestate
        call = _Outbound(self, operation, f"{operation.name} to {identifier}", limit)
        subject = invocation_subject(self.lattice, identifier, operation.interface.__identity__.wit, operation.function)
        return await call.run(subject, headers, arguments)

    def _headers(self, identifier: str, link_name: str) -> dict[str, str]:
        return {"source-id": self.origin, "target-id": identifier, "link-name": link_name}

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that sends what belongs to a call; kept, and its error looked at."""
        task = asyncio.create_task(work, name="parameters")
        self._sending.add(task)
        task.add_done_callback(self._sent)
        return task

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, ProviderError):
            log.error("parameters of a call could not be sent", exc_info=error)


class _Outbound:
    """One call out, until its last stream is over."""

    def __init__(self, client: Client, operation: Operation, what: str, limit: float) -> None:
        self._client = client
        self._codec: OperationCodec = operation_codec(operation, client.era)
        self._has_result = operation.result is not type(None) or operation.failure is not None
        self._what = what
        self._limit = limit
        self._until = asyncio.get_running_loop().time() + limit
        self._inbox = client.inbox.begin(self)
        self._incoming = Incoming(client.budget)
        self._results: list[bytes] = []
        self._size = 0
        self._accepted = ""
        self._encoded = Encoded(b"")
        self._rest: bytes | memoryview = b""
        self._ended = False
        self._error: ProviderError | None = None
        self._news: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._asked = self._sends = self._over = False

    # What comes, by the inbox.

    def received(self, path: str, message: Message) -> None:
        """A message of the callee."""
        root, _, rest = path.partition(".")
        if self._over:
            if not path and message.reply:
                self._client.inbox.end(self._inbox)
                self._take_back(message.reply)
        elif not path:
            self._accept(message)
        elif root == "error":
            self._fail(_told(self._what, message.data))
        elif root != "results":
            return
        elif rest:
            self._incoming.feed(rest, message.data)
        elif not message.data:
            self._ended = True
            self._wake()
        elif self._size + len(message.data) > LARGEST_RESULTS:
            self._fail(ResourceExhausted(f"{self._what}: the answer has more than {LARGEST_RESULTS} bytes", retryable=False))
        else:
            self._size += len(message.data)
            self._results.append(message.data)
            self._wake()

    def lost(self, error: ProviderError) -> None:
        """What is missing will not come."""
        self._fail(Unavailable(f"{self._what}: {error.message}"))

    def _accept(self, message: Message) -> None:
        status = (message.headers or {}).get("Status", "")
        if status == "503":
            self._fail(Unavailable(f"{self._what}: nobody there serves it"))
        elif status and status[:1] != "2":
            self._fail(Unavailable(f"{self._what}: NATS status {status}"))
        elif not message.reply:
            self._fail(Internal(f"{self._what}: it was accepted without a subject for the parameters"))
        elif not self._accepted:
            self._accepted = message.reply
            self._wake()

    def _fail(self, error: ProviderError) -> None:
        self._error = self._error or error
        self._incoming.fail(error)
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # What is done.

    async def run(self, subject: str, headers: dict[str, str], arguments: tuple[Any, ...]) -> Any:
        """Send the parameters, return the result. Its streams, if it has any, keep the call open until they are over."""
        keep = False
        try:
            self._encoded = self._codec.encode_arguments(arguments)
            async with asyncio.timeout_at(self._until):
                await self._publish(subject, headers)
                result = await self._result()
            keep = self._incoming.in_use
            return result
        except TimeoutError as error:
            silent = "no answer" if self._accepted else "nobody has taken the call"
            raise DeadlineExceeded(f"{self._what}: {silent} within {self._limit:.3g} s") from error
        finally:
            if keep:
                self._client.spawn(self._when_over())
            else:
                self._end()
                if not self._sends:
                    await discard(self._encoded.pending)

    async def _publish(self, subject: str, headers: dict[str, str]) -> None:
        """The first message holds as much of the parameters as fits (§3.2 rule 2)."""
        transport = self._client.transport
        head = HEAD + sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())
        room = max(0, transport.max_payload - len(self._inbox) - head)
        data = self._encoded.data
        self._rest = memoryview(data)[room:]
        await transport.publish(subject, data[:room], reply=self._inbox, headers=headers, losses=transport.losses)
        self._asked = True

    async def _result(self) -> Any:
        while not self._accepted:
            await self._next()
        if not self._rest and not self._encoded.pending:
            self._sends = self._client.transport.send(f"{self._accepted}.params", b"")
        if not self._sends:
            self._sending = self._client.spawn(self._send())
        needed = enough = 1
        while True:
            if self._ended or (self._has_result and self._size >= enough):
                data = self._results[0] if len(self._results) == 1 else b"".join(self._results)
                try:
                    return self._codec.decode_result(data, self._incoming)
                except Incomplete as cut:
                    if self._ended:
                        raise Internal(f"{self._what}: the answer ended before it was whole; the callee's log may say why") from None
                    self._results, needed = [data], len(data) + cut.missing
                    # Each try begins anew, so a large answer is not tried with each of its messages.
                    enough = max(needed, 2 * len(data))
            if self._size < needed or not self._has_result:
                await self._next()
            elif not await self._more_within(LULL):
                enough = needed

    async def _send(self) -> None:
        params = f"{self._accepted}.params"
        self._sends = True
        try:
            await send_value(self._client.transport, params, self._rest)
        except BaseException:
            break_off(self._client.transport, params, self._encoded.pending)
            await discard(self._encoded.pending)
            raise
        with contextlib.suppress(ProviderError), self._incoming.sending():
            await send_pending(self._client.transport, params, self._encoded.pending)

    async def _next(self) -> None:
        """Wait for something new; what went wrong is raised."""
        if self._error is None:
            self._news = asyncio.get_running_loop().create_future()
            await self._news
            self._news = None
        if self._error is not None:
            raise self._error

    async def _more_within(self, seconds: float) -> bool:
        """Whether something new comes in time. A callee of v1.1 or v1.2 may send no end behind its answer."""
        try:
            async with asyncio.timeout(seconds):
                await self._next()
        except TimeoutError:
            return False
        return True

    async def _when_over(self) -> None:
        try:
            await self._incoming.unused()
        finally:
            self._end()

    def _end(self) -> None:
        self._incoming.close()
        if self._sending is not None:
            self._sending.cancel()
        if self._asked and not self._accepted and self._error is None:
            self._over = True
            self._rest = self._encoded.data = b""
            asyncio.get_running_loop().call_later(ACCEPTED_WITHIN, self._client.inbox.end, self._inbox)
            return
        self._client.inbox.end(self._inbox)
        if self._accepted and not self._sends:
            self._take_back(self._accepted)

    def _take_back(self, accepted: str) -> None:
        """Nobody waits for the call any more, but its callee may wait for parameters: no other message tells it (§3.2 rule 14)."""
        params = f"{accepted}.params"
        end_early(self._client.transport, params)
        break_off(self._client.transport, params, self._encoded.pending)


def _told(what: str, data: bytes) -> ProviderError:
    """The error that hosts of v1.0 tell as a string (§3.6): its length, then its text."""
    text = data[next((at + 1 for at, byte in enumerate(data) if byte < 128), 0) :]
    error = error_of(text.decode("utf-8", "replace"))
    return ProviderError.of(error.code, f"{what}: {error.message}")


@dataclass(frozen=True, slots=True)
class WrpcTarget(Target):
    """A component or provider as an interface.Target. `link_name` tells a provider over which link it is asked."""

    client: Client
    identifier: str
    link_name: str = "default"

    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> Any:
        """See Target; within the deadline of the call being served, if one is."""
        if not operation.interface.__identity__.wit:
            raise InvalidArgument(f"{operation.name}: {operation.interface.__name__} has no WIT name, so nobody on a 1.x lattice serves it")
        return await self.client.call(self.identifier, self.link_name, operation, arguments, timeout)

    def __repr__(self) -> str:
        return self.identifier


@dataclass(frozen=True, slots=True)
class WrpcLattice:
    """A 1.x lattice as `client.origin` sees it: an interface.Lattice."""

    client: Client

    @property
    def identity(self) -> str:
        """The id to ask as."""
        return self.client.origin

    def actor(self, key: str) -> Target:
        """The component with id `key`."""
        return WrpcTarget(self.client, key)

    def provider(self, key: str, contract: str = "", link_name: str = "default") -> Target:
        """The provider with id `key`. It answers callers that are linked to it: put a link for `identity`."""
        return WrpcTarget(self.client, key, link_name)
