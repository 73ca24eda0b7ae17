"""Numbergen as a process that a host started, asked over the lattice."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from provider_sdk import InvalidArgument, PermissionDenied
from provider_sdk.caller import Lattice, connect
from provider_sdk.contracts.numbergen import BUILTIN_CONTRACT, NumberGen
from provider_sdk.lattice.handshake import ProviderProgram
from provider_sdk.lattice.host import Host, HostOptions
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.providers import RunningProvider
from provider_sdk.nkeys import KeyPair, Prefix

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("manner", list(Manner))
CONTRACT = NumberGen.__identity__.contract

Make = Callable[[Manner], AbstractAsyncContextManager[tuple[Host, RunningProvider, Lattice]]]


@pytest.fixture
def running(nats_url: str) -> Make:
    @asynccontextmanager
    async def make(manner: Manner) -> AsyncIterator[tuple[Host, RunningProvider, Lattice]]:
        """A host, the provider ready on it, and a caller that no link knows yet."""
        command = (sys.executable, "-m", "providers.numbergen")
        program = ProviderProgram(command, KeyPair.generate(Prefix.PROVIDER).public, "numbergen", CONTRACT, cwd=ROOT)
        async with Host.start(nats_url, HostOptions(manner=manner)) as host:
            provider = await host.start_provider(program)
            await host.ready(provider)
            async with connect(nats_url, cluster_seed=host.core.cluster.seed) as lattice:
                yield host, provider, lattice

    return make


@BOTH
@pytest.mark.parametrize("contract", [CONTRACT, BUILTIN_CONTRACT])
async def test_a_linked_caller_is_answered_under_either_contract_id(running: Make, manner: Manner, contract: str) -> None:
    async with running(manner) as (host, provider, lattice):
        await host.put_link(lattice.identity, provider.program.key, contract)
        numbers = NumberGen.at(lattice.provider(provider.program.key, contract))
        assert await numbers.random_in_range(7, 7) == 7
        assert await numbers.random_in_range(0, 2**32 - 1) in range(2**32)
        assert await numbers.random32() in range(2**32)
        assert uuid.UUID(await numbers.generate_guid()).version == 4


@BOTH
async def test_bounds_the_wrong_way_round_are_refused_with_both_numbers(running: Make, manner: Manner) -> None:
    async with running(manner) as (host, provider, lattice):
        await host.put_link(lattice.identity, provider.program.key, CONTRACT)
        with pytest.raises(InvalidArgument, match="min 9 is above max 5"):
            await NumberGen.at(lattice.provider(provider.program.key, CONTRACT)).random_in_range(9, 5)


async def test_a_bound_that_does_not_fit_names_its_member(running: Make) -> None:
    async with running(Manner.RUST) as (host, provider, lattice):
        await host.put_link(lattice.identity, provider.program.key, CONTRACT)
        with pytest.raises(InvalidArgument, match="max"):
            await NumberGen.at(lattice.provider(provider.program.key, CONTRACT)).random_in_range(0, 2**32)


async def test_a_caller_without_a_link_is_refused(running: Make) -> None:
    async with running(Manner.RUST) as (_, provider, lattice):
        with pytest.raises(PermissionDenied, match=f"unlinked actor: '{lattice.identity}'"):
            await NumberGen.at(lattice.provider(provider.program.key, CONTRACT)).random32()


@BOTH
async def test_many_calls_at_once_are_all_answered(running: Make, manner: Manner) -> None:
    async with running(manner) as (host, provider, lattice):
        await host.put_link(lattice.identity, provider.program.key, CONTRACT)
        numbers = NumberGen.at(lattice.provider(provider.program.key, CONTRACT))
        guids = await asyncio.gather(*(numbers.generate_guid() for _ in range(200)))
        assert len(set(guids)) == 200
