"""Sizes and counts: refused above the limits by an error that names the limit, taken where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from provider_sdk.errors import ResourceExhausted
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.keyvalue.suite import TWICE, Capability, KeyValueSuite
from provider_sdk.testing.conformance.together import together

LIMITS: Mapping[str, int] = {"max_key_size": 40, "max_value_size": 100, "max_list_items": 4, "max_set_members": 4, "max_sets": 3}
"""Bytes of a key, bytes of a value, items of a list, members of a set, sets of one union or intersection."""


class Sizes(KeyValueSuite):
    """`limit_names` says by what name errors call the limits of LIMITS, where it is another."""

    limit_names: ClassVar[Mapping[str, str]] = {}

    def _name(self, limit: str) -> str:
        return self.limit_names.get(limit, limit)

    @needs(Capability.LIMITS)
    async def test_a_key_above_the_limit_is_refused_by_every_operation(self) -> None:
        async with self.limited(LIMITS) as store:
            fits, key = "é" * 20, "é" * 20 + "k"
            await store.set(fits, "a", 0)
            assert (await store.get(fits)).value == "a"
            for call in (
                *(lambda: store.set(key, "a", 0), lambda: store.get(key), lambda: store.contains(key), lambda: store.delete(key)),
                *(lambda: store.increment(key, 1), lambda: store.list_add(key, "a"), lambda: store.list_del(key, "a")),
                *(lambda: store.list_range(key, 0, -1), lambda: store.list_clear(key), lambda: store.set_add(key, "a")),
                *(lambda: store.set_del(key, "a"), lambda: store.set_query(key), lambda: store.set_clear(key)),
                *(lambda: store.set_union([fits, key]), lambda: store.set_intersection([key])),
            ):
                with pytest.raises(ResourceExhausted, match=self._name("max_key_size")):
                    await call()

    @needs(Capability.LIMITS)
    async def test_a_value_above_the_limit_is_refused_and_nothing_is_changed(self) -> None:
        async with self.limited(LIMITS) as store:
            fits, large = "é" * 50, "é" * 50 + "v"
            await store.set("t", fits, 0)
            assert await store.list_add("l", fits) == await store.set_add("s", fits) == 1
            for _ in TWICE:
                for call in (store.set("t", large, 0), store.list_add("l", large), store.set_add("s", large)):
                    with pytest.raises(ResourceExhausted, match=self._name("max_value_size")):
                        await call
            assert (await store.get("t")).value == fits
            assert await store.list_range("l", 0, -1) == await store.set_query("s") == [fits]

    @needs(Capability.LIMITS)
    async def test_a_list_takes_as_many_items_as_its_limit_says(self) -> None:
        async with self.limited(LIMITS) as store:
            assert [await store.list_add("l", item) for item in "abcd"] == [1, 2, 3, 4]
            for _ in TWICE:
                with pytest.raises(ResourceExhausted, match=self._name("max_list_items")):
                    await store.list_add("l", "e")
                assert await store.list_range("l", 0, -1) == list("abcd")
            await store.list_del("l", "a")
            assert await store.list_add("l", "e") == 4

    @needs(Capability.LIMITS)
    async def test_a_set_takes_as_many_members_as_its_limit_says(self) -> None:
        async with self.limited(LIMITS) as store:
            assert [await store.set_add("s", member) for member in "abcd"] == [1, 1, 1, 1]
            for _ in TWICE:
                with pytest.raises(ResourceExhausted, match=self._name("max_set_members")):
                    await store.set_add("s", "e")
                assert await store.set_add("s", "a") == 0
                assert sorted(await store.set_query("s")) == list("abcd")
            await store.set_del("s", "a")
            assert await store.set_add("s", "e") == 1

    @needs(Capability.LIMITS, Capability.ATOMIC)
    async def test_callers_at_the_same_time_do_not_get_past_a_limit(self) -> None:
        async with self.limited(LIMITS) as store:

            async def tries(number: int) -> int:
                try:
                    await store.list_add("l", str(number))
                    return await store.set_add("s", str(number))
                except ResourceExhausted:
                    return 0

            await together(tries(number) for number in range(self.callers))
            assert len(await store.list_range("l", 0, -1)) == len(await store.set_query("s")) == 4

    @needs(Capability.LIMITS)
    async def test_more_sets_than_the_limit_are_refused(self) -> None:
        async with self.limited(LIMITS) as store:
            await store.set_add("s", "a")
            assert await store.set_union(["s"] * 3) == await store.set_intersection(["s"] * 3) == ["a"]
            for call in (store.set_union, store.set_intersection):
                with pytest.raises(ResourceExhausted, match=self._name("max_sets")):
                    await call(["s"] * 4)

    @lacks(Capability.LIMITS)
    async def test_without_limits_nothing_is_refused_for_its_size(self) -> None:
        value = "v" * (4 * self.largest_value)
        async with self.store() as store:
            await store.set("t", value, 0)
            assert (await store.get("t")).value == value
            lengths = await together(store.list_add("l", str(number)) for number in range(2000))
            assert max(lengths) == len(await store.list_range("l", 0, -1)) == 2000
            assert sum(await together(store.set_add("s", str(number)) for number in range(2000))) == len(await store.set_query("s")) == 2000
