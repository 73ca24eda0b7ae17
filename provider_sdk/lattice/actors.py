"""The actors of an emulated 0.x host: they listen on the lattice, answer checked invocations, make host calls."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from provider_sdk.errors import DeadlineExceeded, NotFound, ProviderError
from provider_sdk.hosts.wasmbus.actor_claims import ActorClaims, verify_actor
from provider_sdk.hosts.wasmbus.envelope import Invocation
from provider_sdk.lattice.admission import admit
from provider_sdk.lattice.calls import Outbound
from provider_sdk.lattice.core import HostCore
from provider_sdk.lattice.manner import Manner, new_id
from provider_sdk.lattice.routing import Caller, Routes
from provider_sdk.lattice.tasks import log
from provider_sdk.lattice.wasm import Actor, Limits
from provider_sdk.lattice.wire import RUST_CHUNKS_OVER, Unreadable, pack_failure, pack_result, read_invocation
from provider_sdk.transport.base import Message, Subscription

LARGEST_ARGUMENT = 1 << 30
OTP_EXECUTION_LIMIT = 5.0

_serving: ContextVar[str] = ContextVar("serving", default="")


@dataclass(eq=False)
class RunningActor:
    """An actor that this host runs."""

    claims: ActorClaims
    image_ref: str
    instances: int
    instance_id: str
    guest: Actor
    subscription: Subscription

    @property
    def id(self) -> str:
        """Its public key, `M…`."""
        return self.claims.subject

    @property
    def name(self) -> str:
        """The name in its claims, or its key."""
        return self.claims.name or self.claims.subject


class ActorTable:
    """Starts, serves and stops actors; one entry for each public key."""

    def __init__(self, core: HostCore, outbound: Outbound) -> None:
        self._core = core
        self._outbound = outbound
        self._actors: dict[str, RunningActor] = {}
        self._routes = Routes(core, outbound, self._find_alias)

    def all(self) -> list[RunningActor]:
        """The running actors."""
        return list(self._actors.values())

    def find(self, actor_id: str) -> RunningActor | None:
        """The running actor of that key."""
        return self._actors.get(actor_id)

    async def start(self, module: bytes, image_ref: str, instances: int, time_limit: float | None) -> RunningActor:
        """Check the embedded claims and run the module, in place of one of the same key. ProviderError for a refused module."""
        claims = verify_actor(module)
        caller = (claims.subject, claims.name or claims.subject, frozenset(claims.capabilities))

        async def host_call(binding: str, namespace: str, operation: str, payload: bytes) -> bytes:
            return await self._routes.host_call(Caller(*caller, _serving.get()), binding, namespace, operation, payload)

        guest = await Actor.load(module, host_call, name=caller[1], limits=Limits(instances=instances, seconds=time_limit))
        subject = f"wasmbus.rpc.{self._core.lattice}.{claims.subject}"
        actor: RunningActor

        async def receive(message: Message) -> None:
            self._core.start(self._serve(actor, message))

        subscription = await self._core.transport.subscribe(subject, receive, queue=subject)
        actor = RunningActor(claims, image_ref, instances, new_id(self._core.manner), guest, subscription)
        await self._core.transport.flush()
        before = self._actors.get(actor.id)
        self._actors[actor.id] = actor
        if before is not None:
            await self._leave(before)
        self._core.claims[actor.id] = actor_claims(claims)
        await self._announce("started", actor, instances)
        return actor

    async def stop(self, actor_id: str) -> None:
        """End an actor; NotFound."""
        actor = self._actors.pop(actor_id, None)
        if actor is None:
            raise NotFound(f"actor {actor_id} is not running on this host")
        await self._leave(actor)
        await self._announce("stopped", actor, actor.instances)

    async def close(self) -> None:
        """End all, without events, as a host that stops."""
        actors, self._actors = self.all(), {}
        for actor in actors:
            await self._leave(actor)

    def _find_alias(self, alias: str) -> str | None:
        """The actor that was started first where several have the alias."""
        return next((actor.id for actor in self._actors.values() if alias and actor.claims.call_alias == alias), None)

    async def _leave(self, actor: RunningActor) -> None:
        await actor.subscription.unsubscribe()
        await actor.guest.close()

    async def _serve(self, actor: RunningActor, message: Message) -> None:
        """Answer one message; an invocation that this very host sent is recorded by its sender."""
        loop, manner = asyncio.get_running_loop(), self._core.manner
        since = loop.time()
        payload, result, error = b"", b"", ""
        try:
            invocation = read_invocation(manner, message.data)
        except Unreadable as reason:
            text = "Failed to deserialize invocation" if manner is Manner.OTP else str(reason)
            await self._reply(message, pack_failure(manner, "" if manner is Manner.OTP else "UNKNOWN", actor.instance_id, text))
            return
        try:
            payload = await self._admitted(actor, invocation)
            result = await self._run(actor, invocation, payload)
            answer = await self._result(actor, invocation, result)
        except ProviderError as failure:
            error = str(failure)
            answer = pack_failure(manner, invocation.id, actor.instance_id, error)
        await self._reply(message, answer)
        if invocation.id not in self._outbound.ours:
            caller, target = self._core.party(invocation.origin.public_key), self._core.party(actor.id)
            self._core.record(invocation.id, caller, target, invocation.operation, payload, result, loop.time() - since, error)

    async def _admitted(self, actor: RunningActor, invocation: Invocation) -> bytes:
        """The whole argument of an invocation that passes the host's checks; only what lies inline was hashed (§4.6)."""
        admit(self._core, invocation, actor.claims)
        length = invocation.content_length
        chunked = length > RUST_CHUNKS_OVER if self._core.manner is Manner.RUST else length > len(invocation.msg)
        if not chunked:
            return invocation.msg
        return await self._core.transport.objects(self._core.lattice).take(invocation.id, LARGEST_ARGUMENT)

    async def _run(self, actor: RunningActor, invocation: Invocation, payload: bytes) -> bytes:
        _serving.set(invocation.id)
        limit = OTP_EXECUTION_LIMIT if self._core.manner is Manner.OTP else None
        try:
            async with asyncio.timeout(limit):
                return await actor.guest.call(invocation.operation, payload)
        except TimeoutError:
            raise DeadlineExceeded(f"the actor did not answer within {limit} s") from None

    async def _result(self, actor: RunningActor, invocation: Invocation, result: bytes) -> bytes:
        inline = result
        if len(result) > RUST_CHUNKS_OVER:
            await self._core.transport.objects(self._core.lattice).put(f"{invocation.id}-r", result)
            inline = b""
        return pack_result(self._core.manner, invocation.id, actor.instance_id, inline, len(result))

    async def _reply(self, message: Message, answer: bytes) -> None:
        if not message.reply:
            return
        try:
            await self._core.transport.publish(message.reply, answer)
        except ProviderError as error:
            log.warning("%s: the answer cannot be sent: %s", message.subject, error)

    async def _announce(self, what: str, actor: RunningActor, count: int) -> None:
        """OTP: an event an instance; Rust: one event with a count (§3.4)."""
        data: dict[str, Any] = {"public_key": actor.id, "image_ref": actor.image_ref, "annotations": {}}
        if self._core.manner is Manner.RUST:
            claims = {"issuer": actor.claims.issuer, "name": actor.claims.name, "call_alias": actor.claims.call_alias}
            data |= {"host_id": self._core.host_id, "claims": claims, "count": count}
            await self._core.announce(f"actors_{what}", data)
            return
        for _ in range(count):
            await self._core.announce(f"actor_{what}", data | {"instance_id": actor.instance_id})


def actor_claims(claims: ActorClaims) -> dict[str, str]:
    """What `get.claims` tells of an actor: flat strings under the old names and the new."""
    capabilities, revision = ",".join(claims.capabilities), str(claims.revision)
    return {
        "sub": claims.subject,
        "subject": claims.subject,
        "iss": claims.issuer,
        "issuer": claims.issuer,
        "name": claims.name,
        "caps": capabilities,
        "capabilities": capabilities,
        "rev": revision,
        "revision": revision,
        "version": claims.version,
        "call_alias": claims.call_alias,
        "tags": ",".join(claims.tags),
    }
