"""Callers at the same time: an object is one whole version, never a mix and never missing, whoever writes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from provider_sdk.testing.conformance.blobstore.box import Box
from provider_sdk.testing.conformance.blobstore.suite import BlobstoreSuite, Capability


class Concurrency(BlobstoreSuite):
    """`callers` at once, on one instance, or half of them on a second where the store is shared."""

    def _version(self, number: int) -> tuple[bytes, str]:
        """Bytes and a type that tell which version they are, each of another size."""
        return bytes([65 + number % 26]) * max(1, self.in_one - number), f"version/{number}"

    @asynccontextmanager
    async def _callers(self) -> AsyncIterator[list[Box]]:
        """A box for each caller, all of them one container."""
        async with AsyncExitStack() as stack:
            boxes = [await stack.enter_async_context(self.box())]
            if Capability.SHARED in self.capabilities:
                boxes.append(await stack.enter_async_context(self.box(self.second)))
            yield [boxes[number % len(boxes)] for number in range(self.callers)]

    async def _write(self, box: Box, name: str, number: int) -> None:
        """A version: every other one in several chunks."""
        data, kind = self._version(number)
        if number % 2:
            await box.put(name, data, kind)
        else:
            third = len(data) // 3
            await box.upload(name, [data[:third], data[third : 2 * third], data[2 * third :]], kind)

    async def _is_a_version(self, box: Box, name: str) -> None:
        found = await box.fetch(name)
        number = int((found.answer.content_type or "/-1").partition("/")[2])
        assert found.data == self._version(number)[0], f"{len(found.data)} bytes {found.data[:1]!r}, said to be version {number}"
        info = await box.info(name)
        told = int((info.content_type or "/-1").partition("/")[2])
        assert info.content_length == len(self._version(told)[0])

    async def test_of_many_writers_of_one_object_one_version_stays_as_a_whole(self) -> None:
        async with self._callers() as boxes:
            for turn in range(self.rounds):
                name = f"turn/{turn}"
                await asyncio.gather(*(self._write(box, name, number) for number, box in enumerate(boxes)))
                for box in (boxes[0], boxes[-1]):
                    await self._is_a_version(box, name)
                assert [item.object_id for item in await boxes[0].objects()].count(name) == 1

    async def test_an_object_that_is_replaced_all_the_time_is_never_seen_torn_or_missing(self) -> None:
        async with self._callers() as boxes:
            await self._write(boxes[0], "a", 1)
            ended = asyncio.Event()

            async def writer(box: Box, number: int) -> None:
                for turn in range(self.rounds):
                    await self._write(box, "a", number + 2 * (turn % 2))
                    await asyncio.sleep(0)

            async def reader(box: Box) -> int:
                seen = 0
                while not ended.is_set() or not seen:
                    await self._is_a_version(box, "a")
                    assert await box.exists("a") is True
                    seen += 1
                    await asyncio.sleep(0)
                return seen

            readers = [asyncio.create_task(reader(box)) for box in boxes[2:4]]
            try:
                await asyncio.gather(*(writer(box, number) for number, box in enumerate(boxes[:2], 1)))
            finally:
                ended.set()
                assert min(await asyncio.gather(*readers)) > 0

    async def test_a_listing_has_what_stays_whatever_comes_and_goes_around_it(self) -> None:
        async with self._callers() as boxes:
            stays = [f"{letter}/stays" for letter in "abcdef"]
            for name in stays:
                await boxes[0].put(name, b"text")
            ended = asyncio.Event()

            async def come_and_go(box: Box, number: int) -> None:
                for turn in range(self.rounds):
                    name = f"{'abcdef'[turn % 6]}/{number}"
                    await box.put(name, b"text")
                    await asyncio.sleep(0)
                    await box.remove(name)

            async def lister(box: Box) -> None:
                while not ended.is_set():
                    names = await box.names()
                    assert names == sorted(set(names), key=str.encode)
                    assert [name for name in names if name.endswith("/stays")] == stays
                    await asyncio.sleep(0)  # a store that waits for nothing lets nobody else run

            lists = asyncio.create_task(lister(boxes[-1]))
            try:
                await asyncio.gather(*(come_and_go(box, number) for number, box in enumerate(boxes)))
            finally:
                ended.set()
                await lists
            assert await boxes[0].names() == stays

    async def test_of_many_who_make_or_remove_the_same_nobody_fails(self) -> None:
        async with self._callers() as boxes:
            for turn in range(self.rounds):
                others = [box.beside(f"{self.prefix}turn-{turn}") for box in boxes]
                await asyncio.gather(*(box.store.create_container(box.id) for box in others))
                await others[0].put("a", b"text")
                assert await asyncio.gather(*(box.get("a") for box in others)) == [b"text"] * len(others)
                await asyncio.gather(*(box.remove("a", "b") for box in others))
                assert await others[-1].names() == []
                assert await asyncio.gather(*(box.store.remove_containers([box.id]) for box in others)) == [[]] * len(others)
                assert await others[-1].store.container_exists(others[-1].id) is False

    async def test_objects_of_one_folder_come_and_go_without_hurting_each_other(self) -> None:
        async with self._callers() as boxes:

            async def caller(box: Box, number: int) -> None:
                for turn in range(self.rounds):
                    name = f"folder/in a folder/{number}"
                    await box.put(name, f"{number} {turn}".encode())
                    assert await box.get(name) == f"{number} {turn}".encode()
                    await box.remove(name)
                    assert await box.exists(name) is False

            await asyncio.gather(*(caller(box, number) for number, box in enumerate(boxes)))
            assert await boxes[0].names() == []
