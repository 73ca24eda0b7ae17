"""What the runtime asks of a host generation, and what a generation asks of the runtime. Knows no wire format."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from provider_sdk.context import TraceContext
from provider_sdk.interface import Interface, Lattice, Operation, Target
from provider_sdk.link import LinkKey
from provider_sdk.metrics import Metrics
from provider_sdk.transport.base import Transport


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is on its lattice."""

    lattice: str
    host_id: str
    provider_key: str
    link_name: str
    instance_id: str


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link as the host wants it. Equal specs are the same link: putting it again changes nothing.

    `values` and `secrets` are those of the provider's side. `note` says what is not as it should be, for health; `fault` why the link
    cannot be entered as it was put.
    """

    key: LinkKey
    values: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    interfaces: tuple[str, ...] = ()
    note: str = ""
    fault: str = ""


@dataclass(slots=True)
class Call:
    """A verified call in, decoded. `received` is in the event loop's time; `link_name` is empty where the caller names none (0.x).

    `deliver`, where there is one, carries the result to the caller while the link still counts the call, but not under its deadline: a
    result may be a stream.
    """

    operation: Operation
    arguments: tuple[Any, ...]
    caller: str
    contract: str
    call_id: str
    received: float
    trace: TraceContext | None = None
    link_name: str = ""
    deliver: Callable[[Any], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What a health request is answered with; `message` may say something although all is well."""

    healthy: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What the host itself prescribes. `shutdown_budget`: seconds from its shutdown request until it kills.
    `log_level` and `trace_endpoint` are empty where the host says nothing. `keeps_secrets`: this host has secrets of its own, so that one
    in plain configuration is worth a warning."""

    call_timeout: float
    shutdown_budget: float
    log_level: str = ""
    structured_logging: bool = False
    trace_endpoint: str = ""
    keeps_secrets: bool = False


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bounds of what comes in as streams, for the whole process: bytes held in memory, then in files without a name, then the stream that
    would need more is aborted; and seconds that may pass without anything coming."""

    memory: int = 32 << 20
    spool: int = 4 << 30
    idle: float = 30.0


class Calls(Protocol):
    """What carries out calls. Nothing here waits but `run_call`."""

    @property
    def full(self) -> bool:
        """Whether as many calls are being served as may be: the next is to be refused."""

    def start_call(self, serve: Coroutine[Any, Any, None]) -> None:
        """Serve a call in a task of its own, which ends with `end_call`."""

    def end_call(self) -> None:
        """The call of the running task is answered."""

    def run_call(self, call: Call) -> Awaitable[Any]:
        """Carry out a call on its link: awaited, the result or ProviderError."""


class Control(Calls, Protocol):
    """The runtime's side, called by a generation's subscriptions."""

    def put_link(self, spec: LinkSpec) -> None:
        """A link was put or changed."""

    def delete_link(self, key: LinkKey) -> None:
        """A link was deleted."""

    def look_again(self) -> None:
        """What the lattice keeps about the links has changed, and no link message tells it."""

    def update_config(self, values: Mapping[str, str]) -> None:
        """The provider's own configuration is now this, the whole of it."""

    async def health(self) -> Health:
        """The state of the provider and its links, within a second."""

    def shut_down(self) -> None:
        """The host wants this process to end; its request is answered by `HostProtocol.close`."""

    def fault(self, task: asyncio.Task[None]) -> None:
        """A done callback for a generation's own tasks: an exception in one ends the process."""


class HostProtocol(Protocol):
    """One host generation, made from the host data that it recognised."""

    identity: Identity
    settings: HostSettings
    links: tuple[LinkSpec, ...]
    provider_values: Mapping[str, object]
    provider_secrets: Mapping[str, str | bytes]

    async def connect(self, ca_file: Path | None, limits: StreamLimits) -> Transport:
        """Reach the lattice's bus, bounded in time; `ca_file` replaces the system's authorities. ProviderError with one line."""

    async def subscribe(self, control: Control, serves: tuple[type[Interface], ...], metrics: Metrics) -> None:
        """Subscribe to control messages and calls; active at the server when this returns."""

    async def known_links(self) -> tuple[LinkSpec, ...] | None:
        """The links of this provider as the lattice's control interface has them; None where it does not answer."""

    def target(self, key: LinkKey) -> Target:
        """The far side of a link."""

    def lattice(self, contract: str) -> Lattice:
        """Whom this provider can ask beside its links' far sides, as a provider of `contract`; after `connect`."""

    async def stop_calls(self) -> None:
        """Take no more calls: other instances of the queue group get them."""

    async def close(self) -> None:
        """Answer a waiting shutdown request, if there is one, and end the connection."""
