"""Uploads of the blobstore in this process: order, limits, faults, givings-up, and nothing left of any of them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provider_sdk import InvalidArgument, NotFound, OutOfRange, PreconditionFailed, ResourceExhausted, Unavailable
from provider_sdk.contracts.blobstore import (
    Chunk,
    ContainerObject,
    PutChunkRequest,
    PutObjectRequest,
)
from providers.blobstore import uploads
from providers.blobstore.backends import memory
from providers.blobstore.backends.memory import MemoryStore
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.stores import Stores
from providers.blobstore.uploads import Upload
from tests.unit.blob_world import KEY, OTHER, Gate, World, a_world, failing
from tests.waiting import until


@pytest.fixture
async def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    async for made in a_world(tmp_path):
        yield made
    gc.collect(1)
    assert not [record for record in caplog.records if record.name == "asyncio"]


class TestUploads:
    async def test_chunks_in_turn_make_an_object_that_is_seen_when_it_is_whole(self, world: World) -> None:
        stream = await world.begin(data=b"one ")
        await world.chunk(stream, 4, b"two ")
        await world.chunk(stream, 8, b"")
        assert await world.stored() is None
        await world.chunk(stream, 8, b"three", last=True)
        assert await world.stored() == b"one two three"
        info = await world.link.get_object_info(ContainerObject("c", "o"))
        assert (info.content_length, info.content_type, info.content_encoding) == (13, "text/plain", "gzip")

    async def test_an_empty_last_chunk_ends_it_too(self, world: World) -> None:
        await world.chunk(await world.begin(), 0, b"", last=True)
        assert await world.stored() == b""

    async def test_what_is_overwritten_is_there_until_the_new_is_whole(self, world: World) -> None:
        await world.put(b"old")
        stream = await world.begin(data=b"new")
        assert await world.stored() == b"old"
        await world.chunk(stream, 3, b"er", last=True)
        assert await world.stored() == b"newer"

    async def test_chunks_that_overtake_each_other_are_put_in_order(self, world: World) -> None:
        stream = await world.begin()
        await asyncio.gather(*(world.chunk(stream, at, bytes([at]), last=at == 15) for at in reversed(range(16))))
        assert await world.stored() == bytes(range(16))

    async def test_chunks_wait_for_those_before_however_slowly_these_are_written(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploads, "OVERTAKEN", 1.0)
        world.backend.on_write = lambda: asyncio.sleep(0.1)
        stream = await world.begin()
        await asyncio.gather(*(world.chunk(stream, at, bytes([at]), last=at == 15) for at in reversed(range(16))))
        assert await world.stored() == bytes(range(16))

    async def test_one_write_may_take_longer_than_a_chunk_waits_for_one_that_does_not_come(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploads, "OVERTAKEN", 0.1)
        world.backend.on_write = lambda: asyncio.sleep(0.3)
        stream = await world.begin()
        await asyncio.gather(world.chunk(stream, 1, b"b", last=True), world.chunk(stream, 0, b"a"))
        assert await world.stored() == b"ab"

    @pytest.mark.parametrize("offset", [0, 2, 4, 100, 2**64 - 1])
    async def test_another_offset_than_the_next_is_refused_and_the_next_is_told(
        self, world: World, monkeypatch: pytest.MonkeyPatch, offset: int
    ) -> None:
        monkeypatch.setattr(uploads, "OVERTAKEN", 0.01)
        stream = await world.begin(data=b"one")
        with pytest.raises(OutOfRange, match=f"the next chunk of 'o' begins at 3, and this one at {offset}"):
            await world.chunk(stream, offset, b"xxx", last=True)
        await world.chunk(stream, 3, b"two", last=True)
        assert await world.stored() == b"onetwo"

    async def test_a_first_chunk_that_begins_elsewhere_is_refused(self, world: World) -> None:
        for last in (True, False):
            with pytest.raises(InvalidArgument, match="begins at 0, and this one at 1"):
                await world.link.put_object(PutObjectRequest(Chunk("o", "c", b"x", 1, last)))

    async def test_a_container_that_is_not_there_is_told_at_once(self, world: World) -> None:
        with pytest.raises(NotFound, match="there is no container 'd'"):
            await world.link.put_object(PutObjectRequest(Chunk("o", "d", b"x")))

    async def test_a_stream_belongs_to_its_link_and_its_object(self, world: World) -> None:
        stream, other = await world.begin(), world.another(OTHER)
        for link, chunk, error in (
            (other, Chunk("o", "c", b"x"), NotFound),
            (world.link, Chunk("p", "c", b"x"), InvalidArgument),
            (world.link, Chunk("o", "d", b"x"), InvalidArgument),
        ):
            for cancel in (False, True):
                with pytest.raises(error):
                    await link.put_chunk(PutChunkRequest(chunk, stream, cancel))
        with pytest.raises(NotFound, match="another instance of the provider has it"):
            await world.chunk("nonsense", 0, b"x")
        await world.chunk(stream, 0, b"whole", last=True)

    @pytest.mark.parametrize("none", [None, ""])
    async def test_without_a_stream_id_the_upload_of_that_object_is_meant(self, world: World, none: str | None) -> None:
        streams = [await world.begin(), await world.begin()]
        await world.begin(name="p")
        with pytest.raises(PreconditionFailed, match="2 uploads of 'o' are on their way: say the streamId of one"):
            await world.chunk(none, 0, b"x")
        await world.cancel(streams[0])
        await world.chunk(none, 0, b"x", last=True)
        assert await world.stored() == b"x"

    async def test_two_uploads_of_one_object_end_with_one_whole(self, world: World) -> None:
        one, two = await world.begin(data=b"1"), await world.begin(data=b"2")
        await world.chunk(two, 1, b"2", last=True)
        await world.chunk(one, 1, b"1", last=True)
        assert await world.stored() == b"11"

    async def test_a_cancelled_upload_leaves_nothing(self, world: World) -> None:
        await world.put(b"before")
        stream = await world.begin(data=b"x")
        await world.cancel(stream)
        assert (await world.stored(), world.backend.unfinished) == (b"before", set())
        for _ in range(2):
            with pytest.raises(NotFound):
                await world.chunk(stream, 1, b"x")
            with pytest.raises(NotFound):
                await world.cancel(stream)

    async def test_chunks_that_wait_are_told_when_the_upload_is_cancelled(self, world: World) -> None:
        stream = await world.begin()
        waiting = [asyncio.ensure_future(world.chunk(stream, at, b"x")) for at in (5, 6)]
        await asyncio.sleep(0.01)
        await world.cancel(stream)
        assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [NotFound] * 2

    async def test_a_container_removed_meanwhile_fails_the_last_chunk_and_ends_it(self, world: World) -> None:
        stream = await world.begin(data=b"x")
        await world.link.delete_container("c")
        with pytest.raises(NotFound, match="no container"):
            await world.chunk(stream, 1, b"y", last=True)
        assert not world.backend.unfinished

    @pytest.mark.parametrize("where", ["on_write", "on_commit"])
    async def test_a_store_that_fails_is_told_and_leaves_nothing(self, world: World, where: str) -> None:
        stream = await world.begin(data=b"x")
        setattr(world.backend, where, failing(ResourceExhausted("the disk is full")))
        with pytest.raises(ResourceExhausted, match="the disk is full"):
            await world.chunk(stream, 1, b"y", last=True)
        with pytest.raises(NotFound):
            await world.chunk(stream, 2, b"z")
        assert (await world.stored(), world.backend.unfinished) == (None, set())

    async def test_a_first_chunk_that_fails_leaves_nothing(self, world: World) -> None:
        world.backend.on_write = failing(Unavailable("no server"))
        with pytest.raises(Unavailable):
            await world.begin(data=b"x")
        assert not len(world.streams.uploads) and not world.backend.unfinished

    async def test_what_cannot_be_tidied_up_is_no_failure_of_what_is_stored(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        stream = await world.begin(data=b"x")
        world.backend.on_abort = failing(OSError("no such thing"))
        await world.chunk(stream, 1, b"y", last=True)
        assert await world.stored() == b"xy"
        assert "the rest of an upload of 'o' could not be removed: no such thing" in caplog.text
        world.backend.unfinished.clear()


class TestGivingUp:
    async def test_a_chunk_whose_caller_gives_up_is_taken_whole(self, world: World) -> None:
        gate = world.backend.on_write = Gate()
        stream = await world.begin()
        call = asyncio.ensure_future(world.chunk(stream, 0, b"one"))
        await gate.reached()
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        gate.open()
        await world.chunk(stream, 3, b"two", last=True)
        assert await world.stored() == b"onetwo"

    async def test_an_upload_whose_first_caller_gives_up_is_none(self, world: World) -> None:
        gate = world.backend.on_write = Gate()
        call = asyncio.ensure_future(world.begin(data=b"one"))
        await gate.reached()
        call.cancel()
        await asyncio.wait([call])
        gate.open()
        await world.nothing_left()

    async def test_a_cancelled_upload_is_over_although_nobody_waited_for_that(self, world: World) -> None:
        gate = world.backend.on_write = Gate()
        stream = await world.begin()
        writing = asyncio.ensure_future(world.chunk(stream, 0, b"one"))
        await gate.reached()
        cancelling = asyncio.ensure_future(world.cancel(stream))
        await asyncio.sleep(0.01)
        cancelling.cancel()
        await asyncio.wait([cancelling])
        gate.open()
        await writing
        with pytest.raises(NotFound):
            await world.chunk(stream, 3, b"two", last=True)
        assert await world.stored() is None

    async def test_a_cancellation_that_comes_during_the_last_chunk_says_that_it_was_too_late(self, world: World) -> None:
        gate = world.backend.on_commit = Gate()
        stream = await world.begin()
        last = asyncio.ensure_future(world.chunk(stream, 0, b"one", last=True))
        await gate.reached()
        cancelling = asyncio.ensure_future(world.cancel(stream))
        await asyncio.sleep(0.01)
        gate.open()
        await last
        with pytest.raises(NotFound, match="has ended"):
            await cancelling
        assert await world.stored() == b"one"

    async def test_an_idle_upload_is_given_up_and_told_in_the_log(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async for world in a_world(tmp_path, upload_timeout=0.1):
            stream = await world.begin(data=b"x")
            async with asyncio.timeout(30):
                while len(world.streams.uploads):
                    await asyncio.sleep(0.01)
            with pytest.raises(NotFound):
                await world.chunk(stream, 1, b"y", last=True)
            assert "an upload of 'o' had no chunk for 0.1 s and is given up" in caplog.text

    async def test_an_upload_that_goes_on_or_is_being_written_is_not_given_up(self, tmp_path: Path) -> None:
        async for world in a_world(tmp_path, upload_timeout=2):
            stream = await world.begin()
            for at in range(4):
                await asyncio.sleep(0.8)
                await world.chunk(stream, at, b"x")
            world.backend.on_write = lambda: asyncio.sleep(3.0)
            await world.chunk(stream, 4, b"x")
            await world.chunk(stream, 5, b"", last=True)
            assert await world.stored() == b"x" * 5

    async def test_ended_uploads_leave_no_timers_behind(self, world: World) -> None:
        writings = []
        for number in range(50):
            stream = await world.begin()
            writings += [weakref.ref(writing) for writing in world.backend.unfinished]
            if number % 2:
                await world.chunk(stream, 0, b"x", last=True)
            else:
                await world.cancel(stream)
        await world.nothing_left()
        gc.collect()
        assert len(writings) == 50 and not [writing for writing in writings if writing() is not None]

    async def test_a_link_that_is_left_ends_its_uploads_and_no_others(self, world: World) -> None:
        mine, other = await world.begin(), world.another(OTHER)
        theirs = await world.begin(link=other)
        await world.leave()
        with pytest.raises(NotFound):
            await world.chunk(mine, 0, b"x", last=True)
        await other.put_chunk(PutChunkRequest(Chunk("o", "c", b"x", is_last=True), theirs))

    async def test_leaving_does_not_wait_for_ever_for_a_store_that_is_stuck(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(uploads, "LEFT_WITHIN", 0.05)
        gate = world.backend.on_write = Gate()
        stuck, idle = await world.begin(), await world.begin(name="p")
        call = asyncio.ensure_future(world.chunk(stuck, 0, b"one"))
        await gate.reached()
        async with asyncio.timeout(30):
            await world.leave()
        assert "1 uploads are still being ended: their store does not answer" in caplog.text
        with pytest.raises(NotFound):
            await world.chunk(idle, 0, b"x", name="p")
        assert len(world.streams.uploads) == 1
        gate.open()
        await call
        await world.nothing_left()
        assert await world.stored() is None

    async def test_an_upload_that_is_being_begun_when_its_link_is_left_is_refused(self, world: World) -> None:
        gate = world.backend.on_create = Gate()
        call = asyncio.ensure_future(world.begin())
        await gate.reached()
        world.linked.leave()
        await world.leave()
        gate.open()
        with pytest.raises(Unavailable, match="the link was left before the stream began"):
            await call
        await world.nothing_left()

    async def test_a_link_has_so_many_uploads_and_no_more(self, tmp_path: Path) -> None:
        async for world in a_world(tmp_path, max_streams=3):
            gate = world.backend.on_create = Gate()
            calls = [asyncio.ensure_future(world.begin()) for _ in range(5)]
            await gate.reached(3)
            gate.open()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(answer) for answer in answers] == [str] * 3 + [ResourceExhausted] * 2
            assert "max_streams" in str(answers[3])
            await world.begin(link=world.another(OTHER))
            await world.cancel(str(answers[0]))
            await world.begin()
            await world.leave(OTHER)


def test_an_upload_is_told_apart_from_any_other_by_an_id_that_nobody_guesses() -> None:
    async def ids() -> set[str]:
        return {Upload(KEY, "c", "o", None, None).id for _ in range(1000)}  # type: ignore[arg-type]

    found = asyncio.run(ids())
    assert len(found) == 1000 and all(len(item) == 24 for item in found)


async def test_a_store_that_is_being_opened_for_a_link_that_is_given_up_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, opening, closed = threading.Event(), threading.Event(), asyncio.Event()

    class Slow(MemoryStore):
        async def close(self) -> None:
            closed.set()

    def open_store(config: BlobstoreConfig, data_dir: Path) -> Slow:
        begun.set()
        opening.wait(30)
        return Slow()

    monkeypatch.setattr(memory, "open_store", open_store)
    used = asyncio.ensure_future(Stores(tmp_path).use(BlobstoreConfig(backend="memory")).__aenter__())
    await until(begun.is_set)
    used.cancel()
    await asyncio.wait([used])
    opening.set()
    async with asyncio.timeout(30):
        await closed.wait()
