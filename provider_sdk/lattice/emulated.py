"""What the emulated hosts of both generations have in common: how they run, are stopped and wait for a provider."""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from provider_sdk.errors import DeadlineExceeded, ProviderError, Unavailable, Unsupported
from provider_sdk.lattice.tasks import Tasks, log
from provider_sdk.nkeys import KeyPair
from provider_sdk.transport.base import Transport

PROBE_EVERY = 0.05
PROBE_WITHIN = 2.0

T = TypeVar("T")


@dataclass(eq=False)
class EmulatedCore(Tasks, ABC):
    """What the parts of an emulated host share: its identity, its connection, its tasks."""

    transport: Transport
    lattice: str
    key: KeyPair
    rpc_timeout: float
    """What callers wait for an answer, seconds."""
    labels: dict[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def host_id(self) -> str:
        """The host's public key, `N…`."""
        return self.key.public

    async def announce(self, name: str, data: Mapping[str, Any], id: str = "") -> None:
        """Publish a lattice event; nobody's work fails for want of one."""
        try:
            await self._publish_event(name, data, id)
        except ProviderError as error:
            log.warning("event %s cannot be sent: %s", name, error)

    @abstractmethod
    async def _publish_event(self, name: str, data: Mapping[str, Any], id: str) -> None:
        """To the subjects that hosts of this generation use; ProviderError."""


C = TypeVar("C", bound=EmulatedCore)


class EmulatedHost(ABC, Generic[C]):
    """A running host; `url` is where its lattice's NATS server is reached."""

    def __init__(self, core: C, url: str) -> None:
        self.core = core
        self.url = url
        self._since = asyncio.get_running_loop().time()
        self._stop = asyncio.Event()

    @property
    def host_id(self) -> str:
        """The host's public key, `N…`."""
        return self.core.host_id

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self._since

    def request_stop(self) -> None:
        """What the control interface's stop command asks; `stop_requested` returns."""
        self._stop.set()

    async def stop_requested(self) -> None:
        """Await a stop command of the control interface; leave the `async with` then."""
        await self._stop.wait()

    @asynccontextmanager
    async def _serving(self, friendly_name: str, heartbeat_every: float) -> AsyncIterator[None]:
        """Listen, tell the lattice so and on, and leave nothing when it ends."""
        await self._subscribe()
        await self.core.transport.flush()
        await self.core.announce("host_started", {"labels": self.core.labels, "friendly_name": friendly_name})
        self.core.start(self._heartbeat(heartbeat_every))
        try:
            yield
        finally:
            await self._end_workloads()
            await self.core.cancel_tasks()
            await self.core.announce("host_stopped", {"labels": self.core.labels})

    async def _heartbeat(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            await self.core.announce("host_heartbeat", self._report())

    async def _first_health(self, name: str, running: Callable[[], bool], subject: str, request: bytes, timeout: float) -> bytes:
        """The first answer of the provider `name` to a health request.

        Unavailable where it ends before, DeadlineExceeded after `timeout` seconds.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            left = deadline - asyncio.get_running_loop().time()
            if not running():
                raise Unavailable(f"provider {name} ended before it was ready; its output says why")
            if left <= 0:
                raise DeadlineExceeded(f"provider {name} gave no sign within {timeout} s")
            try:
                # A request may be lost: to a provider that was just killed, the server goes on sending for a moment.
                return (await self.core.transport.request(subject, request, timeout=min(left, PROBE_WITHIN))).data
            except ProviderError:
                await asyncio.sleep(PROBE_EVERY)

    @abstractmethod
    async def _subscribe(self) -> None:
        """Begin to take commands and calls."""

    @abstractmethod
    async def _end_workloads(self) -> None:
        """End what runs on this host."""

    @abstractmethod
    def _report(self) -> dict[str, Any]:
        """What a heartbeat tells."""


async def resolved(resolve: Callable[[str], T | Awaitable[T]] | None, reference: str) -> T:
    """What `resolve` makes of an image reference; Unsupported where there is no such function."""
    if resolve is None:
        raise Unsupported(f"{reference}: this host was given nothing that resolves references")
    found = resolve(reference)
    return await found if inspect.isawaitable(found) else found
