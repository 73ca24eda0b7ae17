"""Signed invocations out of an emulated host, and its judgement of the answers (wasmbus-0x.md §4.2, §4.6-§4.8)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from provider_sdk.errors import Code, ProviderError
from provider_sdk.hosts.wasmbus.claims import sign_invocation_claims
from provider_sdk.hosts.wasmbus.envelope import Entity, Invocation
from provider_sdk.lattice.core import HostCore
from provider_sdk.lattice.manner import Manner, new_id
from provider_sdk.lattice.wire import Unreadable, pack_invocation, read_reply

LARGEST_RESULT = 1 << 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: `result`; or `refusal`, the error text in the answer; or `problem` with `code`, why there is no usable answer."""

    result: bytes = b""
    refusal: str | None = None
    problem: str | None = None
    code: Code = Code.INTERNAL

    @property
    def error(self) -> str:
        """What went wrong, empty for success."""
        return self.refusal or self.problem or ("" if self.refusal is None and self.problem is None else "error")


@dataclass(eq=False)
class _UnderWay:
    target: str
    exchange: asyncio.Task[Outcome]
    given_up: bool = False


class Outbound:
    """Calls that the host makes, for its actors or in its own name. `ours` holds those under way by id."""

    def __init__(self, core: HostCore) -> None:
        self._core = core
        self.ours: dict[str, _UnderWay] = {}

    def give_up(self, public_key: str) -> None:
        """End the calls to a provider that is no more: Rust hosts would wait for a day (§4.7), with an instance of the actor each."""
        for call in self.ours.values():
            if call.target == public_key:
                call.given_up = call.exchange.cancel()

    async def call(
        self, origin: Entity, target: Entity, operation: str, payload: bytes, *, parent: str = "", timeout: float | None = None
    ) -> Outcome:
        """Send one invocation and await its outcome; `parent` is the id of the call it is made within, `timeout` None the manner's."""
        loop = asyncio.get_running_loop()
        identifier, since = new_id(self._core.manner), loop.time()
        exchange = asyncio.create_task(self._exchange(origin, target, operation, payload, identifier, timeout))
        call = self.ours[identifier] = _UnderWay(target.public_key, exchange)
        try:
            outcome = await exchange
        except asyncio.CancelledError:
            if not call.given_up:
                raise
            outcome = Outcome(problem="the provider ended before it answered", code=Code.UNAVAILABLE)
        except Unreadable as error:
            outcome = Outcome(problem=str(error))
        except ProviderError as error:
            outcome = Outcome(problem=self._transport_problem(error), code=error.code)
        finally:
            del self.ours[identifier]
        caller, called = self._core.party(origin.public_key), self._core.party(target.public_key)
        self._core.record(identifier, caller, called, operation, payload, outcome.result, loop.time() - since, outcome.error, parent)
        return outcome

    async def _exchange(
        self, origin: Entity, target: Entity, operation: str, payload: bytes, identifier: str, limit: float | None
    ) -> Outcome:
        core, habits = self._core, self._core.manner.habits
        claims = sign_invocation_claims(core.cluster, identifier, origin, target, operation, payload)
        inline, timeout = payload, limit or habits.call_timeout or core.rpc_timeout
        if len(payload) > habits.chunks_requests_over:
            await core.transport.objects(core.lattice).put(identifier, payload)
            inline, timeout = b"", limit or habits.chunked_call_timeout
        host_id = core.cluster.public if core.manner is Manner.OTP else core.host_id
        invocation = Invocation(origin, target, operation, inline, identifier, claims, host_id, len(payload))
        subject = f"wasmbus.rpc.{core.lattice}.{target.public_key}" + (f".{target.link_name}" if target.link_name else "")
        answer = await core.transport.request(subject, pack_invocation(core.manner, invocation), timeout=timeout)
        reply = read_reply(core.manner, answer.data, identifier)
        if reply.error is not None:
            return Outcome(refusal=reply.error)
        if reply.chunked:
            return Outcome(await core.transport.objects(core.lattice).take(f"{reply.invocation_id}-r", LARGEST_RESULT))
        return Outcome(reply.msg)

    def _transport_problem(self, error: ProviderError) -> str:
        if self._core.manner is Manner.OTP:
            return "request timeout" if error.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED) else error.message
        if error.code is Code.UNAVAILABLE:
            return "failed to publish on NATS topic: no responders: no responders"
        return error.message
