"""What the parts of an emulated 1.x host share: its era, its keys, its connection, its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.lattice.emulated import EmulatedCore
from provider_sdk.lattice.events import cloud_event
from provider_sdk.nkeys import CurveKey


@dataclass(eq=False)
class WrpcCore(EmulatedCore):
    """One host's state. `curve` is the key with which it seals link secrets."""

    era: Era
    curve: CurveKey = field(default_factory=CurveKey.generate)

    def control_subject(self, provider_id: str, suffix: str) -> str:
        """Where a provider listens for what its host says (§2.1)."""
        return f"wasmbus.rpc.{self.lattice}.{provider_id}.{suffix}"

    async def _publish_event(self, name: str, data: Mapping[str, Any], id: str) -> None:
        await self.transport.publish(f"wasmbus.evt.{self.lattice}.{name}", cloud_event(name, self.host_id, data, id))
