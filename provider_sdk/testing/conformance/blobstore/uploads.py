"""Streams up: chunks in order, an object when the last is there, and nothing before or otherwise."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from provider_sdk.contracts.blobstore import Chunk, PutChunkRequest
from provider_sdk.errors import NotFound, OutOfRange, ProviderError
from provider_sdk.testing.conformance.blobstore.box import Box, pattern, refused
from provider_sdk.testing.conformance.blobstore.suite import BlobstoreSuite, Capability
from provider_sdk.testing.conformance.choice import needs
from provider_sdk.testing.conformance.together import together


def cut(data: bytes, size: int) -> list[bytes]:
    """Pieces of `size` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


class Uploads(BlobstoreSuite):
    """PutObject whose chunk is not the last, PutChunk."""

    @pytest.mark.parametrize(
        "pieces",
        [(b"a", b"b"), (b"abc", b"d", b"", b"ef", b"g"), (b"", b"a"), (b"a", b""), (b"", b""), (b"", b"", b"a", b"", b"")],
        ids=lambda pieces: "-".join(str(len(piece)) for piece in pieces),
    )
    async def test_an_object_is_its_chunks_one_after_the_other(self, pieces: Sequence[bytes]) -> None:
        async with self.box() as box:
            for content_type, encoding in (("text/plain", "gzip"), (None, None)):
                await box.upload("a", pieces, content_type, encoding)
                found, info = await box.fetch("a"), await box.info("a")
                assert (found.data, found.details) == (b"".join(pieces), (content_type, encoding))
                assert (info.content_length, info.content_type, info.content_encoding) == (len(found.data), content_type, encoding)

    async def test_a_large_object_is_put_in_many_chunks(self) -> None:
        data = pattern(self.large, 7)
        async with self.box() as box:
            await box.upload("a", cut(data, self.piece), "text/plain")
            found = await box.fetch("a")
            assert len(found.data) == len(data) and found.data == data
            assert found.details == ("text/plain", None)

    async def test_nothing_is_seen_of_an_object_before_its_last_chunk(self) -> None:
        async with self.box() as box:
            sending = await box.begin("a", b"ab", "text/plain")
            for data in (b"cd", b"", b"ef"):
                await self._is_not_there(box, "a")
                await sending.send(data)
            await self._is_not_there(box, "a")
            await sending.send(b"gh", last=True)
            assert (await box.get("a"), await box.names()) == (b"abcdefgh", ["a"])

    async def test_the_old_object_is_there_as_it_was_until_the_last_chunk(self) -> None:
        async with self.box() as box:
            await box.put("a", b"old", "text/old", "gzip")
            old = await box.info("a")
            sending = await box.begin("a", b"new", "text/new")
            await sending.send(b" and longer")
            found = await box.fetch("a")
            assert (found.data, found.details, await box.info("a")) == (b"old", ("text/old", "gzip"), old)
            await sending.send(b"", last=True)
            found = await box.fetch("a")
            assert (found.data, found.details) == (b"new and longer", ("text/new", None))

    async def test_a_chunk_at_another_offset_is_refused_and_the_upload_goes_on(self) -> None:
        async with self.box() as box:
            sending = await box.begin("a", b"abcd")
            for offset, last in ((0, False), (3, False), (8, True), (0, True)):
                await refused(OutOfRange, sending.send_at(offset, b"wrong", last=last))
                await self._is_not_there(box, "a")
            await sending.send(b"efgh")
            await refused(OutOfRange, sending.send_at(4, b"efgh"))
            await sending.send(b"ij", last=True)
            assert await box.get("a") == b"abcdefghij"

    async def test_a_chunk_under_another_stream_id_is_refused_and_the_upload_goes_on(self) -> None:
        async with self.box() as box:
            sending = await box.begin("a", b"abcd")
            for stream_id in ("no such stream", sending.stream_id[:-1], f"{sending.stream_id}0", f"../{sending.stream_id}"):
                for cancel in (False, True):
                    await refused(
                        NotFound, box.store.put_chunk(PutChunkRequest(Chunk("a", box.id, b"x", 4, is_last=True), stream_id, cancel))
                    )
            await self._is_not_there(box, "a")
            await sending.send(b"efgh", last=True)
            assert await box.get("a") == b"abcdefgh"

    async def test_a_stream_is_of_its_object_alone(self) -> None:
        async with self.box() as box:
            other = box.beside(f"{self.prefix}abc")
            await box.store.create_container(other.id)
            sending = await box.begin("a", b"abcd")
            for place, name in ((box, "b"), (other, "a")):
                for cancel in (False, True):
                    with pytest.raises(ProviderError):
                        chunk = Chunk(name, place.id, b"x", 4, is_last=True)
                        await box.store.put_chunk(PutChunkRequest(chunk, sending.stream_id, cancel))
                await self._is_not_there(place, name)
            await sending.send(b"", last=True)
            assert await box.get("a") == b"abcd"

    async def test_a_chunk_without_a_stream_id_is_of_the_upload_of_its_object_if_that_is_one(self) -> None:
        async with self.box() as box:
            await box.begin("a", b"ab")
            other = await box.begin("b", b"other")
            await box.store.put_chunk(PutChunkRequest(Chunk("a", box.id, b"cd", 2)))
            second = await box.begin("a", b"of the second")
            await refused(ProviderError, box.store.put_chunk(PutChunkRequest(Chunk("a", box.id, b"ef", 4, is_last=True))))
            await second.cancel()
            await box.store.put_chunk(PutChunkRequest(Chunk("a", box.id, b"ef", 4, is_last=True)))
            assert await box.get("a") == b"abcdef"
            await other.send(b"", last=True)

    async def test_an_upload_that_is_cancelled_leaves_what_was_there(self) -> None:
        async with self.box() as box:
            sending = await box.begin("a", b"abcd")
            await sending.send(b"ef")
            await sending.cancel()
            await self._is_not_there(box, "a")
            await refused(NotFound, sending.send_at(6, b"gh", last=True), sending.cancel())
            await box.put("a", b"old", "text/old")
            sending = await box.begin("a", b"new")
            await sending.cancel()
            assert (await box.get("a"), (await box.info("a")).content_type) == (b"old", "text/old")

    async def test_an_upload_ends_with_its_last_chunk(self) -> None:
        async with self.box() as box:
            sending = await box.begin("a", b"ab")
            await sending.send(b"cd", last=True)
            await refused(
                NotFound, sending.send_at(4, b"ef"), sending.send_at(4, b"", last=True), sending.send_at(0, b"ab"), sending.cancel()
            )
            assert await box.get("a") == b"abcd"

    async def test_of_two_uploads_of_one_name_that_which_ends_last_stays(self) -> None:
        async with self.box() as box:
            for order in ((0, 1), (1, 0)):
                sendings = [await box.begin("a", b"first", "text/0"), await box.begin("a", b"second", "text/1")]
                assert sendings[0].stream_id != sendings[1].stream_id
                for number in (0, 1, 0):
                    await sendings[number].send(b" and on")
                for number in order:
                    await sendings[number].send(b".", last=True)
                    found = await box.fetch("a")
                    assert (found.data, found.details[0]) == ([b"first and on and on.", b"second and on."][number], f"text/{number}")

    async def test_what_happens_to_an_object_during_an_upload_the_last_chunk_replaces(self) -> None:
        async with self.box() as box:
            sending = await box.begin("a", b"uploaded")
            await box.put("a", b"meanwhile")
            await sending.send(b"", last=True)
            assert await box.get("a") == b"uploaded"
            sending = await box.begin("a", b"again")
            await box.remove("a")
            await self._is_not_there(box, "a")
            await sending.send(b"", last=True)
            assert await box.get("a") == b"again"

    async def test_an_upload_brings_back_no_container_that_is_gone(self) -> None:
        async with self.box() as box:
            sending = await box.begin("a/b", b"abcd")
            assert await box.store.remove_containers([box.id]) == []
            assert await box.store.container_exists(box.id) is False
            await refused(NotFound, sending.send(b"ef", last=True))
            assert await box.store.container_exists(box.id) is False
            await box.store.create_container(box.id)
            assert await box.names() == []

    async def test_many_uploads_go_on_at_once(self) -> None:
        async with self.box() as box:
            objects = {f"{number % 3}/{number}": pattern(self.in_one + number, number) for number in range(self.callers)}
            await together(box.upload(name, cut(data, len(data) // 5), f"text/{name[2:]}") for name, data in objects.items())
            for name, data in objects.items():
                found = await box.fetch(name)
                assert (found.data == data, found.details[0]) == (True, f"text/{name[2:]}")

    @needs(Capability.PIPELINES)
    async def test_chunks_may_be_on_their_way_at_once_and_overtake_each_other(self) -> None:
        data = pattern(2000, 3)
        first, *rest = cut(data, 100)
        chance = random.Random(11)
        async with self.box() as box:
            for mixed in (False, True):
                sending = await box.begin("a", first)
                offsets = [len(first) * (number + 1) for number in range(len(rest))]
                chunks = list(zip(offsets, rest, strict=True))
                *before, last = chunks
                if mixed:
                    before.sort(key=lambda chunk: chunk[0] + chance.randrange(4) * len(first))
                await together(sending.send_at(offset, piece) for offset, piece in before)
                await sending.send_at(*last, last=True)
                assert await box.get("a") == data

    async def _is_not_there(self, box: Box, name: str) -> None:
        assert (await box.exists(name), await box.names()) == (False, [])
        await refused(NotFound, box.info(name), box.get(name))
