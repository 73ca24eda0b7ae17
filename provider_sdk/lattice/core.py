"""What the parts of an emulated host share: its identity, its connection, its tasks, what it knows of the lattice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import ProviderError
from provider_sdk.lattice.events import KEPT_BYTES, CallRecord, EventPublisher, OnCall, Party
from provider_sdk.lattice.links import LinkTable
from provider_sdk.lattice.manner import Manner
from provider_sdk.nkeys import KeyPair
from provider_sdk.transport.base import Transport

log = logging.getLogger("lattice.host")


@dataclass(eq=False)
class HostCore:
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
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

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

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` beside everything else until done or until the host closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def cancel_tasks(self) -> None:
        """End all that still runs."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the host failed", exc_info=task.exception())
