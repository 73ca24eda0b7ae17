"""Sets: SetAdd, SetDel, SetQuery, SetUnion, SetIntersection, SetClear. Members come in any order, each once."""

from __future__ import annotations

from itertools import product

from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.testing.conformance.keyvalue.corpus import VALUES
from provider_sdk.testing.conformance.keyvalue.suite import TWICE, KeyValueSuite
from provider_sdk.testing.conformance.together import together

SETS = {"abc": set("abc"), "bcd": set("bcd"), "c": set("c"), "xy": set("xy"), "missing": set[str]()}


async def fill(store: KeyValue) -> None:
    """Make the sets of SETS."""
    await together(store.set_add(name, member) for name, members in SETS.items() for member in members)


class Sets(KeyValueSuite):
    """SetAdd, SetDel, SetQuery, SetUnion, SetIntersection, SetClear."""

    async def test_set_add_adds_once_and_returns_how_many_it_added(self) -> None:
        async with self.store() as store:
            assert [await store.set_add("s", member) for member in ("a", "b", "a", "", "")] == [1, 1, 0, 1, 0]
            assert sorted(await store.set_query("s")) == ["", "a", "b"]

    async def test_set_del_removes_once_and_returns_how_many_it_removed(self) -> None:
        async with self.store() as store:
            for member in "abc":
                await store.set_add("s", member)
            assert [await store.set_del("s", member) for member in ("b", "b", "B", "a")] == [1, 0, 0, 1]
            assert await store.set_query("s") == ["c"]
            assert await store.set_add("s", "b") == 1

    async def test_a_missing_set_has_no_members_and_asking_does_not_make_it(self) -> None:
        async with self.store() as store:
            for _ in TWICE:
                assert await store.set_query("s") == []
                assert await store.set_del("s", "a") == 0
                assert await store.set_clear("s") is False
                assert await store.set_union(["s"]) == []
                assert await store.set_intersection(["s"]) == []
                assert await store.contains("s") is False

    async def test_a_set_whose_last_member_is_removed_does_not_exist(self) -> None:
        async with self.store() as store:
            for _ in TWICE:
                assert await store.set_add("s", "a") == 1
                assert await store.contains("s") is True
                assert await store.set_del("s", "a") == 1
                assert await store.contains("s") is False
                assert await store.set_clear("s") is False

    async def test_set_clear_removes_the_set_once(self) -> None:
        async with self.store() as store:
            for _ in TWICE:
                assert [await store.set_add("s", member) for member in "ab"] == [1, 1]
                assert await store.set_clear("s") is True
                assert await store.set_clear("s") is False
                assert await store.set_query("s") == []

    async def test_del_removes_a_set(self) -> None:
        async with self.store() as store:
            await store.set_add("s", "a")
            assert await store.delete("s") is True
            assert await store.delete("s") is False
            assert await store.set_query("s") == []

    async def test_members_come_back_as_they_were(self) -> None:
        async with self.store() as store:
            assert await together(store.set_add("s", member) for member in VALUES) == [1] * len(VALUES)
            assert await together(store.set_add("s", member) for member in VALUES) == [0] * len(VALUES)
            assert sorted(await store.set_query("s")) == sorted(VALUES)

    async def test_a_union_has_what_is_in_any_of_the_sets(self) -> None:
        async with self.store() as store:
            await fill(store)
            choices = [list(names) for count in (1, 2, 3) for names in product(SETS, repeat=count)]
            found = await together(store.set_union(names) for names in choices)
            for names, members in zip(choices, found, strict=True):
                assert sorted(members) == sorted(set[str]().union(*(SETS[name] for name in names))), names

    async def test_an_intersection_has_what_is_in_all_of_the_sets(self) -> None:
        async with self.store() as store:
            await fill(store)
            choices = [list(names) for count in (1, 2, 3) for names in product(SETS, repeat=count)]
            found = await together(store.set_intersection(names) for names in choices)
            for names, members in zip(choices, found, strict=True):
                assert sorted(members) == sorted(set.intersection(*(SETS[name] for name in names))), names

    async def test_no_sets_have_no_members(self) -> None:
        async with self.store() as store:
            await store.set_add("s", "a")
            for _ in TWICE:
                assert await store.set_union([]) == []
                assert await store.set_intersection([]) == []

    async def test_asking_for_members_changes_no_set(self) -> None:
        async with self.store() as store:
            await fill(store)
            for _ in TWICE:
                await store.set_union(["abc", "xy"])
                await store.set_intersection(["abc", "bcd"])
                assert {name: set(await store.set_query(name)) for name in SETS} == SETS

    async def test_a_union_of_many_sets_and_members_is_whole(self) -> None:
        names = [f"s{number}" for number in range(40)]
        async with self.store() as store:
            await together(store.set_add(name, f"{name}-{number}") for name in names for number in range(10))
            await together(store.set_add(name, "in all") for name in names)
            assert len(await store.set_union(names)) == len(set(await store.set_union(names))) == 401
            assert await store.set_intersection(names) == ["in all"]
