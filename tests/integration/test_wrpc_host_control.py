"""The control interface of the emulated 1.x host, and components in Python behind it."""

from __future__ import annotations

import asyncio
import sys
from abc import abstractmethod

import pytest

from provider_sdk import Interface
from provider_sdk.errors import NotFound, Unavailable
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.interface import fails
from provider_sdk.lattice.wrpc.components import Component
from provider_sdk.lattice.wrpc.handshake import WrpcProgram
from provider_sdk.lattice.wrpc.links import InterfaceLink
from tests.integration.wrpc_host import LINK, SCRIPT, a_lattice
from tests.waiting import until


async def test_the_control_interface_answers_in_envelopes() -> None:
    async def resolve(reference: str) -> WrpcProgram:
        if reference != "file://fake":
            raise NotFound(f"{reference} does not exist")
        return WrpcProgram((sys.executable, str(SCRIPT)), "", "fake")

    async with a_lattice(resolve_provider=resolve) as lattice:
        identity = (await lattice.control("host.ping"))["response"]
        assert (identity["id"], identity["lattice"], identity["version"]) == (lattice.host.host_id, "test", "1.9.2")
        assert await lattice.control("config.get.own") == {"success": True, "message": "Configuration not found"}
        assert (await lattice.control("config.put.own", {"a": "1"}))["success"]
        assert (await lattice.control("config.get.own"))["response"] == {"a": "1"}
        assert not (await lattice.control("config.put.own", {"a": 1}))["success"]
        start = {
            "host_id": lattice.host.host_id,
            "provider_ref": "file://fake",
            "provider_id": "fake",
            "config": ["own"],
            "annotations": {},
        }
        assert (await lattice.control(f"provider.start.{lattice.host.host_id}", start))["success"]
        await lattice.event("provider_started")
        assert [item["id"] for item in (await lattice.control(f"host.get.{lattice.host.host_id}"))["response"]["providers"]] == ["fake"]
        assert (
            await lattice.control(f"provider.start.{lattice.host.host_id}", {**start, "provider_ref": "file://no", "provider_id": "no"})
        )["success"]
        assert (await lattice.event("provider_start_failed"))["error"] == "file://no does not exist"
        link = LINK.document() | {"target_config": ["own"]}
        assert (await lattice.control("link.put", link))["success"]
        assert (await lattice.control("link.get"))["response"] == [link]
        unknown = await lattice.control("link.put", link | {"source_config": ["nothing"]})
        assert not unknown["success"]
        assert "configuration nothing does not exist" in unknown["message"]
        gone = {"source_id": "comp", "name": "default", "wit_namespace": "acme", "wit_package": "fake"}
        assert (await lattice.control("link.del", gone))["success"]
        assert (await lattice.control("link.get"))["response"] == []
        stop = {"host_id": lattice.host.host_id, "provider_id": "fake"}
        assert (await lattice.control(f"provider.stop.{lattice.host.host_id}", stop))["success"]
        await lattice.event("provider_stopped")
        assert (await lattice.control("config.del.own"))["success"]
        assert (await lattice.event("config_deleted")) == {"config_name": "own"}
        assert (await lattice.control(f"host.stop.{lattice.host.host_id}", {}))["success"]
        await asyncio.wait_for(lattice.host.stop_requested(), 1)


class Twice(Interface, wit="acme:twice/twice@0.1.0"):
    @abstractmethod
    @fails(str)
    async def twice(self, text: str) -> str: ...


class Once(Interface, wit="acme:once/once@0.1.0"):
    @abstractmethod
    async def once(self, text: str) -> str: ...


class Doubling(Twice):
    def __init__(self, once: Once) -> None:
        self.once = once

    async def twice(self, text: str) -> str:
        return await self.once.once(text) + await self.once.once(text)


class Same(Once):
    async def once(self, text: str) -> str:
        return text


def component(me: Component) -> tuple[Interface, ...]:
    return (Doubling(Once.at(me)),)


@pytest.mark.parametrize("era", list(Era))
async def test_components_in_python_call_each_other_over_links(era: Era) -> None:
    async with a_lattice(era=era, resolve_component=lambda reference: component) as lattice:
        scale = {"component_ref": "file://twice.py", "component_id": "twice", "count": 3, "host_id": lattice.host.host_id, "config": []}
        assert (await lattice.control(f"component.scale.{lattice.host.host_id}", scale))["success"]
        assert (await lattice.event("component_scaled"))["max_instances"] == 3
        caller = lattice.host.component("me").provider("twice")
        with pytest.raises(NotFound, match=r"twice has no link named default for acme:once/once@0\.1\.0"):
            await Twice.at(caller).twice("ab")
        await lattice.host.put_link(InterfaceLink("twice", "once", "acme", "once", ("once",)))
        with pytest.raises(Unavailable):
            await Twice.at(caller).twice("ab")
        await lattice.host.serve_component("once", Same())
        assert await Twice.at(caller).twice("ab") == "abab"
        await lattice.control(f"component.scale.{lattice.host.host_id}", scale | {"count": 0})
        await until(lambda: len(lattice.host.components) == 1)
        with pytest.raises(Unavailable):
            await Twice.at(caller).twice("ab")
