"""Numbergen as a process that a host started, asked over the lattice."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgpack
import pytest

from provider_sdk import InvalidArgument, PermissionDenied
from provider_sdk.caller import connect
from provider_sdk.contracts.numbergen import BUILTIN_CONTRACT, NumberGen
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.testing import Era, Manner, Provided, TestLattice, a_lattice, a_wrpc_lattice

BOTH = pytest.mark.parametrize("manner", list(Manner))
CONTRACT = NumberGen.__identity__.contract


@asynccontextmanager
async def running(
    manner: Manner = Manner.RUST, contract: str = CONTRACT, rpc_timeout: float = 2.0
) -> AsyncIterator[tuple[TestLattice, Provided]]:
    async with a_lattice(manner=manner, rpc_timeout=rpc_timeout) as lattice:
        yield lattice, await lattice.process("providers.numbergen", contract=contract)


@BOTH
@pytest.mark.parametrize("contract", [CONTRACT, BUILTIN_CONTRACT])
async def test_a_linked_caller_is_answered_under_either_contract_id(manner: Manner, contract: str) -> None:
    async with running(manner, contract) as (lattice, provider):
        numbers = NumberGen.at(await lattice.link(provider))
        assert await numbers.random_in_range(7, 7) == 7
        assert await numbers.random_in_range(0, 2**32 - 1) in range(2**32)
        assert await numbers.random32() in range(2**32)
        assert uuid.UUID(await numbers.generate_guid()).version == 4


@BOTH
async def test_bounds_the_wrong_way_round_are_refused_with_both_numbers(manner: Manner) -> None:
    async with running(manner) as (lattice, provider):
        with pytest.raises(InvalidArgument, match="min 9 is above max 5"):
            await NumberGen.at(await lattice.link(provider)).random_in_range(9, 5)


async def test_a_bound_that_does_not_fit_names_its_member() -> None:
    async with running() as (lattice, provider):
        actor = KeyPair.generate(Prefix.MODULE).public
        await lattice.link(provider, actor=actor)
        target, origin = Entity(provider.key, "default", CONTRACT), Entity(actor, "", "")
        with pytest.raises(InvalidArgument, match="max"):
            await lattice.client.invoke(origin, target, "NumberGen.RandomInRange", msgpack.packb({"min": 0, "max": 2**32}))


async def test_a_program_with_the_clusters_seed_is_answered_once_it_is_linked() -> None:
    async with running() as (lattice, provider):
        core = lattice.host.core
        async with connect(lattice.server.url, lattice=core.lattice, cluster_seed=core.cluster.seed) as caller:
            numbers = NumberGen.at(caller.provider(provider.key, CONTRACT))
            with pytest.raises(PermissionDenied, match=f"unlinked actor: '{caller.identity}'"):
                await numbers.random32()
            await lattice.link(provider, actor=caller.identity)
            assert await numbers.random_in_range(7, 7) == 7


@BOTH
async def test_many_calls_at_once_are_all_answered(manner: Manner) -> None:
    async with running(manner, rpc_timeout=20.0) as (lattice, provider):
        numbers = NumberGen.at(await lattice.link(provider))
        guids = await asyncio.gather(*(numbers.generate_guid() for _ in range(200)))
        assert len(set(guids)) == 200


@pytest.mark.parametrize("era", list(Era))
async def test_a_component_of_1x_is_answered_over_its_link_alone(era: Era) -> None:
    async with a_wrpc_lattice(era=era) as lattice:
        provider = await lattice.process("providers.numbergen", serves=(NumberGen,))
        numbers = NumberGen.at(await lattice.link(provider))
        assert await numbers.random_in_range(7, 7) == 7
        assert await numbers.random32() in range(2**32)
        assert uuid.UUID(await numbers.generate_guid()).version == 4
        with pytest.raises(InvalidArgument, match="min 9 is above max 5"):
            await numbers.random_in_range(9, 5)
        with pytest.raises(PermissionDenied):
            await NumberGen.at(lattice.caller("stranger").provider(provider.id)).random_in_range(1, 2)
