"""Calls in (wrpc-1x.md §3.2, §3.7): a message on an invocation subject becomes a Call, its outcome the messages of the answer.

The rule that keeps answers from being lost is in `acceptance.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from provider_sdk.context import TraceContext
from provider_sdk.errors import Internal, InvalidArgument, ProviderError, ResourceExhausted, Unavailable, Unsupported, error_text
from provider_sdk.hosts.base import Call, Calls, StreamLimits
from provider_sdk.hosts.wrpc.acceptance import Acceptance, Acceptances
from provider_sdk.hosts.wrpc.channels import Encoded
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.inbox import Inbox
from provider_sdk.hosts.wrpc.incoming import Incoming, Pipe
from provider_sdk.hosts.wrpc.names import contract_of, plain_function
from provider_sdk.hosts.wrpc.outgoing import break_off, discard, send_pending, send_value
from provider_sdk.hosts.wrpc.spool import Budget
from provider_sdk.hosts.wrpc.value_bytes import unsigned_leb
from provider_sdk.hosts.wrpc.values import Incomplete, OperationCodec, operation_codec
from provider_sdk.interface import Interface, Operation
from provider_sdk.metrics import Metrics
from provider_sdk.transport.base import ENDS_WITHIN, Message, Transport

log = logging.getLogger("provider.calls")
LARGEST_ARGUMENTS = 256 << 20
LARGEST_OF_ALL = 512 << 20
MOST_REFUSING = 4096


@dataclass(frozen=True, slots=True)
class Served:
    """An operation that is answered, with its codec and the contract of the links over which it is asked."""

    operation: Operation
    codec: OperationCodec
    contract: str


def served(interfaces: tuple[type[Interface], ...], era: Era = Era.SECOND) -> dict[str, Served]:
    """The operations of all interfaces that 1.x knows, by instance and function as subjects have them; TypeError where two share one."""
    table: dict[str, Served] = {}
    for interface in interfaces:
        instance = interface.__identity__.wit
        for operation in interface.operations() if instance else ():
            name = f"{instance}.{plain_function(operation.function)}"
            if name in table:
                raise TypeError(f"{name} is declared by two interfaces of this provider")
            table[name] = Served(operation, operation_codec(operation, era), contract_of(instance))
    return table


class Server:
    """Answers calls. `receive` is the handler of a subscription to invocation subjects; the work is done in a task a call.

    `subjects` is what stands before the instance in a subject: `lattice.id.wrpc.0.0.1.`.
    """

    def __init__(
        self,
        transport: Transport,
        inbox: Inbox,
        control: Calls,
        operations: Mapping[str, Served],
        *,
        subjects: str,
        era: Era = Era.SECOND,
        budget: Budget | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.transport = transport
        self.inbox = inbox
        self.control = control
        self.era = era
        self.budget = budget or Budget(StreamLimits())
        self.acceptances = Acceptances(transport, inbox)
        self._operations = operations
        self._cut = len(subjects)
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._refusing: set[asyncio.Task[None]] = set()
        self._untold: set[Operation] = set()
        metrics = metrics or Metrics()
        self._errors = metrics.counter(
            "provider_errors_total", "Calls answered with an error, by code: also those that reached no operation.", "code"
        )
        metrics.gauge("provider_stream_bytes", "Bytes of streams that wait to be read.", self._held, "where")

    def _held(self) -> dict[tuple[str, ...], float]:
        return {("memory",): float(self.budget.memory), ("file",): float(self.budget.spooled)}

    def receive(self, message: Message) -> None:
        """Start serving one message, or refuse it at once where too many are being served."""
        if not message.reply:
            log.warning("%s: dropped: a call without a reply subject", message.subject)
            return
        session = Session(self, message, self._operations.get(message.subject[self._cut :]))
        if not self.control.full:
            self.control.start_call(session.serve())
            return
        if len(self._refusing) >= MOST_REFUSING:
            self.inbox.end(session.inbox)
            return
        refusing = self._loop.create_task(session.turn_away(ResourceExhausted("the provider serves as many calls as max_calls allows")))
        self._refusing.add(refusing)
        refusing.add_done_callback(self._refusing.discard)

    def count(self, error: ProviderError) -> None:
        """Count a call that is answered with an error."""
        self._errors.add(error.code.value)

    def untold(self, operation: Operation, error: ProviderError) -> None:
        """Warn, once for each operation, that a caller cannot be told an error: it has no error type."""
        if operation.failure is None and operation not in self._untold:
            self._untold.add(operation)
            log.warning("%s: %s: the caller sees its answer end early and no more, as the operation has no @fails", operation.name, error)


class Session:
    """One call in: what comes for it, by the inbox, and what is done. It is the Channels of its own arguments."""

    __slots__ = (
        "_acceptance",
        "_answered",
        "_begun",
        "_channels",
        "_first",
        "_found",
        "_gathers",
        "_headers",
        "_received_at",
        "_reply",
        "_rest",
        "_server",
        "_size",
        "_subject",
        "inbox",
    )

    def __init__(self, server: Server, message: Message, found: Served | None) -> None:
        self._server = server
        self._subject = message.subject
        self._reply = message.reply
        self._first = message.data
        self._headers = message.headers or {}
        self._found = found
        self._received_at = server.now()
        self._channels: Incoming | None = None
        self._rest: list[bytes] = []
        self._size = self._begun = len(message.data)
        self._gathers = True
        self.inbox = server.inbox.begin(self)
        self._acceptance: Acceptance | None = None
        self._answered = False

    def received(self, path: str, message: Message) -> None:
        """A message of the caller behind its first: parameters, or a stream among them."""
        root, _, rest = path.partition(".")
        if root != "params":  # that nobody listens, says the NATS server on the subject itself
            return
        acceptance = self._acceptance
        if acceptance is not None:
            acceptance.heard()
        if rest:
            if acceptance is None or not acceptance.ended:
                self._incoming().feed(rest, message.data)
        elif not message.data:
            if acceptance is not None:
                acceptance.complete()
        elif self._gathers:
            self._gather(message.data)

    def _gather(self, data: bytes) -> None:
        """More of the arguments than the first message had room for."""
        budget = self._server.budget
        if self._size + len(data) > LARGEST_ARGUMENTS:
            self.lost(InvalidArgument(f"the arguments have more than {LARGEST_ARGUMENTS} bytes"))
        elif budget.arguments + len(data) > LARGEST_OF_ALL:
            self.lost(ResourceExhausted(f"the arguments of all calls have more than {LARGEST_OF_ALL} bytes"))
        else:
            budget.arguments += len(data)
            self._size += len(data)
            self._rest.append(data)
            if self._acceptance is not None and not self._acceptance.has_end:
                self._acceptance.wake()

    def _gathered(self) -> None:
        """The arguments are read, or nobody will."""
        self._gathers = False
        self._server.budget.arguments -= self._size - self._begun
        self._size = self._begun
        self._rest.clear()

    def lost(self, error: ProviderError) -> None:
        """What is missing will not come."""
        self._incoming().fail(error)
        if self._acceptance is not None:
            self._acceptance.fail(error)

    def open(self, path: str) -> Pipe:
        """See Channels."""
        return self._incoming().open(path)

    def _incoming(self) -> Incoming:
        if self._channels is None:
            self._channels = Incoming(self._server.budget)
        return self._channels

    async def serve(self) -> None:
        """Accept, decode, have it carried out, answer."""
        server = self._server
        try:
            await self._accept()
            found = self._found
            if found is None:
                raise Unsupported(f"{self._subject} is not served here")
            arguments = await self._arguments(found.codec)
            await server.control.run_call(self._call(found, arguments))
        except ProviderError as error:
            await self._refuse(error)
        except asyncio.CancelledError:
            await self._refuse(Unavailable("the call was cut off: its link was deleted, or the provider is stopping"))
            raise
        except Exception as error:
            log.error("call %s: %s", self.inbox, error, exc_info=error)
            await self._refuse(Internal(f"the provider failed; its log has call {self.inbox}"))
        finally:
            self._end()
            server.control.end_call()

    async def turn_away(self, error: ProviderError) -> None:
        """Answer with an error without looking at the arguments."""
        try:
            with suppress(ProviderError):  # the accept is repeated
                await self._accept()
            await self._refuse(error)
        finally:
            self._end()

    async def _accept(self) -> None:
        server = self._server
        self._acceptance = server.acceptances.begin(self._reply, self.inbox, waits=server.era is Era.SECOND)
        if not server.transport.send(self._reply, b"", self.inbox):
            await server.transport.publish(self._reply, b"", reply=self.inbox)

    async def _arguments(self, codec: OperationCodec) -> tuple[Any, ...]:
        """The arguments, at once where the first message holds all of them."""
        assert self._acceptance is not None
        data, complete = self._first, False
        while True:
            try:
                arguments = codec.decode_arguments(data, self)
                self._gathered()
                return arguments
            except Incomplete as cut:
                if complete:
                    raise InvalidArgument("the arguments are cut off") from None
                needed = len(data) + cut.missing
            while not complete and self._size < needed:
                complete = await self._acceptance.more()
            self._first = b""
            data = b"".join((data, *self._rest))
            self._rest.clear()

    def _call(self, found: Served, arguments: tuple[Any, ...]) -> Call:
        headers = self._headers
        return Call(
            found.operation,
            arguments,
            headers.get("source-id") or "<unknown>",
            found.contract,
            self.inbox,
            self._received_at,
            TraceContext.parse(headers.get("traceparent", ""), headers.get("tracestate", "")) if "traceparent" in headers else None,
            headers.get("link-name") or "default",
            self._deliver,
        )

    async def _deliver(self, result: Any) -> None:
        assert self._found is not None
        try:
            await self._answer(self._found.codec.encode_result(result))
        except ProviderError as error:
            if self._answered:
                log.warning("%s: the caller sees a stream of its result break off: %s", self._found.operation.name, error)
            raise

    async def _answer(self, encoded: Encoded) -> None:
        assert self._acceptance is not None
        results = f"{self._reply}.results"
        if not encoded.pending:
            self._answered = True
            self._acceptance.answer(results, encoded.data)
            return
        try:
            await self._acceptance.may_stream()
            self._answered = True
            await send_value(self._server.transport, results, encoded.data)
        except BaseException:
            if self._answered:
                break_off(self._server.transport, results, encoded.pending)
            await discard(encoded.pending)
            raise
        await send_pending(self._server.transport, results, encoded.pending)

    async def _refuse(self, error: ProviderError) -> None:
        """Answer with an error as far as the operation has a form for it, else by an end without a value (§3.2 rule 11)."""
        if self._answered or self._acceptance is None:
            return
        self._server.count(error)
        try:
            data = self._failure(error)
            if self._found is not None:
                self._server.untold(self._found.operation, error)
            if data is None and self._server.era is Era.FIRST:
                text = error_text(error).encode()
                await self._server.transport.publish(f"{self._reply}.error", unsigned_leb(len(text)) + text, within=ENDS_WITHIN)
            await self._answer(Encoded(data or b""))
        except ProviderError as failed:
            log.warning("%s: the caller cannot be told that %s: %s", self._subject, error, failed)

    def _failure(self, error: ProviderError) -> bytes | None:
        try:
            return None if self._found is None else self._found.codec.encode_failure(error)
        except Exception as wrong:  # `encode` of @fails is the author's
            trace = None if isinstance(wrong, ProviderError) else wrong
            log.error("%s: %s has no form as its error type: %s: %s", self._subject, error, type(wrong).__name__, wrong, exc_info=trace)
            return None

    def _end(self) -> None:
        self._first = b""
        self._gathered()
        if self._channels is not None:
            self._channels.close()
        if self._acceptance is None:
            self._server.inbox.end(self.inbox)
        else:
            self._server.acceptances.end(self._acceptance)
