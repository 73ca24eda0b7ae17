"""Listings: from where, up to where, how many, and how they go on, in the order of the bytes of names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from provider_sdk.contracts.blobstore import ListObjectsRequest
from provider_sdk.errors import NotFound
from provider_sdk.testing.conformance.blobstore.box import Box, refused
from provider_sdk.testing.conformance.blobstore.corpus import NAMES, ODD_NAMES
from provider_sdk.testing.conformance.blobstore.suite import TWICE, BlobstoreSuite, Capability
from provider_sdk.testing.conformance.together import together

ALL = 4294967295
"""What Rust hosts ask for."""
LETTERS = ("a", "a-b", "a.b", "a/b", "a/b/c", "a0", "aa", "b", "é", "日本", "\uff21", "😀")
"""In the order of their bytes, which is not that of their folders."""


def expected(names: list[str], request: ListObjectsRequest) -> list[str]:
    """Those of `names` that a listing has, in its order."""

    def there(name: bytes) -> bool:
        if name < (request.start_with or "").encode():
            return False
        if request.end_with and name > request.end_with.encode():
            return False
        return not request.end_before or name < request.end_before.encode()

    return sorted((name for name in names if there(name.encode())), key=str.encode)


class Listings(BlobstoreSuite):
    """ListObjects."""

    def _some_names(self) -> list[str]:
        """Names for a listing, as awkward as the store takes them."""
        odd = ODD_NAMES[::2] if Capability.ANY_NAME in self.capabilities else ()
        return self._takeable([*NAMES[::3], *odd, *LETTERS])

    def _letters(self) -> list[str]:
        return self._takeable(LETTERS)

    def _takeable(self, names: Sequence[str]) -> list[str]:
        """Those that are no folder of another, where a store does not take both."""
        if Capability.SIDE_BY_SIDE in self.capabilities:
            return list(dict.fromkeys(names))
        return [name for name in dict.fromkeys(names) if not any(other.startswith(f"{name}/") for other in names)]

    async def _filled(self, box: Box, names: list[str]) -> list[str]:
        await together((box.put(name, name.encode()) for name in reversed(names)), most=16)
        return names

    async def test_an_empty_container_has_an_empty_last_page(self) -> None:
        async with self.box() as box:
            for _ in TWICE:
                for most in (None, 0, 1, ALL):
                    answer = await box.store.list_objects(ListObjectsRequest(box.id, max_items=most))
                    assert (answer.objects, answer.is_last, answer.continuation or None) == ([], True, None)

    async def test_names_are_in_the_order_of_their_bytes_with_their_sizes(self) -> None:
        async with self.box() as box:
            names = await self._filled(box, self._letters())
            for _ in TWICE:
                assert [(item.object_id, item.content_length) for item in await box.objects()] == [
                    (name, len(name.encode())) for name in names
                ]

    async def test_a_listing_begins_with_the_name_that_it_starts_with(self) -> None:
        async with self.box() as box:
            names = await self._filled(box, self._letters())
            for number, name in enumerate(names):
                assert [item.object_id for item in await box.objects(ListObjectsRequest(box.id, start_with=name))] == names[number:]
            for start, count in (("", len(names)), ("a-", len(names) - (names[0] == "a")), ("\U0010ffff", 0), ("😀\0", 0)):
                assert len(await box.objects(ListObjectsRequest(box.id, start_with=start))) == count

    async def test_a_listing_ends_with_or_before_a_name(self) -> None:
        async with self.box() as box:
            names = await self._filled(box, self._letters())
            for number, name in enumerate(names):
                ends_with, ends_before = ListObjectsRequest(box.id, end_with=name), ListObjectsRequest(box.id, end_before=name)
                assert [item.object_id for item in await box.objects(ends_with)] == names[: number + 1]
                assert [item.object_id for item in await box.objects(ends_before)] == names[:number]
            both = ListObjectsRequest(box.id, start_with="a0", end_with="b", end_before="é")
            assert [item.object_id for item in await box.objects(both)] == ["a0", "aa", "b"]
            assert [item.object_id for item in await box.objects(replace(both, end_before="b"))] == ["a0", "aa"]
            assert await box.objects(replace(both, end_with="a")) == []

    async def test_pages_follow_each_other_without_gap_or_repetition(self) -> None:
        async with self.box() as box:
            names = await self._filled(box, self._letters())
            for most in range(1, len(names) + 2):
                pages = await box.pages(ListObjectsRequest(box.id, max_items=most))
                assert [item.object_id for page in pages for item in page] == names
                assert len(pages) == -(-len(names) // most), "pages are full, and behind the last object is no page"

    async def test_the_continuation_takes_the_place_of_the_start_and_the_end_stays(self) -> None:
        async with self.box() as box:
            names = await self._filled(box, self._letters())
            first = await box.store.list_objects(ListObjectsRequest(box.id, start_with=names[1], max_items=2))
            assert [item.object_id for item in first.objects] == names[1:3]
            assert not first.is_last
            go_on = ListObjectsRequest(box.id, start_with=names[-1], continuation=first.continuation, end_before=names[-1])
            for _ in TWICE:
                rest = await box.store.list_objects(go_on)
                assert ([item.object_id for item in rest.objects], rest.is_last) == (names[3:-1], True)

    async def test_empty_text_and_nought_mean_what_is_left_out(self) -> None:
        async with self.box() as box:
            names = await self._filled(box, self._letters())
            request = ListObjectsRequest(box.id, start_with="", continuation="", end_with="", end_before="", max_items=0)
            assert [item.object_id for item in await box.objects(request)] == names

    async def test_what_is_put_or_removed_between_pages_is_seen_where_it_comes_later(self) -> None:
        async with self.box() as box:
            await self._filled(box, ["b", "d", "f", "h"])
            first = await box.store.list_objects(ListObjectsRequest(box.id, max_items=2))
            await box.remove("d", "f")
            await self._filled(box, ["a", "c", "g"])
            rest = await box.objects(ListObjectsRequest(box.id, continuation=first.continuation, max_items=2))
            assert [item.object_id for item in rest] == ["g", "h"]
            assert await box.names() == ["a", "b", "c", "g", "h"]

    async def test_a_container_that_is_not_there_is_no_empty_one(self) -> None:
        async with self.box() as box:
            for request in (ListObjectsRequest(f"{self.prefix}abc"), ListObjectsRequest(f"{self.prefix}abc", "a", None, "b", "c", 1)):
                await refused(NotFound, box.store.list_objects(request), naming="abc")

    async def test_any_listing_has_what_is_between_its_ends(self) -> None:
        async with self.box() as box:
            names = await self._filled(box, self._some_names())
            assert await box.names() == sorted(names, key=str.encode)
            cuts = [
                *names,
                *(name[: len(name) // 2] for name in names),
                *(name + end for name in names[::4] for end in ("\0", "/", "~", "é")),
            ]
            ends = st.none() | st.sampled_from(cuts) | st.text(st.characters(codec="utf-8", exclude_characters="\ufffe\uffff"), max_size=3)
            most = st.none() | st.integers(0, 12) | st.sampled_from([len(names), 1000, ALL])
            asked = st.builds(ListObjectsRequest, st.just(box.id), ends, st.none(), ends, ends, most)

            async def check(request: ListObjectsRequest) -> None:
                found = [item.object_id for item in await box.objects(request)]
                assert found == expected(names, request)

            await self.tried(asked, check)

    async def test_a_long_listing_comes_in_pages_of_a_thousand_and_can_be_removed_at_once(self) -> None:
        names = sorted((f"{number % 7}/{number}" for number in range(self.many)), key=str.encode)
        async with self.box() as box:
            await together((box.put(name, b"") for name in names), most=16)
            first = await box.store.list_objects(ListObjectsRequest(box.id))
            assert (len(first.objects), first.is_last) == (min(self.many, 1000), self.many <= 1000)
            assert await box.names() == names
            as_rust_hosts = await box.store.list_objects(ListObjectsRequest(box.id, max_items=ALL))
            assert ([item.object_id for item in as_rust_hosts.objects], as_rust_hosts.is_last) == (names, True)
            kept = names[::100]
            await box.remove(*(name for name in names if name not in kept))
            assert await box.names() == kept
            assert await box.store.remove_containers([box.id]) == []
            await box.store.create_container(box.id)
            assert await box.names() == []
