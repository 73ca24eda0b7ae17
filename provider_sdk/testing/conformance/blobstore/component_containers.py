"""Containers as components see them: made, found, cleared, removed with all that is in them."""

from __future__ import annotations

import time

from provider_sdk.contracts.wasi_blobstore import ContainerMetadata
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.testing.conformance.blobstore.box import refused
from provider_sdk.testing.conformance.blobstore.component_box import ComponentBox
from provider_sdk.testing.conformance.blobstore.component_suite import WasiBlobstoreSuite
from provider_sdk.testing.conformance.blobstore.corpus import ANY_CONTAINERS, NO_BUCKETS
from provider_sdk.testing.conformance.blobstore.suite import TWICE, Capability
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.together import together


class ComponentContainers(WasiBlobstoreSuite):
    """create-container, container-exists, get-container-info, clear-container, delete-container."""

    async def test_a_container_that_nobody_made_is_not_there_and_asking_does_not_make_it(self) -> None:
        async with self.box() as box:
            other = f"{self.prefix}abc"
            for _ in TWICE:
                assert await box.store.container_exists(other) is False
                await refused(NotFound, box.store.get_container_info(other), box.store.clear_container(other), naming="abc")
                await refused(NotFound, box.store.delete_container(other), box.beside(other).names(), naming="abc")
                await refused(NotFound, box.beside(other).put("a", b"text"), box.beside(other).get("a"), naming="abc")
                await refused(NotFound, box.beside(other).remove("a"), naming="abc")
                assert await box.beside(other).has("a") is False
            assert await box.store.container_exists(other) is False

    async def test_a_container_is_there_when_it_is_made_and_may_be_made_again(self) -> None:
        async with self.box() as box:
            await box.put("a", b"text")
            for _ in TWICE:
                await box.store.create_container(box.id)
                assert await box.store.container_exists(box.id) is True
                assert await box.get("a") == b"text"

    async def test_a_container_is_removed_with_all_that_is_in_it_and_no_other(self) -> None:
        async with self.box() as box:
            other = await self._two_with_objects(box)
            await box.store.delete_container(box.id)
            assert await box.store.container_exists(box.id) is False
            await refused(NotFound, box.get("a"), box.store.delete_container(box.id))
            await box.store.create_container(box.id)
            assert await box.names() == []
            await self._untouched(other)

    async def test_a_container_that_is_cleared_stays_without_its_objects(self) -> None:
        async with self.box() as box:
            other = await self._two_with_objects(box)
            for _ in TWICE:
                await box.store.clear_container(box.id)
                assert (await box.names(), await box.store.container_exists(box.id)) == ([], True)
                await refused(NotFound, box.get("a"))
            await box.put("a", b"again")
            assert await box.names() == ["a"]
            await self._untouched(other)

    async def _two_with_objects(self, box: ComponentBox) -> ComponentBox:
        other = box.beside(f"{self.prefix}box-2")
        await box.store.create_container(other.id)
        for name in ("a", "b/c", "b/d"):
            await box.put(name, b"gone")
            await other.put(name, b"stays")
        return other

    async def _untouched(self, other: ComponentBox) -> None:
        assert await other.names() == ["a", "b/c", "b/d"]
        assert await other.get("b/c") == b"stays"

    @needs(Capability.CREATED_AT)
    async def test_it_is_known_to_the_second_when_a_container_was_made(self) -> None:
        before = time.time()
        async with self.box() as box:
            made = await box.store.get_container_info(box.id)
            assert before - self.resolution - 1 <= made.created_at <= time.time() + self.resolution
            await box.put("a", b"text")
            await box.store.create_container(box.id)
            assert abs((await box.store.get_container_info(box.id)).created_at - made.created_at) <= self.resolution

    @lacks(Capability.CREATED_AT)
    async def test_where_nobody_knows_when_a_container_was_made_it_is_zero(self) -> None:
        async with self.box() as box:
            assert await box.store.get_container_info(box.id) == ContainerMetadata(0)

    async def _refused(self, box: ComponentBox, name: str) -> None:
        store = box.store
        await refused(InvalidArgument, store.container_exists(name), store.get_container_info(name), store.create_container(name))
        await refused(InvalidArgument, store.delete_container(name), store.clear_container(name), box.beside(name).names())
        await refused(InvalidArgument, box.beside(name).put("a"), box.beside(name).get("a"), box.beside(name).has("a"))

    async def test_a_name_that_is_empty_or_too_long_is_refused_by_every_function(self) -> None:
        async with self.box() as box:
            for name in ("", "x" * (self.longest_container + 1)):
                await self._refused(box, name)

    @lacks(Capability.ANY_CONTAINER)
    async def test_a_name_that_no_bucket_has_is_refused_by_every_function(self) -> None:
        async with self.box() as box:
            await together((self._refused(box, name) for name in NO_BUCKETS), most=8)

    @needs(Capability.ANY_CONTAINER)
    async def test_no_two_containers_are_one_whatever_their_names(self) -> None:
        made = [f"{self.prefix}{name}" for name in ANY_CONTAINERS]
        made = [name for name in made if len(name.encode()) <= self.longest_container]
        async with self.box() as box:
            await together((box.store.create_container(name) for name in made), most=16)
            await together((box.beside(name).put("a/b", f"of {name}".encode()) for name in made), most=16)
            assert await together((box.beside(name).get("a/b") for name in made), most=16) == [f"of {name}".encode() for name in made]
            gone, kept = made[::2], made[1::2]
            await together((box.store.delete_container(name) for name in gone), most=16)
            assert await together((box.beside(name).names() for name in kept), most=16) == [["a/b"]] * len(kept)
