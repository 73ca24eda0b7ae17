"""Two instances of one provider, started by two hosts and in one queue group, on a store that they share; each may die at any time."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns

import pytest

from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.hosts.wasmbus.client import LatticeTarget
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.lattice.handshake import ProviderProgram
from provider_sdk.lattice.host import Host, HostOptions
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.testing import TestLattice, a_lattice
from provider_sdk.testing.conformance.keyvalue.history import Recorder
from tests.contract.places import Place
from tests.tiers import scale

CONTRACT = KeyValue.__identity__.contract
STARTING = 90.0
CALLERS = 32
INCREMENTS = scale(test=30, ci=100, soak=10_000)
KILLS = scale(test=4, ci=6, soak=200)
SHARED = [
    "sqlite",
    pytest.param("redis", marks=pytest.mark.needs("redis-server")),
    pytest.param("postgres", marks=pytest.mark.needs("initdb")),
]


class Instance:
    """The host of one instance, and what the instance logs."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        self.host: Host

    @asynccontextmanager
    async def on(self, lattice: TestLattice) -> AsyncIterator[Instance]:
        core = lattice.host.core
        options = HostOptions(
            lattice=core.lattice,
            cluster=core.cluster,
            rpc_timeout=core.rpc_timeout,
            on_output=lambda program, stream, line: self.lines.put_nowait(line),
        )
        async with Host.start(lattice.server.url, options) as self.host:
            yield self

    async def start(self, program: ProviderProgram) -> None:
        """Until it serves its link, which the other instance's answers to health requests do not tell."""
        await self.host.start_provider(program)
        async with asyncio.timeout(STARTING):
            while " link up " not in await self.lines.get():
                pass

    async def replace(self, program: ProviderProgram, pause: float, others_serve: Callable[[int], bool]) -> None:
        """SIGKILL, and after a pause another start, once the others have served without it: since when is in nanoseconds."""
        await self.host.kill_provider(program.key)
        gone = monotonic_ns()
        async with asyncio.timeout(STARTING):
            await asyncio.sleep(pause)
            while not others_serve(gone):
                await asyncio.sleep(0.05)
        await self.host.stop_provider(program.key)
        await self.start(program)


@dataclass
class Pair:
    """Two instances, and a caller of whichever answers."""

    instances: list[Instance]
    program: ProviderProgram
    store: KeyValue


@asynccontextmanager
async def a_pair(place: Place, folder: Path, *, rpc_timeout: float) -> AsyncIterator[Pair]:
    key, actor = KeyPair.generate(Prefix.PROVIDER).public, KeyPair.generate(Prefix.MODULE).public
    command = (sys.executable, "-m", "providers.keyvalue")
    program = ProviderProgram(command, key, "keyvalue", CONTRACT, configuration=f'{{"data_dir": "{folder}"}}')
    values = {"url": place.url(), "namespace": place.namespace()}
    async with a_lattice(rpc_timeout=rpc_timeout) as lattice, AsyncExitStack() as stack:
        store = KeyValue.at(LatticeTarget(lattice.client, Entity(actor, "", ""), Entity(key, "default", CONTRACT)))
        pair = Pair([await stack.enter_async_context(Instance().on(lattice)) for _ in range(2)], program, store)
        for host in (lattice.host, *(instance.host for instance in pair.instances)):
            # Emulated hosts do not tell each other of links, and each answers for the lattice when a provider asks.
            await host.put_link(actor, key, CONTRACT, "default", values)
        for instance in pair.instances:
            await instance.start(program)
        yield pair


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("place", SHARED, indirect=True)
async def test_two_instances_under_32_callers_lose_no_increment(place: Place, tmp_path: Path) -> None:
    async with a_pair(place, tmp_path, rpc_timeout=20.0) as pair:

        async def caller() -> list[int]:
            return [await pair.store.increment("counter", 1) for _ in range(INCREMENTS)]

        sums = await asyncio.gather(*(caller() for _ in range(CALLERS)))
        assert sorted(number for found in sums for number in found) == list(range(1, CALLERS * INCREMENTS + 1))
        assert (await pair.store.get("counter")).value == str(CALLERS * INCREMENTS)


@pytest.mark.parametrize("place", SHARED, indirect=True)
async def test_while_instances_are_killed_and_replaced_some_order_of_the_calls_explains_every_answer(place: Place, tmp_path: Path) -> None:
    chance = random.Random(7)
    recorder = Recorder()

    def served_since(then: int) -> bool:
        return any(call.started > then and call.ended is not None for _, call in recorder.calls)

    async with a_pair(place, tmp_path, rpc_timeout=2.0) as pair:
        for kill in range(KILLS):
            ended = asyncio.Event()

            async def caller(keys: list[str], ended: asyncio.Event = ended) -> None:
                while not ended.is_set():
                    await recorder.ask_at_random(pair.store, keys, 1, chance)
                    await asyncio.sleep(chance.uniform(0, 0.03))

            # Keys of its own for each kill, a few callers a key: what a search has to try grows with the calls that got no answer.
            keys = [f"{kill} {name}" for name in "abcd"]
            callers = [asyncio.create_task(caller([key])) for key in keys for _ in range(3)]
            await asyncio.sleep(chance.uniform(0.1, 0.3))
            await pair.instances[kill % 2].replace(pair.program, 0.3, served_since)
            ended.set()
            await asyncio.gather(*callers)
    recorder.judge()
