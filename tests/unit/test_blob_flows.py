"""Streams of the 1.x interface in this process: errors in their midst, links that are left, and every call cut off at every point."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from provider_sdk import DeadlineExceeded, Internal, NotFound, ProviderError, ResourceExhausted, Unavailable
from provider_sdk.contracts.wasi_blobstore import ObjectId
from provider_sdk.errors import error_of
from provider_sdk.testing.conformance.blobstore.component_box import END, ComponentBox, Source
from provider_sdk.testing.conformance.blobstore.component_streams import Held
from provider_sdk.types import Err, Ok
from providers.blobstore import flows
from providers.blobstore.wrpc import PIECE, READ
from tests.unit.blob_world import Gate, World, a_world, failing

OBJECT, OTHER = ObjectId("c", "o"), ObjectId("c", "p")


@pytest.fixture
async def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    async for made in a_world(tmp_path):
        yield made
    gc.collect(1)
    assert not [record for record in caplog.records if record.name == "asyncio"]


def error_in(outcome: object) -> ProviderError:
    assert isinstance(outcome, Err)
    return error_of(outcome.value)


async def all_of(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in stream])


class TestReads:
    @pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, READ, 3 * READ + 7])
    async def test_an_object_comes_in_pieces_that_a_message_can_carry(self, world: World, size: int) -> None:
        await world.put(bytes(size))
        stream, outcome = await world.component.get_container_data(OBJECT, 0, END)
        pieces = [len(piece) async for piece in stream]
        assert (sum(pieces), max(pieces, default=0) <= PIECE, await outcome) == (size, True, Ok(None))

    async def test_a_store_that_fails_on_the_way_is_told_behind_the_data(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        await world.put(bytes(4 * READ))
        world.backend.on_read = failing(Unavailable("the disk is gone"))
        stream, outcome = await world.component.get_container_data(OBJECT, 0, END)
        assert await all_of(stream) == bytes(READ)
        error = error_in(await outcome)
        assert (type(error), error.message) == (Unavailable, "the disk is gone")
        assert "the download of 'o' from 'c' broke off: the disk is gone" in caplog.text

    async def test_in_version_0_1_it_breaks_the_stream(self, world: World) -> None:
        await world.put(bytes(4 * READ))
        world.backend.on_read = failing(Unavailable("the disk is gone"))
        stream = await world.early.get_container_data(OBJECT, 0, END)
        count = 0
        with pytest.raises(Unavailable, match="the disk is gone"):
            async for piece in stream:
                count += len(piece)
        assert count == READ

    async def test_an_object_that_became_shorter_is_no_success(self, world: World) -> None:
        await world.put(bytes(4 * READ))
        world.backend.most = 0
        stream, outcome = await world.component.get_container_data(OBJECT, 0, END)
        assert len(await all_of(stream)) == READ
        assert "ended after 1048576 of 4194304 bytes" in error_in(await outcome).message

    async def test_a_fault_of_the_provider_is_told_without_its_words(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        await world.put(bytes(4 * READ))
        world.backend.on_read = failing(ValueError("secret"))
        stream, outcome = await world.component.get_container_data(OBJECT, 0, END)
        await all_of(stream)
        error = error_in(await outcome)
        assert isinstance(error, Internal) and "secret" not in error.message
        assert [record.levelno for record in caplog.records] == [logging.ERROR]

    async def test_no_more_is_read_than_is_about_to_be_taken(self, world: World) -> None:
        await world.put(bytes(20 * READ))
        stream, _ = await world.component.get_container_data(OBJECT, 0, END)
        for taken in range(1, 6):
            await anext(stream)
            await asyncio.sleep(0.01)
            assert world.backend.bytes_read <= (taken * PIECE // READ + 3) * READ

    async def test_a_reader_that_takes_nothing_is_given_up(self, tmp_path: Path) -> None:
        async for world in a_world(tmp_path, upload_timeout=0.1):
            await world.put(bytes(20 * READ))
            _, outcome = await world.component.get_container_data(OBJECT, 0, END)
            assert isinstance(error_in(await outcome), DeadlineExceeded)
            await world.nothing_left()

    async def test_a_list_that_fails_on_the_way_is_told_behind_the_names(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("providers.blobstore.wrpc.PAGE", 2)
        for name in "abc":
            await world.put(b"", name=name)
        stream, outcome = await world.component.list_container_objects("c", None, None)
        await world.backend.remove_container("c")
        assert [name async for name in stream] == ["a", "b"]
        assert isinstance(error_in(await outcome), NotFound)
        await world.backend.create_container("c")


class TestWrites:
    async def test_the_future_is_there_when_the_object_is(self, world: World) -> None:
        world.backend.on_commit = gate = Gate()
        outcome = asyncio.ensure_future(await world.component.write_container_data(OBJECT, Source([b"text"])))
        await gate.reached()
        assert (outcome.done(), await world.stored()) == (False, None)
        gate.open()
        assert (await outcome, await world.stored()) == (Ok(None), b"text")

    @pytest.mark.parametrize("step", ["on_write", "on_commit"])
    async def test_a_store_that_fails_is_told(self, world: World, step: str) -> None:
        await world.put(b"old")
        setattr(world.backend, step, failing(ResourceExhausted("the disk is full")))
        outcome = await world.component.write_container_data(OBJECT, Source([b"text"]))
        assert isinstance(error_in(await outcome), ResourceExhausted)
        with pytest.raises(ResourceExhausted, match="the disk is full"):
            await world.early.write_container_data(OBJECT, Source([b"text"]))
        await world.nothing_left()
        assert await world.stored() == b"old"


class TestLinks:
    async def test_a_link_that_is_left_ends_its_streams(self, world: World) -> None:
        await world.put(bytes(20 * READ))
        stream, read = await world.component.get_container_data(OBJECT, 0, END)
        early = await world.early.get_container_data(OBJECT, 0, END)
        written = await world.component.write_container_data(OTHER, Held())
        await anext(stream)
        await world.leave()
        assert [isinstance(error_in(await outcome), Unavailable) for outcome in (read, written)] == [True, True]
        await all_of(stream)
        with pytest.raises(Unavailable, match="the stream was given up"):
            await all_of(early)
        await world.nothing_left()

    async def test_what_is_begun_when_the_link_is_left_is_refused(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("providers.blobstore.wrpc.PAGE", 1)
        await world.put(bytes(4 * READ))
        await world.put(b"", name="another")
        world.linked.leave()
        for begun in (
            world.component.get_container_data(OBJECT, 0, END),
            world.component.write_container_data(OTHER, Held()),
            world.component.list_container_objects("c", None, None),
        ):
            with pytest.raises(Unavailable, match="the link was left before the stream began"):
                await begun
        await world.nothing_left()

    async def test_a_link_has_so_many_streams_of_each_way_and_no_more(self, tmp_path: Path) -> None:
        async for world in a_world(tmp_path, max_streams=2):
            await world.put(bytes(4 * READ))
            held = [await world.component.get_container_data(OBJECT, 0, END) for _ in range(2)]
            with pytest.raises(ResourceExhausted, match="2 downloads of this link are on their way, the most that max_streams allows"):
                await world.component.get_container_data(OBJECT, 0, END)
            for _ in range(2):
                await world.component.write_container_data(OTHER, Held())
            with pytest.raises(ResourceExhausted, match="2 uploads of this link"):
                await world.component.write_container_data(OTHER, Held())
            assert (len(world.backend.unfinished), len(world.streams.flows)) == (4, 4)
            await world.put(b"small", name="small")
            assert await ComponentBox(world.component, "c").get("small") == b"small"
            assert await ComponentBox(world.component, "c").names() == ["o", "small"]
            assert len(await all_of(held[0][0])) == 4 * READ
            await world.component.get_container_data(OBJECT, 0, END)

    async def test_leaving_does_not_wait_for_ever_for_a_store_that_is_stuck(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(flows, "LEFT_WITHIN", 0.05)
        gate = Gate()

        async def in_a_thread() -> None:
            with suppress(asyncio.CancelledError):
                await gate()
            await gate()

        await world.put(bytes(4 * READ))
        world.backend.on_read = in_a_thread
        await world.component.get_container_data(OBJECT, 0, END)
        await gate.reached()
        async with asyncio.timeout(30):
            await world.leave()
        gate.open()


class TestGenerations:
    async def test_actors_and_components_see_the_same_objects(self, world: World) -> None:
        box = ComponentBox(world.component, "c")
        await world.put(b"of an actor")
        await box.put("p", b"of a component")
        assert (await box.get("o"), await world.stored("p")) == (b"of an actor", b"of a component")
        answer = await world.get(name="p")
        assert answer.initial_chunk is not None and answer.initial_chunk.data == b"of a component"
        stream = await world.begin(data=b"new ")
        await box.write("o", Source([b"from 1.x"]))
        await world.chunk(stream, 4, b"from 0.x", last=True)
        assert await box.get("o") == b"new from 0.x"

    async def test_a_copy_keeps_what_an_actor_said_of_the_object(self, world: World) -> None:
        stream = await world.begin(data=b"text")
        await world.chunk(stream, 4, b"", last=True)
        await world.component.move_object(OBJECT, OTHER)
        answer = await world.get(name="p")
        assert (answer.content_type, answer.content_encoding) == ("text/plain", "gzip")


async def a_read(world: World) -> None:
    stream, outcome = await world.component.get_container_data(OBJECT, 0, END)
    await all_of(stream)
    await outcome


async def an_early_read(world: World) -> None:
    await all_of(await world.early.get_container_data(OBJECT, 0, END))


async def a_write(world: World) -> None:
    await (await world.component.write_container_data(OBJECT, Source([b"n", b"e", b"w"])))


async def an_early_write(world: World) -> None:
    await world.early.write_container_data(OBJECT, Source([b"n", b"e", b"w"]))


async def a_list(world: World) -> None:
    stream, outcome = await world.component.list_container_objects("c", None, None)
    assert [name async for name in stream] == ["o"]
    await outcome


@pytest.mark.parametrize("scenario", [a_read, an_early_read, a_write, an_early_write, a_list])
async def test_a_cancellation_at_any_point_leaves_nothing(scenario: Callable[[World], Awaitable[None]], tmp_path: Path) -> None:
    old = bytes(3 * READ)
    cut_off = 0
    for after in range(60):
        async for world in a_world(tmp_path):
            await world.put(old)
            world.backend.on_create = world.backend.on_write = world.backend.on_commit = lambda: asyncio.sleep(0)
            world.backend.on_read = world.backend.on_abort = lambda: asyncio.sleep(0)
            task = asyncio.ensure_future(scenario(world))
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            cut_off += task.cancelled()
            await world.leave()
            await world.nothing_left()
            assert await world.stored() in (old, b"new")
    assert 5 < cut_off < 60
