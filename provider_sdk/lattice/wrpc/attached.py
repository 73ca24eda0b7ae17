"""Python programs as callers of the 1.x lattice that runs in a folder."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import NotFound, PreconditionFailed, ProviderError
from provider_sdk.hosts.wrpc.client import WrpcLattice
from provider_sdk.interface import Operation, Target
from provider_sdk.lattice.state import Named, State
from provider_sdk.lattice.wrpc.links import InterfaceLink, parts_of

CONTROL_TIMEOUT = 2.0


@dataclass
class WrpcAttached:
    """A 1.x lattice as a program sees it, with the manifest's names."""

    lattice: WrpcLattice
    state: State
    _put: dict[tuple[str, str, str], InterfaceLink] = field(default_factory=dict)

    async def find(self, name: str, contract: str = "") -> Target:
        """The component or provider of that name or id; NotFound.

        A provider is linked to this program for what is asked of it, until the program detaches. `contract` is of 0.x and not looked at.
        """
        return _Found(self, await self.look_up(name))

    async def look_up(self, name: str) -> Named:
        """What the name means; NotFound lists the names there are."""
        named = self.state.names
        if name in named:
            return named[name]
        for item in named.values():
            if item.key == name:
                return item
        host = await self.control("host.ping")
        inventory = await self.control(f"host.get.{host['id']}")
        for kind in ("component", "provider"):
            if any(item["id"] == name for item in inventory[f"{kind}s"]):
                return Named(kind, name)
        raise NotFound(f"nothing is called {name!r} here; there are {', '.join(sorted(named)) or 'no names'}")

    async def control(self, topic: str, body: object = None) -> Any:
        """Ask the control interface: its response. PreconditionFailed where it refuses, Unavailable where it does not answer."""
        client = self.lattice.client
        data = b"" if body is None else json.dumps(body).encode()
        subject = f"wasmbus.ctl.v1.{client.lattice}.{topic}"
        answer = json.loads((await client.transport.request(subject, data, timeout=CONTROL_TIMEOUT)).data)
        if not answer.get("success"):
            raise PreconditionFailed(f"the lattice refused {topic}: {answer.get('message') or 'no reason given'}")
        return answer.get("response")

    async def links(self) -> list[InterfaceLink]:
        """All links of the lattice."""
        return [InterfaceLink.read(item) for item in await self.control("link.get")]

    async def link(self, provider: Named, instance: str) -> None:
        """Have the provider accept calls of this program to the interface `instance`; a link that is there already stays as it is."""
        namespace, package, interface = parts_of(instance)
        identity = (provider.key, namespace, package)
        here = self._put.get(identity)
        if here is not None and interface in here.interfaces:
            return
        caller = self.lattice.identity
        for link in await self.links():
            if link.id == (caller, *identity, "default") and here is None:
                return
        link = InterfaceLink(caller, provider.key, namespace, package, (*(here.interfaces if here else ()), interface))
        await self.control("link.put", link.document())
        self._put[identity] = link

    async def detach(self) -> None:
        """Take the links back."""
        for link in self._put.values():
            with contextlib.suppress(ProviderError):
                await self.control("link.del", link.identity())


@dataclass(frozen=True, slots=True)
class _Found(Target):
    attached: WrpcAttached
    named: Named

    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> Any:
        if self.named.kind == "provider":
            await self.attached.link(self.named, operation.interface.__identity__.wit)
        return await self.attached.lattice.provider(self.named.key).call(operation, arguments, timeout)

    def __repr__(self) -> str:
        return self.named.key
