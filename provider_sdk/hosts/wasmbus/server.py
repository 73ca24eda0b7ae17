"""Calls in: turns an invocation's bytes into a verified Call, and its outcome into the answer's bytes (wasmbus-0x.md §4, §5.4)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from provider_sdk.context import TraceContext
from provider_sdk.errors import Internal, ProviderError, ResourceExhausted, Unsupported, error_text
from provider_sdk.hosts.base import Call, Calls
from provider_sdk.hosts.wasmbus.claims import verify
from provider_sdk.hosts.wasmbus.client import CHUNK_OVER
from provider_sdk.hosts.wasmbus.envelope import InvocationResponse, decode_invocation, encode_response
from provider_sdk.hosts.wasmbus.values import OperationCodec, operation_codec
from provider_sdk.interface import Interface, Operation
from provider_sdk.metrics import Metrics
from provider_sdk.transport.base import ENDS_WITHIN, Message, Transport

log = logging.getLogger("provider.calls")
LARGEST_ARGUMENT = 1 << 30


@dataclass(frozen=True, slots=True)
class Served:
    """An operation that this provider answers, with its codec."""

    operation: Operation
    codec: OperationCodec


def served(interfaces: tuple[type[Interface], ...]) -> dict[str, Served]:
    """The operations of all interfaces by their wire name; TypeError where two share one."""
    table: dict[str, Served] = {}
    for interface in interfaces:
        if not interface.__identity__.contract:
            continue
        for operation in interface.operations():
            if operation.name in table:
                raise TypeError(f"{operation.name} is declared by two interfaces of this provider")
            table[operation.name] = Served(operation, operation_codec(operation))
    return table


class Server:
    """Answers invocations. `receive` is the subscription's handler; the work is done in a task a call."""

    verify = staticmethod(verify)

    def __init__(
        self,
        transport: Transport,
        control: Calls,
        operations: Mapping[str, Served],
        *,
        lattice: str,
        key: str,
        issuers: frozenset[str],
        metrics: Metrics | None = None,
    ) -> None:
        self._transport = transport
        self._control = control
        self._operations = operations
        self._services = {name.rpartition(".")[0] for name in operations}
        self._lattice = lattice
        self._key = key
        self._issuers = issuers
        self._loop = asyncio.get_running_loop()
        self._refusing: set[asyncio.Task[None]] = set()
        self._errors = (metrics or Metrics()).counter(
            "provider_errors_total", "Calls answered with an error, by code: also those that reached no operation.", "code"
        )

    def receive(self, message: Message) -> None:
        """Start serving one message, or refuse it at once where too many are being served."""
        if not self._control.full:
            self._control.start_call(self._serve(message))
            return
        refusing = self._loop.create_task(self._refuse_unread(message))
        self._refusing.add(refusing)
        refusing.add_done_callback(self._refusing.discard)

    async def _refuse_unread(self, message: Message) -> None:
        try:
            identifier = decode_invocation(message.data).id
        except ProviderError:
            identifier = ""
        await self._refuse(message, identifier, ResourceExhausted("the provider serves as many calls as max_calls allows"))

    async def _serve(self, message: Message) -> None:
        received = self._loop.time()
        identifier = ""
        try:
            invocation = decode_invocation(message.data)
            identifier, payload = invocation.id, invocation.msg
            if invocation.content_length > len(payload):
                payload = await self._transport.objects(self._lattice).take(identifier, LARGEST_ARGUMENT)
                # Callers wait 13 s or more for a chunked call (§4.8): its transfer is not taken from the operation's time.
                received = self._loop.time()
            self.verify(invocation, payload, own_key=self._key, issuers=self._issuers, now=time.time())
            found = self._operations.get(invocation.operation)
            if found is None:
                raise self._unknown(invocation.operation)
            arguments, form = found.codec.decode_arguments(payload)
            trace = _trace(message.headers) or _trace(invocation.trace or None)
            origin, contract = invocation.origin.public_key, invocation.target.contract_id
            call = Call(found.operation, arguments, origin, contract, identifier, received, trace)
            result = found.codec.encode_result(await self._control.run_call(call), form)
            length = len(result)
            if length > CHUNK_OVER:
                await self._transport.objects(self._lattice).put(f"{identifier}-r", result)
                result = b""
            if message.reply:
                await self._reply(message, InvocationResponse(result, identifier, None, length))
        except ProviderError as error:
            await self._refuse(message, identifier, error)
        except asyncio.CancelledError:
            await self._refuse(message, identifier, ProviderError.of("unavailable", "the provider is shutting down"))
            raise
        except Exception as error:
            log.error("call %s: %s", identifier, error, exc_info=error)
            await self._refuse(message, identifier, Internal(f"the provider failed; its log has call {identifier}"))
        finally:
            self._control.end_call()

    def _unknown(self, operation: str) -> Unsupported:
        """The texts of §5.4."""
        service, _, method = operation.rpartition(".")
        if service in self._services:
            return Unsupported(f"method not handled {service}::{method}")
        return Unsupported(f"method not handled {operation}{' - unknown method' if self._services else ''}")

    async def _refuse(self, message: Message, identifier: str, error: ProviderError) -> None:
        self._errors.add(error.code.value)
        if not message.reply:
            return
        try:
            await self._reply(message, InvocationResponse(b"", identifier, error_text(error), 0))
        except ProviderError as failure:
            log.error("call %s could not be answered: %s", identifier, failure)

    async def _reply(self, message: Message, response: InvocationResponse) -> None:
        await self._transport.publish(message.reply, encode_response(response), within=ENDS_WITHIN)


def _trace(carrier: Mapping[str, str] | None) -> TraceContext | None:
    return TraceContext.parse(carrier.get("traceparent") or "", carrier.get("tracestate") or "") if carrier else None
