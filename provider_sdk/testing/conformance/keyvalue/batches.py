"""Several keys at once: get-many, set-many, delete-many; and what is too much."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from provider_sdk.errors import ResourceExhausted
from provider_sdk.testing.conformance.choice import needs
from provider_sdk.testing.conformance.keyvalue.corpus import KEYS
from provider_sdk.testing.conformance.keyvalue.imports import ImportsCapability, ImportsSuite

LIMITS: Mapping[str, int] = {"max_key_size": 40, "max_value_size": 100, "max_batch": 3}
"""Bytes of a key, bytes of a value, keys of a batch."""


class Batches(ImportsSuite):
    """The interface batch."""

    async def test_values_come_in_the_order_of_their_keys_and_none_for_what_is_missing(self) -> None:
        async with self.imports() as have:
            await have.batch.set_many("", [("b", b"2"), ("a", b"1"), ("c", b"\xff")])
            keys = ["c", "missing", "a", "c", "b"]
            assert await have.batch.get_many("", keys) == [("c", b"\xff"), None, ("a", b"1"), ("c", b"\xff"), ("b", b"2")]

    async def test_no_keys_are_no_error(self) -> None:
        async with self.imports() as have:
            assert await have.batch.get_many("", []) == []
            await have.batch.set_many("", [])
            await have.batch.delete_many("", [])

    async def test_of_a_key_that_is_given_twice_the_last_value_stays(self) -> None:
        async with self.imports() as have:
            await have.batch.set_many("", [("a", b"1"), ("b", b"1"), ("a", b"2")])
            assert await have.batch.get_many("", ["a", "b"]) == [("a", b"2"), ("b", b"1")]

    async def test_keys_are_deleted_whether_they_are_there_or_not(self) -> None:
        async with self.imports() as have:
            await have.batch.set_many("", [(key, b"") for key in "abc"])
            await have.batch.delete_many("", ["a", "missing", "c", "a"])
            assert await have.batch.get_many("", ["a", "b", "c"]) == [None, ("b", b""), None]

    async def test_what_one_key_does_is_what_many_do(self) -> None:
        async with self.imports() as have:
            await have.batch.set_many("", [(key, key.encode()) for key in KEYS])
            assert await have.batch.get_many("", list(KEYS)) == [(key, key.encode()) for key in KEYS]
            assert await have.store.get("", KEYS[-1]) == KEYS[-1].encode()
            await have.batch.delete_many("", list(KEYS[1:]))
            assert await have.batch.get_many("", list(KEYS)) == [(KEYS[0], KEYS[0].encode()), *[None] * (len(KEYS) - 1)]

    @needs(ImportsCapability.ATOMIC_BATCH)
    async def test_nobody_sees_half_of_what_is_set_or_deleted_at_once(self) -> None:
        keys = [f"k{number}" for number in range(50)]
        async with self.imports() as have:

            async def writer(number: int) -> None:
                for turn in range(self.rounds):
                    if turn % 5:
                        await have.batch.set_many("", [(key, b"%d %d" % (number, turn)) for key in keys[:: 1 - 2 * (number % 2)]])
                    else:
                        await have.batch.delete_many("", keys)

            async def reader() -> None:
                for _ in range(self.rounds):
                    found = await have.batch.get_many("", keys)
                    assert len({None if pair is None else pair[1] for pair in found}) == 1

            await asyncio.gather(*map(writer, range(4)), *(reader() for _ in range(4)))

    @needs(ImportsCapability.LIMITS)
    async def test_what_exceeds_a_limit_is_refused_whole_by_an_error_that_names_it(self) -> None:
        fits, large, key = b"v" * 100, b"v" * 101, "é" * 20 + "k"
        async with self.limited(LIMITS) as have:
            await have.batch.set_many("", [("a", fits), ("b", fits), ("c", fits)])
            for limit, call in (
                ("max_key_size", have.store.set("", key, b"")),
                ("max_key_size", have.store.get("", key)),
                ("max_key_size", have.atomics.increment("", key, 1)),
                ("max_key_size", have.batch.delete_many("", ["a", key])),
                ("max_value_size", have.store.set("", "a", large)),
                ("max_value_size", have.batch.set_many("", [("a", b""), ("b", large)])),
                ("max_batch", have.batch.get_many("", list("abca"))),
                ("max_batch", have.batch.set_many("", [(name, b"") for name in "abcd"])),
                ("max_batch", have.batch.delete_many("", list("abcd"))),
            ):
                with pytest.raises(ResourceExhausted, match=limit):
                    await call
            assert await have.batch.get_many("", ["a", "b", "c"]) == [("a", fits), ("b", fits), ("c", fits)]
