"""Single keys of buckets: get, set, delete, exists, and which bucket has which keys."""

from __future__ import annotations

from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.keyvalue.corpus import KEYS, NAMESPACES, VALUES
from provider_sdk.testing.conformance.keyvalue.imports import ImportsCapability, ImportsSuite
from provider_sdk.testing.conformance.keyvalue.suite import TWICE
from provider_sdk.testing.conformance.together import together

BYTES = (b"", b"\0", b"\xff", b"\xff\xfe", b"\x80a", b"\xc3", bytes(range(256)), b"\0" * 1000, *(value.encode() for value in VALUES))


class Values(ImportsSuite):
    """Bytes under keys."""

    async def test_a_key_that_nobody_set_does_not_exist_and_deleting_it_is_no_error(self) -> None:
        async with self.imports() as have:
            for _ in TWICE:
                assert await have.store.get("", "a") is None
                assert await have.store.exists("", "a") is False
                await have.store.delete("", "a")

    async def test_any_bytes_come_back_as_they_were(self) -> None:
        async with self.imports() as have:
            await together(have.store.set("", f"k{number}", value) for number, value in enumerate(BYTES))
            assert await together(have.store.get("", f"k{number}") for number in range(len(BYTES))) == list(BYTES)

    async def test_the_empty_value_is_not_a_missing_key(self) -> None:
        async with self.imports() as have:
            await have.store.set("", "a", b"")
            assert await have.store.get("", "a") == b""
            assert await have.store.exists("", "a") is True

    async def test_a_value_is_replaced_and_removed(self) -> None:
        async with self.imports() as have:
            for value in (b"long to begin with", b"b", b"\xff"):
                await have.store.set("", "a", value)
                assert await have.store.get("", "a") == value
            for _ in TWICE:
                await have.store.delete("", "a")
                assert await have.store.get("", "a") is None
                assert await have.store.exists("", "a") is False

    async def test_no_two_keys_are_one(self) -> None:
        async with self.imports() as have:
            await together(have.store.set("", key, key.encode()) for key in KEYS)
            assert await together(have.store.get("", key) for key in KEYS) == [key.encode() for key in KEYS]
            await together(have.store.delete("", key) for key in KEYS[::2])
            assert await together(have.store.exists("", key) for key in KEYS) == [number % 2 == 1 for number in range(len(KEYS))]

    async def test_a_large_value_comes_back_whole(self) -> None:
        value = bytes(range(251)) * (self.largest_value // 251)
        async with self.imports() as have:
            await have.store.set("", "a", value)
            assert await have.store.get("", "a") == value


class BucketNames(ImportsSuite):
    """Which bucket has which keys."""

    async def test_the_bucket_default_and_the_one_without_a_name_are_one(self) -> None:
        async with self.imports() as have:
            await have.store.set("default", "a", b"1")
            assert await have.store.get("", "a") == b"1"
            assert await have.atomics.increment("", "a", 1) == 2
            assert await have.batch.get_many("default", ["a"]) == [("a", b"2")]
            assert (await have.store.list_keys("")).keys == (await have.store.list_keys("default")).keys == ["a"]

    @needs(ImportsCapability.BUCKETS)
    async def test_buckets_do_not_see_each_other_whatever_their_names(self) -> None:
        names = ["", *NAMESPACES]
        async with self.imports() as have:
            await together(have.store.set(name, key, f"{key} of {name}".encode()) for name in names for key in KEYS[::8])
            for name in names:
                found = await together(have.store.get(name, key) for key in KEYS[::8])
                assert found == [f"{key} of {name}".encode() for key in KEYS[::8]], name

    @needs(ImportsCapability.BUCKETS)
    async def test_a_bucket_and_a_key_do_not_run_into_each_other(self) -> None:
        async with self.imports() as have:
            for mark in (":", "/", "%", ".", "_", "{", "%2F", "%3A", "//", "::", "é"):
                for short, long in ((f"a{mark}", f"a{mark}b{mark}"), ("a", f"a{mark}b")):
                    await have.store.set(short, f"b{mark}c", b"short")
                    assert await have.store.exists(long, "c") is False
                    await have.store.set(long, "c", b"long")
                    assert await have.store.get(short, f"b{mark}c") == b"short"
                    await have.store.delete(long, "c")
                    assert await have.store.get(short, f"b{mark}c") == b"short"

    @needs(ImportsCapability.BUCKETS)
    async def test_every_operation_stays_in_its_bucket(self) -> None:
        async with self.imports() as have:
            await have.batch.set_many("one", [("a", b"1"), ("b", b"1")])
            assert await have.batch.get_many("two", ["a", "b"]) == [None, None]
            assert await have.atomics.increment("two", "a", 5) == 5
            await have.batch.delete_many("two", ["a", "b"])
            assert sorted((await have.store.list_keys("one")).keys) == ["a", "b"]
            assert (await have.store.list_keys("two")).keys == []

    @lacks(ImportsCapability.BUCKETS)
    async def test_all_buckets_are_one(self) -> None:
        async with self.imports() as have:
            for number, name in enumerate(["", *NAMESPACES], 1):
                assert await have.atomics.increment(name, "a", 1) == number
