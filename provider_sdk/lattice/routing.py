"""Where a host call of an actor goes: a linked provider, the host itself, or another actor (wasmbus-0x.md §4.6, §10.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from provider_sdk.errors import Internal, ProviderError
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.lattice import builtin
from provider_sdk.lattice.calls import Outbound, Outcome
from provider_sdk.lattice.core import HostCore
from provider_sdk.lattice.events import Party
from provider_sdk.lattice.manner import Manner, new_id

_RUST_PREFIX = "failed to call `wasmcloud:bus/host.call`: "


@dataclass(frozen=True, slots=True)
class Caller:
    """The actor that makes a host call, and the id of the call that it is serving meanwhile."""

    key: str
    name: str
    capabilities: frozenset[str]
    serving: str


class Routes:
    """Resolves and carries out host calls. `find_alias` gives the key of the running actor of a call alias."""

    def __init__(self, core: HostCore, outbound: Outbound, find_alias: Callable[[str], str | None]) -> None:
        self._core = core
        self._outbound = outbound
        self._find_alias = find_alias

    async def host_call(self, caller: Caller, binding: str, namespace: str, operation: str, payload: bytes) -> bytes:
        """Carry out the call; ProviderError with the very text that an actor sees on the emulated host (§4.2)."""
        link = self._core.links.find(caller.key, namespace, binding)
        if link is None and namespace in builtin.CONTRACTS:
            return self._answer_builtin(caller, namespace, operation, payload)
        if link is not None:
            self._check_capability(caller, namespace)
            target = Entity(link.provider_id, link.link_name, link.contract_id)
        else:
            target = Entity(self._actor(namespace), "", "")
        outcome = await self._outbound.call(Entity(caller.key, "", ""), target, operation, payload, parent=caller.serving)
        return self._unwrap(outcome)

    def _actor(self, namespace: str) -> str:
        if len(namespace) == 56 and namespace.startswith("M"):
            return namespace
        key = self._find_alias(namespace)
        if key is not None:
            return key
        if self._core.manner is Manner.OTP and ":" in namespace:
            raise Internal(f"Invocation not authorized: missing link definition for {namespace}")
        raise Internal(self._problem("unknown actor call alias"))

    def _check_capability(self, caller: Caller, contract: str) -> None:
        if not self._core.checks_capabilities or contract in caller.capabilities:
            return
        if self._core.manner is Manner.OTP:
            raise Internal(f"Invocation not authorized: missing capability claim for {contract}")
        raise Internal(self._problem(f"actor does not have capability claim `{contract}`"))

    def _answer_builtin(self, caller: Caller, contract: str, operation: str, payload: bytes) -> bytes:
        """OTP checks the claim for both contracts, the Rust host for logging alone (§8.3, §8.4)."""
        if self._core.manner is Manner.OTP or contract == builtin.LOGGING:
            self._check_capability(caller, contract)
        loop = asyncio.get_running_loop()
        since, result, error = loop.time(), b"", ""
        try:
            result = builtin.answer(contract, operation, payload, caller.name)
        except ProviderError as failure:
            error = str(failure)
            raise
        finally:
            asking, answering = Party(caller.key, caller.name), Party(contract, "host")
            identifier, seconds = new_id(self._core.manner), loop.time() - since
            self._core.record(identifier, asking, answering, operation, payload, result, seconds, error, caller.serving)
        return result

    def _unwrap(self, outcome: Outcome) -> bytes:
        if outcome.problem is not None:
            raise Internal(self._problem(outcome.problem))
        if outcome.refusal is not None:
            otp = self._core.manner is Manner.OTP
            raise Internal(outcome.refusal if otp else f"{_RUST_PREFIX}provider call failed: {outcome.refusal}")
        return outcome.result

    def _problem(self, cause: str) -> str:
        if self._core.manner is Manner.OTP:
            return f"Failed to perform RPC call: {cause}"
        return f"{_RUST_PREFIX}failed to call linked provider: {cause}"
