"""Keys that exist for a time: to the second, for every operation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import pytest

from provider_sdk.contracts.keyvalue import GetResponse, KeyValue
from provider_sdk.errors import PreconditionFailed, Unsupported
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.keyvalue.suite import TWICE, Capability, KeyValueSuite

LOOK_EVERY = 0.05
LONGEST = (1 << 32) - 1


class Expiry(KeyValueSuite):
    """`set` with `expires`. What takes time is done at the same time, each case under a key of its own."""

    @needs(Capability.EXPIRY)
    async def test_a_key_exists_for_its_time_and_for_no_operation_afterwards(self) -> None:
        cases: list[Callable[[KeyValue, str], Awaitable[None]]] = [
            *(self._goes_in_time, self._is_not_there_to_be_removed, self._counts_from_nought, self._is_free_for_a_list),
            *(self._is_free_for_a_set, self._is_no_wrong_kind, self._keeps_its_time_when_incremented, self._is_set_for_ever),
            *(self._is_postponed, self._is_brought_forward, self._is_deleted_and_made_anew, self._keeps_its_time_when_refused),
            self._stays_long,
        ]
        async with self.store() as store:
            names = [case.__name__.strip("_") for case in cases]
            results = await asyncio.gather(*(case(store, name) for case, name in zip(cases, names, strict=True)), return_exceptions=True)
        failures = []
        for name, result in zip(names, results, strict=True):
            if isinstance(result, Exception):
                result.add_note(f"a key that {name.replace('_', ' ')}")
                failures.append(result)
        if failures:
            raise ExceptionGroup("expiry", failures)

    @lacks(Capability.EXPIRY)
    async def test_without_expiry_a_time_is_refused_and_nothing_is_stored(self) -> None:
        async with self.store() as store:
            await store.set("held", "before", 0)
            for _ in TWICE:
                for seconds in (1, LONGEST):
                    with pytest.raises(Unsupported):
                        await store.set("a", "text", seconds)
                    with pytest.raises(Unsupported):
                        await store.set("held", "after", seconds)
                assert await store.contains("a") is False
                assert (await store.get("held")).value == "before"

    async def _over(self, seconds: int = 1) -> None:
        await asyncio.sleep(seconds + self.expiry_slack + 0.01)

    async def _goes_in_time(self, store: KeyValue, key: str) -> None:
        sent = monotonic()
        await store.set(key, "text", 2)
        early, late = sent + 2 - self.expiry_slack, monotonic() + 2 + self.expiry_slack
        seen = 0
        while True:
            asked = monotonic()
            found, there = await store.get(key), await store.contains(key)
            if monotonic() < early:
                assert found == GetResponse("text", exists=True) and there is True
                seen += 1
            elif asked > late:
                assert found == GetResponse("", exists=False) and there is False
                break
            await asyncio.sleep(LOOK_EVERY)
        assert seen, "the store is too slow to be judged: nothing was answered in time"

    async def _is_not_there_to_be_removed(self, store: KeyValue, key: str) -> None:
        removals = [store.delete, store.list_clear, store.set_clear]
        for number in range(len(removals)):
            await store.set(f"{key} {number}", "text", 1)
        await self._over()
        assert [await removal(f"{key} {number}") for number, removal in enumerate(removals)] == [False, False, False]

    async def _counts_from_nought(self, store: KeyValue, key: str) -> None:
        await store.set(key, "5", 1)
        await self._over()
        assert await store.increment(key, 1) == 1
        await self._over()
        assert await store.increment(key, 1) == 2

    async def _is_free_for_a_list(self, store: KeyValue, key: str) -> None:
        await store.set(key, "text", 1)
        await self._over()
        assert await store.list_range(key, 0, -1) == []
        assert await store.list_del(key, "text") is False
        assert await store.list_add(key, "item") == 1
        await self._over()
        assert await store.list_range(key, 0, -1) == ["item"]

    async def _is_free_for_a_set(self, store: KeyValue, key: str) -> None:
        await store.set(key, "text", 1)
        await self._over()
        assert await store.set_add(key, "member") == 1
        await self._over()
        assert await store.set_query(key) == ["member"]

    async def _is_no_wrong_kind(self, store: KeyValue, key: str) -> None:
        await store.set(key, "text", 1)
        await store.set_add(f"{key} beside", "member")
        await self._over()
        assert await store.set_query(key) == []
        assert await store.set_del(key, "text") == 0
        assert await store.set_union([key, f"{key} beside"]) == ["member"]
        assert await store.set_intersection([f"{key} beside", key]) == []

    async def _keeps_its_time_when_incremented(self, store: KeyValue, key: str) -> None:
        await store.set(key, "5", 1)
        await store.set(f"{key} long", "5", LONGEST)
        await store.increment(key, 1)
        assert await store.increment(f"{key} long", 1) == 6
        await self._over()
        assert await store.contains(key) is False
        assert (await store.get(f"{key} long")).value == "6"

    async def _is_set_for_ever(self, store: KeyValue, key: str) -> None:
        await store.set(key, "text", 1)
        await store.set(key, "text", 0)
        await self._over()
        assert (await store.get(key)).value == "text"

    async def _is_postponed(self, store: KeyValue, key: str) -> None:
        await store.set(key, "text", 1)
        await store.set(key, "text", 60)
        await self._over()
        assert (await store.get(key)).value == "text"

    async def _is_brought_forward(self, store: KeyValue, key: str) -> None:
        await store.set(key, "text", 60)
        await store.set(key, "text", 1)
        await self._over()
        assert await store.contains(key) is False

    async def _is_deleted_and_made_anew(self, store: KeyValue, key: str) -> None:
        await store.set(key, "text", 1)
        await store.delete(key)
        await store.increment(key, 1)
        await store.set(f"{key} as a list", "text", 1)
        await store.list_clear(f"{key} as a list")
        await store.list_add(f"{key} as a list", "item")
        await self._over()
        assert (await store.get(key)).value == "1"
        assert await store.list_range(f"{key} as a list", 0, -1) == ["item"]

    async def _keeps_its_time_when_refused(self, store: KeyValue, key: str) -> None:
        await store.set(key, "text", 1)
        await store.set(f"{key} long", "text", 60)
        for call in (store.list_add, store.set_add):
            for name in (key, f"{key} long"):
                try:
                    await call(name, "text")
                except PreconditionFailed:
                    continue
                raise AssertionError(f"{name} holds text")
        await self._over()
        assert await store.contains(key) is False
        assert await store.contains(f"{key} long") is True

    async def _stays_long(self, store: KeyValue, key: str) -> None:
        await store.set(key, "text", LONGEST)
        await self._over()
        assert await store.get(key) == GetResponse("text", exists=True)
