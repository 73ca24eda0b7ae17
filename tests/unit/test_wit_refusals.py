"""Values on 1.x that do not fit (wrpc-1x.md §4): what is refused, on its way in, on its way out or as a type, and with which path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

import pytest

from provider_sdk.errors import Internal, InvalidArgument, error_of, error_text
from provider_sdk.hosts.wrpc.values import Incomplete
from provider_sdk.interface import Failure
from provider_sdk.types import F32, F64, S8, S16, S32, S64, U8, U16, U32, U64, Case, Char, Err, Ok, Some
from tests.unit.wit_types import Bits8, Bits10, Mixed, Nil, OpenFile, Point, Socket, Third, Word, Zero
from tests.unit.wit_wire import Paths, codec_of

# -- what comes in and does not fit


@dataclass
class Header:
    name: str
    values: list[str] = field(default_factory=list)


@dataclass
class Request:
    path_and_query: str
    headers: list[Header]


@pytest.mark.parametrize(
    ("annotation", "hexed", "message"),
    [
        (bool, "02", "a: expected 00 or 01, got 02"),
        (U16, "80 80 80", "a: an integer is longer than one of 16 bits can be"),
        (U16, "ff ff 04", "a: an integer is out of range for 16 bits"),
        (U32, "ff ff ff ff 10", "a: an integer is out of range for 32 bits"),
        (U32, "80 80 80 80 80", "a: an integer is longer than one of 32 bits can be"),
        (U64, "ff ff ff ff ff ff ff ff ff 02", "a: an integer is out of range for 64 bits"),
        (U64, "80 80 80 80 80 80 80 80 80 80", "a: an integer is longer than one of 64 bits can be"),
        (S16, "80 80 02", "a: an integer is out of range for 16 bits"),
        (S16, "ff ff 7d", "a: an integer is out of range for 16 bits"),
        (S32, "80 80 80 80 08", "a: an integer is out of range for 32 bits"),
        (S64, "80 80 80 80 80 80 80 80 80 01", "a: an integer is out of range for 64 bits"),
        (Char, "80", "a: expected a character, got bytes that are not UTF-8"),
        (Char, "c3 28", "a: expected a character, got bytes that are not UTF-8"),
        (Char, "ed a0 80", "a: expected a character, got bytes that are not UTF-8"),
        (Char, "f5 80 80 80", "a: expected a character, got bytes that are not UTF-8"),
        (str, "01 ff", "a: expected a string, got bytes that are not UTF-8"),
        (str, "03 ed a0 80", "a: expected a string, got bytes that are not UTF-8"),
        (U8 | None, "02", "a: expected 00 or 01, got 02"),
        (Ok[U8] | Err[str], "02", "a: expected 00 or 01, got 02"),
        (Ok[U8] | Err[bool], "01 03", "a.err: expected 00 or 01, got 03"),
        (Third, "03", "a: expected one of first, second, third, got number 3"),
        (Nil | Word, "02", "a: expected one of Nil, Word, got number 2"),
        (Nil | Word, "01 01 ff", "a.word: expected a string, got bytes that are not UTF-8"),
        (Bits10, "00 04", "a: expected flags Bits10, got one beyond the 10 there are"),
        (tuple[U8, bool], "07 05", "a.1: expected 00 or 01, got 05"),
        (dict[str, U8], "02 01 61 01 01 61 02", "a: the same key stands there twice"),
        (dict[str, bool], "01 01 61 02", "a[0].value: expected 00 or 01, got 02"),
        (Request, "00 02 01 61 00 01 62 01 01 ff", "a.headers[1].values[0]: expected a string, got bytes that are not UTF-8"),
        (Request, "01 ff", "a.path-and-query: expected a string, got bytes that are not UTF-8"),
    ],
)
def test_what_does_not_fit_is_told_with_its_path(annotation: Any, hexed: str, message: str) -> None:
    codec = codec_of(annotation, result=annotation)
    with pytest.raises(InvalidArgument) as asked:
        codec.decode_arguments(bytes.fromhex(hexed), Paths())
    assert str(asked.value) == message
    with pytest.raises(Internal) as answered:
        codec.decode_result(bytes.fromhex(hexed), Paths())
    assert str(answered.value) == f"the answer is malformed: result{message[1:]}"


def test_the_second_argument_has_its_own_name() -> None:
    with pytest.raises(InvalidArgument, match=r"^b\[0\]: expected 00 or 01, got 02$"):
        codec_of(str, list[bool]).decode_arguments(b"\x00\x01\x02", Paths())


@dataclass
class Even:
    number: U8

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError(f"{self.number} is odd")


def test_what_a_dataclass_refuses_with_a_value_error_does_not_fit() -> None:
    with pytest.raises(InvalidArgument, match=r"^a\[1\]: 3 is odd$"):
        codec_of(list[Even]).decode_arguments(b"\x02\x02\x03", Paths())


@pytest.mark.parametrize(
    ("annotation", "missing"),
    [
        (str, 2**32 - 1),
        (bytes, 2**32 - 1),
    ],
)
def test_a_length_takes_no_memory_before_its_bytes_are_there(annotation: Any, missing: int) -> None:
    with pytest.raises(Incomplete) as cut:
        codec_of(annotation).decode_arguments(bytes.fromhex("ff ff ff ff 0f"), Paths())
    assert cut.value.missing == missing


@pytest.mark.parametrize(
    ("annotation", "missing"),
    [(list[str], 10**6), (list[F64], 8 * 10**6), (dict[str, tuple[U8, U8]], 3 * 10**6), (list[Point], 2 * 10**6)],
)
def test_a_count_takes_no_memory_before_its_items_are_there(annotation: Any, missing: int) -> None:
    with pytest.raises(Incomplete) as cut:
        codec_of(annotation).decode_arguments(bytes.fromhex("c0 84 3d"), Paths())
    assert cut.value.missing == missing


def test_lists_have_no_more_items_together_than_can_be_read_while_others_wait() -> None:
    codec = codec_of(list[U8], list[str])
    both = codec.encode_arguments(([1] * 600_000, [""] * 400_000))
    assert len(codec.decode_arguments(both.data, Paths())[1]) == 400_000
    with pytest.raises(InvalidArgument, match="more than 1000000 items"):
        codec.decode_arguments(codec.encode_arguments(([1] * 600_000, [""] * 400_001)).data, Paths())


@pytest.mark.parametrize("annotation", [list[AsyncIterator[bytes]], list[AsyncIterator[str]], list[Awaitable[str]]])
async def test_a_value_has_no_more_streams_and_futures_than_can_be_kept(annotation: Any) -> None:
    codec = codec_of(annotation)
    assert len(codec.decode_arguments(bytes.fromhex("80 20") + bytes(4096), Paths())[0]) == 4096
    with pytest.raises(InvalidArgument, match=r"^a\[4096\]: more than 4096 streams and futures$"):
        codec.decode_arguments(bytes.fromhex("81 20") + bytes(4097), Paths())
    with pytest.raises(InvalidArgument, match="more than 4096 streams and futures"):
        codec.decode_arguments(bytes.fromhex("a0 c2 1e") + b"\x01\x00" * 500_000, Paths())


def test_a_list_that_comes_in_small_pieces_is_not_read_again_with_each_of_them() -> None:
    codec = codec_of(list[str])
    data = codec.encode_arguments((["ab"] * 1000,)).data
    come, attempts = 0, 0
    while come < len(data):
        attempts += 1
        with pytest.raises(Incomplete) as cut:
            codec.decode_arguments(data[:come], Paths())
        come += cut.value.missing
    assert codec.decode_arguments(data, Paths()) == (["ab"] * 1000,)
    assert attempts < 50


# -- what is to be sent and does not fit


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (bool, 1, "a: expected a boolean, got int"),
        (U8, True, "a: expected an integer, got bool"),
        (U8, 256, "a: 256 is out of range for u8 (0 to 255)"),
        (U8, -1, "a: -1 is out of range for u8 (0 to 255)"),
        (S8, 128, "a: 128 is out of range for s8 (-128 to 127)"),
        (U16, 65536, "a: 65536 is out of range for u16 (0 to 65535)"),
        (U64, 2**64, f"a: {2**64} is out of range for u64 (0 to {2**64 - 1})"),
        (S16, -32769, "a: -32769 is out of range for s16 (-32768 to 32767)"),
        (F32, 1e40, "a: 1e+40 is out of range for f32"),
        (F64, "1", "a: expected a number, got str"),
        (F64, 10**400, f"a: {10**400} is out of range for f64"),
        (Char, "ab", "a: expected a character, got 2"),
        (Char, "", "a: expected a character, got 0"),
        (Char, "\ud800", "a: expected a character, got half of a surrogate pair"),
        (Char, 7, "a: expected a character, got int"),
        (str, b"x", "a: expected a string, got bytes"),
        (str, "\udcff", "a: expected a string, got one that is not UTF-8"),
        (bytes, "x", "a: expected bytes, got str"),
        (list[str], "x", "a: expected a list, got str"),
        (list[str], ["x", 7], "a[1]: expected a string, got int"),
        (tuple[U8, U8], (1,), "a: expected a tuple of 2, got tuple"),
        (dict[str, U8], [("a", 1)], "a: expected a dict, got list"),
        (dict[str, U8], {"a": "b"}, "a[0].value: expected an integer, got str"),
        (Point, Nil(), "a: expected Point, got Nil"),
        (Point, Point(1, 7), "a.y: expected a string, got int"),  # type: ignore[arg-type]  # that is the point
        (Nil | Word, Zero(), "a: expected one of Nil, Word, got Zero"),
        (Nil | Word, Word(7), "a.word: expected a string, got int"),  # type: ignore[arg-type]  # as above
        (Third, "third", "a: expected one of first, second, third, got str"),
        (Ok[U8] | Err[str], 7, "a: expected Ok or Err, got int"),
        (Ok[U8] | Err[str], Ok("x"), "a.ok: expected an integer, got str"),
        (Some[U8 | None] | None, 7, "a: expected Some, got int"),
        (Bits8, Bits10.B1, "a: expected flags Bits8, got Bits10"),
        (Mixed, Mixed(2), "a: expected flags Mixed, got the value 0x2"),
        (OpenFile, b"x", "a: expected a handle OpenFile, got bytes"),
        (OpenFile, Socket(b"x"), "a: expected a handle OpenFile, got Socket"),
        (Ok[None] | Err[str], Ok(7), "a.ok: expected nothing, got int"),
        (AsyncIterator[bytes], b"x", "a: expected an async iterator of bytes, got bytes"),
        (AsyncIterator[str], ["x"], "a: expected an async iterator, got list"),
        (Awaitable[str], "x", "a: expected an awaitable, got str"),
    ],
)
def test_a_value_to_send_that_does_not_fit_is_refused_with_its_path(annotation: Any, value: Any, message: str) -> None:
    codec = codec_of(annotation, result=annotation)
    with pytest.raises(InvalidArgument) as asked:
        codec.encode_arguments((value,))
    assert str(asked.value) == message
    with pytest.raises(Internal) as answered:
        codec.encode_result(value)
    assert str(answered.value) == f"the value to send is wrong: result{message[1:]}"


# -- what has no form on the wire


@dataclass
class Tree:
    children: list[Tree]


@dataclass
class Counted:
    count: U8 = field(default=0, init=False)


@dataclass
class Vague:
    thing: Any


class Untold(Case):  # type: ignore[type-arg]  # that is the point
    pass


class Number(Enum):
    ONE = 1


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Any, "typing.Any cannot go over the wire"),
        (object, "cannot go over the wire"),
        (complex, "cannot go over the wire"),
        (Annotated[complex, "note"], "cannot go over the wire"),
        (Tree, "Tree.children: Tree contains itself, which no type of WIT does"),
        (Vague, "Vague.thing: typing.Any cannot go over the wire"),
        (Counted, "Counted.count: a member on the wire is given to __init__"),
        (Number, "Number: an enum on the wire has string values"),
        (U8 | str, "a union on the wire is made of dataclasses, or of Ok"),
        (Nil | Untold, "Untold: say what the case carries"),
        (Ok[U8], "cannot go over the wire"),
        (Some[U8], "cannot go over the wire"),
        (Ok[U8] | Nil, "a union on the wire is made of dataclasses, or of Ok"),
        (list[tuple[()]], "takes no bytes: there are no lists or streams of it"),
        (AsyncIterator[Nil], "takes no bytes: there are no lists or streams of it"),
        (set[list[str]], "can be neither a key nor in a set"),
        (dict[Point, str], "can be neither a key nor in a set"),
        (set[AsyncIterator[bytes]], "can be neither a key nor in a set"),
    ],
)
def test_what_cannot_go_over_the_wire_is_refused_when_the_codec_is_made(annotation: Any, message: str) -> None:
    with pytest.raises(TypeError) as refused:
        codec_of(annotation)
    assert str(refused.value).startswith("Anything.call, parameter a: ")
    assert message in str(refused.value)
    with pytest.raises(TypeError, match=r"^Anything\.call, result: "):
        codec_of(result=annotation)


def test_an_error_holds_no_streams() -> None:
    with pytest.raises(TypeError, match="error: an error holds no streams or futures"):
        codec_of(failure=Failure(AsyncIterator[bytes], error_text, error_of))
