"""Lists: ListAdd, ListDel, ListRange, ListClear."""

from __future__ import annotations

from provider_sdk.testing.conformance.keyvalue.corpus import VALUES
from provider_sdk.testing.conformance.keyvalue.suite import HIGHEST, LOWEST, TWICE, KeyValueSuite
from provider_sdk.testing.conformance.together import together

ALL = (0, -1)


def sliced(items: list[str], start: int, stop: int) -> list[str]:
    """What Python's slice gives for a range whose two ends are included."""
    behind = stop + 1 if stop != -1 else None
    return items[start:behind]


class Lists(KeyValueSuite):
    """ListAdd, ListDel, ListRange, ListClear."""

    async def test_list_add_appends_and_returns_the_new_length(self) -> None:
        async with self.store() as store:
            assert [await store.list_add("l", item) for item in ("a", "b", "a", "")] == [1, 2, 3, 4]
            assert await store.list_range("l", *ALL) == ["a", "b", "a", ""]

    async def test_a_missing_list_has_no_items_and_asking_does_not_make_it(self) -> None:
        async with self.store() as store:
            for _ in TWICE:
                assert await store.list_range("l", *ALL) == []
                assert await store.list_del("l", "a") is False
                assert await store.list_clear("l") is False
                assert await store.contains("l") is False

    async def test_items_come_back_as_they_were_in_their_order(self) -> None:
        async with self.store() as store:
            for item in VALUES:
                await store.list_add("l", item)
            for _ in TWICE:
                assert await store.list_range("l", *ALL) == list(VALUES)

    async def test_list_del_removes_the_first_equal_item_and_no_other(self) -> None:
        async with self.store() as store:
            for item in ("a", "b", "a", "c", "a"):
                await store.list_add("l", item)
            assert await store.list_del("l", "a") is True
            assert await store.list_range("l", *ALL) == ["b", "a", "c", "a"]
            assert await store.list_del("l", "a") is True
            assert await store.list_range("l", *ALL) == ["b", "c", "a"]
            for _ in TWICE:
                assert await store.list_del("l", "A") is False
                assert await store.list_range("l", *ALL) == ["b", "c", "a"]

    async def test_after_removals_items_are_counted_and_added_as_before(self) -> None:
        async with self.store() as store:
            for item in "abcde":
                await store.list_add("l", item)
            for item in "ace":
                assert await store.list_del("l", item) is True
            assert await store.list_range("l", 0, 0) == ["b"]
            assert await store.list_range("l", -1, -1) == ["d"]
            assert await store.list_add("l", "f") == 3
            assert await store.list_range("l", 1, 5) == ["d", "f"]

    async def test_a_list_whose_last_item_is_removed_does_not_exist(self) -> None:
        async with self.store() as store:
            for _ in TWICE:
                assert await store.list_add("l", "a") == 1
                assert await store.contains("l") is True
                assert await store.list_del("l", "a") is True
                assert await store.contains("l") is False
                assert await store.list_clear("l") is False

    async def test_list_clear_removes_the_list_once(self) -> None:
        async with self.store() as store:
            for _ in TWICE:
                assert await store.list_add("l", "a") == 1
                assert await store.list_add("l", "b") == 2
                assert await store.list_clear("l") is True
                assert await store.list_clear("l") is False
                assert await store.list_range("l", *ALL) == []

    async def test_del_removes_a_list(self) -> None:
        async with self.store() as store:
            await store.list_add("l", "a")
            assert await store.delete("l") is True
            assert await store.delete("l") is False
            assert await store.list_range("l", *ALL) == []

    async def test_both_ends_of_a_range_are_included_and_count_from_the_end_where_negative(self) -> None:
        async with self.store() as store:
            for item in "abcde":
                await store.list_add("l", item)
            ranges = [(0, 0), (1, 3), (-2, -1), (0, -2), (-5, 0), (4, 4), (3, -1), (2, 1), (-1, 0)]
            found = ["".join(await store.list_range("l", *ends)) for ends in ranges]
            assert found == ["a", "bcd", "de", "abcd", "a", "e", "de", "", ""]

    async def test_what_is_outside_of_the_list_is_cut_off(self) -> None:
        async with self.store() as store:
            for item in "abc":
                await store.list_add("l", item)
            ranges = [
                (0, 99),
                (-99, 1),
                (-99, 99),
                (3, 9),
                (-9, -4),
                (LOWEST, HIGHEST),
                (HIGHEST, LOWEST),
                (HIGHEST, HIGHEST),
                (LOWEST, LOWEST),
            ]
            found = ["".join(await store.list_range("l", *ends)) for ends in ranges]
            assert found == ["abc", "ab", "abc", "", "", "abc", "", "", ""]

    async def test_every_range_is_what_a_python_slice_gives(self) -> None:
        items = list("abcd")
        ends = [*range(-6, 7), LOWEST, HIGHEST]
        ranges = [(start, stop) for start in ends for stop in ends]
        async with self.store() as store:
            for item in items:
                await store.list_add("l", item)
            found = await together(store.list_range("l", *pair) for pair in ranges)
        assert dict(zip(ranges, found, strict=True)) == {pair: sliced(items, *pair) for pair in ranges}

    async def test_lists_do_not_know_each_other(self) -> None:
        async with self.store() as store:
            await store.list_add("l", "a")
            await store.list_add("m", "b")
            await store.list_clear("l")
            assert await store.list_range("m", *ALL) == ["b"]

    async def test_a_long_list_keeps_its_order(self) -> None:
        items = [str(number) for number in range(600)]
        async with self.store() as store:
            for item in items:
                await store.list_add("l", item)
            assert await store.list_range("l", *ALL) == items
            assert await store.list_range("l", 499, -2) == items[499:-1]
