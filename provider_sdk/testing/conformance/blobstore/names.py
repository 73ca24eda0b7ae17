"""Any text may be the name of an object, and slashes mean nothing: no name means another, or a place outside its container."""

from __future__ import annotations

from collections.abc import Sequence

from provider_sdk.contracts.blobstore import RemoveObjectsRequest
from provider_sdk.errors import InvalidArgument, NotFound, ProviderError
from provider_sdk.testing.conformance.blobstore.box import Box, refused
from provider_sdk.testing.conformance.blobstore.corpus import NAMES, ODD_NAMES
from provider_sdk.testing.conformance.blobstore.suite import TWICE, BlobstoreSuite, Capability
from provider_sdk.testing.conformance.choice import lacks, needs
from provider_sdk.testing.conformance.together import together


class Names(BlobstoreSuite):
    """Hostile names of objects."""

    async def test_no_two_names_are_one(self) -> None:
        async with self.box() as box:
            await self._are_apart(box, NAMES)

    @needs(Capability.ANY_NAME)
    async def test_no_two_odd_names_are_one(self) -> None:
        async with self.box() as box:
            # What is no folder of the other.
            await self._are_apart(box, [name for name in ODD_NAMES if not name.endswith("/")])
        async with self.box() as box:
            await self._are_apart(box, [name for name in ODD_NAMES if name.endswith("/") and not name.endswith("//")])

    @needs(Capability.ANY_NAME, Capability.SIDE_BY_SIDE)
    async def test_names_and_what_they_would_mean_as_paths_are_side_by_side(self) -> None:
        async with self.box() as box:
            await self._are_apart(box, (*NAMES[::2], *ODD_NAMES, "b", "c", "etc", "etc/passwd"))

    async def test_an_object_is_removed_alone_whatever_its_name(self) -> None:
        names = (*NAMES, *ODD_NAMES) if {Capability.ANY_NAME, Capability.SIDE_BY_SIDE} <= self.capabilities else NAMES
        gone, kept = names[::2], names[1::2]
        async with self.box() as box:
            await together((box.put(name, name.encode()) for name in names), most=16)
            await box.remove(*gone)
            assert await box.names() == sorted(kept, key=str.encode)
            assert await together((box.get(name) for name in kept), most=16) == [name.encode() for name in kept]
            assert await together((box.exists(name) for name in gone), most=16) == [False] * len(gone)

    async def test_names_stay_inside_their_container(self) -> None:
        names = (
            "../abc/a",
            "../abc",
            "..",
            "../../abc/a",
            "/abc/a",
            "a/../../abc/a",
            "..\\abc\\a",
            "%2e%2e/abc/a",
            "..%2fabc%2fa",
            "\0/../abc/a",
        )
        async with self.box() as box:
            other = box.beside(f"{self.prefix}abc")
            await box.store.create_container(other.id)
            await other.put("a", b"untouched")
            for name in names:
                try:
                    await box.put(name, b"text")
                except InvalidArgument:
                    continue
                assert await box.get(name) == b"text"
            await box.store.remove_objects(RemoveObjectsRequest(box.id, list(names)))
            assert (await other.names(), await other.get("a")) == (["a"], b"untouched")
            assert await box.store.container_exists(box.id) is True

    async def test_the_longest_name_is_taken(self) -> None:
        async with self.box() as box:
            name = f"{'é' * 64}/" * ((self.longest_name - 1) // 129)
            name += "x" * (self.longest_name - len(name.encode()))
            for _ in TWICE:
                await box.put(name, b"text", "text/plain")
                assert (await box.get(name), (await box.info(name)).content_type, await box.names()) == (b"text", "text/plain", [name])
            await box.upload(name, (b"in ", b"chunks"))
            assert await box.get(name, 3) == b"chunks"
            await box.remove(name)
            assert await box.names() == []

    async def test_a_name_that_is_empty_or_too_long_is_refused_by_every_operation(self) -> None:
        async with self.box() as box:
            for name in ("", "x" * (self.longest_name + 1), "é" * (self.longest_name // 2) + "x", "a/" * (self.longest_name // 2) + "a"):
                await self._is_refused(box, name)

    @lacks(Capability.ANY_NAME)
    async def test_an_odd_name_is_refused_by_every_operation(self) -> None:
        async with self.box() as box:
            await together((self._is_refused(box, name) for name in ODD_NAMES), most=16)

    @needs(Capability.SIDE_BY_SIDE)
    async def test_an_object_may_be_named_as_the_folder_of_another(self) -> None:
        async with self.box() as box:
            for order in (("a", "a/b", "a/b/c"), ("a/b/c", "a/b", "a")):
                for name in order:
                    await box.put(name, name.encode(), f"text/{len(name)}")
                assert await box.names() == ["a", "a/b", "a/b/c"]
                for name in order:
                    found = await box.fetch(name)
                    assert (found.data, found.details[0]) == (name.encode(), f"text/{len(name)}")
                await box.remove("a/b")
                assert await box.names() == ["a", "a/b/c"]
                assert (await box.get("a"), await box.get("a/b/c")) == (b"a", b"a/b/c")
                await box.remove("a")
                assert await box.names() == ["a/b/c"]
                await box.remove("a/b/c")
                assert await box.names() == []

    @lacks(Capability.SIDE_BY_SIDE)
    async def test_an_object_named_as_the_folder_of_another_is_there_or_refused(self) -> None:
        async with self.box() as box:
            for first, second in (("a", "a/b"), ("b/c", "b"), ("c", "c/d/e")):
                await box.put(first, b"first")
                try:
                    await box.put(second, b"second")
                except ProviderError:
                    await refused(NotFound, box.get(second))
                    assert await box.exists(second) is False
                else:
                    assert await box.get(second) == b"second"
                    await box.remove(second)
                assert (await box.get(first), await box.exists(first)) == (b"first", True)
                await box.remove(first)
                await box.put(second, b"second")
                assert await box.get(second) == b"second"
                await box.remove(second)
            assert await box.names() == []

    async def _are_apart(self, box: Box, names: Sequence[str]) -> None:
        names = list(dict.fromkeys(names))
        await together((box.put(name, f"of {name}".encode()) for name in names), most=16)
        assert await together((box.get(name) for name in names), most=16) == [f"of {name}".encode() for name in names]
        assert [info.content_length for info in await together((box.info(name) for name in names), most=16)] == [
            len(f"of {name}".encode()) for name in names
        ]
        assert await box.names() == sorted(names, key=str.encode)

    async def _is_refused(self, box: Box, name: str) -> None:
        await refused(InvalidArgument, box.put(name, b"text"), box.begin(name, b"text"), box.get(name), box.get(name, 0, 1))
        await refused(InvalidArgument, box.info(name), box.exists(name))
        assert [item.key for item in await box.store.remove_objects(RemoveObjectsRequest(box.id, [name]))] == [name]
        assert await box.names() == []
