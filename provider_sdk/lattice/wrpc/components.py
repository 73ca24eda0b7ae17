"""Components of an emulated 1.x host: callers in a component's name, and Python in place of WebAssembly.

A component is made by a function of the module that its image names:

    def component(me: Component) -> tuple[Interface, ...]:
        return (Hello(Store.at(me)),)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import NotFound
from provider_sdk.hosts.base import Call
from provider_sdk.hosts.wrpc.client import Client, WrpcTarget
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.inbox import Inbox
from provider_sdk.hosts.wrpc.names import invocation_prefix, queue_group
from provider_sdk.hosts.wrpc.server import Server, served
from provider_sdk.interface import Interface, Operation, Target
from provider_sdk.lattice.answers import Answers
from provider_sdk.lattice.wrpc.calls import OnWrpcCall, WrpcCall, watched
from provider_sdk.lattice.wrpc.core import WrpcCore
from provider_sdk.lattice.wrpc.links import InterfaceLinks, parts_of
from provider_sdk.lattice.wrpc.settings import Resolved, Secret
from provider_sdk.transport.base import Subscription

EXECUTION_TIME = 600.0


class Component(Target):
    """A component as the one who calls. It is a target itself: what it asks goes where its links lead.

    Store.at(me)                 over the link named default
    Store.at(me.over("cache"))   over the link of another name
    """

    def __init__(
        self, client: Client, links: InterfaceLinks, settings: Resolved, on_call: OnWrpcCall | None, link_name: str = "default"
    ) -> None:
        self._client = client
        self._links = links
        self._settings = settings
        self._on_call = on_call
        self._link_name = link_name

    @property
    def id(self) -> str:
        """Its id on the lattice."""
        return self._client.origin

    @property
    def config(self) -> Mapping[str, str]:
        """What the component is configured with."""
        return self._settings.values

    @property
    def secrets(self) -> Mapping[str, Secret]:
        """The secrets that it is given."""
        return self._settings.secrets

    def over(self, link_name: str) -> Component:
        """The same, over its links of that name."""
        return Component(self._client, self._links, self._settings, self._on_call, link_name)

    def provider(self, id: str, link_name: str = "default") -> Target:
        """The provider or component `id`, linked or not, asked as over the link of that name."""
        return WrpcTarget(self._client, id, link_name)

    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> Any:
        """See Target. The link is looked up at each call; NotFound where there is none."""
        instance = operation.interface.__identity__.wit
        link = self._links.find(self.id, *parts_of(instance), self._link_name)
        if link is None:
            raise NotFound(f"component {self.id} has no link named {self._link_name} for {instance}")
        work = self.provider(link.target, self._link_name).call(operation, arguments, timeout)
        return await watched(self._on_call, self.id, link.target, operation, arguments, work)

    def __repr__(self) -> str:
        return self.id


MakeComponent = Callable[[Component], tuple[Interface, ...]]
"""Makes the implementations of the interfaces that a component exports."""


class _Answers(Answers):
    def __init__(self, identifier: str, implementations: tuple[Interface, ...], on_call: OnWrpcCall | None) -> None:
        super().__init__(implementations, time=EXECUTION_TIME)
        self._identifier = identifier
        self._on_call = on_call

    async def run_call(self, call: Call) -> Any:
        work = super().run_call(call)
        return await watched(self._on_call, call.caller, self._identifier, call.operation, call.arguments, work)


@dataclass(eq=False)
class RunningComponent:
    """A component that this host serves."""

    id: str
    image_ref: str
    instances: int
    answers: Answers
    subscriptions: list[Subscription] = field(default_factory=list)


class Components:
    """The components of one host, each answered by one set of implementations for all its instances."""

    def __init__(self, core: WrpcCore, links: InterfaceLinks, on_call: OnWrpcCall | None) -> None:
        self._core = core
        self._on_call = on_call
        self._links = links
        self._inbox = Inbox(core.transport)
        self._running: dict[str, RunningComponent] = {}

    async def open(self) -> None:
        """Get ready to receive answers."""
        await self._inbox.open()

    def all(self) -> list[RunningComponent]:
        """Those that are served."""
        return list(self._running.values())

    def caller(self, identifier: str, settings: Resolved) -> Component:
        """Whoever calls in the name of a component, served here or not."""
        core = self._core
        client = Client(core.transport, self._inbox, lattice=core.lattice, origin=identifier, timeout=core.rpc_timeout, era=core.era)
        return Component(client, self._links, settings, self._on_call)

    async def serve(
        self, identifier: str, implementations: tuple[Interface, ...], image_ref: str = "", instances: int = 1
    ) -> RunningComponent:
        """Answer for the component `id`, in place of the one that does; TypeError where two implementations share a function."""
        core = self._core
        operations = served(tuple(type(item).__declaration__ for item in implementations), core.era)
        await self.stop(identifier)
        answers = _Answers(identifier, implementations, None if self._on_call is None else self._told_of)
        component = RunningComponent(identifier, image_ref, instances, answers)
        prefix = invocation_prefix(core.lattice, identifier)
        server = Server(core.transport, self._inbox, component.answers, operations, subjects=prefix, era=core.era)
        queue = queue_group(core.lattice, identifier) if core.era is Era.SECOND else ""
        for name in operations:
            component.subscriptions.append(await core.transport.subscribe(prefix + name, server.receive, queue=queue))
        await core.transport.flush()
        self._running[identifier] = component
        await self._announce(component, instances)
        return component

    async def stop(self, identifier: str) -> None:
        """Serve it no more; an unknown one is nothing."""
        component = self._running.pop(identifier, None)
        if component is not None:
            await self._end(component)
            await self._announce(component, 0)

    async def close(self) -> None:
        """Serve none any more."""
        for identifier in list(self._running):
            await self._end(self._running.pop(identifier))

    def _told_of(self, call: WrpcCall) -> None:
        """A component's own calls are told of where they are made."""
        if self._on_call is not None and call.source not in self._running:
            self._on_call(call)

    async def _end(self, component: RunningComponent) -> None:
        for subscription in component.subscriptions:
            await subscription.unsubscribe()
        await component.answers.close()

    async def _announce(self, component: RunningComponent, count: int) -> None:
        data = {"host_id": self._core.host_id, "component_id": component.id, "image_ref": component.image_ref, "max_instances": count}
        await self._core.announce("component_scaled", data | {"annotations": {}, "claims": None})
