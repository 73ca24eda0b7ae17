"""Lattice events (wasmbus-0x.md §3.4, packaging.md §5) and the record of each call, for who watches a host."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from provider_sdk.lattice.manner import Manner
from provider_sdk.transport.base import Transport

KEPT_BYTES = 4096


def cloud_event(name: str, source: str, data: Mapping[str, Any], id: str = "") -> bytes:
    """The event `name` of a lattice as JSON; `source` is the host that tells it, `id` a new one where empty."""
    event = {
        "specversion": "1.0",
        "type": f"com.wasmcloud.lattice.{name}",
        "source": source,
        "id": id or str(uuid.uuid4()),
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event).encode()


class EventPublisher:
    """Publishes CloudEvents in the name of one host."""

    def __init__(self, transport: Transport, lattice: str, source: str, manner: Manner) -> None:
        self._transport = transport
        self._subject = f"wasmbus.evt.{lattice}"
        self._source = source
        self._manner = manner

    async def publish(self, name: str, data: Mapping[str, Any], id: str = "") -> None:
        """Announce `name` on the lattice's subject; the Rust host sends the same bytes to `….<name>` as well."""
        source = "n/a" if self._manner is Manner.OTP and name.startswith("linkdef_") else self._source
        body = cloud_event(name, source, data, id)
        await self._transport.publish(self._subject, body)
        if self._manner.habits.publishes_events_twice:
            await self._transport.publish(f"{self._subject}.{name}", body)


@dataclass(frozen=True, slots=True)
class Party:
    """Who calls or is called: public key (or contract id, for what the host answers itself) and readable name."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One completed call that passed the host. `argument` and `result` hold the first 4096 bytes; lengths are the whole ones.

    `error` is empty for success. `parent` is the `id` of the call that an actor made this one within, else empty; a
    parent completes, and is told of, after its children.
    """

    id: str
    parent: str
    caller: Party
    target: Party
    operation: str
    argument: bytes
    argument_length: int
    result: bytes
    result_length: int
    seconds: float
    error: str


OnCall = Callable[[CallRecord], None]
