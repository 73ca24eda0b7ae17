"""Objects as components see them: written, read, looked at, removed; ranges of them, and lists."""

from __future__ import annotations

import time

from hypothesis import strategies as st

from provider_sdk.errors import InvalidArgument, NotFound, ProviderError
from provider_sdk.testing.conformance.blobstore.box import pattern, refused
from provider_sdk.testing.conformance.blobstore.component_box import END, ComponentBox
from provider_sdk.testing.conformance.blobstore.component_suite import WasiBlobstoreSuite
from provider_sdk.testing.conformance.blobstore.corpus import NAMES, ODD_NAMES
from provider_sdk.testing.conformance.blobstore.suite import TWICE, Capability
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.together import together


class ComponentObjects(WasiBlobstoreSuite):
    """write-container-data, get-container-data, has-object, get-object-info, delete-object, delete-objects."""

    async def test_what_was_written_is_read_again(self) -> None:
        async with self.box() as box:
            for data in (b"", b"a", b"\x00\xff" * 50, pattern(self.large), b"short again"):
                await box.put("a", data)
                for _ in TWICE:
                    assert await box.get("a") == data
                    assert (await box.has("a"), (await box.info("a")).size) == (True, len(data))

    async def test_an_object_that_is_not_there_is_told_so_but_where_it_is_removed(self) -> None:
        async with self.box() as box:
            await box.put("b", b"text")
            for _ in TWICE:
                await refused(NotFound, box.get("a"), box.get("a", 0, 0), box.get("a", 5, 9), box.info("a"), naming="a")
                assert await box.has("a") is False
                await box.remove("a")
                await box.store.delete_object(box.of("a"))
                assert await box.names() == ["b"]

    async def test_it_is_known_to_the_second_when_an_object_was_written(self) -> None:
        before = time.time()
        async with self.box() as box:
            await box.put("a", b"text")
            assert before - self.resolution - 1 <= (await box.info("a")).created_at <= time.time() + self.resolution

    async def test_objects_are_removed_one_by_one_or_several_at_once(self) -> None:
        async with self.box() as box:
            names = ["a", "b", "c/d", "c/e", "f"]
            for name in names:
                await box.put(name, name.encode())
            await box.store.delete_object(box.of("a"))
            assert await box.names() == names[1:]
            await box.remove("b", "c/d", "not there", "b")
            assert await box.names() == ["c/e", "f"]
            await box.remove()
            assert await box.get("f") == b"f"

    async def test_of_several_objects_those_that_can_be_are_removed_and_the_error_names_one_that_cannot(self) -> None:
        bad = "x" * (self.longest_name + 1)
        async with self.box() as box:
            await box.put("a", b"text")
            await refused(InvalidArgument, box.remove(bad, "a"), naming="xxx")
            assert await box.names() == []

    async def test_names_mean_nothing(self) -> None:
        names = [name for name in NAMES if len(name.encode()) <= self.longest_name]
        async with self.box() as box:
            await together((box.put(name, name.encode()) for name in names), most=16)
            assert await together((box.get(name) for name in names), most=16) == [name.encode() for name in names]
            assert await box.names() == sorted(names, key=str.encode)
            await box.remove(*names[::2])
            assert await box.names() == sorted(names[1::2], key=str.encode)

    @needs(Capability.ANY_NAME)
    async def test_odd_names_are_only_themselves(self) -> None:
        names = [name for name in ODD_NAMES if len(name.encode()) <= self.longest_name]
        async with self.box() as box:
            await together((box.put(name, name.encode()) for name in names), most=16)
            assert await together((box.get(name) for name in names), most=16) == [name.encode() for name in names]
            assert await box.names() == sorted(names, key=str.encode)

    async def _is_refused(self, box: ComponentBox, name: str) -> None:
        await refused(InvalidArgument, box.put(name, b"text"), box.get(name), box.has(name), box.info(name), box.remove(name))
        moving = box.store.move_object(box.of("there"), box.of(name)), box.store.copy_object(box.of("there"), box.of(name))
        await refused(InvalidArgument, *moving, box.store.copy_object(box.of(name), box.of("there")))

    @lacks(Capability.ANY_NAME)
    async def test_an_odd_name_is_refused_by_every_function(self) -> None:
        async with self.box() as box:
            await box.put("there", b"text")
            await together((self._is_refused(box, name) for name in ODD_NAMES), most=8)
            assert (await box.names(), await box.get("there")) == (["there"], b"text")

    async def test_a_name_that_is_empty_or_too_long_is_refused_by_every_function(self) -> None:
        async with self.box() as box:
            await box.put("there", b"text")
            for name in ("", "x" * (self.longest_name + 1), "é" * (self.longest_name // 2) + "x"):
                await self._is_refused(box, name)
            assert await box.names() == ["there"]


class ComponentRanges(WasiBlobstoreSuite):
    """get-container-data from `start` up to `end`, which is not included: not as on 0.x."""

    async def test_every_range_of_a_small_object_is_a_slice(self) -> None:
        async with self.box() as box:
            for size in (0, 1, 2, 4):
                data = pattern(size, size)
                await box.put("a", data)
                for start in (*range(size + 3), 1 << 32, END):
                    for end in (*range(size + 3), 1 << 63, END):
                        if start <= end:
                            assert await box.get("a", start, end) == data[start:end], f"{start} to {end} of {size}"

    async def test_any_range_of_a_large_object_is_a_slice(self) -> None:
        size, data = self.large, pattern(self.large)
        places = st.one_of(st.integers(0, size + 2), st.integers(size - 2, size + 2), st.just(END))
        async with self.box() as box:
            await box.put("a", data)

            async def check(asked: tuple[int, int]) -> None:
                start, end = sorted(asked)
                assert await box.get("a", start, end) == data[start:end]

            await self.tried(st.tuples(places, places), check)

    async def test_a_range_that_ends_before_it_begins_is_refused(self) -> None:
        async with self.box() as box:
            await box.put("a", b"text")
            await refused(InvalidArgument, box.get("a", 1, 0), box.get("a", 9, 8), box.get("a", END, 0), naming="before it begins")


class ComponentLists(WasiBlobstoreSuite):
    """list-container-objects."""

    async def test_names_are_in_the_order_of_their_bytes_and_folders_are_none(self) -> None:
        async with self.box() as box:
            names = ["a", "b-c", "b/c", "b/d/e", "b0", "c", "é"]
            for name in reversed(names):
                await box.put(name, b"text")
            assert await box.names() == sorted(names, key=str.encode)

    async def test_limit_and_offset_are_a_slice_of_all_names(self) -> None:
        async with self.box() as box:
            names = ["a", "b", "c", "d/e", "d/f"]
            for name in names:
                await box.put(name, b"text")
            for offset in (None, 0, 1, 4, 5, 6, END):
                for limit in (None, 0, 1, 3, 5, 6, END):
                    begin = offset or 0
                    expected = names[begin:] if limit is None else names[begin:][:limit]
                    assert await box.names(limit, offset) == expected, f"{limit} behind {offset}"

    async def test_a_long_list_is_complete(self) -> None:
        async with self.box() as box:
            names = [f"{number:05}" for number in range(self.many)]
            await together((box.put(name, b"") for name in names), most=16)
            assert await box.names() == names
            for limit, offset in ((None, self.many - 1), (self.many - 2, 1), (3, self.many - 5), (None, self.many), (self.many, 0)):
                assert await box.names(limit, offset) == names[offset:][:limit]
            await box.store.clear_container(box.id)
            assert await box.names() == []


class ComponentCopies(WasiBlobstoreSuite):
    """copy-object, move-object."""

    async def test_a_copy_is_a_second_object(self) -> None:
        async with self.box() as box:
            for data in (b"", b"text", pattern(self.large)):
                await box.put("a", data)
                await box.store.copy_object(box.of("a"), box.of("b/c"))
                assert (await box.get("a"), await box.get("b/c")) == (data, data)
            await box.put("a", b"changed")
            assert await box.get("b/c") == pattern(self.large)

    async def test_a_moved_object_is_no_longer_where_it_was(self) -> None:
        async with self.box() as box:
            for data in (b"", b"text", pattern(self.large)):
                await box.put("a", data)
                await box.store.move_object(box.of("a"), box.of("b/c"))
                assert (await box.has("a"), await box.get("b/c"), await box.names()) == (False, data, ["b/c"])

    async def test_an_object_goes_to_another_container_too(self) -> None:
        async with self.box() as box:
            other = box.beside(f"{self.prefix}abc")
            await box.store.create_container(other.id)
            await box.put("a", b"text")
            await box.store.copy_object(box.of("a"), other.of("a"))
            await box.store.move_object(box.of("a"), other.of("b"))
            assert (await box.names(), await other.names()) == ([], ["a", "b"])
            assert (await other.get("a"), await other.get("b")) == (b"text", b"text")

    async def test_an_object_onto_itself_stays_as_it_is(self) -> None:
        async with self.box() as box:
            await box.put("a", b"text")
            for _ in TWICE:
                await box.store.move_object(box.of("a"), box.of("a"))
                await box.store.copy_object(box.of("a"), box.of("a"))
                assert (await box.get("a"), await box.names()) == (b"text", ["a"])
            await refused(NotFound, box.store.move_object(box.of("b"), box.of("b")), box.store.copy_object(box.of("b"), box.of("b")))

    async def test_where_source_or_container_is_missing_nothing_changes(self) -> None:
        async with self.box() as box:
            await box.put("a", b"text")
            nowhere = box.beside(f"{self.prefix}abc")
            for function in (box.store.copy_object, box.store.move_object):
                wrong = ((box.of("b"), box.of("a")), (nowhere.of("a"), box.of("a")), (box.of("a"), nowhere.of("a")))
                await refused((NotFound,), *(function(source, target) for source, target in wrong))
                assert (await box.get("a"), await box.names()) == (b"text", ["a"])
            assert await box.store.container_exists(nowhere.id) is False

    @lacks(Capability.SIDE_BY_SIDE)
    async def test_a_target_named_as_the_folder_of_another_object_is_made_or_refused_and_the_source_is_not_lost(self) -> None:
        async with self.box() as box:
            await box.put("a", b"text")
            try:
                await box.store.move_object(box.of("a"), box.of("a/b"))
            except ProviderError:
                assert await box.get("a") == b"text"
            else:
                assert await box.get("a/b") == b"text"
