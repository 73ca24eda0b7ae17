"""Any text may be a key: no key means another, or more than one."""

from __future__ import annotations

import pytest

from provider_sdk.contracts.keyvalue import GetResponse
from provider_sdk.testing.conformance.keyvalue.corpus import KEYS
from provider_sdk.testing.conformance.keyvalue.suite import KeyValueSuite
from provider_sdk.testing.conformance.together import together


class Keys(KeyValueSuite):
    """Hostile names of keys, lists and sets."""

    async def test_no_two_keys_are_one(self) -> None:
        async with self.store() as store:
            await together(store.set(key, f"value of {key}", 0) for key in KEYS)
            found = await together(store.get(key) for key in KEYS)
        assert found == [GetResponse(f"value of {key}", exists=True) for key in KEYS]

    async def test_a_key_is_removed_alone(self) -> None:
        async with self.store() as store:
            await together(store.set(key, key, 0) for key in KEYS)
            gone, kept = KEYS[::2], KEYS[1::2]
            assert await together(store.delete(key) for key in gone) == [True] * len(gone)
            assert await together(store.contains(key) for key in gone) == [False] * len(gone)
            assert await together(store.contains(key) for key in kept) == [True] * len(kept)
            assert await together(store.delete(key) for key in kept) == [True] * len(kept)

    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    async def test_every_operation_takes_the_key(self, key: str) -> None:
        async with self.store() as store:
            assert await store.increment(key, 3) == 3
            assert await store.get(key) == GetResponse("3", exists=True)
            assert await store.contains(key) is True
            assert await store.delete(key) is True
            assert await store.list_add(key, key) == 1
            assert await store.list_range(key, 0, -1) == [key]
            assert await store.list_del(key, key) is True
            assert await store.list_clear(key) is False
            assert await store.set_add(key, key) == 1
            assert await store.set_query(key) == await store.set_union([key, key]) == await store.set_intersection([key, key]) == [key]
            assert await store.set_del(key, key) == 1
            assert await store.set_clear(key) is False
            await store.set(key, key, 0)
            assert await store.get(key) == GetResponse(key, exists=True)

    async def test_long_keys_that_differ_in_their_last_character_are_two(self) -> None:
        key = "k" * (self.longest_key - 1)
        async with self.store() as store:
            await together(store.set(key + last, last, 0) for last in "ab")
            assert [(await store.get(key + last)).value for last in "ab"] == ["a", "b"]
            assert await store.contains(key) is False
            await store.delete(key + "a")
            assert (await store.get(key + "b")).value == "b"
