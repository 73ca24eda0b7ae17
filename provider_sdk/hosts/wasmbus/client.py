"""Calls out: signed invocations to actors and providers of a 0.x lattice (wasmbus-0x.md §4).

Used by providers, by any Python program that holds lattice credentials, and by the lattice in a box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from provider_sdk.context import Context
from provider_sdk.errors import DeadlineExceeded, Internal, InvalidArgument, ProviderError, error_of
from provider_sdk.hosts.wasmbus.claims import new_id, sign_invocation_claims
from provider_sdk.hosts.wasmbus.envelope import Entity, Invocation, InvocationResponse, decode_response, encode_invocation
from provider_sdk.hosts.wasmbus.values import operation_codec
from provider_sdk.interface import Operation, Target
from provider_sdk.nkeys import KeyPair
from provider_sdk.transport.base import Transport

CHUNK_OVER = 921_600
# What callers wait longer for a call whose argument goes by the object store (§4.8).
CHUNKED_EXTRA = 13.0
LARGEST_REPLY = 1 << 30


class Client:
    """Sends invocations signed with the cluster's seed and reads their answers."""

    def __init__(
        self, transport: Transport, *, lattice: str, key: KeyPair, host_id: str, timeout: float = 2.0, chunk_over: int = CHUNK_OVER
    ) -> None:
        self.transport = transport
        self.lattice = lattice
        self.key = key
        self.host_id = host_id
        self.timeout = timeout
        self.chunk_over = chunk_over

    async def invoke(
        self,
        origin: Entity,
        target: Entity,
        operation: str,
        payload: bytes,
        *,
        timeout: float | None = None,
        trace: Mapping[str, str] | None = None,
    ) -> bytes:
        """Ask `target` and return the result's bytes, raising ProviderError; the other side's code is restored from its text."""
        limit = self.timeout if timeout is None else timeout
        response = await self.send(origin, target, operation, payload, timeout=limit, trace=trace)
        if response.error is not None:
            raise error_of(response.error)
        if response.content_length > len(response.msg):
            return await self.transport.objects(self.lattice).take(f"{response.invocation_id}-r", LARGEST_REPLY)
        return response.msg

    async def send(
        self, origin: Entity, target: Entity, operation: str, payload: bytes, *, timeout: float, trace: Mapping[str, str] | None = None
    ) -> InvocationResponse:
        """The raw exchange: the response as it came, an error in it not yet raised."""
        identifier = new_id(128)
        claims = sign_invocation_claims(self.key, identifier, origin, target, operation, payload)
        inline = payload
        if len(payload) > self.chunk_over:
            await self.transport.objects(self.lattice).put(identifier, payload)
            inline = b""
        carried = dict(trace) if trace else UNSET
        invocation = Invocation(origin, target, operation, inline, identifier, claims, self.host_id, len(payload), carried)
        try:
            message = await self.transport.request(self.subject(target), encode_invocation(invocation), timeout=timeout, headers=trace)
        except ProviderError as error:
            raise ProviderError.of(error.code, f"{operation} to {target.public_key}: {error.message}", detail=error.detail) from error
        try:
            return decode_response(message.data)
        except InvalidArgument as error:
            raise Internal(f"{operation} to {target.public_key}: its answer cannot be read: {error.message}") from None

    def subject(self, target: Entity) -> str:
        """Where `target` listens (§3.1, §3.2)."""
        base = f"wasmbus.rpc.{self.lattice}.{target.public_key}"
        return f"{base}.{target.link_name}" if target.link_name else base


@dataclass(frozen=True, slots=True)
class LatticeTarget(Target):
    """An actor or a provider of a lattice, asked in the name of `origin`."""

    client: Client
    origin: Entity
    entity: Entity

    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> Any:
        """Carry out `operation` there, within the deadline of the call being served, if one is."""
        codec = operation_codec(operation)
        context = Context.or_none()
        payload = codec.encode_arguments(arguments)
        limit = timeout
        if limit is None:
            limit = self.client.timeout + (CHUNKED_EXTRA if len(payload) > self.client.chunk_over else 0.0)
        trace = None
        if context is not None:
            limit = min(limit, context.remaining())
            if limit <= 0:
                raise DeadlineExceeded(f"{operation.name} to {self.entity.public_key}: no time is left of the call that asked for it")
            if context.trace is not None:
                trace = {"traceparent": context.trace.traceparent, "tracestate": context.trace.tracestate}
        result = await self.client.invoke(self.origin, self.entity, operation.name, payload, timeout=limit, trace=trace)
        try:
            return codec.decode_result(result)
        except InvalidArgument as error:
            raise Internal(f"{operation.name} to {self.entity.public_key}: its {error.message}") from None

    def __repr__(self) -> str:
        return self.entity.public_key


@dataclass(frozen=True, slots=True)
class Lattice:
    """A lattice as `origin` sees it: an interface.Lattice."""

    client: Client
    origin: Entity

    @property
    def identity(self) -> str:
        """The public key to ask as."""
        return self.origin.public_key

    def actor(self, key: str) -> Target:
        """The actor with public key `key` (`M…`). A Rust host wants `identity` to have claims in the lattice (§4.6)."""
        return LatticeTarget(self.client, self.origin, Entity(key, "", ""))

    def provider(self, key: str, contract: str, link_name: str = "default") -> Target:
        """The provider with public key `key` (`V…`). It answers callers that are linked to it: put a link for `identity`."""
        return LatticeTarget(self.client, self.origin, Entity(key, link_name, contract))
