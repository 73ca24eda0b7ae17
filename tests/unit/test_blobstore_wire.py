"""The blobstore's bytes (wasmbus-0x.md §8.8, §5.3): every operation in msgpack and in CBOR, quirks of callers, hostile input.

The judges are msgpack and cbor2; what they cannot write, a Timestamp in CBOR, is put together of two items here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk import InvalidArgument, NotFound, ProviderError
from provider_sdk.contracts.blobstore import Blobstore, ChunkReceiver
from provider_sdk.hosts.wasmbus.server import served
from provider_sdk.hosts.wasmbus.values import operation_codec
from provider_sdk.interface import Operation, Target
from providers.blobstore.backend import NO_DETAILS
from providers.blobstore.wasmbus import FOLLOWING, ActorBlobstore
from tests.unit.blob_world import KEY, World, a_world

OPERATIONS = served((Blobstore,))
SECONDS, NANOSECONDS = 1_700_000_000, 5


class Moment:
    """The time at which all in these tests is made: in CBOR two items, which what is around counts as one."""


def plain(value: Any) -> Any:
    """A value as msgpack has it: members that are None are left out."""
    if isinstance(value, Moment):
        return {"sec": SECONDS, "nsec": NANOSECONDS}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items() if item is not None} if isinstance(value, dict) else value


def packed(value: Any) -> bytes:
    data: bytes = msgpack.packb(plain(value))
    return data


def positional(value: Any) -> bytes:
    """A value as CBOR has it: a structure is an array of its members in the order of their numbers."""
    if isinstance(value, Moment):
        return cbor2.dumps(SECONDS) + cbor2.dumps(NANOSECONDS)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return bytes([0x80 | len(value)]) + b"".join(map(positional, value))
    return cbor2.dumps(value)


def by_name(value: Any) -> bytes:
    return cbor2.dumps(value)


def chunk(data: bytes, offset: int = 0, *, last: bool, name: str = "o") -> dict[str, Any]:
    return {"objectId": name, "containerId": "c", "bytes": data, "offset": offset, "isLast": last}


def metadata(name: str, size: int, kind: str | None = None, encoding: str | None = None) -> dict[str, Any]:
    return {
        "objectId": name,
        "containerId": "c",
        "contentLength": size,
        "lastModified": Moment(),
        "contentType": kind,
        "contentEncoding": encoding,
    }


def got(data: bytes, offset: int, *, last: bool = True, length: int | None = None) -> dict[str, Any]:
    return {
        "success": True,
        "error": None,
        "initialChunk": chunk(data, offset, last=last),
        "contentLength": len(data) if length is None else length,
        "contentType": "text/plain",
        "contentEncoding": "gzip",
    }


@dataclass(frozen=True)
class Case:
    """An operation with its argument and its answer; dicts have all members, in the order of their numbers. UNIT: there is none."""

    operation: str
    argument: Any
    answer: Any


UNIT = object()
OBJECT = {"containerId": "c", "objectId": "o"}
LISTING = {"containerId": "c", "startWith": None, "continuation": None, "endWith": None, "endBefore": None, "maxItems": None}
GETTING = {"objectId": "o", "containerId": "c", "rangeStart": None, "rangeEnd": None}
PUTTING = {"chunk": chunk(b"new", last=True), "contentType": "a/b", "contentEncoding": None}
MADE = {"containerId": "c", "createdAt": Moment()}
FIRST, SECOND = metadata("o", 5), metadata("p", 0)
CASES = [
    Case("ContainerExists", "c", True),
    Case("ContainerExists", "missing", False),
    Case("CreateContainer", "new", UNIT),
    Case("GetContainerInfo", "c", MADE),
    Case("ListContainers", UNIT, [MADE]),
    Case("RemoveContainers", ["c", "missing"], []),
    Case("RemoveContainers", [""], [{"key": "", "success": False, "error": "the name of the container is empty"}]),
    Case("DeleteContainer", "c", UNIT),
    Case("ObjectExists", OBJECT, True),
    Case("ObjectExists", {**OBJECT, "objectId": "missing"}, False),
    Case("GetObjectInfo", OBJECT, metadata("o", 5, "text/plain", "gzip")),
    Case("GetObjectInfo", {**OBJECT, "objectId": "p"}, metadata("p", 0)),
    Case("ListObjects", LISTING, {"objects": [FIRST, SECOND], "isLast": True, "continuation": None}),
    Case("ListObjects", {**LISTING, "maxItems": 1}, {"objects": [FIRST], "isLast": False, "continuation": "o"}),
    Case("ListObjects", {**LISTING, "continuation": "o", "startWith": "z"}, {"objects": [SECOND], "isLast": True, "continuation": None}),
    Case("ListObjects", {**LISTING, "startWith": "p"}, {"objects": [SECOND], "isLast": True, "continuation": None}),
    Case("ListObjects", {**LISTING, "endWith": "o"}, {"objects": [FIRST], "isLast": True, "continuation": None}),
    Case("ListObjects", {**LISTING, "endBefore": "p", "maxItems": 2**32 - 1}, {"objects": [FIRST], "isLast": True, "continuation": None}),
    Case("RemoveObjects", {"containerId": "c", "objects": ["o", "missing"]}, []),
    Case(
        "RemoveObjects",
        {"containerId": "c", "objects": ["o", ""]},
        [{"key": "", "success": False, "error": "the name of the object is empty"}],
    ),
    Case("PutObject", PUTTING, {"streamId": None}),
    Case("PutObject", {**PUTTING, "chunk": chunk(b"", last=True)}, {"streamId": None}),
    Case("GetObject", GETTING, got(b"hello", 0)),
    Case("GetObject", {**GETTING, "rangeStart": 1, "rangeEnd": 3}, got(b"ell", 1)),
    Case("GetObject", {**GETTING, "rangeStart": 0, "rangeEnd": 2**64 - 1}, got(b"hello", 0)),
    Case("GetObject", {**GETTING, "rangeStart": 4}, got(b"o", 4)),
    Case("GetObject", {**GETTING, "rangeEnd": 0}, got(b"h", 0)),
    Case("GetObject", {**GETTING, "rangeStart": 5, "rangeEnd": 9}, got(b"", 0)),
]
GO_ON = [packed({"cancelDownload": False}), packed({}), b"\x7f\x81\xf4", b"\x7f" + by_name({"cancelDownload": False})]
STOP = [packed({"cancelDownload": True}), b"\x7f\x81\xf5", b"\x7f" + by_name({"cancelDownload": True})]
NONSENSE = [
    b"",
    b"\xff\xff",
    b"\x7f",
    b"\x7f\xff",
    b"\x00\x00",
    packed([1, 2, 3]),
    packed("yes"),
    packed({"cancelDownload": 1}),
    bytes(1000),
]
BOMBS = [
    b"\x7f\x9f\xff",
    b"\x7f\x9b" + b"\xff" * 8,
    b"\x7f\x5b" + b"\xff" * 8,
    b"\x7f" + b"\x81" * 5000,
    b"\xdd" + b"\xff" * 4,
    b"\x91" * 5000,
]
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
SENT = [case for case in CASES if case.argument is not UNIT]


class Actor(Target):
    """The far side of a link: what is sent to it, and the bytes that it answers."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.answer = packed({"cancelDownload": False})

    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> Any:
        codec = operation_codec(operation)
        self.sent.append(codec.encode_arguments(arguments))
        return codec.decode_result(self.answer)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("providers.blobstore.backends.memory.time.time_ns", lambda: SECONDS * 10**9 + NANOSECONDS)
    async for made in a_world(tmp_path):
        await ask(made, "PutObject", packed({"chunk": chunk(b"hello", last=True), "contentType": "text/plain", "contentEncoding": "gzip"}))
        await ask(made, "PutObject", packed({"chunk": chunk(b"", last=True, name="p")}))
        yield made


async def ask(world: World, operation: str, data: bytes, link: ActorBlobstore | None = None) -> bytes:
    """The answer to the bytes of an argument."""
    found = OPERATIONS[f"Blobstore.{operation}"]

    async def served() -> bytes:
        arguments, form = found.codec.decode_arguments(data)
        return found.codec.encode_result(await getattr(link or world.link, found.operation.method)(*arguments), form)

    return await asyncio.create_task(served())  # a task a call, as the server has it: the form that was asked in belongs to the call


class TestForms:
    def test_every_operation_is_here(self) -> None:
        assert {f"Blobstore.{case.operation}" for case in CASES} | {"Blobstore.PutChunk"} == set(OPERATIONS)

    @EACH
    async def test_who_asks_in_msgpack_is_answered_in_msgpack(self, world: World, case: Case) -> None:
        data = b"" if case.argument is UNIT else packed(case.argument)
        answer = await ask(world, case.operation, data)
        assert answer == (b"" if case.answer is UNIT else packed(case.answer))

    @EACH
    async def test_the_prefix_of_msgpack_changes_nothing(self, world: World, case: Case) -> None:
        data = b"\xc1" + (b"" if case.argument is UNIT else packed(case.argument))
        assert await ask(world, case.operation, data) == (b"" if case.answer is UNIT else packed(case.answer))

    @EACH
    async def test_who_asks_in_cbor_is_answered_in_cbor(self, world: World, case: Case) -> None:
        data = b"\x7f" + (b"\xf6" if case.argument is UNIT else positional(case.argument))
        answer = await ask(world, case.operation, data)
        assert answer == b"\x7f" + (b"\xf6" if case.answer is UNIT else positional(case.answer))

    @pytest.mark.parametrize("case", [case for case in SENT if isinstance(case.argument, dict)], ids=lambda case: case.operation)
    async def test_a_structure_in_cbor_may_be_a_map_by_name(self, world: World, case: Case) -> None:
        answer = await ask(world, case.operation, b"\x7f" + by_name(case.argument))
        assert answer == b"\x7f" + positional(case.answer)

    @EACH
    async def test_members_that_nobody_knows_are_passed_over(self, world: World, case: Case) -> None:
        if isinstance(case.argument, dict):
            assert await ask(world, case.operation, packed({**case.argument, "more": [1, {"x": None}]})) == packed(case.answer)
            answer = await ask(world, case.operation, b"\x7f" + positional({**case.argument, "more": ["x", 1, True]}))
            assert answer == b"\x7f" + positional(case.answer)

    def test_the_order_of_members_in_cbor_is_that_of_the_specification(self) -> None:
        for request, data in (
            (OBJECT, "82 61 63 61 6f"),
            (GETTING, "84 61 6f 61 63 f6 f6"),
            (chunk(b"\xff", 256, last=True), "85 61 6f 61 63 41 ff 19 0100 f5"),
            (MADE, "82 61 63 1a 6553f100 05"),
        ):
            assert positional(request) == bytes.fromhex(data)


class TestUploads:
    @pytest.mark.parametrize("form", [packed, lambda value: b"\x7f" + positional(value)], ids=["msgpack", "cbor"])
    async def test_a_stream_in_either_form(self, world: World, form: Any) -> None:
        begun = await ask(world, "PutObject", form({**PUTTING, "chunk": chunk(b"one", last=False)}))
        stream = msgpack.unpackb(begun)["streamId"] if form is packed else cbor2.loads(begun[1:])[0]
        assert begun == form({"streamId": stream}) and isinstance(stream, str)
        going_on = {"chunk": chunk(b"two", 3, last=False), "streamId": stream, "cancelAndRemove": False}
        nothing = b"" if form is packed else b"\x7f\xf6"
        assert await ask(world, "PutChunk", form(going_on)) == nothing
        assert await ask(world, "PutChunk", form({**going_on, "chunk": chunk(b"", 6, last=True)})) == nothing
        assert await world.stored() == b"onetwo"

    @pytest.mark.parametrize("form", [packed, lambda value: b"\x7f" + positional(value)], ids=["msgpack", "cbor"])
    async def test_a_stream_that_is_cancelled(self, world: World, form: Any) -> None:
        await ask(world, "PutObject", form({**PUTTING, "chunk": chunk(b"one", last=False)}))
        await ask(world, "PutChunk", form({"chunk": chunk(b"", 0, last=False), "streamId": None, "cancelAndRemove": True}))
        assert await world.stored() == b"hello"

    @pytest.mark.parametrize("data", [b"\xff\x00", "text", [0, 255, 7]])
    async def test_bytes_may_come_as_text_or_numbers_in_msgpack(self, world: World, data: Any) -> None:
        await ask(world, "PutObject", msgpack.packb({"chunk": {**chunk(b"", last=True), "bytes": data}}))
        assert await world.stored() == (data.encode() if isinstance(data, str) else bytes(data))


class TestDownloads:
    async def _chunks(self, world: World, data: bytes, answer: bytes) -> tuple[bytes, list[bytes]]:
        actor = Actor()
        actor.answer = answer
        found = await ask(world, "GetObject", data, world.another(KEY, ChunkReceiver.at(actor)))
        await world.over()
        return found, actor.sent

    @pytest.mark.parametrize(
        "answer", [packed({"cancelDownload": False}), packed({}), b"\x7f\x81\xf4", b"\x7f" + by_name({"cancelDownload": False})]
    )
    async def test_chunks_go_out_in_the_form_of_the_question(self, world: World, answer: bytes) -> None:
        data = bytes(range(256)) * 4096 + b"end"
        await world.put(data)
        rest = [chunk(data[FOLLOWING : 2 * FOLLOWING], FOLLOWING, last=False), chunk(b"end", 2 * FOLLOWING, last=True)]
        first = got(data[:FOLLOWING], 0, last=False, length=len(data)) | {"contentType": None, "contentEncoding": None}
        assert await self._chunks(world, packed(GETTING), answer) == (packed(first), [packed(item) for item in rest])
        found = await self._chunks(world, b"\x7f" + positional(GETTING), answer)
        assert found == (b"\x7f" + positional(first), [b"\x7f" + positional(item) for item in rest])

    @pytest.mark.parametrize("answer", STOP)
    async def test_a_cancellation_is_understood_in_every_form(self, world: World, answer: bytes) -> None:
        await world.put(bytes(2 << 20))
        assert len((await self._chunks(world, packed(GETTING), answer))[1]) == 1

    @pytest.mark.parametrize("answer", NONSENSE)
    async def test_an_answer_that_makes_no_sense_ends_the_download(
        self, world: World, answer: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        await world.put(bytes(2 << 20))
        assert len((await self._chunks(world, packed(GETTING), answer))[1]) == 1
        assert "download of 'o' from 'c' ended before its end" in caplog.text


class TestQuirks:
    async def test_a_rust_host_asks_for_an_objects_metadata_by_its_bare_name(self, world: World) -> None:
        assert await ask(world, "GetObjectInfo", packed("o")) == packed(metadata("o", 5, "text/plain", "gzip"))

    async def test_a_bare_name_that_is_nowhere_or_in_two_containers_is_refused(self, world: World) -> None:
        with pytest.raises(NotFound, match="there is no object 'x' in any container"):
            await ask(world, "GetObjectInfo", packed("x"))
        await world.link.create_container("d")
        await ask(world, "PutObject", packed({"chunk": {**chunk(b"", last=True), "containerId": "d"}}))
        with pytest.raises(InvalidArgument, match="it is in 2 of them"):
            await ask(world, "GetObjectInfo", packed("o"))

    async def test_a_rust_host_gets_a_listing_of_any_length_in_one_answer(self, world: World) -> None:
        for number in range(2500):
            world.backend.keep("c", f"{number:04}", NO_DETAILS, b"")
        answer = msgpack.unpackb(await ask(world, "ListObjects", packed({"containerId": "c", "maxItems": 2**32 - 1})))
        assert [item["objectId"] for item in answer["objects"]] == [*(f"{number:04}" for number in range(2500)), "o", "p"]
        assert answer["isLast"] is True and "continuation" not in answer

    async def test_without_a_number_a_page_has_a_thousand(self, world: World) -> None:
        for number in range(1998):
            world.backend.keep("c", f"{number:04}", NO_DETAILS, b"")
        names, token = [], None
        for last in (False, True):
            answer = msgpack.unpackb(await ask(world, "ListObjects", packed({"containerId": "c", "continuation": token})))
            assert (len(answer["objects"]), answer["isLast"]) == (1000, last)
            names += [item["objectId"] for item in answer["objects"]]
            token = answer.get("continuation")
        assert token is None and names == sorted({*names}) and len(names) == 2000

    async def test_what_tinygo_writes_for_what_is_not_there_is_not_there(self, world: World) -> None:
        empty = {"containerId": "c", "startWith": "", "continuation": "", "endWith": "", "endBefore": "", "maxItems": 0}
        assert await ask(world, "ListObjects", packed(empty)) == packed({"objects": [FIRST, SECOND], "isLast": True})
        await ask(world, "PutObject", packed({"chunk": chunk(b"a", last=False), "contentType": "", "contentEncoding": ""}))
        await ask(world, "PutChunk", packed({"chunk": chunk(b"b", 1, last=True), "streamId": "", "cancelAndRemove": False}))
        assert await ask(world, "GetObjectInfo", packed(OBJECT)) == packed(metadata("o", 2))

    @pytest.mark.parametrize("case", SENT, ids=lambda case: case.operation)
    async def test_cbor_without_its_prefix_as_tinygo_writes_it_is_refused(self, world: World, case: Case) -> None:
        with pytest.raises(InvalidArgument):
            await ask(world, case.operation, by_name(case.argument))


class TestHostileInput:
    @pytest.mark.parametrize("case", SENT, ids=lambda case: case.operation)
    async def test_a_message_cut_off_anywhere_is_refused(self, world: World, case: Case) -> None:
        for whole in (packed(case.argument), b"\x7f" + positional(case.argument)):
            for length in range(len(whole)):
                with pytest.raises(InvalidArgument):
                    await ask(world, case.operation, whole[:length])
            with pytest.raises(InvalidArgument, match="bytes follow the value"):
                await ask(world, case.operation, whole + b"\0")

    @pytest.mark.parametrize(
        ("operation", "argument"),
        [
            ("PutObject", {}),
            ("PutObject", {"chunk": None}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "offset": -1}}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "offset": 2**64 - 1}}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "offset": 0.0}}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "isLast": 1}}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "bytes": [256]}}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "objectId": b"\xff"}}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "objectId": ""}}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "containerId": ""}}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "objectId": "x" * 1025}}),
            ("PutObject", {"chunk": {**chunk(b"", last=True), "containerId": "é" * 128}}),
            ("GetObject", {**GETTING, "rangeStart": 3, "rangeEnd": 2}),
            ("ListObjects", {**LISTING, "maxItems": 2**32}),
            ("ListObjects", {**LISTING, "maxItems": -1}),
            ("ListObjects", {}),
            ("RemoveObjects", {"containerId": "c", "objects": "o"}),
            ("RemoveObjects", {"containerId": "c", "objects": [None]}),
            ("RemoveContainers", "c"),
            ("ObjectExists", {}),
            ("ObjectExists", 7),
            ("GetObjectInfo", ""),
            ("ContainerExists", None),
            ("ContainerExists", {"containerId": "c"}),
            ("CreateContainer", ""),
        ],
    )
    async def test_what_does_not_fit_is_refused(self, world: World, operation: str, argument: Any) -> None:
        with pytest.raises(InvalidArgument):
            await ask(world, operation, msgpack.packb(argument))

    async def test_a_number_of_more_than_64_bits_is_refused(self, world: World) -> None:
        with pytest.raises(InvalidArgument):
            await ask(world, "GetObject", b"\x7f" + by_name({**GETTING, "rangeStart": 2**64}))

    async def test_a_name_that_is_no_text_is_refused(self, world: World) -> None:
        with pytest.raises(InvalidArgument, match="UTF-8"):
            await ask(world, "ContainerExists", b"\xa2\xff\xfe")
        with pytest.raises(InvalidArgument, match="UTF-8"):
            await ask(world, "ContainerExists", b"\x7f\x62\xff\xfe")

    @pytest.mark.parametrize("data", BOMBS)
    async def test_lengths_and_depths_that_cannot_be_cost_nothing(self, world: World, data: bytes) -> None:
        for operation in ("RemoveContainers", "PutObject", "ListObjects"):
            with pytest.raises(InvalidArgument):
                await ask(world, operation, data)

    @given(st.sampled_from(sorted(OPERATIONS)), st.binary(max_size=64), st.sampled_from([b"", b"\x7f", b"\xc1"]))
    def test_any_bytes_are_an_argument_or_refused(self, operation: str, data: bytes, prefix: bytes) -> None:
        try:
            # In a context of its own, as a call has it: the form would stay with the tests that follow.
            copy_context().run(OPERATIONS[operation].codec.decode_arguments, prefix + data)
        except ProviderError as error:
            assert error.code == "invalid_argument" and len(error.message) < 1000

    @given(st.data())
    def test_a_request_with_bytes_changed_is_answered_or_refused(self, data: st.DataObject) -> None:
        case = data.draw(st.sampled_from(SENT))
        whole = bytearray(data.draw(st.sampled_from([packed(case.argument), b"\x7f" + positional(case.argument)])))
        for _ in range(data.draw(st.integers(1, 3))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        asyncio.run(self._survives(case.operation, bytes(whole)))

    async def _survives(self, operation: str, data: bytes) -> None:
        async for world in a_world(Path("/nowhere")):
            try:
                await ask(world, operation, data)
            except ProviderError as error:
                assert error.code in ("invalid_argument", "not_found", "precondition_failed")
