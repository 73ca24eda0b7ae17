"""Text and counters: Get, Set, Del, Contains, Increment."""

from __future__ import annotations

import pytest

from provider_sdk.contracts.keyvalue import GetResponse
from provider_sdk.errors import OutOfRange, PreconditionFailed
from provider_sdk.testing.conformance.keyvalue.corpus import NO_NUMBERS, VALUES
from provider_sdk.testing.conformance.keyvalue.suite import HIGHEST, LOWEST, TWICE, KeyValueSuite
from provider_sdk.testing.conformance.together import together


class Texts(KeyValueSuite):
    """Get, Set, Del, Contains."""

    async def test_a_key_that_nobody_set_does_not_exist_and_asking_does_not_make_it(self) -> None:
        async with self.store() as store:
            for _ in TWICE:
                assert await store.get("a") == GetResponse("", exists=False)
                assert await store.contains("a") is False
                assert await store.delete("a") is False

    async def test_get_gives_what_was_set_as_often_as_it_is_asked(self) -> None:
        async with self.store() as store:
            assert await store.set("a", "text", 0) is None  # type: ignore[func-returns-value]  # that it returns nothing is what is tested
            for _ in TWICE:
                assert await store.get("a") == GetResponse("text", exists=True)
                assert await store.contains("a") is True

    async def test_the_empty_text_is_not_a_missing_key(self) -> None:
        async with self.store() as store:
            await store.set("a", "", 0)
            assert await store.get("a") == GetResponse("", exists=True)
            assert await store.contains("a") is True
            assert await store.delete("a") is True

    async def test_set_replaces_and_may_be_repeated(self) -> None:
        async with self.store() as store:
            await store.set("a", "a long text, to begin with", 0)
            for _ in TWICE:
                await store.set("a", "b", 0)
                assert (await store.get("a")).value == "b"

    async def test_del_removes_once(self) -> None:
        async with self.store() as store:
            for _ in TWICE:
                await store.set("a", "text", 0)
                assert await store.delete("a") is True
                assert await store.delete("a") is False
                assert await store.contains("a") is False
                assert await store.get("a") == GetResponse("", exists=False)

    async def test_an_operation_on_one_key_leaves_the_others_alone(self) -> None:
        async with self.store() as store:
            await together(store.set(key, key, 0) for key in "abc")
            await store.delete("b")
            await store.set("c", "changed", 0)
            assert [(await store.get(key)).value for key in "abc"] == ["a", "", "changed"]

    async def test_text_comes_back_as_it_was_character_by_character(self) -> None:
        async with self.store() as store:
            for number, value in enumerate(VALUES):
                await store.set(f"k{number}", value, 0)
            assert [(await store.get(f"k{number}")).value for number in range(len(VALUES))] == list(VALUES)

    async def test_a_large_text_comes_back_whole(self) -> None:
        value = "0123456789abcdé" * (self.largest_value // 16)
        async with self.store() as store:
            for _ in TWICE:
                await store.set("a", value, 0)
                found = await store.get("a")
                assert found.exists and len(found.value) == len(value) and found.value == value


class Counters(KeyValueSuite):
    """Increment."""

    async def test_a_missing_counter_is_nought(self) -> None:
        async with self.store() as store:
            assert await store.increment("up", 5) == 5
            assert await store.increment("down", -5) == -5
            assert await store.increment("nought", 0) == 0
            assert [(await store.get(key)).value for key in ("up", "down", "nought")] == ["5", "-5", "0"]

    async def test_increment_adds_each_time_and_returns_the_sum(self) -> None:
        async with self.store() as store:
            assert [await store.increment("a", step) for step in (25, -5, 0, -25, 5, 1, 1)] == [25, 20, 20, -5, 0, 1, 2]
            assert await store.get("a") == GetResponse("2", exists=True)

    async def test_a_counter_is_the_text_of_its_number(self) -> None:
        async with self.store() as store:
            await store.set("a", "41", 0)
            assert await store.increment("a", 1) == 42
            assert (await store.get("a")).value == "42"
            await store.set("a", "-7", 0)
            assert await store.increment("a", 7) == 0
            assert (await store.get("a")).value == "0"

    async def test_a_deleted_counter_begins_anew(self) -> None:
        async with self.store() as store:
            await store.increment("a", 5)
            await store.delete("a")
            assert await store.increment("a", 1) == 1

    async def test_a_counter_reaches_both_ends_of_32_bits(self) -> None:
        async with self.store() as store:
            assert await store.increment("a", HIGHEST) == HIGHEST
            assert await store.increment("a", LOWEST) == -1
            assert await store.increment("a", -HIGHEST) == LOWEST
            assert (await store.get("a")).value == str(LOWEST)

    @pytest.mark.parametrize(
        ("held", "step"), [(HIGHEST, 1), (HIGHEST, HIGHEST), (LOWEST, -1), (LOWEST, LOWEST), (1, HIGHEST), (-1, LOWEST)]
    )
    async def test_a_sum_beyond_32_bits_is_out_of_range_and_changes_nothing(self, held: int, step: int) -> None:
        async with self.store() as store:
            await store.set("number", str(held), 0)
            for _ in TWICE:
                with pytest.raises(OutOfRange, match="number"):
                    await store.increment("number", step)
                assert (await store.get("number")).value == str(held)
            assert await store.increment("number", -1 if held > 0 else 1) == (held - 1 if held > 0 else held + 1)

    @pytest.mark.parametrize("held", ["2147483648", "-2147483649", "4294967296", str(10**18), str(-(10**18))])
    async def test_text_beyond_32_bits_is_no_counter_unless_the_sum_fits(self, held: str) -> None:
        async with self.store() as store:
            await store.set("number", held, 0)
            with pytest.raises(OutOfRange, match="number"):
                await store.increment("number", 0)
            assert (await store.get("number")).value == held
            await store.set("number", str(HIGHEST + 5), 0)
            assert await store.increment("number", -5) == HIGHEST

    @pytest.mark.parametrize("held", [str(1 << 64), "9" * 40, "-" + "9" * 400])
    async def test_text_beyond_64_bits_is_refused_and_stays(self, held: str) -> None:
        async with self.store() as store:
            await store.set("number", held, 0)
            for _ in TWICE:
                with pytest.raises((PreconditionFailed, OutOfRange), match="number"):
                    await store.increment("number", -1)
                assert (await store.get("number")).value == held

    @pytest.mark.parametrize("held", NO_NUMBERS, ids=ascii)
    async def test_text_that_is_no_whole_number_is_not_incremented_and_stays(self, held: str) -> None:
        async with self.store() as store:
            await store.set("key-of-text", held, 0)
            for _ in TWICE:
                with pytest.raises(PreconditionFailed, match="key-of-text"):
                    await store.increment("key-of-text", 1)
                assert (await store.get("key-of-text")).value == held
