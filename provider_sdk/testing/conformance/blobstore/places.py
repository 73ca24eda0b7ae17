"""Where objects are: kept when the store is opened again, and seen by a second instance."""

from __future__ import annotations

from provider_sdk.contracts.blobstore import Blobstore
from provider_sdk.errors import NotFound
from provider_sdk.testing.conformance.blobstore.box import Box, Fetched, pattern, refused
from provider_sdk.testing.conformance.blobstore.corpus import NAMES
from provider_sdk.testing.conformance.blobstore.suite import TWICE, BlobstoreSuite, Capability
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.together import together

SOME = NAMES[::4]


class Places(BlobstoreSuite):
    """Durability and sharing."""

    async def _write_some(self, box: Box) -> None:
        """Objects of several kinds, an upload that is not ended, and a container that was removed."""
        await together((box.put(name, name.encode(), "text/plain") for name in SOME), most=16)
        await box.put("large", pattern(self.in_several), "image/png", "gzip")
        await box.upload("chunks", [b"ab", b"cd"], None, "br")
        await box.put("removed", b"text")
        await box.remove("removed")
        other = box.beside(f"{self.prefix}abc")
        await box.store.create_container(other.id)
        await box.store.remove_containers([other.id])

    async def _is_there(self, box: Box) -> None:
        found = await together((box.fetch(name) for name in SOME), most=16)
        assert [(item.data, item.details) for item in found] == [(name.encode(), ("text/plain", None)) for name in SOME]
        large, chunks = await box.fetch("large"), await box.fetch("chunks")
        assert large.data == pattern(self.in_several)
        assert [large.details, chunks.details] == [("image/png", "gzip"), (None, "br")]
        assert await box.names() == sorted([*SOME, "large", "chunks"], key=str.encode)
        assert await self._containers(box.store) == [box.id]

    async def _containers(self, store: Blobstore) -> list[str]:
        return [item.container_id for item in await store.list_containers() if item.container_id.startswith(self.prefix)]

    @needs(Capability.DURABLE)
    async def test_what_was_written_is_there_when_the_store_is_opened_again(self) -> None:
        async with self.box() as box:
            await self._write_some(box)
            before = await box.info("chunks")
        for _ in TWICE:
            async with self.box(self.reopened) as box:
                await self._is_there(box)
                assert await box.info("chunks") == before

    @needs(Capability.DURABLE)
    async def test_of_an_upload_that_was_not_ended_nothing_is_there_when_the_store_is_opened_again(self) -> None:
        async with self.box() as box:
            await box.put("b", b"old")
            sendings = [await box.begin(name, b"new") for name in ("a", "b")]
            await sendings[0].send(pattern(self.in_one))
        async with self.box(self.reopened) as box:
            assert await box.names() == ["b"]
            assert await box.get("b") == b"old"
            await refused(NotFound, box.get("a"))

    @lacks(Capability.DURABLE, given="reopened")
    async def test_what_is_not_durable_is_gone_when_the_store_is_opened_again(self) -> None:
        async with self.box() as box:
            await self._write_some(box)
        async with self.box(self.reopened) as box:
            assert await self._containers(box.store) == []
            await refused(NotFound, box.get("large"))

    @needs(Capability.SHARED)
    async def test_what_one_instance_does_the_other_sees_at_once(self) -> None:
        async with self.box() as first, self.box(self.second) as second:
            await self._write_some(first)
            await self._is_there(second)
            for _ in TWICE:
                await second.put("large", b"changed", "text/changed")
                found: Fetched = await first.fetch("large")
                assert (found.data, found.details) == (b"changed", ("text/changed", None))
                await first.remove("large")
                assert await second.exists("large") is False
            other = second.beside(f"{self.prefix}abc")
            await second.store.create_container(other.id)
            await first.beside(other.id).put("a", b"text")
            assert (await other.get("a"), await self._containers(first.store)) == (b"text", sorted([other.id, first.id]))
            await first.store.remove_containers([other.id])
            assert await self._containers(second.store) == [second.id]

    @needs(Capability.SHARED)
    async def test_an_upload_on_one_instance_does_not_hinder_the_other(self) -> None:
        async with self.box() as first, self.box(self.second) as second:
            sending = await first.begin("a", b"of the first")
            other = await second.begin("a", b"of the second")
            assert await second.names() == []
            await second.put("a", b"meanwhile")
            assert await first.get("a") == b"meanwhile"
            await sending.send(b"", last=True)
            assert await second.get("a") == b"of the first"
            await other.send(b"", last=True)
            assert await first.get("a") == b"of the second"

    @lacks(Capability.SHARED, given="second")
    async def test_what_is_not_shared_is_not_seen_by_another_instance(self) -> None:
        async with self.box() as first, self.box(self.second) as second:
            await self._write_some(first)
            assert await self._containers(second.store) == []
            await second.store.create_container(second.id)
            await second.put("large", b"of the second")
            await second.store.remove_containers([second.id])
            await self._is_there(first)
