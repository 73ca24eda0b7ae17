"""Downloads of the blobstore in this process, and every stream cut off at every point: nothing is left of any."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from provider_sdk import InvalidArgument, ProviderError, ResourceExhausted, Unavailable
from provider_sdk.contracts.blobstore import (
    Chunk,
    GetObjectRequest,
)
from providers.blobstore import downloads
from providers.blobstore.downloads import READ
from providers.blobstore.wasmbus import FOLLOWING
from tests.unit.blob_world import OTHER, Gate, Receiver, Step, World, a_world, failing


@pytest.fixture
async def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    async for made in a_world(tmp_path):
        yield made
    gc.collect(1)
    assert not [record for record in caplog.records if record.name == "asyncio"]


class TestDownloads:
    @pytest.mark.parametrize("size", [0, 1, FOLLOWING, 1 << 20])
    async def test_what_is_no_more_than_a_mebibyte_is_the_answer_itself(self, world: World, size: int) -> None:
        await world.put(bytes(size))
        answer = await world.get()
        assert answer.initial_chunk == Chunk("o", "c", bytes(size), 0, is_last=True)
        assert (answer.content_length, len(world.streams.downloads)) == (size, 0)

    @pytest.mark.parametrize("size", [(1 << 20) + 1, 3 * FOLLOWING, 5 * FOLLOWING + 7, 10 << 20])
    async def test_what_is_larger_comes_in_chunks(self, world: World, size: int) -> None:
        data = bytes(range(251)) * (size // 251 + 1)
        await world.put(data[:size])
        answer = await world.get()
        assert answer.initial_chunk is not None and len(answer.initial_chunk.data) == FOLLOWING
        assert await world.downloaded(answer) == data[:size]
        assert max(len(chunk.data) for chunk in world.receiver.chunks) <= FOLLOWING

    async def test_a_range_with_both_ends_is_whole_up_to_16_mebibytes(self, world: World) -> None:
        await world.put(bytes(17 << 20))
        assert (await world.get(5, 5 + (16 << 20) - 1)).initial_chunk == Chunk("o", "c", bytes(16 << 20), 5, is_last=True)
        for start, end, length in ((0, 16 << 20, (16 << 20) + 1), (None, 2 << 20, (2 << 20) + 1), (15 << 20, None, 2 << 20)):
            world.receiver.chunks.clear()
            assert await world.downloaded(await world.get(start, end)) == bytes(length)

    @pytest.mark.parametrize("size", [0, 9, 10, 11, 20, 21, 35])
    async def test_chunks_are_as_large_as_is_set_at_most_for_every_range(self, tmp_path: Path, size: int) -> None:
        async for world in a_world(tmp_path, max_chunk_size=10):
            data = bytes(range(size))
            await world.put(data)
            for start, end in (
                (None, None),
                (0, 0),
                (3, None),
                (None, 13),
                (7, 18),
                (9, 10),
                (34, 99),
                (35, 35),
                (99, None),
                (2**64 - 1, None),
            ):
                world.receiver.chunks.clear()
                answer = await world.get(start, end)
                assert await world.downloaded(answer) == data[start or 0 : None if end is None else end + 1]
                chunks = [answer.initial_chunk, *world.receiver.chunks]
                assert max(len(chunk.data) for chunk in chunks if chunk) <= 10

    async def test_a_large_first_chunk_is_never_followed_by_others(self, tmp_path: Path) -> None:
        async for world in a_world(tmp_path, max_chunk_size=8 << 20):
            await world.put(bytes(8 << 20))
            assert (await world.get()).content_length == len((await world.get()).initial_chunk.data)  # type: ignore[union-attr]
            await world.put(bytes((8 << 20) + 1))
            answer = await world.get()
            assert answer.initial_chunk is not None and len(answer.initial_chunk.data) == FOLLOWING
            assert await world.downloaded(answer) == bytes((8 << 20) + 1)

    @pytest.mark.parametrize("most", [1, 1000, FOLLOWING + 1])
    async def test_a_store_may_give_less_than_it_is_asked_for(self, world: World, most: int) -> None:
        await world.put(bytes(3 << 19 if most > 1 else FOLLOWING * 2 + 9))
        await world.put(bytes((1 << 20) + 20 * most))
        world.backend.most = most
        answer = await world.get((1 << 19) + 5, None)
        await world.over()
        assert answer.success

    async def test_a_range_that_ends_before_it_begins_is_refused(self, world: World) -> None:
        await world.put(b"abc")
        with pytest.raises(InvalidArgument, match="ends at 1, before it begins at 2"):
            await world.get(2, 1)

    @pytest.mark.parametrize("after", [1, 2, 5])
    async def test_an_actor_that_wants_no_more_gets_no_more(self, world: World, after: int) -> None:
        await world.put(bytes(10 << 20))
        world.receiver.cancel_at = after
        await world.get()
        await world.over()
        assert len(world.receiver.chunks) == after

    async def test_a_new_version_of_the_object_does_not_mix_with_the_old(self, world: World) -> None:
        await world.put(b"a" * (4 << 20))
        gate = world.receiver.on_chunk = Gate()
        answer = await world.get()
        await gate.reached()
        await world.put(b"b" * (4 << 20))
        gate.open()
        assert await world.downloaded(answer) == b"a" * (4 << 20)

    @pytest.mark.parametrize("error", [Unavailable("nobody answers"), ProviderError.of("internal", "nonsense"), ValueError("fault")])
    async def test_an_actor_that_fails_ends_its_download_and_the_log_says_why(
        self, world: World, caplog: pytest.LogCaptureFixture, error: Exception
    ) -> None:
        await world.put(bytes(10 << 20))
        world.receiver.on_chunk = failing(error)
        await world.get()
        await world.over()
        assert f"download of 'o' from 'c' ended before its end: {error}" in caplog.text
        assert [record.levelno for record in caplog.records] == [logging.ERROR if isinstance(error, ValueError) else logging.WARNING]

    @pytest.mark.parametrize("error", [Unavailable("the object is gone"), OSError("fault")])
    async def test_a_store_that_fails_on_the_way_ends_the_download_and_the_log_says_why(
        self, world: World, caplog: pytest.LogCaptureFixture, error: Exception
    ) -> None:
        await world.put(bytes(10 << 20))
        await world.get()
        world.receiver.on_chunk = self._set(world, failing(error))
        await world.over()
        assert f"ended before its end: {error}" in caplog.text
        assert not world.receiver.chunks[-1].is_last

    def _set(self, world: World, step: Step) -> Step:
        async def on_chunk() -> None:
            world.backend.on_read = step

        return on_chunk

    async def test_a_read_ahead_that_fails_when_nobody_wants_it_is_nobodys_error(self, world: World) -> None:
        await world.put(bytes(10 << 20))
        world.receiver.cancel_at = 2
        await world.get()
        world.receiver.on_chunk = self._set(world, failing(Unavailable("gone")))
        await world.over()
        assert len(world.receiver.chunks) == 2

    async def test_an_object_that_became_shorter_ends_the_download(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        await world.put(bytes(10 << 20))
        await world.get()
        world.backend.most = 0
        await world.over()
        assert "the object ended at 524288 instead of 10485760" in caplog.text

    async def test_no_more_is_read_than_is_about_to_be_sent(self, world: World) -> None:
        await world.put(bytes(20 << 20))
        gate = world.receiver.on_chunk = Gate()
        await world.get()
        await gate.reached()
        await asyncio.sleep(0.01)
        assert world.backend.bytes_read <= 2 * READ

    async def test_a_slow_actor_delays_no_other(self, world: World) -> None:
        await world.put(bytes(4 << 20))
        gate = world.receiver.on_chunk = Gate()
        await world.get()
        await gate.reached()
        quick = Receiver()
        await world.another(OTHER, quick).get_object(GetObjectRequest("o", "c"))
        async with asyncio.timeout(30):
            while len(world.streams.downloads) > 1:
                await asyncio.sleep(0)
        assert quick.chunks[-1].is_last and not world.receiver.chunks

    @pytest.mark.parametrize("after", [0, 1, 5])
    async def test_a_link_that_is_left_ends_its_downloads_whenever(self, world: World, after: int) -> None:
        await world.put(bytes(10 << 20))
        if after:
            world.receiver.on_chunk = gate = Gate()
        await world.get()
        for _ in range(after):
            await gate.reached()
            await asyncio.sleep(0)
        await world.leave()
        await world.nothing_left()
        assert not world.receiver.chunks or not world.receiver.chunks[-1].is_last

    async def test_leaving_does_not_wait_for_ever_for_a_read_that_is_stuck(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(downloads, "LEFT_WITHIN", 0.05)
        gate = Gate()

        async def in_a_thread() -> None:
            with suppress(asyncio.CancelledError):
                await gate()
            await gate()

        world.backend.on_read = in_a_thread
        await world.put(bytes(10 << 20))
        await world.get()
        await gate.reached()
        async with asyncio.timeout(30):
            await world.leave()
        gate.open()

    async def test_a_link_has_so_many_downloads_and_no_more(self, tmp_path: Path) -> None:
        async for world in a_world(tmp_path, max_streams=2):
            await world.put(bytes(4 << 20))
            await world.put(b"small", name="small")
            world.receiver.on_chunk = Gate()
            await world.get()
            await world.get()
            with pytest.raises(ResourceExhausted, match="2 downloads of this link are on their way, the most that max_streams allows"):
                await world.get()
            assert (await world.get(name="small")).content_length == 5
            assert len(world.backend.unfinished) == 2

    async def test_a_download_that_is_being_begun_when_its_link_is_left_is_refused(self, world: World) -> None:
        await world.put(bytes(4 << 20))
        world.linked.leave()
        with pytest.raises(Unavailable, match="the link was left before the stream began"):
            await world.get()
        await world.nothing_left()


async def an_upload(world: World) -> None:
    stream = await world.begin(data=b"x")
    await asyncio.gather(*(world.chunk(stream, at, b"x", last=at == 3) for at in (3, 2, 1)))


async def a_cancelled_upload(world: World) -> None:
    stream = await world.begin(data=b"x")
    await world.chunk(stream, 1, b"x")
    await world.cancel(stream)


async def a_whole_object(world: World) -> None:
    await world.put(b"new")
    await world.put(bytes(3 << 20), name="p")


async def a_download(world: World) -> None:
    await world.put(bytes(3 << 20))
    await world.get()
    await world.over()


@pytest.mark.parametrize("scenario", [an_upload, a_cancelled_upload, a_whole_object, a_download])
async def test_a_cancellation_at_any_point_leaves_nothing(scenario: Callable[[World], Awaitable[None]], tmp_path: Path) -> None:
    cut_off = 0
    for after in range(80):
        async for world in a_world(tmp_path):
            await world.put(b"old")
            world.backend.on_create = world.backend.on_write = world.backend.on_commit = lambda: asyncio.sleep(0)
            world.backend.on_read = world.backend.on_abort = world.receiver.on_chunk = lambda: asyncio.sleep(0)
            task = asyncio.ensure_future(scenario(world))
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            cut_off += task.cancelled()
            await world.leave()
            await world.nothing_left()
            assert await world.stored() in (b"old", b"new", b"xxxx", bytes(3 << 20))
    assert 10 < cut_off < 80
