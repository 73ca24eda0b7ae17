"""What the parts of an emulated host share: its identity, its connection, its tasks, what it knows of the lattice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import ProviderError
from provider_sdk.lattice.events import KEPT_BYTES, CallRecord, EventPublisher, OnCall, Party
from provider_sdk.lattice.links import LinkTable
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.tasks import Tasks, log
from provider_sdk.nkeys import KeyPair
from provider_sdk.transport.base import Transport


@dataclass(eq=False)
class HostCore(Tasks):
    """One host's state. `claims` holds, by public key, what `get.claims` tells of actors and providers."""

    transport: Transport
    manner: Manner
    lattice: str
    cluster: KeyPair
    key: KeyPair
    rpc_timeout: float
    checks_capabilities: bool
    on_call: OnCall | None = None
    links: LinkTable = field(default_factory=LinkTable)
    claims: dict[str, dict[str, str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.events = EventPublisher(self.transport, self.lattice, self.host_id, self.manner)

    @property
    def host_id(self) -> str:
        """The host's public key, `N…`."""
        return self.key.public

    async def announce(self, name: str, data: Mapping[str, Any], id: str = "") -> None:
        """Publish a lattice event; nobody's work fails for want of one."""
        try:
            await self.events.publish(name, data, id)
        except ProviderError as error:
            log.warning("event %s cannot be sent: %s", name, error)

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
