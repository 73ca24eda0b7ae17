"""Callers at the same time: nothing is lost, doubled or torn, and there is an order of the calls that explains every answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.testing.conformance.choice import needs
from provider_sdk.testing.conformance.keyvalue.history import Recorder
from provider_sdk.testing.conformance.keyvalue.suite import Capability, KeyValueSuite


class Concurrency(KeyValueSuite):
    """`callers` at once, on one instance, or half of them on a second where the store is shared."""

    @asynccontextmanager
    async def _instances(self) -> AsyncIterator[list[KeyValue]]:
        """One instance for each caller."""
        async with AsyncExitStack() as stack:
            instances = [await stack.enter_async_context(self.store())]
            if Capability.SHARED in self.capabilities:
                instances.append(await stack.enter_async_context(self.second()))
            yield [instances[number % len(instances)] for number in range(self.callers)]

    @needs(Capability.ATOMIC)
    async def test_increments_of_many_callers_lose_none_and_each_sees_its_own_sum(self) -> None:
        async with self._instances() as stores:

            async def caller(store: KeyValue) -> list[int]:
                return [await store.increment("counter", 1) for _ in range(self.increments)]

            sums = await asyncio.gather(*map(caller, stores))
            assert all(found == sorted(found) for found in sums)
            total = self.callers * self.increments
            assert sorted(number for found in sums for number in found) == list(range(1, total + 1))
            assert (await stores[0].get("counter")).value == str(total)

    @needs(Capability.ATOMIC)
    async def test_many_callers_add_to_one_list_and_each_gets_a_length_of_its_own(self) -> None:
        async with self._instances() as stores:

            async def caller(number: int, store: KeyValue) -> list[int]:
                return [await store.list_add("l", f"{number} {turn}") for turn in range(self.rounds)]

            lengths = await asyncio.gather(*(caller(number, store) for number, store in enumerate(stores)))
            items = await stores[0].list_range("l", 0, -1)
            assert sorted(length for found in lengths for length in found) == list(range(1, self.callers * self.rounds + 1))
            for number, found in enumerate(lengths):
                assert [items[length - 1] for length in found] == [f"{number} {turn}" for turn in range(self.rounds)]

    @needs(Capability.ATOMIC)
    async def test_of_many_callers_who_do_the_same_one_did_it(self) -> None:
        async with self._instances() as stores:
            for turn in range(self.rounds):
                name = f"turn {turn}"
                assert sum(await asyncio.gather(*(store.set_add(name, "a") for store in stores))) == 1
                assert sum(await asyncio.gather(*(store.set_del(name, "a") for store in stores))) == 1
                await stores[0].list_add(name, "a")
                assert sum(await asyncio.gather(*(store.list_del(name, "a") for store in stores))) == 1
                await stores[0].set(name, "a", 0)
                assert sum(await asyncio.gather(*(store.delete(name) for store in stores))) == 1
                assert await stores[0].contains(name) is False

    @needs(Capability.ATOMIC)
    async def test_members_that_many_callers_add_and_remove_are_all_accounted_for(self) -> None:
        async with self._instances() as stores:

            async def caller(number: int, store: KeyValue) -> None:
                for turn in range(self.rounds):
                    assert await store.set_add("s", f"{number} {turn}") == 1
                    if turn % 2:
                        assert await store.set_del("s", f"{number} {turn}") == 1

            await asyncio.gather(*(caller(number, store) for number, store in enumerate(stores)))
            expected = {f"{number} {turn}" for number in range(self.callers) for turn in range(0, self.rounds, 2)}
            assert sorted(await stores[-1].set_query("s")) == sorted(expected)

    @needs(Capability.ATOMIC)
    async def test_items_that_many_callers_take_are_taken_once(self) -> None:
        items = [str(number) for number in range(self.callers)]
        async with self._instances() as stores:
            for item in items:
                await stores[0].list_add("l", item)
            taken = await asyncio.gather(*(store.list_del("l", item) for item in items for store in (stores[0], stores[-1])))
            assert sum(taken) == len(items)
            assert await stores[0].contains("l") is False

    @needs(Capability.ATOMIC)
    async def test_a_text_that_is_replaced_all_the_time_is_never_seen_torn_or_missing(self) -> None:
        texts = {letter * 100_000 for letter in "ab"}
        async with self._instances() as stores:
            await stores[0].set("t", "a" * 100_000, 0)

            async def writer(store: KeyValue, text: str) -> None:
                for _ in range(self.rounds):
                    await store.set("t", text, 0)

            async def reader(store: KeyValue) -> None:
                for _ in range(self.rounds):
                    found = await store.get("t")
                    assert found.exists and found.value in texts

            await asyncio.gather(*map(writer, stores, sorted(texts)), *map(reader, stores[2:6]))

    @needs(Capability.ATOMIC)
    async def test_some_order_of_the_calls_explains_every_answer(self) -> None:
        chance = random.Random(5)
        recorder = Recorder()
        async with self._instances() as stores:
            for turn in range(max(1, self.rounds // 4)):
                keys = [f"{name}{turn}" for name in "ab"]
                await asyncio.gather(*(recorder.ask_at_random(store, keys, 12, chance) for store in stores[:8]))
        assert len(recorder.calls) >= 96
        recorder.judge()
