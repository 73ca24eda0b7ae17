"""Python programs as callers of the lattice that runs in a folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provider_sdk.caller import connect
from provider_sdk.errors import NotFound, PreconditionFailed, ProviderError
from provider_sdk.hosts.wasmbus.client import Lattice
from provider_sdk.interface import Target
from provider_sdk.lattice.manifests import Generation
from provider_sdk.lattice.state import FOLDER, Named, State, read_state
from provider_sdk.lattice.wrpc.attached import WrpcAttached

CONTROL_TIMEOUT = 2.0


@dataclass
class Attached:
    """A 0.x lattice as a program sees it, with the manifest's names."""

    lattice: Lattice
    state: State
    _links: set[tuple[str, str]] = field(default_factory=set)

    async def find(self, name: str, contract: str = "") -> Target:
        """The actor or provider of that name, public key or call alias; NotFound.

        A provider is linked to this program, under `contract` or its own, until the program detaches.
        """
        found = await self.look_up(name)
        if found.kind == "actor":
            return self.lattice.actor(found.key)
        await self.link(found, contract or found.contract)
        return self.lattice.provider(found.key, contract or found.contract, found.link_name)

    async def look_up(self, name: str) -> Named:
        """What the name means; NotFound lists the names there are."""
        named = self.state.names
        if name in named:
            return named[name]
        for item in named.values():
            if item.key == name:
                return item
        claims = (await self.control("get.claims", {}))["claims"]
        for entry in claims:
            if name in (entry.get("call_alias"), entry.get("sub"), entry.get("name")) and str(entry.get("sub", "")).startswith("M"):
                return Named("actor", entry["sub"])
        raise NotFound(f"nothing is called {name!r} here; there are {', '.join(sorted(named)) or 'no names'}")

    async def link(self, provider: Named, contract: str) -> None:
        """Have the provider accept calls of this program; a link that is there already stays as it is."""
        if (contract, provider.link_name) in self._links or await self._linked(provider, contract):
            return
        body = {
            "actor_id": self.lattice.identity,
            "provider_id": provider.key,
            "contract_id": contract,
            "link_name": provider.link_name,
            "values": {},
        }
        await self.control("linkdefs.put", body)
        self._links.add((contract, provider.link_name))

    async def _linked(self, provider: Named, contract: str) -> bool:
        wanted = (self.lattice.identity, provider.key, contract, provider.link_name)
        links = (await self.control("get.links", {}))["links"]
        return any(wanted == tuple(item.get(key) for key in ("actor_id", "provider_id", "contract_id", "link_name")) for item in links)

    async def control(self, topic: str, body: object) -> dict[str, list[dict[str, str]]]:
        """Ask the control interface; PreconditionFailed where it refuses, Unavailable where it does not answer."""
        client = self.lattice.client
        subject = f"wasmbus.ctl.{client.lattice}.{topic}"
        answer = json.loads((await client.transport.request(subject, json.dumps(body).encode(), timeout=CONTROL_TIMEOUT)).data)
        if answer.get("accepted") is False:
            raise PreconditionFailed(f"the lattice refused {topic}: {answer.get('error') or 'no reason given'}")
        found: dict[str, list[dict[str, str]]] = answer
        return found

    async def detach(self) -> None:
        """Take the links back."""
        for contract, link_name in self._links:
            with contextlib.suppress(ProviderError):
                await self.control("linkdefs.del", {"actor_id": self.lattice.identity, "contract_id": contract, "link_name": link_name})


@asynccontextmanager
async def attach(folder: Path = FOLDER, *, timeout: float = 5.0) -> AsyncIterator[Attached | WrpcAttached]:
    """Enter the lattice that runs in `folder`; NotFound where none does. `timeout` bounds a call, seconds."""
    async with enter(read_state(folder), timeout=timeout) as attached:
        yield attached


@asynccontextmanager
async def enter(state: State, *, timeout: float = 5.0) -> AsyncIterator[Attached | WrpcAttached]:
    """Enter the lattice that a state tells of."""
    attached: Attached | WrpcAttached
    async with contextlib.AsyncExitStack() as stack:
        if state.generation == Generation.WRPC:
            wrpc = await stack.enter_async_context(connect(state.url, lattice=state.lattice, identity=state.caller, timeout=timeout))
            attached = WrpcAttached(wrpc, state)
        else:
            seed = state.cluster_seed
            entering = connect(state.url, lattice=state.lattice, cluster_seed=seed, identity=state.caller, timeout=timeout)
            attached = Attached(await stack.enter_async_context(entering), state)
        stack.push_async_callback(attached.detach)
        yield attached
