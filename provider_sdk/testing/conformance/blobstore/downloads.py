"""Streams down: chunks in order, each after the answer to the one before, of one version of the object."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from provider_sdk.contracts.blobstore import ContainerObject
from provider_sdk.errors import NotFound
from provider_sdk.testing.conformance.blobstore.box import Box, Fetched, pattern, refused
from provider_sdk.testing.conformance.blobstore.suite import TWICE, BlobstoreSuite, Capability
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.together import together

SHORT = 0.2
"""Seconds in which a chunk that was on its way comes."""


class Downloads(BlobstoreSuite):
    """GetObject of what does not fit in one chunk, ReceiveChunk."""

    async def test_a_small_object_is_one_chunk(self) -> None:
        async with self.box() as box:
            data = pattern(self.in_one)
            await box.put("a", data)
            for _ in TWICE:
                found = await box.answer("a")
                assert (found.data == data, found.chunks[0].is_last, found.answer.content_length) == (True, True, len(data))

    @needs(Capability.CHUNKS)
    async def test_a_large_object_comes_in_chunks_one_after_the_other(self) -> None:
        async with self.box() as box:
            for seed in TWICE:
                data = pattern(self.in_several, seed)
                await box.put("a", data, "text/plain", "gzip")
                found = await box.fetch("a")
                assert len(found.data) == len(data) and found.data == data
                assert len(found.chunks) > 1 and all(chunk.data for chunk in found.chunks)
                assert [chunk.is_last for chunk in found.chunks] == [False] * (len(found.chunks) - 1) + [True]
                assert found.details == ("text/plain", "gzip")

    @lacks(Capability.CHUNKS)
    async def test_a_large_object_comes_in_one_chunk(self) -> None:
        async with self.box() as box:
            await box.put("a", pattern(self.in_several))
            found = await box.answer("a")
            assert found.chunks[0].is_last and found.data == pattern(self.in_several)

    async def test_many_objects_are_downloaded_at_once(self) -> None:
        async with self.box() as box:
            objects = {f"{number}": pattern(self.in_several // 2 + number, number) for number in range(self.callers)}
            await together((box.put(name, data) for name, data in objects.items()), most=4)
            found = await together(box.get(name) for name in objects)
            assert [data == expected for data, expected in zip(found, objects.values(), strict=True)] == [True] * len(objects)

    @needs(Capability.CHUNKS)
    async def test_a_slow_reader_holds_up_nobody(self) -> None:
        data, other = pattern(self.in_several, 1), pattern(self.in_several, 2)
        async with self.box() as box:
            await box.put("slow", data)
            await box.put("other", other)
            fetched = await self._held(box, "slow")
            assert await together(box.get(name) for name in ("other",)) == [other]
            await box.put("another", b"text")
            assert (await box.get("another"), await box.names()) == (b"text", ["another", "other", "slow"])
            assert box.receiver.waiting((box.id, "slow")) == 0, "the next chunk waits for the answer to the one before"
            assert await self._released(box, "slow", fetched) == data

    @needs(Capability.CHUNKS)
    async def test_a_download_that_is_cancelled_ends(self) -> None:
        data = pattern(self.in_several)
        async with self.box() as box:
            await box.put("a", data)
            await box.put("b", data)
            for _ in TWICE:
                box.receiver.unwanted.add("a")
                fetched = await box.answer("a")
                fetched.chunks.append(await box.receiver.next((box.id, "a")))
                assert await box.get("b") == data
                await asyncio.sleep(SHORT)
                assert box.receiver.waiting((box.id, "a")) == 0, "chunks came that nobody wanted"
                assert data.startswith(fetched.data)
            box.receiver.unwanted.clear()
            assert await box.get("a") == data

    @needs(Capability.CHUNKS, Capability.SNAPSHOTS)
    async def test_a_download_goes_on_with_the_object_that_it_began_with(self) -> None:
        data = pattern(self.in_several, 1)
        async with self.box() as box:
            for change in ("replaced", "uploaded", "removed", "container"):
                await box.put("a", data)
                fetched = await self._held(box, "a")
                await self._change(box, change)
                assert await self._released(box, "a", fetched) == data, change

    @needs(Capability.CHUNKS)
    @lacks(Capability.SNAPSHOTS)
    async def test_a_download_has_no_bytes_of_another_version(self) -> None:
        data = pattern(self.in_several, 1)
        async with self.box() as box:
            for change in ("replaced", "uploaded", "removed", "container"):
                name = change
                await box.put(name, data)
                fetched = await self._held(box, name)
                await self._change(box, change)
                box.receiver.held.pop(name).set()
                with suppress(AssertionError):
                    await box.rest(fetched, name)
                assert data.startswith(fetched.data), change

    async def test_the_next_download_is_of_the_new_object(self) -> None:
        async with self.box() as box:
            for seed in range(3):
                data = pattern(self.in_several + seed, seed)
                await box.put("a", data, f"text/{seed}")
                found = await box.fetch("a")
                assert (found.data == data, found.details[0]) == (True, f"text/{seed}")
            await box.remove("a")
            await refused(NotFound, box.get("a"))
            assert await box.store.object_exists(ContainerObject(box.id, "a")) is False

    async def _held(self, box: Box, name: str) -> Fetched:
        """A download whose second chunk has come and is not answered."""
        box.receiver.held[name] = asyncio.Event()
        fetched = await box.answer(name)
        fetched.chunks.append(await box.receiver.next((box.id, name)))
        assert not fetched.chunks[-1].is_last, "in_several is too small: two chunks are all"
        return fetched

    async def _released(self, box: Box, name: str, fetched: Fetched) -> bytes:
        box.receiver.held.pop(name).set()
        return (await box.rest(fetched, name)).data

    async def _change(self, box: Box, change: str) -> None:
        name = "a" if Capability.SNAPSHOTS in self.capabilities else change
        other = pattern(self.in_several, 2)
        match change:
            case "replaced":
                await box.put(name, other)
            case "uploaded":
                await box.upload(name, [other[:1000], other[1000:]])
            case "removed":
                await box.remove(name)
            case "container":
                assert await box.store.remove_containers([box.id]) == []
                await box.store.create_container(box.id)
                await box.put(name, b"in a new container")
