"""Objects: put, read, found, replaced, removed; what they carry beside their bytes."""

from __future__ import annotations

import asyncio
import time

import pytest

from provider_sdk.contracts.blobstore import Chunk, ContainerObject, PutObjectRequest, RemoveObjectsRequest
from provider_sdk.errors import InvalidArgument, NotFound, OutOfRange
from provider_sdk.testing.conformance.blobstore.box import pattern, refused, seconds
from provider_sdk.testing.conformance.blobstore.suite import TWICE, BlobstoreSuite, Capability
from provider_sdk.testing.conformance.choice import lacks, needs

DETAILS = [
    *[("text/plain", None), (None, "gzip"), (None, None), ("", ""), ("application/json", "br"), ("image/svg+xml", "gzip")],
    *[("text/html; charset=utf-8", None), ('application/x-thing; q="a b"', "identity"), ("application/octet-stream", None)],
]
"""Types and encodings as they are given."""


class Objects(BlobstoreSuite):
    """PutObject in one chunk, GetObject, GetObjectInfo, ObjectExists, RemoveObjects."""

    async def test_an_object_that_nobody_put_is_not_there_and_asking_does_not_make_it(self) -> None:
        async with self.box() as box:
            for _ in TWICE:
                assert await box.exists("name") is False
                ranges = box.get("name", 0, 5), box.get("name", 100)
                await refused(NotFound, box.info("name"), box.get("name"), *ranges, naming="name")
                await box.remove("name")
                assert await box.names() == []

    async def test_an_object_is_read_as_it_was_put_as_often_as_it_is_asked(self) -> None:
        async with self.box() as box:
            await box.put("a", b"text")
            for _ in TWICE:
                assert await box.get("a") == b"text"
                assert await box.exists("a") is True
                assert (await box.info("a")).content_length == 4
                assert [(item.object_id, item.content_length) for item in await box.objects()] == [("a", 4)]

    async def test_in_a_container_that_is_not_there_nothing_is_and_nothing_can_be_put(self) -> None:
        async with self.box() as box:
            gone = box.beside(f"{self.prefix}abc")
            for _ in TWICE:
                assert await gone.exists("a") is False
                await refused(NotFound, gone.info("a"), gone.get("a"), gone.names(), gone.remove("a"))
                await refused(NotFound, gone.put("a", b"text"), gone.put("a", b""), gone.begin("a", b"text"))
                assert await box.store.container_exists(gone.id) is False

    async def test_an_empty_object_is_not_a_missing_one(self) -> None:
        async with self.box() as box:
            for _ in TWICE:
                await box.put("a", b"", "text/plain", "gzip")
                found = await box.fetch("a")
                assert (found.data, found.answer.content_length, found.details) == (b"", 0, ("text/plain", "gzip"))
                assert len(found.chunks) == 1 and found.chunks[0].is_last
                assert (await box.exists("a"), (await box.info("a")).content_length) == (True, 0)
                assert [(item.object_id, item.content_length) for item in await box.objects()] == [("a", 0)]

    async def test_an_object_that_is_put_again_is_replaced_with_all_that_it_carries(self) -> None:
        async with self.box() as box:
            await box.put("a", b"a long text, to begin with", "text/plain", "gzip")
            for data, content_type, encoding in ((b"short", "text/html", None), (b"", None, "br"), (b"longer again", None, None)):
                await box.put("a", data, content_type, encoding)
                found, info = await box.fetch("a"), await box.info("a")
                assert (found.data, found.details) == (data, (content_type, encoding))
                assert (info.content_length, info.content_type, info.content_encoding) == (len(data), content_type, encoding)
                assert [item.content_length for item in await box.objects()] == [len(data)]

    async def test_type_and_encoding_are_kept_and_mean_nothing(self) -> None:
        async with self.box() as box:
            for number, (content_type, encoding) in enumerate(DETAILS):
                name = f"{number}"
                await box.put(name, b"text", content_type, encoding)
                info, found = await box.info(name), await box.fetch(name, 1)
                expected = (content_type or None, encoding or None)
                assert (info.content_type, info.content_encoding) == found.details == expected
                assert found.data == b"ext"

    async def test_every_byte_is_kept(self) -> None:
        every = bytes(range(256)) * 4
        ends = {"a": every, "b": b"\r\n" * 100, "c": b"\0" * 1000, "d": b"\xef\xbb\xbf\x1a", "e": b"0\r\n\r\n", "f": every[::-1]}
        async with self.box() as box:
            for name, data in ends.items():
                await box.put(name, data)
            assert {name: await box.get(name) for name in ends} == ends

    async def test_a_large_object_in_one_chunk_comes_back_whole(self) -> None:
        data = pattern(self.large)
        async with self.box() as box:
            for _ in TWICE:
                await box.put("a", data)
                assert (await box.info("a")).content_length == len(data)
                found = await box.get("a")
                assert len(found) == len(data) and found == data

    async def test_an_operation_on_one_object_leaves_the_others_alone(self) -> None:
        async with self.box() as box:
            for name in ("a", "b", "c"):
                await box.put(name, name.encode(), f"text/{name}")
            before = [await box.info("a"), await box.info("c")]
            await box.put("b", b"changed", "text/changed")
            await box.remove("b")
            assert [await box.info("a"), await box.info("c")] == before
            assert [await box.get("a"), await box.get("c")] == [b"a", b"c"]

    async def test_it_is_said_when_an_object_was_put_last(self) -> None:
        async with self.box() as box:
            before = time.time()
            await box.put("a", b"text")
            after = time.time()
            first = seconds((await box.info("a")).last_modified)
            assert before - self.resolution <= first <= after + self.resolution
            await box.get("a")
            assert seconds((await box.info("a")).last_modified) == first
            assert abs(seconds((await box.objects())[0].last_modified) - first) <= self.resolution
            await asyncio.sleep(self.resolution + 0.02)
            await box.put("a", b"text")
            assert seconds((await box.info("a")).last_modified) > first

    async def test_objects_are_removed_and_those_that_are_not_there_are_no_failure(self) -> None:
        async with self.box() as box:
            for name in ("a", "b/c", "b/d", "e"):
                await box.put(name, b"text")
            await box.remove()
            for _ in TWICE:
                await box.remove("a", "never there", "b/c", "a")
                assert await box.names() == ["b/d", "e"]
                assert (await box.exists("a"), await box.exists("b/d")) == (False, True)
                await refused(NotFound, box.get("a"))
            await box.put("a", b"new")
            assert await box.get("a") == b"new"

    async def test_of_several_objects_those_that_cannot_be_are_named_and_the_others_removed(self) -> None:
        bad = "x" * (self.longest_name + 1)
        async with self.box() as box:
            await box.put("a", b"text")
            failures = await box.store.remove_objects(RemoveObjectsRequest(box.id, [bad, "a"]))
            assert [(item.key, item.success, bool(item.error)) for item in failures] == [(bad, False, True)]
            assert await box.names() == []

    async def test_a_folder_is_no_object(self) -> None:
        async with self.box() as box:
            await box.put("a/b/c", b"text")
            for name in ("a", "a/b"):
                assert await box.exists(name) is False
                await refused(NotFound, box.get(name), box.info(name))
                await box.remove(name)
            assert await box.names() == ["a/b/c"]
            await box.remove("a/b/c")
            assert await box.names() == []
            await box.put("a", b"where a folder was")
            assert await box.get("a") == b"where a folder was"

    @pytest.mark.parametrize("last", [True, False])
    async def test_a_first_chunk_that_does_not_begin_at_0_is_refused(self, *, last: bool) -> None:
        async with self.box() as box:
            for _ in TWICE:
                await refused(
                    (InvalidArgument, OutOfRange), box.store.put_object(PutObjectRequest(Chunk("a", box.id, b"text", 4, is_last=last)))
                )
                assert await box.exists("a") is False

    @needs(Capability.BARE_NAMES)
    async def test_an_object_without_its_container_is_the_one_of_that_name(self) -> None:
        async with self.box() as box:
            other = box.beside(f"{self.prefix}abc")
            await box.store.create_container(other.id)
            name = f"{self.prefix}only here"
            await refused(NotFound, box.store.get_object_info(ContainerObject("", name)))
            await other.put(name, b"text", "text/plain")
            found = await box.store.get_object_info(ContainerObject("", name))
            assert (found.container_id, found.content_length, found.content_type) == (other.id, 4, "text/plain")
            await box.put(name, b"text")
            await refused(InvalidArgument, box.store.get_object_info(ContainerObject("", name)))

    @lacks(Capability.BARE_NAMES)
    async def test_an_object_without_its_container_is_refused(self) -> None:
        async with self.box() as box:
            await box.put("a", b"text")
            await refused(InvalidArgument, box.store.get_object_info(ContainerObject("", "a")))
