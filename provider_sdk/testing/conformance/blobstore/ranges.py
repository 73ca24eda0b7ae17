"""Ranges: both ends included, cut to what is there."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from provider_sdk.errors import InvalidArgument, OutOfRange
from provider_sdk.testing.conformance.blobstore.box import Box, pattern, refused
from provider_sdk.testing.conformance.blobstore.suite import TWICE, BlobstoreSuite
from provider_sdk.testing.conformance.together import together

HIGHEST = (1 << 64) - 1
"""The largest that a range can say; files and servers know no more than half of it."""


def sliced(data: bytes, start: int | None, end: int | None) -> bytes:
    """What a range is."""
    return data[start or 0 :] if end is None else data[start or 0 : end + 1]


class Ranges(BlobstoreSuite):
    """GetObject with `range_start`, `range_end`."""

    async def _is_a_slice(self, box: Box, data: bytes, start: int | None, end: int | None) -> None:
        found = await box.fetch(str(len(data)), start, end)
        expected = sliced(data, start, end)
        assert found.data == expected, f"{start} to {end} of {len(data)}: {len(found.data)} bytes, and not {len(expected)}"
        assert found.answer.content_length == len(expected)
        if not expected:
            assert len(found.chunks) == 1 and found.chunks[0].is_last, "a range in which nothing is has one chunk, the last"

    async def test_every_range_of_a_small_object_is_a_slice(self) -> None:
        async with self.box() as box:
            for size in (0, 1, 2, 4):
                data = pattern(size, size)
                await box.put(str(size), data)
                ranges = [
                    (start, end)
                    for start in (None, *range(size + 3))
                    for end in (None, *range(size + 3))
                    if end is None or end >= (start or 0)
                ]
                for start, end in ranges:
                    await self._is_a_slice(box, data, start, end)

    async def test_any_range_of_any_object_is_a_slice(self) -> None:
        sizes = sorted({1, 2, 100, self.in_one, self.in_several, self.in_several + 1})
        async with self.box() as box:
            held = {size: pattern(size, size) for size in sizes}
            for size, data in held.items():
                await box.put(str(size), data)

            async def check(asked: tuple[int, int | None, int | None]) -> None:
                size, start, length = asked
                await self._is_a_slice(box, held[size], start, None if length is None else (start or 0) + length)

            def near(size: int) -> st.SearchStrategy[Any]:
                places = st.one_of(st.integers(0, size + 2), st.integers(max(0, size - 2), size + 2))
                return st.tuples(st.just(size), st.none() | places, st.none() | st.integers(0, 2) | st.integers(0, size + 2))

            await self.tried(st.sampled_from(sizes).flatmap(near), check)

    async def test_a_range_may_end_behind_the_end_however_far(self) -> None:
        async with self.box() as box:
            await box.put("4", b"abcd")
            for end in (3, 4, 5, 1 << 31, 1 << 32, 1 << 63, HIGHEST):
                assert await box.get("4", 0, end) == b"abcd"
                assert await box.get("4", 3, end) == b"d"

    async def test_a_range_that_begins_behind_the_end_is_an_empty_last_chunk(self) -> None:
        async with self.box() as box:
            await box.put("4", b"abcd", "text/plain", "gzip")
            await box.put("0", b"")
            for start in (4, 5, 1 << 31, 1 << 32, 1 << 63, HIGHEST):
                for name in "40":
                    for end in (None, start, HIGHEST):
                        found = await box.fetch(name, start, end)
                        assert (found.data, found.answer.content_length, len(found.chunks)) == (b"", 0, 1)
                assert (await box.fetch("4", start)).details == ("text/plain", "gzip")

    async def test_a_range_that_ends_before_it_begins_is_refused(self) -> None:
        async with self.box() as box:
            for name in ("4", "0"):
                await box.put(name, pattern(int(name)))
                for start, end in ((1, 0), (2, 1), (3, 0), (9, 8), (HIGHEST, 0), (HIGHEST, HIGHEST - 1)):
                    for _ in TWICE:
                        await refused((InvalidArgument, OutOfRange), box.get(name, start, end))

    async def test_ranges_of_an_object_that_is_replaced_are_of_the_new_one(self) -> None:
        async with self.box() as box:
            await box.put("a", b"abcdefgh")
            assert await box.get("a", 4) == b"efgh"
            await box.put("a", b"ABC")
            assert [await box.get("a", 2), await box.get("a", 4), await box.get("a", 0, 1)] == [b"C", b"", b"AB"]

    async def test_the_pieces_of_an_object_make_the_whole(self) -> None:
        data = pattern(self.in_one)
        step = self.in_one // 7 + 1
        async with self.box() as box:
            await box.put("a", data)
            pieces = await together((box.get("a", at, at + step - 1) for at in range(0, len(data), step)), most=4)
            assert b"".join(pieces) == data
