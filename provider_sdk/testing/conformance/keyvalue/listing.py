"""Pages of keys: all of them, none twice, in bounded pages, whatever happens in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from provider_sdk.contracts.wasi_keyvalue import Store
from provider_sdk.testing.conformance.choice import needs
from provider_sdk.testing.conformance.keyvalue.corpus import KEYS
from provider_sdk.testing.conformance.keyvalue.imports import Imports, ImportsCapability, ImportsSuite

MOST_PAGES = 100_000


async def pages(store: Store, bucket: str = "") -> AsyncIterator[list[str]]:
    """All pages of a bucket, to the last."""
    cursor: int | None = None
    for _ in range(MOST_PAGES):
        page = await store.list_keys(bucket, cursor)
        yield page.keys
        cursor = page.cursor
        if cursor is None:
            return
    raise AssertionError("the listing does not end")


async def listed(store: Store, bucket: str = "") -> list[str]:
    """All keys of a bucket as its pages have them."""
    return [key async for page in pages(store, bucket) for key in page]


class Listing(ImportsSuite):
    """list-keys."""

    async def _fill(self, have: Imports, keys: Iterable[str]) -> None:
        await have.batch.set_many("", [(key, b"v") for key in keys])

    async def test_an_empty_bucket_has_no_keys(self) -> None:
        async with self.imports() as have:
            assert await listed(have.store) == []

    async def test_keys_are_listed_as_they_were_given(self) -> None:
        async with self.imports() as have:
            await self._fill(have, KEYS)
            assert sorted(await listed(have.store)) == sorted(KEYS)

    async def test_every_key_is_on_one_page_and_no_page_is_longer_than_it_may_be(self) -> None:
        keys = [f"key {number}" for number in range(self.keys_listed)]
        async with self.imports() as have:
            await self._fill(have, keys)
            found = [page async for page in pages(have.store)]
            assert sorted(key for page in found for key in page) == sorted(keys)
            assert max(map(len, found)) <= self.longest_page < len(keys)

    async def test_what_was_deleted_is_not_listed_and_what_was_replaced_is_listed_once(self) -> None:
        async with self.imports() as have:
            await self._fill(have, "abc")
            await have.store.delete("", "b")
            await have.store.set("", "c", b"another")
            assert sorted(await listed(have.store)) == ["a", "c"]

    async def test_keys_that_stay_are_listed_while_others_come_and_go(self) -> None:
        stay = [f"stay {number}" for number in range(self.keys_listed)]
        go = [f"go {number}" for number in range(self.keys_listed)]
        async with self.imports() as have:
            await self._fill(have, [key for pair in zip(stay, go, strict=True) for key in pair])
            found: list[str] = []
            async for number, page in _numbered(pages(have.store)):
                found += page
                await have.batch.delete_many("", go[number * 100 : number * 100 + 100])
                await self._fill(have, [f"come {number} {other}" for other in range(20)])
                await self._fill(have, stay[number * 10 : number * 10 + 10])
            assert {key for key in found if key.startswith("stay")} == set(stay)

    @needs(ImportsCapability.UNREPEATED)
    async def test_keys_that_stay_are_listed_once_while_most_others_go(self) -> None:
        stay = [f"stay {number}" for number in range(self.keys_listed // 5)]
        go = [f"go {number}" for number in range(self.keys_listed)]
        async with self.imports() as have:
            await self._fill(have, [*go[::2], *stay, *go[1::2]])
            found: list[str] = []
            async for number, page in _numbered(pages(have.store)):
                found += page
                await have.batch.delete_many("", go[number * 800 : number * 800 + 800])
            assert sorted(key for key in found if key.startswith("stay")) == sorted(stay)

    async def test_a_bucket_is_emptied_page_by_page(self) -> None:
        async with self.imports() as have:
            await self._fill(have, [f"key {number}" for number in range(self.keys_listed)])
            async for page in pages(have.store):
                await have.batch.delete_many("", page)
            assert await listed(have.store) == []

    @needs(ImportsCapability.SHARED)
    async def test_another_instance_goes_on_with_the_next_page(self) -> None:
        keys = [f"key {number}" for number in range(self.keys_listed)]
        async with self.imports() as first, self.second() as second:
            await self._fill(first, keys)
            found: list[str] = []
            page = await first.store.list_keys("")
            found += page.keys
            number = 0
            while page.cursor is not None:
                number += 1
                page = await (second if number % 2 else first).store.list_keys("", page.cursor)
                found += page.keys
            assert sorted(found) == sorted(keys)

    async def test_a_cursor_that_nobody_gave_is_answered_all_the_same(self) -> None:
        async with self.imports() as have:
            await self._fill(have, KEYS)
            for cursor in (1, 17, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
                assert set((await have.store.list_keys("", cursor)).keys) <= set(KEYS)


async def _numbered(found: AsyncIterator[list[str]]) -> AsyncIterator[tuple[int, list[str]]]:
    number = 0
    async for page in found:
        yield number, page
        number += 1
