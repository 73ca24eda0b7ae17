"""The 1.x lattice for tests, as the author of a provider uses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from greeter import Greeter, GreeterConfig, GreeterProvider, Greeting
from provider_sdk import Link, Provider
from provider_sdk.errors import ProviderError
from provider_sdk.interface import Target
from provider_sdk.lattice.wrpc.providers import Supervision
from provider_sdk.testing import Era, a_wrpc_lattice

GREETER = Path(__file__).parents[2] / "examples" / "greeter" / "greeter.py"
ERAS = pytest.mark.parametrize("era", list(Era))


class Asking(Provider[GreeterConfig], serves=()):
    """A provider that is the source of its links: it has each greet whom it is set to."""

    answers: ClassVar[list[str]] = []

    @asynccontextmanager
    async def link(self, link: Link[GreeterConfig]) -> AsyncIterator[None]:
        self.answers.append(await Greeter.at(link.peer).greet(link.config.greeting))
        yield None


async def greeted(target: Target, words: str) -> None:
    """Returns when Ada is greeted so."""
    async with asyncio.timeout(20):
        while await Greeter.at(target).greet("Ada") != words:
            await asyncio.sleep(0.02)


@ERAS
async def test_the_same_provider_serves_components_in_process_and_as_a_process(era: Era) -> None:
    async with a_wrpc_lattice(era=era) as lattice:
        inside = await lattice.in_process(GreeterProvider, configuration={"greeting": "Inside"})
        outside = await lattice.process(GREETER, serves=(Greeter,), configuration={"greeting": "Outside"})
        assert (inside.pid, outside.pid > 0) == (0, True)
        for provider, word in ((inside, "Inside"), (outside, "Outside")):
            plain = await lattice.link(provider)
            assert await Greeter.at(plain).greet("Ada") == f"{word}, Ada!"
            own = await lattice.link(provider, {"greeting": "Hi"}, name="second")
            assert await Greeter.at(own).greet("Ada") == "Hi, Ada!"
        assert json.loads(await lattice.health(outside))["healthy"]


async def test_a_link_can_be_changed_given_secrets_and_deleted() -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.in_process(GreeterProvider)
        target = await lattice.link(provider, component="front")
        assert await Greeter.at(target).greet("Ada") == "Hello, Ada!"
        await lattice.link(provider, secrets={"greeting": "Psst"}, component="front")
        await greeted(target, "Psst, Ada!")
        assert await Greeter.at(lattice.caller("front")).greet("Ada") == "Psst, Ada!"
        await lattice.unlink(provider, target)
        with pytest.raises(ProviderError):
            async with asyncio.timeout(20):
                while await Greeter.at(target).greet("Ada"):
                    await asyncio.sleep(0.02)


async def test_the_provider_s_own_configuration_changes_at_run_time() -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.in_process(GreeterProvider, configuration={"greeting": "Old"})
        target = await lattice.link(provider)
        assert await Greeter.at(target).greet("Ada") == "Old, Ada!"
        await lattice.configure(provider, {"greeting": "New"})
        await greeted(target, "New, Ada!")


@ERAS
async def test_a_provider_calls_the_components_that_it_is_linked_to(era: Era) -> None:
    async with a_wrpc_lattice(era=era) as lattice:
        Asking.answers.clear()
        component = await lattice.component(Greeting("Component"))
        provider = await lattice.in_process(Asking)
        await lattice.link_to(provider, component, (Greeter,), {"greeting": "Ada"})
        async with asyncio.timeout(20):
            while not Asking.answers:
                await asyncio.sleep(0.02)
        assert Asking.answers == ["Component, Ada!"]
        await lattice.unlink_from(provider, component)
        assert lattice.host.links == []


async def test_a_killed_provider_comes_back_with_its_links() -> None:
    async with a_wrpc_lattice(supervision=Supervision(restart_pause=0.1)) as lattice:
        provider = await lattice.process(GREETER, serves=(Greeter,))
        target = await lattice.link(provider, {"greeting": "Hi"})
        assert await Greeter.at(target).greet("Ada") == "Hi, Ada!"
        await lattice.kill(provider)
        running = lattice.host.find_provider(provider.id)
        assert running is not None
        while not running.restart_count:
            await asyncio.sleep(0.02)
        await lattice.host.ready(running)
        assert await Greeter.at(target).greet("Ada") == "Hi, Ada!"
