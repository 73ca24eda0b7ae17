"""Containers: made, found, listed, removed with all that is in them."""

from __future__ import annotations

import time

from provider_sdk.contracts.blobstore import Blobstore, ContainerMetadata, ItemResult
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.testing.conformance.blobstore.box import refused, seconds
from provider_sdk.testing.conformance.blobstore.corpus import ANY_CONTAINERS, BUCKETS, NO_BUCKETS
from provider_sdk.testing.conformance.blobstore.suite import TWICE, BlobstoreSuite, Capability
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.together import together


class Containers(BlobstoreSuite):
    """CreateContainer, ContainerExists, GetContainerInfo, ListContainers, RemoveContainers, DeleteContainer."""

    async def _listed(self, store: Blobstore) -> list[str]:
        """The containers of this test, in the order of the list."""
        return [item.container_id for item in await store.list_containers() if item.container_id.startswith(self.prefix)]

    async def test_a_container_that_nobody_made_is_not_there_and_asking_does_not_make_it(self) -> None:
        async with self.box() as box:
            for _ in TWICE:
                other = f"{self.prefix}abc"
                assert await box.store.container_exists(other) is False
                await refused(NotFound, box.store.get_container_info(other), naming="abc")
                assert await self._listed(box.store) == [box.id]

    async def test_a_container_is_there_when_it_is_made_and_may_be_made_again(self) -> None:
        async with self.box() as box:
            await box.put("a", b"text")
            for _ in TWICE:
                await box.store.create_container(box.id)
                assert await box.store.container_exists(box.id) is True
                assert (await box.store.get_container_info(box.id)).container_id == box.id
                assert await self._listed(box.store) == [box.id]
                assert await box.get("a") == b"text"

    async def test_containers_are_listed_in_the_order_of_their_bytes(self) -> None:
        async with self.box() as box:
            made = [f"{self.prefix}{name}" for name in BUCKETS]
            await together(box.store.create_container(name) for name in reversed(made))
            for _ in TWICE:
                assert await self._listed(box.store) == made

    async def test_a_container_is_removed_with_all_that_is_in_it_and_no_other(self) -> None:
        async with self.box() as box:
            other = box.beside(f"{self.prefix}box-2")
            await box.store.create_container(other.id)
            for name in ("a", "b/c", "b/d"):
                await box.put(name, b"gone")
                await other.put(name, b"stays")
            assert await box.store.remove_containers([box.id]) == []
            assert await box.store.container_exists(box.id) is False
            assert await self._listed(box.store) == [other.id]
            await refused(NotFound, box.get("a"))
            await box.store.create_container(box.id)
            assert await box.names() == []
            assert await other.names() == ["a", "b/c", "b/d"]
            assert await other.get("b/c") == b"stays"

    async def test_to_remove_a_container_that_is_not_there_is_no_failure(self) -> None:
        async with self.box() as box:
            assert await box.store.remove_containers([]) == []
            for _ in TWICE:
                assert await box.store.remove_containers([f"{self.prefix}abc", box.id, box.id]) == []
                await box.store.delete_container(box.id)
                assert await self._listed(box.store) == []

    async def test_one_container_alone_is_removed_as_rust_hosts_ask(self) -> None:
        async with self.box() as box:
            await box.put("a", b"text")
            await box.store.delete_container(box.id)
            assert await box.store.container_exists(box.id) is False

    async def test_of_several_containers_those_that_cannot_be_are_named_and_the_others_removed(self) -> None:
        bad = "x" * (self.longest_container + 1)
        async with self.box() as box:
            failures = await box.store.remove_containers([bad, box.id])
            assert [(item.key, item.success, bool(item.error)) for item in failures] == [(bad, False, True)]
            assert all(isinstance(item, ItemResult) for item in failures)
            assert await self._listed(box.store) == []

    @needs(Capability.CREATED_AT)
    async def test_it_is_known_when_a_container_was_made(self) -> None:
        before = time.time()
        async with self.box() as box:
            after = time.time()
            made = await box.store.get_container_info(box.id)
            assert before - self.resolution <= seconds(made.created_at) <= after + self.resolution
            await box.put("a", b"text")
            await box.store.create_container(box.id)
            for item in (await box.store.get_container_info(box.id), *await box.store.list_containers()):
                if item.container_id == box.id and item.created_at is not None:
                    assert abs(seconds(item.created_at) - seconds(made.created_at)) <= self.resolution

    @lacks(Capability.CREATED_AT)
    async def test_where_nobody_knows_when_a_container_was_made_nothing_is_said(self) -> None:
        async with self.box() as box:
            assert await box.store.get_container_info(box.id) == ContainerMetadata(box.id, None)
            assert ContainerMetadata(box.id, None) in await box.store.list_containers()

    async def _refused(self, store: Blobstore, name: str) -> None:
        looking = store.container_exists(name), store.get_container_info(name)
        await refused(InvalidArgument, *looking, store.create_container(name), store.delete_container(name))
        assert [item.key for item in await store.remove_containers([name])] == [name]

    async def test_a_name_that_is_empty_or_too_long_is_refused_by_every_operation(self) -> None:
        async with self.box() as box:
            for name in ("", "x" * (self.longest_container + 1)):
                await self._refused(box.store, name)
            assert await self._listed(box.store) == [box.id]

    @lacks(Capability.ANY_CONTAINER)
    async def test_a_name_that_no_bucket_has_is_refused_by_every_operation(self) -> None:
        async with self.box() as box:
            await together(self._refused(box.store, name) for name in NO_BUCKETS)
            assert await self._listed(box.store) == [box.id]

    @lacks(Capability.ANY_CONTAINER)
    async def test_the_shortest_and_the_longest_name_of_a_bucket_are_taken(self) -> None:
        async with self.box() as box:
            long = f"{self.prefix}{'x' * 63}"[:63]
            await box.store.create_container(long)
            await box.beside(long).put("a", b"text")
            assert await self._listed(box.store) == sorted([box.id, long])

    @needs(Capability.ANY_CONTAINER)
    async def test_no_two_containers_are_one_whatever_their_names(self) -> None:
        made = [f"{self.prefix}{name}" for name in ANY_CONTAINERS]
        made = [name for name in made if len(name.encode()) <= self.longest_container]
        async with self.box() as box:
            await together(box.store.create_container(name) for name in made)
            await together(box.beside(name).put("a/b", f"of {name}".encode()) for name in made)
            assert await self._listed(box.store) == sorted([*made, box.id], key=str.encode)
            assert await together(box.beside(name).get("a/b") for name in made) == [f"of {name}".encode() for name in made]
            assert [item.container_id for item in await together(box.store.get_container_info(name) for name in made)] == made
            gone, kept = made[::2], made[1::2]
            assert await box.store.remove_containers(gone) == []
            assert await self._listed(box.store) == sorted([*kept, box.id], key=str.encode)
            assert await together(box.beside(name).names() for name in kept) == [["a/b"]] * len(kept)

    async def test_the_names_of_container_and_object_do_not_run_into_each_other(self) -> None:
        marks = ("-", ".") if Capability.ANY_CONTAINER not in self.capabilities else ("/", "%2F", ":", " ", "-", ".", "\\", "\0", "__")
        async with self.box() as box:
            for mark in marks:
                short, long = box.beside(f"{self.prefix}abc"), box.beside(f"{self.prefix}abc{mark}def")
                await together(box.store.create_container(item.id) for item in (short, long))
                await short.put("def/x", b"of the short name")
                await long.put("x", b"of the long name")
                assert await short.names() == ["def/x"]
                assert await long.names() == ["x"]
                assert await box.store.remove_containers([short.id]) == []
                assert await long.get("x") == b"of the long name"
                await box.store.create_container(short.id)
                assert await box.store.remove_containers([long.id]) == []
                assert await short.names() == []
