"""Blobstores of components with faults, most of them those of official providers: each is found by the test that stands beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

from provider_sdk import NotFound
from provider_sdk.contracts.wasi_blobstore import ContainerMetadata, ObjectId, ObjectMetadata, Outcome
from provider_sdk.types import Ok
from providers.blobstore.backend import NO_DETAILS
from providers.blobstore.wrpc import ComponentBlobstore

Names = tuple[AsyncIterator[str], Awaitable[Outcome]]
Bytes = tuple[AsyncIterator[bytes], Awaitable[Outcome]]


class IncludesTheEnd(ComponentBlobstore):
    async def get_container_data(self, id: ObjectId, start: int, end: int) -> Bytes:
        return await super().get_container_data(id, start, min(end + 1, (1 << 64) - 1))


class IgnoresRanges(ComponentBlobstore):
    async def get_container_data(self, id: ObjectId, start: int, end: int) -> Bytes:
        return await super().get_container_data(id, 0, (1 << 64) - 1)


class TakesRangesBackwards(ComponentBlobstore):
    async def get_container_data(self, id: ObjectId, start: int, end: int) -> Bytes:
        return await super().get_container_data(id, *sorted((start, end)))


class IgnoresOffsets(ComponentBlobstore):
    async def list_container_objects(self, name: str, limit: int | None, offset: int | None) -> Names:
        return await super().list_container_objects(name, limit, None)


class ListsTooFewBehindAnOffset(ComponentBlobstore):
    async def list_container_objects(self, name: str, limit: int | None, offset: int | None) -> Names:
        return await super().list_container_objects(name, None if limit is None else max(0, limit - (offset or 0)), offset)


class ListsOnePage(ComponentBlobstore):
    async def list_container_objects(self, name: str, limit: int | None, offset: int | None) -> Names:
        return await super().list_container_objects(name, 20 if limit is None else min(limit, 20), offset)


class MakesContainersForObjects(ComponentBlobstore):
    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> Awaitable[Outcome]:
        await self.create_container(id.container)
        return await super().write_container_data(id, data)


class AnswersWhenAllIsStored(ComponentBlobstore):
    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> Awaitable[Outcome]:
        outcome = await super().write_container_data(id, data)
        await outcome
        return outcome


class LeavesWhatBrokeOff(ComponentBlobstore):
    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> Awaitable[Outcome]:
        async def whatever_comes() -> AsyncIterator[bytes]:
            try:
                async for piece in data:
                    yield piece
            except Exception:
                return

        return await super().write_container_data(id, whatever_comes())


class EmptiesWhatIsBeingWritten(ComponentBlobstore):
    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> Awaitable[Outcome]:
        await self._backend.put(id.container, id.object, b"", NO_DETAILS)
        return await super().write_container_data(id, data)


class LosesWhatIsMovedOntoItself(ComponentBlobstore):
    async def move_object(self, src: ObjectId, dest: ObjectId) -> None:
        await self.copy_object(src, dest)
        await self.delete_object(src)


class MovesNothing(ComponentBlobstore):
    async def move_object(self, src: ObjectId, dest: ObjectId) -> None:
        await self.copy_object(src, dest)


class MissesWhatIsNotThere(ComponentBlobstore):
    async def delete_objects(self, container: str, objects: list[str]) -> None:
        for name in objects:
            await self._backend.info(container, name)
        await super().delete_objects(container, objects)


class DoesNotKnowWhatItHasNot(ComponentBlobstore):
    async def has_object(self, id: ObjectId) -> bool:
        await self._backend.info(id.container, id.object)
        return True


class RemovesNothingThatIsNotThere(ComponentBlobstore):
    async def delete_container(self, name: str) -> None:
        await self._backend.remove_container(name)


class KeepsWhatIsNotEmpty(ComponentBlobstore):
    async def delete_container(self, name: str) -> None:
        if (await self._backend.objects(name)).objects:
            raise NotFound(f"{name} is not empty")
        await super().delete_container(name)


class ClearsNothing(ComponentBlobstore):
    async def clear_container(self, name: str) -> None:
        await self._backend.container(name)


class KnowsNoTimes(ComponentBlobstore):
    async def get_container_info(self, name: str) -> ContainerMetadata:
        await super().get_container_info(name)
        return ContainerMetadata(0)

    async def get_object_info(self, id: ObjectId) -> ObjectMetadata:
        return ObjectMetadata(0, (await super().get_object_info(id)).size)


class CountsInNanoseconds(ComponentBlobstore):
    async def get_object_info(self, id: ObjectId) -> ObjectMetadata:
        info = await super().get_object_info(id)
        return ObjectMetadata(info.created_at * 1_000_000_000, info.size)


class ForgetsTheEnd(ComponentBlobstore):
    async def get_container_data(self, id: ObjectId, start: int, end: int) -> Bytes:
        stream, outcome = await super().get_container_data(id, start, end)

        async def most() -> AsyncIterator[bytes]:
            found = [piece async for piece in stream]
            for piece in found[:-1] if len(found) > 3 else found:
                yield piece
            await outcome

        async def well() -> Outcome:
            return Ok(None)

        return most(), well()


FAULTS: tuple[tuple[type[ComponentBlobstore], str], ...] = (
    (IncludesTheEnd, "test_every_range_of_a_small_object_is_a_slice"),
    (IncludesTheEnd, "test_any_range_of_a_large_object_is_a_slice"),
    (IgnoresRanges, "test_every_range_of_a_small_object_is_a_slice"),
    (IgnoresRanges, "test_any_sequence_of_functions_does_what_dictionaries_do"),
    (TakesRangesBackwards, "test_a_range_that_ends_before_it_begins_is_refused"),
    (IgnoresOffsets, "test_limit_and_offset_are_a_slice_of_all_names"),
    (ListsTooFewBehindAnOffset, "test_limit_and_offset_are_a_slice_of_all_names"),
    (ListsOnePage, "test_a_long_list_is_complete"),
    (MakesContainersForObjects, "test_a_container_that_nobody_made_is_not_there_and_asking_does_not_make_it"),
    (AnswersWhenAllIsStored, "test_a_write_is_answered_before_its_data_has_come"),
    (LeavesWhatBrokeOff, "test_of_a_stream_that_breaks_off_nothing_is_left"),
    (EmptiesWhatIsBeingWritten, "test_an_object_is_there_when_all_of_it_has_come_and_not_before"),
    (LosesWhatIsMovedOntoItself, "test_an_object_onto_itself_stays_as_it_is"),
    (MovesNothing, "test_a_moved_object_is_no_longer_where_it_was"),
    (MissesWhatIsNotThere, "test_an_object_that_is_not_there_is_told_so_but_where_it_is_removed"),
    (DoesNotKnowWhatItHasNot, "test_an_object_that_is_not_there_is_told_so_but_where_it_is_removed"),
    (RemovesNothingThatIsNotThere, "test_a_container_that_nobody_made_is_not_there_and_asking_does_not_make_it"),
    (KeepsWhatIsNotEmpty, "test_a_container_is_removed_with_all_that_is_in_it_and_no_other"),
    (ClearsNothing, "test_a_container_that_is_cleared_stays_without_its_objects"),
    (KnowsNoTimes, "test_it_is_known_to_the_second_when_a_container_was_made"),
    (KnowsNoTimes, "test_it_is_known_to_the_second_when_an_object_was_written"),
    (CountsInNanoseconds, "test_it_is_known_to_the_second_when_an_object_was_written"),
    (ForgetsTheEnd, "test_what_was_written_is_read_again"),
)
