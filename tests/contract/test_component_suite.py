"""The suite for components as a product: each kind of fault is found, and a store without it passes the test that finds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from provider_sdk import InvalidArgument, ProviderError
from provider_sdk.contracts.wasi_keyvalue import Atomics, Batch, KeyResponse, Store
from provider_sdk.testing.conformance.keyvalue import ComponentConformance, Imports, ImportsCapability
from tests.contract.component_doors import PAGE, ComponentDirect
from tests.contract.places import Memory


class Faulty(Store, Atomics, Batch):
    """Hands on what it is asked; a subclass does one thing wrong."""

    def __init__(self, have: Imports) -> None:
        self.have = have

    async def get(self, bucket: str, key: str) -> bytes | None:
        return await self.have.store.get(bucket, key)

    async def set(self, bucket: str, key: str, value: bytes) -> None:
        await self.have.store.set(bucket, key, value)

    async def delete(self, bucket: str, key: str) -> None:
        await self.have.store.delete(bucket, key)

    async def exists(self, bucket: str, key: str) -> bool:
        return await self.have.store.exists(bucket, key)

    async def list_keys(self, bucket: str, cursor: int | None = None) -> KeyResponse:
        return await self.have.store.list_keys(bucket, cursor)

    async def increment(self, bucket: str, key: str, delta: int) -> int:
        return await self.have.atomics.increment(bucket, key, delta)

    async def get_many(self, bucket: str, keys: list[str]) -> list[tuple[str, bytes] | None]:
        return await self.have.batch.get_many(bucket, keys)

    async def set_many(self, bucket: str, key_values: list[tuple[str, bytes]]) -> None:
        await self.have.batch.set_many(bucket, key_values)

    async def delete_many(self, bucket: str, keys: list[str]) -> None:
        await self.have.batch.delete_many(bucket, keys)

    async def all_keys(self, bucket: str) -> list[str]:
        page = await self.have.store.list_keys(bucket)
        found = page.keys
        while page.cursor is not None:
            page = await self.have.store.list_keys(bucket, page.cursor)
            found += page.keys
        return found


class SkipsByCount(Faulty):
    """The cursor is a number of keys, as an official provider has it."""

    async def list_keys(self, bucket: str, cursor: int | None = None) -> KeyResponse:
        keys, start = sorted(await self.all_keys(bucket)), cursor or 0
        return KeyResponse(keys[start : start + PAGE], start + PAGE if start + PAGE < len(keys) else None)


class ListsAllAtOnce(Faulty):
    async def list_keys(self, bucket: str, cursor: int | None = None) -> KeyResponse:
        return KeyResponse(await self.all_keys(bucket))


class ListsTheLastKeyAgain(Faulty):
    async def list_keys(self, bucket: str, cursor: int | None = None) -> KeyResponse:
        page = await super().list_keys(bucket, None if cursor is None else cursor - 1)
        return KeyResponse(page.keys, page.cursor)


class TextOnly(Faulty):
    async def set(self, bucket: str, key: str, value: bytes) -> None:
        await super().set(bucket, key, value.decode("utf-8", "replace").encode())


class EmptyIsMissing(Faulty):
    async def get(self, bucket: str, key: str) -> bytes | None:
        return await super().get(bucket, key) or None


class FoldsBuckets(Faulty):
    async def get(self, bucket: str, key: str) -> bytes | None:
        return await super().get(bucket.strip().lower(), key)

    async def set(self, bucket: str, key: str, value: bytes) -> None:
        await super().set(bucket.strip().lower(), key, value)


class BucketsArePrefixes(Faulty):
    async def get(self, bucket: str, key: str) -> bytes | None:
        return await super().get("", f"{bucket}:{key}")

    async def set(self, bucket: str, key: str, value: bytes) -> None:
        await super().set("", f"{bucket}:{key}", value)

    async def exists(self, bucket: str, key: str) -> bool:
        return await super().exists("", f"{bucket}:{key}")


class CountsInFloats(Faulty):
    async def increment(self, bucket: str, key: str, delta: int) -> int:
        return int(float(await super().increment(bucket, key, delta)))


class WrapsAround(Faulty):
    async def increment(self, bucket: str, key: str, delta: int) -> int:
        try:
            return await super().increment(bucket, key, delta)
        except ProviderError:
            await self.set(bucket, key, b"0")
            return 0


class LosesIncrements(Faulty):
    async def increment(self, bucket: str, key: str, delta: int) -> int:
        before = int(await self.get(bucket, key) or b"0")
        await asyncio.sleep(0)
        await self.set(bucket, key, b"%d" % (before + delta))
        return before + delta


class AnswersAsTheyCome(Faulty):
    """The order is that of the keys' names."""

    async def get_many(self, bucket: str, keys: list[str]) -> list[tuple[str, bytes] | None]:
        return await super().get_many(bucket, sorted(keys))


class WantsKeys(Faulty):
    async def get_many(self, bucket: str, keys: list[str]) -> list[tuple[str, bytes] | None]:
        if not keys:
            raise InvalidArgument("wrong number of arguments")
        return await super().get_many(bucket, keys)


class OneByOne(Faulty):
    async def set_many(self, bucket: str, key_values: list[tuple[str, bytes]]) -> None:
        for key, value in key_values:
            await self.set(bucket, key, value)
            await asyncio.sleep(0)


class KeepsTheFirstOfTwo(Faulty):
    async def set_many(self, bucket: str, key_values: list[tuple[str, bytes]]) -> None:
        await super().set_many(bucket, key_values[::-1])


class MissingIsAnError(Faulty):
    async def delete(self, bucket: str, key: str) -> None:
        if not await self.exists(bucket, key):
            raise InvalidArgument("no such key")
        await super().delete(bucket, key)


FAULTS = [
    (SkipsByCount, "test_a_bucket_is_emptied_page_by_page"),
    (SkipsByCount, "test_keys_that_stay_are_listed_while_others_come_and_go"),
    (ListsAllAtOnce, "test_every_key_is_on_one_page_and_no_page_is_longer_than_it_may_be"),
    (ListsTheLastKeyAgain, "test_every_key_is_on_one_page_and_no_page_is_longer_than_it_may_be"),
    (TextOnly, "test_any_bytes_come_back_as_they_were"),
    (EmptyIsMissing, "test_the_empty_value_is_not_a_missing_key"),
    (FoldsBuckets, "test_buckets_do_not_see_each_other_whatever_their_names"),
    (BucketsArePrefixes, "test_a_bucket_and_a_key_do_not_run_into_each_other"),
    (CountsInFloats, "test_increments_are_exact"),
    (WrapsAround, "test_overflow_is_refused"),
    (LosesIncrements, "test_increments_of_many_callers_lose_none_and_each_sees_its_own_sum"),
    (AnswersAsTheyCome, "test_values_come_in_the_order_of_their_keys_and_none_for_what_is_missing"),
    (WantsKeys, "test_no_keys_are_no_error"),
    (OneByOne, "test_nobody_sees_half_of_what_is_set_or_deleted_at_once"),
    (KeepsTheFirstOfTwo, "test_of_a_key_that_is_given_twice_the_last_value_stays"),
    (MissingIsAnError, "test_a_key_that_nobody_set_does_not_exist_and_deleting_it_is_no_error"),
]


class Judged(ComponentDirect):
    """The suite on the backend memory, with a fault."""

    __test__ = False

    backend = "memory"
    capabilities = frozenset(ImportsCapability) - {ImportsCapability.SHARED}
    fault: type[Faulty] = Faulty

    def __init__(self, folder: Path) -> None:
        self.place, self.folder = Memory(), folder

    @asynccontextmanager
    async def imports(self) -> AsyncIterator[Imports]:
        async with super().imports() as have:
            faulty = self.fault(have)
            yield Imports(faulty, faulty, faulty)

    async def test_increments_are_exact(self) -> None:
        await self.test_a_counter_is_exact_up_to_63_bits((1 << 53) + 1)

    async def test_overflow_is_refused(self) -> None:
        await self.test_a_sum_that_is_negative_or_beyond_63_bits_is_out_of_range_and_changes_nothing((1 << 63) - 1, 1)


@pytest.mark.parametrize(("fault", "test"), FAULTS)
async def test_a_fault_is_found(tmp_path: Path, fault: type[Faulty], test: str) -> None:
    suite = Judged(tmp_path)
    suite.fault = fault
    with pytest.raises((AssertionError, pytest.fail.Exception, ProviderError)):
        await getattr(suite, test)()


@pytest.mark.parametrize("test", sorted({test for _, test in FAULTS}))
async def test_the_store_without_the_fault_passes(tmp_path: Path, test: str) -> None:
    await getattr(Judged(tmp_path), test)()


def test_a_capability_without_its_method_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"Promising declares .* shared: second\(\), watched: watched\(\)"):

        class Promising(ComponentConformance):
            capabilities = frozenset({ImportsCapability.SHARED, ImportsCapability.WATCHED})
