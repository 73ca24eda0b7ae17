"""Streams and futures on 1.x (wrpc-1x.md §3.3, §4.1): where they go, what goes there, and what comes of what does not come whole."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any

import pytest

from provider_sdk.contracts.wasi_blobstore import EarlyWasiBlobstore, WasiBlobstore
from provider_sdk.contracts.wasi_http import IncomingHandler
from provider_sdk.errors import Internal, InvalidArgument, ResourceExhausted, Unavailable, error_of, error_text
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.values import Incomplete, OperationCodec, operation_codec
from provider_sdk.interface import Failure, Interface
from provider_sdk.types import U8, U16, U32, Case, Err, Ok
from tests.unit.wit_wire import Paths, Source, carried, codec_of
from tests.waiting import until

TEXT = Failure(str, error_text, error_of)


async def given(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def soon(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def all_of(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


class Live:
    """A call with one path, on which things come when the test says so."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()

    def open(self, path: str) -> Live:
        return self

    async def read(self) -> bytes:
        return await self.queue.get()

    def close(self) -> None:
        """Nothing is left to do."""


def read(codec: OperationCodec, data: bytes, sent: dict[str, list[bytes]]) -> tuple[Any, Paths]:
    """The one argument of `data`, and the paths of its call."""
    paths = Paths(sent)
    (value,) = codec.decode_arguments(data, paths)
    return value, paths


# -- what is sent


async def test_a_stream_of_bytes_is_pending_and_goes_in_lists_and_an_empty_one() -> None:
    encoded = codec_of(AsyncIterator[bytes]).encode_arguments((given(b"hello", b"", bytearray(b" wor"), memoryview(b"ld")),))
    assert encoded.data == b"\x00"
    paths = await carried(encoded)
    assert paths.sent == {"0": [b"\x05hello", b"\x04 wor", b"\x02ld", b"\x00"]}


async def test_large_pieces_are_split_at_the_limit() -> None:
    content = bytes(range(256)) * 4
    encoded = codec_of(AsyncIterator[bytes]).encode_arguments((given(content),))
    paths = await carried(encoded, 300)
    assert [len(piece) for piece in paths.sent["0"]] == [300, 300, 300, 132, 1]
    assert b"".join(piece[2:] for piece in paths.sent["0"][:-1]) == content


@pytest.mark.parametrize("limit", [1, 2, 3, 127, 128, 129, 130])
async def test_any_limit_will_do(limit: int) -> None:
    content = bytes(range(250))
    encoded = codec_of(AsyncIterator[bytes], AsyncIterator[bytes]).encode_arguments((given(content), given()))
    paths = await carried(encoded, limit)
    first, second = codec_of(AsyncIterator[bytes], AsyncIterator[bytes]).decode_arguments(encoded.data, paths)
    assert b"".join(await all_of(first)) == content
    assert await all_of(second) == []


async def test_a_stream_of_items_goes_in_lists_of_what_is_there_cut_where_they_are_too_long() -> None:
    encoded = codec_of(AsyncIterator[str]).encode_arguments((given("a", "bcdef"),))
    paths = await carried(encoded, 4)
    assert paths.sent == {"0": [b"\x02\x01a", b"\x05bcd", b"ef", b"\x00"]}


async def test_an_item_of_a_stream_does_not_wait_for_the_next() -> None:
    there, more = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[str]:
        yield "a"
        there.set()
        await more.wait()
        yield "b"

    pieces = codec_of(AsyncIterator[str]).encode_arguments((slow(),)).pending[0].pieces(100)
    assert await anext(pieces) == b"\x01\x01a"
    await there.wait()
    more.set()
    assert [piece async for piece in pieces] == [b"\x01\x01b", b"\x00"]


async def test_a_future_goes_without_a_prefix() -> None:
    encoded = codec_of(result=Awaitable[Ok[None] | Err[str]]).encode_result(soon(Err("io")))
    assert encoded.data == b"\x00"
    assert (await carried(encoded)).sent == {"0": [b"\x01\x02io"]}


async def test_a_source_that_raises_ends_the_pieces_with_its_error_and_is_closed() -> None:
    closed = []

    async def breaking() -> AsyncIterator[bytes]:
        try:
            yield b"x"
            raise Unavailable("the disk is gone")
        finally:
            closed.append(True)

    encoded = codec_of(AsyncIterator[bytes]).encode_arguments((breaking(),))
    sent = []
    with pytest.raises(Unavailable, match="the disk is gone"):
        async for piece in encoded.pending[0].pieces(100):
            sent.append(piece)  # noqa: PERF401 - what came before the error is looked at
    assert (sent, closed, encoded.pending[0].cut) == ([b"\x01x"], [True], b"\x80")


async def test_a_source_is_closed_when_its_reader_stops() -> None:
    closed = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    pieces = codec_of(AsyncIterator[bytes]).encode_arguments((endless(),)).pending[0].pieces(100)
    assert await anext(pieces) == b"\x01x"
    await pieces.aclose()
    assert closed == [True]


async def test_sources_are_closed_when_what_stands_behind_them_does_not_fit() -> None:
    asked, answered = Source(), Source()
    with pytest.raises(InvalidArgument, match="expected a string"):
        codec_of(AsyncIterator[bytes], str).encode_arguments((asked, 7))
    with pytest.raises(Internal, match="expected a string"):
        codec_of(result=tuple[AsyncIterator[bytes], str]).encode_result((answered, 7))
    await until(lambda: asked.closed and answered.closed)


async def test_items_to_send_that_do_not_fit_are_told_with_their_place() -> None:
    encoded = codec_of(result=AsyncIterator[list[str]]).encode_result(given(["x"], ["y", 7]))
    with pytest.raises(Internal, match=r"^the value to send is wrong: result\[1\]\[1\]: expected a string, got int$"):
        await carried(encoded)
    encoded = codec_of(AsyncIterator[bytes]).encode_arguments((given("x"),))
    with pytest.raises(InvalidArgument, match=r"^a: expected bytes, got str$"):
        await carried(encoded)


@pytest.mark.parametrize("limit", range(2, 9))
@pytest.mark.parametrize("count", range(1, 9))
async def test_wherever_a_stream_of_items_breaks_off_its_mark_completes_no_list(limit: int, count: int) -> None:
    pair, lists = tuple[U8, U8], codec_of(list[tuple[U8, U8]])
    encoded = codec_of(AsyncIterator[pair]).encode_arguments((given(*[(1, 2)] * count),))  # type: ignore[valid-type]  # an annotation
    pieces = (await carried(encoded, limit)).sent["0"][:-1]
    for sent in range(1, len(pieces)):
        with pytest.raises(Incomplete):
            lists.decode_arguments(b"".join(pieces[:sent]) + encoded.pending[0].cut, Paths())


# -- on which paths


@dataclass
class Page:
    body: AsyncIterator[bytes]
    trailers: Awaitable[str | None]
    status: U16


class Plain(Case[str]):
    pass


class Streamed(Case[AsyncIterator[bytes]]):
    pass


@pytest.mark.parametrize(
    ("annotations", "second", "first"),
    [
        ((AsyncIterator[bytes],), ("0",), ("",)),
        ((str, AsyncIterator[bytes]), ("1",), ("1",)),
        ((Page,), ("0.0", "0.1"), ("0", "1")),
        ((Page, str), ("0.0", "0.1"), ("0.0", "0.1")),
        ((AsyncIterator[bytes] | None,), ("0",), ("1",)),
        ((Plain | Streamed,), ("0",), ("1",)),
        ((Ok[Page] | Err[str],), ("0.0", "0.1"), ("0.0", "0.1")),
        ((Ok[None] | Err[Awaitable[str]],), ("0",), ("1",)),
        ((tuple[str, tuple[str, Awaitable[str]]],), ("0.1.1",), ("1.1",)),
        ((Awaitable[tuple[str, AsyncIterator[bytes]]],), ("0", "0.1"), ("", "1")),
        ((list[Awaitable[str]], str), (), ()),
        ((str, U8), (), ()),
    ],
)
def test_the_paths_of_parameters(annotations: tuple[Any, ...], second: tuple[str, ...], first: tuple[str, ...]) -> None:
    assert codec_of(*annotations).parameter_paths == second
    assert codec_of(*annotations, era=Era.FIRST).parameter_paths == first


@pytest.mark.parametrize(
    ("result", "failure", "second", "first"),
    [
        (AsyncIterator[bytes], None, ("0",), ("",)),
        (AsyncIterator[bytes], TEXT, ("0",), ("0",)),
        (Awaitable[Ok[None] | Err[str]], TEXT, ("0",), ("0",)),
        (Page, TEXT, ("0.0", "0.1"), ("0.0", "0.1")),
        (Page, None, ("0.0", "0.1"), ("0", "1")),
        (AsyncIterator[bytes] | None, TEXT, ("0",), ("0.1",)),
    ],
)
def test_the_paths_of_results(result: Any, failure: Failure | None, second: tuple[str, ...], first: tuple[str, ...]) -> None:
    assert codec_of(result=result, failure=failure).result_paths == second
    assert codec_of(result=result, failure=failure, era=Era.FIRST).result_paths == first


@pytest.mark.parametrize(
    ("interface", "function", "era", "parameters", "results"),
    [
        (IncomingHandler, "handle", Era.SECOND, ("0.0", "0.1"), ("0.0", "0.1")),
        (IncomingHandler, "handle", Era.FIRST, ("0", "1"), ("0.0", "0.1")),
        (WasiBlobstore, "list-container-objects", Era.SECOND, (), ("0.0", "0.1")),
        (WasiBlobstore, "get-container-data", Era.SECOND, (), ("0.0", "0.1")),
        (WasiBlobstore, "write-container-data", Era.SECOND, ("1",), ("0",)),
        (EarlyWasiBlobstore, "get-container-data", Era.FIRST, (), ("0",)),
        (EarlyWasiBlobstore, "write-container-data", Era.FIRST, ("1",), ()),
    ],
)
def test_the_paths_of_the_standard_interfaces(
    interface: type[Interface], function: str, era: Era, parameters: tuple[str, ...], results: tuple[str, ...]
) -> None:
    (operation,) = (item for item in interface.operations() if item.function == function)
    codec = operation_codec(operation, era)
    assert (codec.parameter_paths, codec.result_paths) == (parameters, results)


@pytest.mark.parametrize("era", Era)
async def test_what_is_sent_and_what_is_opened_are_the_paths_that_were_told(era: Era) -> None:
    codec = codec_of(str, Page, Plain | Streamed, result=Page, failure=TEXT, era=era)
    encoded = codec.encode_arguments(("x", Page(given(b"b"), soon("t"), 200), Streamed(given(b"c"))))
    assert tuple(item.path for item in encoded.pending) == codec.parameter_paths
    paths = await carried(encoded)
    _, page, other = codec.decode_arguments(encoded.data, paths)
    assert tuple(paths.opened) == codec.parameter_paths
    assert (await all_of(page.body), await page.trailers, page.status, await all_of(other.value)) == ([b"b"], "t", 200, [b"c"])
    answer = codec.encode_result(Page(given(b"b"), soon(None), 200))
    assert answer.data == b"\x00\x00\x00\xc8\x01"
    assert tuple((await carried(answer)).sent) == codec.result_paths


async def test_an_element_of_a_list_has_its_number_for_a_path() -> None:
    codec = codec_of(list[tuple[str, AsyncIterator[bytes]]])
    encoded = codec.encode_arguments(([("x", given(b"1")), ("y", given(b"2"))],))
    assert encoded.data == b"\x02\x01x\x00\x01y\x00"
    paths = await carried(encoded)
    assert list(paths.sent) == ["0.0.1", "0.1.1"]
    (items,) = codec.decode_arguments(encoded.data, paths)
    assert [(name, await all_of(stream)) for name, stream in items] == [("x", [b"1"]), ("y", [b"2"])]


# -- what comes


async def test_bytes_come_as_they_arrive_wherever_the_messages_end() -> None:
    stream, paths = read(codec_of(AsyncIterator[bytes]), b"\x00", {"0": [b"\x05he", b"llo", b"\x06 ", b"world\x01", b"!\x00"]})
    assert await all_of(stream) == [b"he", b"llo", b" ", b"world", b"!"]
    assert paths.closed == ["0"]
    assert await all_of(stream) == []


async def test_a_message_in_the_middle_of_a_list_is_not_copied() -> None:
    whole = bytes(1000)
    stream, _ = read(codec_of(AsyncIterator[bytes]), b"\x00", {"0": [b"\xe8\x07", whole, b"\x00"]})
    assert [item is whole async for item in stream] == [True]


async def test_the_first_bytes_are_there_before_the_rest_has_come() -> None:
    channel = Live()
    (stream,) = codec_of(AsyncIterator[bytes]).decode_arguments(b"\x00", channel)
    channel.queue.put_nowait(b"\x64first")
    assert await asyncio.wait_for(anext(stream), 1) == b"first"


async def test_items_come_one_by_one_from_lists_of_any_length() -> None:
    stream, paths = read(codec_of(AsyncIterator[str]), b"\x00", {"0": [b"\x02\x01a\x01", b"b\x01\x01c\x00"]})
    assert await all_of(stream) == ["a", "b", "c"]
    assert paths.closed == ["0"]


async def test_every_byte_may_come_by_itself() -> None:
    sent = {"0": [bytes([byte]) for byte in b"\x02\x03abc\x00\x81\x00\x01z\x00"]}
    stream, _ = read(codec_of(AsyncIterator[str]), b"\x00", sent)
    assert await all_of(stream) == ["abc", "", "z"]


@pytest.mark.parametrize("sent", [[], [b"\x01"], [b"\x02\x01a"], [b"\x01\x05ab"], [b"\x80"]])
async def test_a_stream_whose_channel_ends_before_it_has_broken_off(sent: list[bytes]) -> None:
    for annotation in (AsyncIterator[str], AsyncIterator[bytes]):
        stream, _ = read(codec_of(annotation), b"\x00", {"0": sent})
        with pytest.raises(Unavailable, match=r"^a: the stream broke off$"):
            await all_of(stream)


async def test_streams_may_come_whole_in_place() -> None:
    stream, paths = read(codec_of(AsyncIterator[bytes]), b"\x02hi", {})
    assert await all_of(stream) == [b"hi"]
    stream, _ = read(codec_of(AsyncIterator[str]), b"\x02\x01a\x01b", {})
    assert await all_of(stream) == ["a", "b"]
    assert paths.opened == []


async def test_v1_0_marks_what_comes_in_place() -> None:
    stream, _ = read(codec_of(AsyncIterator[bytes], era=Era.FIRST), b"\x01\x02hi", {})
    assert await all_of(stream) == [b"hi"]
    stream, paths = read(codec_of(AsyncIterator[str], era=Era.FIRST), b"\x01\x00", {})
    assert await all_of(stream) == []
    assert not paths.opened
    _, paths = read(codec_of(AsyncIterator[str], era=Era.FIRST), b"\x00", {})
    assert paths.opened == [""]


async def test_a_future_may_be_awaited_again() -> None:
    future, paths = read(codec_of(Awaitable[str]), b"\x00", {"0": [b"\x05he", b"llo"]})
    assert list(await asyncio.gather(future, future)) == ["hello", "hello"]
    assert await future == "hello"
    assert paths.closed == ["0"]


async def test_a_future_may_come_in_place() -> None:
    future, paths = read(codec_of(Awaitable[U32]), b"\x01\xac\x02", {})
    assert (await future, await future, paths.opened) == (300, 300, [])


async def test_a_future_is_received_once_whoever_waits_for_it() -> None:
    channel = Live()
    (future,) = codec_of(Awaitable[str]).decode_arguments(b"\x00", channel)
    waiting = [asyncio.ensure_future(future) for _ in range(2)]
    await asyncio.sleep(0.01)
    channel.queue.put_nowait(b"\x02hi")
    assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == ["hi", "hi"]


async def test_a_future_without_a_value_is_there_when_its_channel_ends() -> None:
    codec = codec_of(Awaitable[None])
    encoded = codec.encode_arguments((soon(None),))
    assert (await carried(encoded)).sent == {}
    channel = Live()
    (future,) = codec.decode_arguments(encoded.data, channel)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(future, 0.01)
    channel.queue.put_nowait(b"")
    assert await future is None


async def test_a_future_that_does_not_come_whole_has_broken_off_however_often_it_is_asked() -> None:
    future, paths = read(codec_of(Awaitable[str]), b"\x00", {"0": [b"\x05he"]})
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"^a: the stream broke off$"):
            await future
        assert paths.closed == ["0"]


async def test_what_comes_and_does_not_fit_is_told_with_its_place() -> None:
    stream, _ = read(codec_of(AsyncIterator[list[bool]]), b"\x00", {"0": [b"\x02\x00\x02\x01\x07"]})
    assert await anext(stream) == []
    with pytest.raises(InvalidArgument, match=r"^a\[1\]\[1\]: expected 00 or 01, got 07$"):
        await anext(stream)
    page = codec_of(result=Page).decode_result(b"\x00\x00\x07", Paths({"0.1": [b"\x09"], "0.0": [b"\xff\xff\xff\xff\xff"]}))
    with pytest.raises(Internal, match=r"^the answer is malformed: result\.trailers: expected 00 or 01, got 09$"):
        await page.trailers
    with pytest.raises(Internal, match=r"^the answer is malformed: result\.body: an integer is longer than one of 32 bits can be$"):
        await anext(page.body)


async def test_a_value_that_would_fill_the_memory_is_not_waited_for() -> None:
    stream, _ = read(codec_of(AsyncIterator[str]), b"\x00", {"0": [b"\x01\xff\xff\xff\x1f" + bytes(100)]})
    with pytest.raises(ResourceExhausted, match=r"^a: a value of more than 67108864 bytes$"):
        await anext(stream)


async def test_a_reader_that_is_cancelled_may_come_again() -> None:
    channel = Live()
    (stream,) = codec_of(AsyncIterator[str]).decode_arguments(b"\x00", channel)
    for part in (b"\x01\x06", b"abc"):
        channel.queue.put_nowait(part)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)
    channel.queue.put_nowait(b"def\x00")
    assert await all_of(stream) == ["abcdef"]


# -- what nobody reads


async def test_streams_and_futures_that_are_closed_or_forgotten_close_their_channels() -> None:
    codec = codec_of(AsyncIterator[bytes], AsyncIterator[str], Awaitable[str])
    paths = Paths()
    body, items, future = codec.decode_arguments(b"\x00\x00\x00", paths)
    await body.aclose()
    await body.aclose()
    assert await all_of(body) == []
    future.close()
    with pytest.raises(Unavailable, match="closed before it came"):
        await future
    assert paths.closed == ["0", "2"]
    del items
    gc.collect()
    await asyncio.sleep(0)
    assert paths.closed == ["0", "2", "1"]


def test_nothing_is_opened_for_values_that_are_not_whole() -> None:
    paths = Paths()
    with pytest.raises(Incomplete):
        codec_of(AsyncIterator[bytes], str).decode_arguments(b"\x00", paths)
    assert paths.opened == []


# -- streams in streams


async def test_streams_in_streams_have_the_numbers_of_their_items() -> None:
    codec = codec_of(AsyncIterator[AsyncIterator[bytes]])
    encoded = codec.encode_arguments((given(given(b"a"), given(b"b", b"c")),))
    paths = await carried(encoded)
    assert paths.sent == {"0": [b"\x02\x00\x00", b"\x00"], "0.0": [b"\x01a", b"\x00"], "0.1": [b"\x01b", b"\x01c", b"\x00"]}
    stream, _ = read(codec, encoded.data, paths.sent)
    assert [await all_of(inner) async for inner in stream] == [[b"a"], [b"b", b"c"]]


async def test_a_future_in_a_record_in_a_stream() -> None:
    codec = codec_of(str, AsyncIterator[tuple[str, Awaitable[str]]])
    encoded = codec.encode_arguments(("x", given(("y", soon("z")))))
    paths = await carried(encoded)
    assert paths.sent == {"1": [b"\x01\x01y\x00", b"\x00"], "1.0.1": [b"\x01z"]}
    _, stream = codec.decode_arguments(encoded.data, paths)
    assert [(name, await future) async for name, future in stream] == [("y", "z")]


async def test_a_stream_that_a_future_brings_goes_on_where_the_future_came() -> None:
    codec = codec_of(Awaitable[AsyncIterator[bytes]])
    encoded = codec.encode_arguments((soon(given(b"ab", b"c")),))
    paths = await carried(encoded)
    assert paths.sent == {"0": [b"\x00", b"\x02ab", b"\x01c", b"\x00"]}
    assert codec.parameter_paths == ("0",)
    future, again = read(codec, encoded.data, {"0": [b"\x00\x02a", b"b\x01c\x00"]})
    stream = await future
    del future
    gc.collect()
    assert again.closed == []
    assert await all_of(stream) == [b"a", b"b", b"c"]
    assert (again.opened, again.closed) == (["0"], ["0"])


async def test_a_future_of_a_future_and_of_something_that_holds_one() -> None:
    codec = codec_of(Awaitable[Awaitable[str]], Awaitable[tuple[str, Awaitable[str]]])
    encoded = codec.encode_arguments((soon(soon("x")), soon(("y", soon("z")))))
    paths = await carried(encoded)
    assert paths.sent == {"0": [b"\x00", b"\x01x"], "1": [b"\x01y\x00"], "1.1": [b"\x01z"]}
    outer, other = codec.decode_arguments(encoded.data, paths)
    assert await (await outer) == "x"
    name, inner = await other
    assert (name, await inner) == ("y", "z")


async def test_pending_items_inside_a_stream_in_place() -> None:
    stream, paths = read(codec_of(AsyncIterator[Awaitable[str]]), b"\x02\x00\x01\x01b", {"0.0": [b"\x01a"]})
    assert [await future async for future in stream] == ["a", "b"]
    assert paths.opened == ["0.0"]
