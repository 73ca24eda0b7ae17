"""Streams as components see them: objects that are on their way, in and out, broken off, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from provider_sdk.contracts.wasi_blobstore import WasiBlobstore
from provider_sdk.errors import NotFound, ProviderError
from provider_sdk.testing.conformance.blobstore.box import pattern, refused
from provider_sdk.testing.conformance.blobstore.component_box import ComponentBox, Source, raised
from provider_sdk.testing.conformance.blobstore.component_suite import WasiBlobstoreSuite
from provider_sdk.testing.conformance.blobstore.suite import Capability
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.together import together

SOON = 10.0


class Held(AsyncIterator[bytes]):
    """What is written piece by piece, as the test says: None is the end."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __anext__(self) -> bytes:
        piece = await self.pieces.get()
        if piece is None:
            raise StopAsyncIteration
        return piece


class ComponentStreams(WasiBlobstoreSuite):
    """write-container-data and get-container-data of more than one piece."""

    async def test_pieces_of_any_size_make_one_object(self) -> None:
        data = pattern(self.large)
        cuts = (1, 2, 10, 100, 4096, 70_000, 70_001, 1 << 20, (1 << 20) + 3 * 65_536, self.large)
        pieces = [data[start:end] for start, end in zip((0, *cuts), cuts, strict=False)]
        async with self.box() as box:
            await box.put("a", *pieces)
            assert await box.get("a") == data
            await box.put("a", *(data[at : at + 4096] for at in range(0, len(data), 4096)))
            assert await box.get("a") == data

    async def test_an_object_is_there_when_all_of_it_has_come_and_not_before(self) -> None:
        async with self.box() as box:
            await box.put("old", b"old")
            source = {name: Held() for name in ("new", "old")}
            writing = [asyncio.create_task(box.write(name, held)) for name, held in source.items()]
            for held in source.values():
                held.pieces.put_nowait(pattern(self.large // 2))
            await asyncio.sleep(0.05)
            assert (await box.names(), await box.get("old"), await box.has("new")) == (["old"], b"old", False)
            for held in source.values():
                held.pieces.put_nowait(b"end")
                held.pieces.put_nowait(None)
            await asyncio.gather(*writing)
            assert await box.names() == ["new", "old"]
            assert await box.get("old") == await box.get("new") == pattern(self.large // 2) + b"end"

    async def test_of_a_stream_that_breaks_off_nothing_is_left(self) -> None:
        async with self.box() as box:
            await box.put("old", b"old")
            for size in (0, 1, self.large):
                broken = [box.write(name, Source([pattern(size)], broken=True)) for name in ("new", "old")]
                await refused(ProviderError, *broken)
                assert (await box.names(), await box.get("old")) == (["old"], b"old")

    async def test_of_many_writers_one_wins(self) -> None:
        async with self.box() as box:
            versions = [bytes([number]) * (70_000 + number) for number in range(8)]
            await together(box.put("a", data[:40_000], data[40_000:]) for data in versions)
            assert await box.get("a") in versions

    async def test_many_streams_go_on_side_by_side(self) -> None:
        async with self.box() as box:
            objects = {f"{number}": pattern(self.large // 4 + number, number) for number in range(12)}
            await together(box.put(name, data[:100_000], data[100_000:]) for name, data in objects.items())
            assert await together(box.get(name) for name in objects) == list(objects.values())

    async def test_a_reader_that_wants_no_more_hinders_nobody(self) -> None:
        async with self.box() as box:
            await box.put("a", pattern(self.large))
            for _ in range(5):
                stream: Any = await box.open("a")
                async with aclosing(stream):
                    assert len(await anext(stream)) > 0
            assert await box.get("a") == pattern(self.large)
            await box.remove("a")

    @needs(Capability.SNAPSHOTS)
    async def test_a_reader_goes_on_with_the_version_that_it_began_with(self) -> None:
        async with self.box() as box:
            await self._replaced_while_read(box)

    @lacks(Capability.SNAPSHOTS)
    async def test_a_reader_goes_on_with_its_version_or_is_told(self) -> None:
        async with self.box() as box:
            try:
                await self._replaced_while_read(box)
            except ProviderError:
                assert await box.get("a") == b"new"

    async def _replaced_while_read(self, box: ComponentBox) -> None:
        await box.put("a", pattern(self.large))
        stream = await box.open("a")
        found = [await anext(stream)]
        await box.put("a", b"new")
        found += [piece async for piece in stream]
        assert b"".join(found) == pattern(self.large)
        assert await box.get("a") == b"new"


class ComponentFutures(WasiBlobstoreSuite):
    """What only version 0.2.0 has: an answer before the data, and a future behind it."""

    async def test_a_write_is_answered_before_its_data_has_come(self) -> None:
        async with self.box() as box:
            source = Held()
            async with asyncio.timeout(SOON):
                outcome = await self._of(box).write_container_data(box.of("a"), source)
            assert await box.has("a") is False
            source.pieces.put_nowait(b"text")
            source.pieces.put_nowait(None)
            raised(await outcome)
            assert await box.get("a") == b"text"

    async def test_what_is_wrong_from_the_start_is_the_answer_and_not_the_future(self) -> None:
        async with self.box() as box:
            store, nowhere = self._of(box), box.beside(f"{self.prefix}abc")
            await refused(NotFound, store.write_container_data(nowhere.of("a"), Source([b"text"])), naming="abc")
            await refused(NotFound, store.get_container_data(box.of("b"), 0, 1), store.list_container_objects(nowhere.id, None, None))

    async def test_the_future_of_a_read_is_there_when_all_is_read(self) -> None:
        async with self.box() as box:
            await box.put("a", pattern(self.large))
            stream, outcome = await self._of(box).get_container_data(box.of("a"), 0, self.large)
            assert b"".join([piece async for piece in stream]) == pattern(self.large)
            raised(await outcome)

    def _of(self, box: ComponentBox) -> WasiBlobstore:
        assert isinstance(box.store, WasiBlobstore)
        return box.store
