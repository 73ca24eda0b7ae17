"""Where data is: kept when the store is opened again, seen by a second instance, and not by another namespace."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from provider_sdk.contracts.keyvalue import GetResponse, KeyValue
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.keyvalue.corpus import KEYS, NAMESPACES, VALUES
from provider_sdk.testing.conformance.keyvalue.suite import TWICE, Capability, KeyValueSuite
from provider_sdk.testing.conformance.together import together


async def write(store: KeyValue) -> None:
    """Something of each kind."""
    await together(store.set(f"text {number}", value, 0) for number, value in enumerate(VALUES))
    await store.set("removed", "text", 0)
    await store.delete("removed")
    await store.increment("counter", 7)
    for item in VALUES:
        await store.list_add("list", item)
    await store.list_del("list", "a")
    await together(store.set_add("set", member) for member in VALUES)
    await store.set_del("set", "a")


async def read(store: KeyValue) -> list[object]:
    """What `write` wrote, as it is found."""
    texts = await together(store.get(f"text {number}") for number in range(len(VALUES)))
    members = sorted(await store.set_query("set"))
    return [texts, await store.contains("removed"), await store.get("counter"), await store.list_range("list", 0, -1), members]


_LEFT = [item for item in VALUES if item != "a"]
WRITTEN: list[object] = [
    [GetResponse(value, exists=True) for value in VALUES],
    *(False, GetResponse("7", exists=True), _LEFT, sorted(_LEFT)),
]
NOTHING: list[object] = [[GetResponse()] * len(VALUES), False, GetResponse(), [], []]


class Places(KeyValueSuite):
    """Durability, sharing, isolation."""

    @needs(Capability.DURABLE)
    async def test_what_was_written_is_there_when_the_store_is_opened_again(self) -> None:
        async with self.store() as store:
            await write(store)
        for _ in TWICE:
            async with self.reopened() as store:
                assert await read(store) == WRITTEN
        async with self.reopened() as store:
            assert await store.increment("counter", 1) == 8

    @needs(Capability.DURABLE, Capability.EXPIRY)
    async def test_a_time_goes_on_while_the_store_is_closed(self) -> None:
        async with self.store() as store:
            await store.set("short", "text", 1)
            await store.set("long", "text", 1000)
        async with self.reopened() as store:
            assert await store.contains("long") is True
            await self._over_a_second()
            assert await store.contains("short") is False

    @lacks(Capability.DURABLE, given="reopened")
    async def test_what_is_not_durable_is_gone_when_the_store_is_opened_again(self) -> None:
        async with self.store() as store:
            await write(store)
        async with self.reopened() as store:
            assert await read(store) == NOTHING

    @needs(Capability.SHARED)
    async def test_what_one_instance_does_the_other_sees_at_once(self) -> None:
        async with self.store() as first, self.second() as second:
            await write(first)
            assert await read(second) == WRITTEN
            for _ in TWICE:
                await second.set("text 0", "changed", 0)
                assert (await first.get("text 0")).value == "changed"
                assert await first.delete("text 0") is True
                assert await second.contains("text 0") is False
            assert [await instance.increment("turns", 1) for instance in (first, second, first, second)] == [1, 2, 3, 4]
            assert [await instance.list_add("turns of a list", "a") for instance in (first, second, first)] == [1, 2, 3]
            assert [await instance.set_add("turns of a set", "a") for instance in (first, second)] == [1, 0]

    @needs(Capability.SHARED, Capability.EXPIRY)
    async def test_a_key_whose_time_is_over_is_gone_for_both_instances(self) -> None:
        async with self.store() as first, self.second() as second:
            await first.set("a", "text", 1)
            assert await second.contains("a") is True
            await self._over_a_second()
            assert await second.contains("a") is await first.contains("a") is False

    @lacks(Capability.SHARED, given="second")
    async def test_what_is_not_shared_is_not_seen_by_another_instance(self) -> None:
        async with self.store() as first, self.second() as second:
            await write(first)
            assert await read(second) == NOTHING
            await second.set_clear("set")
            assert await read(first) == WRITTEN

    @needs(Capability.NAMESPACES)
    async def test_namespaces_do_not_see_each_other_whatever_their_names(self) -> None:
        async with AsyncExitStack() as stack:
            stores = {"": await stack.enter_async_context(self.store())}
            for name in NAMESPACES:
                stores[name] = await stack.enter_async_context(self.other_namespace(name))
            await together(store.set(key, f"{key} of {name}", 0) for name, store in stores.items() for key in KEYS[::4])
            for name, store in stores.items():
                found = await together(store.get(key) for key in KEYS[::4])
                assert [item.value for item in found] == [f"{key} of {name}" for key in KEYS[::4]], name

    @needs(Capability.NAMESPACES)
    async def test_a_name_and_a_key_do_not_run_into_each_other(self) -> None:
        marks = (":", "/", "%", ".", "_", "-", "|", "{", "}", "%2F", ",", " ", "::", "é")
        async with self.store() as store, AsyncExitStack() as stack:
            await store.set("b", "of the first", 0)
            for mark in marks:
                short = await stack.enter_async_context(self.other_namespace(f"a{mark}"))
                long = await stack.enter_async_context(self.other_namespace(f"a{mark}b{mark}"))
                await short.set(f"b{mark}c", "of the short name", 0)
                assert await long.contains("c") is False
                await long.set("c", "of the long name", 0)
                assert await long.delete("c") is True
                assert (await short.get(f"b{mark}c")).value == "of the short name"
                for key in (f"a{mark}b{mark}c", f"a{mark}", f"{mark}c", "c"):
                    assert await store.contains(key) is False

    @needs(Capability.NAMESPACES)
    async def test_every_kind_is_of_its_namespace_and_removed_in_it_alone(self) -> None:
        async with self.store() as first, self.other_namespace("other") as other:
            await write(first)
            assert await read(other) == NOTHING
            await write(other)
            assert await read(first) == await read(other) == WRITTEN
            for removal in (other.delete("counter"), other.list_clear("list"), other.set_clear("set")):
                assert await removal is True
            await together(other.delete(f"text {number}") for number in range(len(VALUES)))
            assert await read(other) == NOTHING
            assert await read(first) == WRITTEN
            assert await other.set_union(["set", "list"]) == await other.set_intersection(["set"]) == []

    @needs(Capability.NAMESPACES)
    async def test_a_namespace_that_is_opened_again_is_the_same_one(self) -> None:
        async with self.store(), self.other_namespace("other") as store:
            await write(store)
            async with self.other_namespace("other") as same:
                assert await read(same) == WRITTEN

    async def _over_a_second(self) -> None:
        await asyncio.sleep(1 + self.expiry_slack + 0.01)
