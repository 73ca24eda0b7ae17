"""A small blobstore that streams, with faults: each is found by the test of the suite that stands beside it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from provider_sdk import NotFound, ProviderError
from provider_sdk.contracts.blobstore import (
    Chunk,
    ChunkReceiver,
    ContainerObject,
    GetObjectRequest,
    GetObjectResponse,
    ListObjectsRequest,
    ListObjectsResponse,
    ObjectMetadata,
    PutChunkRequest,
    PutObjectRequest,
    PutObjectResponse,
    RemoveObjectsRequest,
)
from tests.contract.acme_blobs import AcmeBlobs, Kept


class Streaming(AcmeBlobs):
    """Answers in chunks of ten bytes."""

    def __init__(self, receiver: ChunkReceiver) -> None:
        super().__init__()
        self.receiver = receiver
        self.tasks: set[asyncio.Task[None]] = set()

    async def get_object(self, request: GetObjectRequest) -> GetObjectResponse:
        whole = await super().get_object(request)
        assert whole.initial_chunk is not None
        first, *rest = self.chunks(whole.initial_chunk)
        if rest:
            task = asyncio.create_task(self.send(rest))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return replace(whole, initial_chunk=first)

    def chunks(self, whole: Chunk) -> list[Chunk]:
        ends = range(0, max(1, len(whole.data)), 10)
        return [replace(whole, data=whole.data[at : at + 10], offset=whole.offset + at, is_last=at + 10 >= len(whole.data)) for at in ends]

    async def send(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            if (await self.receiver.receive_chunk(chunk)).cancel_download:
                return


class LeavesOutTheEnd(Streaming):
    def cut(self, data: bytes, start: int, end: int | None) -> bytes:
        return data[start:end]


class WrapsRangesAround(Streaming):
    def cut(self, data: bytes, start: int, end: int | None) -> bytes:
        return super().cut(data, start if start <= len(data) else 0, end)


class CountsTheWholeObject(Streaming):
    async def get_object(self, request: GetObjectRequest) -> GetObjectResponse:
        whole = len(self.kept(request.container_id, request.object_id).data)
        return replace(await super().get_object(request), content_length=whole)


class SaysMissingIsEmpty(Streaming):
    """As the official provider does."""

    async def get_object(self, request: GetObjectRequest) -> GetObjectResponse:
        try:
            return await super().get_object(request)
        except NotFound:
            return GetObjectResponse(success=False, error="failed to read file")


class SwallowsPuts(Streaming):
    """As the official provider does with what it does not store."""

    async def put_object(self, request: PutObjectRequest) -> PutObjectResponse:
        try:
            return await super().put_object(request)
        except ProviderError:
            return PutObjectResponse()


class RefusesEmptyObjects(Streaming):
    def keep(self, request: PutObjectRequest, data: bytes) -> None:
        if data:
            super().keep(request, data)


class LosesDetailsOfUploads(Streaming):
    async def put_chunk(self, request: PutChunkRequest) -> None:
        upload = self.uploads[self.upload(request)]
        upload.request = PutObjectRequest(upload.request.chunk)
        await super().put_chunk(request)


class KeepsOldDetails(Streaming):
    def keep(self, request: PutObjectRequest, data: bytes) -> None:
        old = self.container(request.chunk.container_id).get(request.chunk.object_id)
        given = request.content_type or (old.info.content_type if old else None)
        super().keep(replace(request, content_type=given), data)


class ListsInOrderOfFolders(Streaming):
    async def list_objects(self, request: ListObjectsRequest) -> ListObjectsResponse:
        found = await super().list_objects(request)
        return replace(found, objects=sorted(found.objects, key=lambda item: item.object_id.split("/")))


class ListsByCharacters(Streaming):
    """UTF-16 is not in the order of UTF-8."""

    async def list_objects(self, request: ListObjectsRequest) -> ListObjectsResponse:
        found = await super().list_objects(request)
        return replace(found, objects=sorted(found.objects, key=lambda item: item.object_id.encode("utf-16-be")))


class TakesStartForPrefix(Streaming):
    async def list_objects(self, request: ListObjectsRequest) -> ListObjectsResponse:
        found = await super().list_objects(request)
        return replace(found, objects=[item for item in found.objects if item.object_id.startswith(request.start_with or "")])


class RepeatsTheContinuation(Streaming):
    async def list_objects(self, request: ListObjectsRequest) -> ListObjectsResponse:
        if request.continuation:
            request = replace(request, start_with=request.continuation, continuation=None)
        found = await super().list_objects(request)
        return replace(found, is_last=found.is_last or len(found.objects) < 2)


class ForgetsTheEndOfTheListing(Streaming):
    async def list_objects(self, request: ListObjectsRequest) -> ListObjectsResponse:
        return await super().list_objects(replace(request, end_before=None) if request.continuation else request)


class NeverSaysLast(Streaming):
    async def list_objects(self, request: ListObjectsRequest) -> ListObjectsResponse:
        found = await super().list_objects(request)
        full = bool(found.objects) and len(found.objects) == request.max_items
        return replace(found, is_last=found.is_last and not full, continuation=found.objects[-1].object_id if full else found.continuation)


class ShowsUploads(Streaming):
    async def put_object(self, request: PutObjectRequest) -> PutObjectResponse:
        answer = await super().put_object(request)
        self.keep(request, request.chunk.data)
        return answer


class TakesAnyOffset(Streaming):
    async def put_chunk(self, request: PutChunkRequest) -> None:
        upload = self.uploads[self.upload(request)]
        await super().put_chunk(replace(request, chunk=replace(request.chunk, offset=len(upload.data))))


class EndsAtAWrongOffset(Streaming):
    async def put_chunk(self, request: PutChunkRequest) -> None:
        try:
            await super().put_chunk(request)
        except ProviderError:
            self.uploads.clear()
            raise


class IgnoresTheStreamId(Streaming):
    async def put_chunk(self, request: PutChunkRequest) -> None:
        await super().put_chunk(replace(request, stream_id=None))


class RemovesWhatIsCancelled(Streaming):
    async def put_chunk(self, request: PutChunkRequest) -> None:
        await super().put_chunk(request)
        if request.cancel_and_remove:
            self.container(request.chunk.container_id).pop(request.chunk.object_id, None)


class BringsBackContainers(Streaming):
    def keep(self, request: PutObjectRequest, data: bytes) -> None:
        self.containers.setdefault(request.chunk.container_id, {})
        super().keep(request, data)


class FoldsNames(Streaming):
    def kept(self, container: str, name: str) -> Kept:
        return next(
            (kept for other, kept in self.container(container).items() if other.lower() == name.lower()), super().kept(container, name)
        )


class RemovesFolders(Streaming):
    async def remove_objects(self, request: RemoveObjectsRequest) -> list[object]:  # type: ignore[override]
        held = self.container(request.container_id)
        below = [name for name in held if any(name.startswith(f"{folder}/") for folder in request.objects)]
        return [*await super().remove_objects(replace(request, objects=[*request.objects, *below]))]


class WalksUp(Streaming):
    def keep(self, request: PutObjectRequest, data: bytes) -> None:
        chunk = request.chunk
        if chunk.object_id.startswith("../"):
            container, _, name = chunk.object_id.removeprefix("../").partition("/")
            if container in self.containers:
                chunk = replace(chunk, container_id=container, object_id=name)
        super().keep(replace(request, chunk=chunk), data)


class FailsForMissingObjects(Streaming):
    async def remove_objects(self, request: RemoveObjectsRequest) -> list[object]:  # type: ignore[override]
        for name in request.objects:
            self.kept(request.container_id, name)
        return [*await super().remove_objects(request)]


class MakesContainersAnew(Streaming):
    async def create_container(self, container_id: str) -> None:
        await super().create_container(container_id)
        self.containers[container_id] = {}


class StopsAtFullContainers(Streaming):
    async def remove_containers(self, container_ids: list[str]) -> list[object]:  # type: ignore[override]
        return [*await super().remove_containers([name for name in container_ids if not self.containers.get(name)])]


class SendsOutOfOrder(Streaming):
    def chunks(self, whole: Chunk) -> list[Chunk]:
        first, *rest = super().chunks(whole)
        return [first, *reversed(rest[:-1]), *rest[-1:]]


class SendsTwiceLast(Streaming):
    def chunks(self, whole: Chunk) -> list[Chunk]:
        chunks = super().chunks(whole)
        return [*chunks[:-2], *(replace(chunk, is_last=True) for chunk in chunks[-2:])]


class SendsAllAtOnce(Streaming):
    async def send(self, chunks: list[Chunk]) -> None:
        await asyncio.gather(*map(self.receiver.receive_chunk, chunks))


class GoesOnWhenCancelled(Streaming):
    async def send(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            await self.receiver.receive_chunk(chunk)


class ReadsOnInTheNewVersion(Streaming):
    async def send(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            held = self.containers.get(chunk.container_id, {}).get(chunk.object_id)
            data = held.data[chunk.offset : chunk.offset + len(chunk.data)] if held else b""
            if (await self.receiver.receive_chunk(replace(chunk, data=data))).cancel_download:
                return


class WritesInPieces(Streaming):
    """As a file that is written in its place."""

    async def put_object(self, request: PutObjectRequest) -> PutObjectResponse:
        answer = await super().put_object(request)
        if request.chunk.is_last and len(request.chunk.data) > 1:
            half = len(request.chunk.data) // 2
            self.keep(request, request.chunk.data[:half])
            await asyncio.sleep(0)
            self.keep(request, request.chunk.data)
        return answer


class MixesDetails(Streaming):
    """Bytes and what goes with them are written one after the other."""

    async def put_object(self, request: PutObjectRequest) -> PutObjectResponse:
        answer = await super().put_object(request)
        if request.chunk.is_last:
            kept = self.kept(request.chunk.container_id, request.chunk.object_id)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            now = self.containers[request.chunk.container_id].get(request.chunk.object_id)
            if now:
                now.data = kept.data
        return answer


class KnowsNoTime(Streaming):
    async def get_object_info(self, container_object: ContainerObject) -> ObjectMetadata:
        return replace(await super().get_object_info(container_object), last_modified=None)


class ForgetsTheLastWrite(Streaming):
    """What is opened again lacks an object."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "containers" and isinstance(value, dict):
            for held in value.values():
                held.popitem()


FAULTS = [
    (LeavesOutTheEnd, "test_every_range_of_a_small_object_is_a_slice"),
    (LeavesOutTheEnd, "test_any_sequence_of_operations_does_what_the_model_does"),
    (WrapsRangesAround, "test_a_range_that_begins_behind_the_end_is_an_empty_last_chunk"),
    (CountsTheWholeObject, "test_any_range_of_any_object_is_a_slice"),
    (SaysMissingIsEmpty, "test_an_object_that_nobody_put_is_not_there_and_asking_does_not_make_it"),
    (SwallowsPuts, "test_in_a_container_that_is_not_there_nothing_is_and_nothing_can_be_put"),
    (RefusesEmptyObjects, "test_an_empty_object_is_not_a_missing_one"),
    (LosesDetailsOfUploads, "test_a_large_object_is_put_in_many_chunks"),
    (KeepsOldDetails, "test_an_object_that_is_put_again_is_replaced_with_all_that_it_carries"),
    (ListsInOrderOfFolders, "test_names_are_in_the_order_of_their_bytes_with_their_sizes"),
    (ListsByCharacters, "test_any_listing_has_what_is_between_its_ends"),
    (TakesStartForPrefix, "test_a_listing_begins_with_the_name_that_it_starts_with"),
    (RepeatsTheContinuation, "test_pages_follow_each_other_without_gap_or_repetition"),
    (ForgetsTheEndOfTheListing, "test_the_continuation_takes_the_place_of_the_start_and_the_end_stays"),
    (NeverSaysLast, "test_pages_follow_each_other_without_gap_or_repetition"),
    (ShowsUploads, "test_nothing_is_seen_of_an_object_before_its_last_chunk"),
    (ShowsUploads, "test_the_old_object_is_there_as_it_was_until_the_last_chunk"),
    (TakesAnyOffset, "test_a_chunk_at_another_offset_is_refused_and_the_upload_goes_on"),
    (EndsAtAWrongOffset, "test_a_chunk_at_another_offset_is_refused_and_the_upload_goes_on"),
    (IgnoresTheStreamId, "test_a_chunk_under_another_stream_id_is_refused_and_the_upload_goes_on"),
    (RemovesWhatIsCancelled, "test_an_upload_that_is_cancelled_leaves_what_was_there"),
    (BringsBackContainers, "test_an_upload_brings_back_no_container_that_is_gone"),
    (FoldsNames, "test_no_two_names_are_one"),
    (RemovesFolders, "test_an_object_may_be_named_as_the_folder_of_another"),
    (WalksUp, "test_names_stay_inside_their_container"),
    (FailsForMissingObjects, "test_objects_are_removed_and_those_that_are_not_there_are_no_failure"),
    (MakesContainersAnew, "test_a_container_is_there_when_it_is_made_and_may_be_made_again"),
    (StopsAtFullContainers, "test_a_container_is_removed_with_all_that_is_in_it_and_no_other"),
    (SendsOutOfOrder, "test_a_large_object_comes_in_chunks_one_after_the_other"),
    (SendsTwiceLast, "test_a_large_object_comes_in_chunks_one_after_the_other"),
    (SendsAllAtOnce, "test_a_slow_reader_holds_up_nobody"),
    (GoesOnWhenCancelled, "test_a_download_that_is_cancelled_ends"),
    (ReadsOnInTheNewVersion, "test_a_download_goes_on_with_the_object_that_it_began_with"),
    (WritesInPieces, "test_an_object_that_is_replaced_all_the_time_is_never_seen_torn_or_missing"),
    (MixesDetails, "test_of_many_writers_of_one_object_one_version_stays_as_a_whole"),
    (KnowsNoTime, "test_it_is_said_when_an_object_was_put_last"),
    (ForgetsTheLastWrite, "test_what_was_written_is_there_when_the_store_is_opened_again"),
]
