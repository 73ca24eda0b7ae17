"""What the parts of an emulated 0.x host share: its manner, its keys, what it knows of the lattice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.lattice.emulated import EmulatedCore
from provider_sdk.lattice.events import KEPT_BYTES, CallRecord, EventPublisher, OnCall, Party
from provider_sdk.lattice.links import LinkTable
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.tasks import log
from provider_sdk.nkeys import KeyPair


@dataclass(eq=False)
class HostCore(EmulatedCore):
    """One host's state. `claims` holds, by public key, what `get.claims` tells of actors and providers."""

    manner: Manner
    cluster: KeyPair
    checks_capabilities: bool
    on_call: OnCall | None = None
    links: LinkTable = field(default_factory=LinkTable)
    claims: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._events = EventPublisher(self.transport, self.lattice, self.host_id, self.manner)

    async def _publish_event(self, name: str, data: Mapping[str, Any], id: str) -> None:
        await self._events.publish(name, data, id)

    def party(self, key: str) -> Party:
        """`key` with the name that its claims give."""
        if key == self.host_id:
            return Party(key, "host")
        return Party(key, self.claims.get(key, {}).get("name") or key)

    def record(
        self,
        id: str,
        caller: Party,
        target: Party,
        operation: str,
        argument: bytes,
        result: bytes,
        seconds: float,
        error: str,
        parent: str = "",
    ) -> None:
        """Tell the watcher of a completed call; its mistakes are its own."""
        if self.on_call is None:
            return
        kept, returned = argument[:KEPT_BYTES], result[:KEPT_BYTES]
        try:
            self.on_call(CallRecord(id, parent, caller, target, operation, kept, len(argument), returned, len(result), seconds, error))
        except Exception:
            log.exception("on_call failed")
