"""Counters of 64 bits: increment."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from provider_sdk.errors import OutOfRange, PreconditionFailed
from provider_sdk.testing.conformance.choice import needs
from provider_sdk.testing.conformance.keyvalue.corpus import NO_NUMBERS
from provider_sdk.testing.conformance.keyvalue.imports import LARGEST, Imports, ImportsCapability, ImportsSuite
from provider_sdk.testing.conformance.keyvalue.suite import TWICE


class Numbers(ImportsSuite):
    """increment."""

    async def test_a_missing_counter_is_nought(self) -> None:
        async with self.imports() as have:
            assert await have.atomics.increment("", "a", 0) == 0
            assert await have.atomics.increment("", "b", 300) == 300
            assert await have.store.get("", "a") == b"0"

    async def test_a_counter_is_the_text_of_its_number(self) -> None:
        async with self.imports() as have:
            assert [await have.atomics.increment("", "a", step) for step in (5, 0, 37)] == [5, 5, 42]
            assert await have.store.get("", "a") == b"42"
            await have.store.set("", "a", b"-7")
            assert await have.atomics.increment("", "a", 7) == 0

    @pytest.mark.parametrize("held", [(1 << 31) - 1, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, 10**18 + 1, LARGEST - 1])
    async def test_a_counter_is_exact_up_to_63_bits(self, held: int) -> None:
        async with self.imports() as have:
            assert await have.atomics.increment("", "a", held) == held
            assert await have.atomics.increment("", "a", 1) == held + 1
            assert await have.store.get("", "a") == str(held + 1).encode()

    @pytest.mark.parametrize(
        ("held", "delta"),
        [(LARGEST, 1), (1, LARGEST), (LARGEST, LARGEST), (0, LARGEST + 1), (0, 2**64 - 1), (-5, 4), (-LARGEST - 1, 1)],
    )
    async def test_a_sum_that_is_negative_or_beyond_63_bits_is_out_of_range_and_changes_nothing(self, held: int, delta: int) -> None:
        async with self.imports() as have:
            await have.store.set("", "number", str(held).encode())
            for _ in TWICE:
                with pytest.raises(OutOfRange, match="number"):
                    await have.atomics.increment("", "number", delta)
                assert await have.store.get("", "number") == str(held).encode()

    @pytest.mark.parametrize("held", [*(text.encode() for text in NO_NUMBERS), b"\xff", b"9" * 40], ids=ascii)
    async def test_what_is_no_number_is_not_incremented_and_stays(self, held: bytes) -> None:
        async with self.imports() as have:
            await have.store.set("", "key-of-text", held)
            for _ in TWICE:
                with pytest.raises(PreconditionFailed, match="key-of-text"):
                    await have.atomics.increment("", "key-of-text", 1)
                assert await have.store.get("", "key-of-text") == held

    async def test_increments_of_many_callers_lose_none_and_each_sees_its_own_sum(self) -> None:
        async with self.imports() as have:
            await self._count([have])

    @needs(ImportsCapability.SHARED)
    async def test_two_instances_count_together(self) -> None:
        async with AsyncExitStack() as stack:
            await self._count([await stack.enter_async_context(self.imports()), await stack.enter_async_context(self.second())])

    async def _count(self, instances: list[Imports]) -> None:
        async def caller(number: int) -> list[int]:
            atomics = instances[number % len(instances)].atomics
            return [await atomics.increment("", "counter", 1) for _ in range(self.rounds)]

        sums = await asyncio.gather(*map(caller, range(self.callers)))
        assert all(found == sorted(found) for found in sums)
        assert sorted(number for found in sums for number in found) == list(range(1, self.callers * self.rounds + 1))
