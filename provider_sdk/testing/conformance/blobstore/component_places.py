"""Where objects are, as components see it: kept when the store is opened again, and seen by a second instance."""

from __future__ import annotations

from provider_sdk.errors import NotFound
from provider_sdk.testing.conformance.blobstore.box import pattern, refused
from provider_sdk.testing.conformance.blobstore.component_box import ComponentBox
from provider_sdk.testing.conformance.blobstore.component_suite import WasiBlobstoreSuite
from provider_sdk.testing.conformance.blobstore.suite import TWICE, Capability
from provider_sdk.testing.conformance.choice import lacks, needs


class ComponentPlaces(WasiBlobstoreSuite):
    """Durability and sharing."""

    async def _write_some(self, box: ComponentBox) -> None:
        await box.put("a/b", b"text")
        await box.put("large", pattern(self.large))
        await box.put("removed", b"text")
        await box.remove("removed")
        await box.store.move_object(box.of("a/b"), box.of("moved"))

    async def _is_there(self, box: ComponentBox) -> None:
        assert await box.names() == ["large", "moved"]
        assert (await box.get("large"), await box.get("moved")) == (pattern(self.large), b"text")

    @needs(Capability.DURABLE)
    async def test_what_was_written_is_there_when_the_store_is_opened_again(self) -> None:
        async with self.box() as box:
            await self._write_some(box)
            before = await box.info("large")
        for _ in TWICE:
            async with self.box(self.reopened) as box:
                await self._is_there(box)
                assert await box.info("large") == before

    @lacks(Capability.DURABLE, given="reopened")
    async def test_what_is_not_durable_is_gone_when_the_store_is_opened_again(self) -> None:
        async with self.box() as box:
            await self._write_some(box)
        async with self.box(self.reopened) as box:
            assert await box.store.container_exists(box.id) is False
            await refused(NotFound, box.get("large"))

    @needs(Capability.SHARED)
    async def test_what_one_instance_does_the_other_sees_at_once(self) -> None:
        async with self.box() as first, self.box(self.second) as second:
            await self._write_some(first)
            await self._is_there(second)
            await second.put("large", b"changed")
            assert await first.get("large") == b"changed"
            await first.store.clear_container(first.id)
            assert await second.names() == []
