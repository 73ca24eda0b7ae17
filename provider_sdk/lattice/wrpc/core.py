"""What the parts of an emulated 1.x host share: its identity, its keys, its connection, its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import ProviderError
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.lattice.events import cloud_event
from provider_sdk.lattice.tasks import Tasks, log
from provider_sdk.nkeys import CurveKey, KeyPair
from provider_sdk.transport.base import Transport


@dataclass(eq=False)
class WrpcCore(Tasks):
    """One host's state. `curve` is the key with which it seals link secrets; `rpc_timeout` in seconds."""

    transport: Transport
    lattice: str
    key: KeyPair
    era: Era
    rpc_timeout: float
    curve: CurveKey = field(default_factory=CurveKey.generate)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def host_id(self) -> str:
        """The host's public key, `N…`."""
        return self.key.public

    def control_subject(self, provider_id: str, suffix: str) -> str:
        """Where a provider listens for what its host says (§2.1)."""
        return f"wasmbus.rpc.{self.lattice}.{provider_id}.{suffix}"

    async def announce(self, name: str, data: Mapping[str, Any]) -> None:
        """Publish a lattice event; nobody's work fails for want of one."""
        try:
            await self.transport.publish(f"wasmbus.evt.{self.lattice}.{name}", cloud_event(name, self.host_id, data))
        except ProviderError as error:
            log.warning("event %s cannot be sent: %s", name, error)
