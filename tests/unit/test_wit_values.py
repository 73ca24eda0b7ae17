"""Values on 1.x (wrpc-1x.md §4): each type both ways, what is refused and with which path, and what v1.0 does otherwise."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from enum import Enum, Flag, IntFlag, StrEnum, auto
from typing import Annotated, Any

import pytest

from provider_sdk.errors import Internal, InvalidArgument, NotFound, ProviderError, error_of, error_text
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.values import Incomplete
from provider_sdk.interface import Failure
from provider_sdk.types import (
    F32,
    F64,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    Borrow,
    Case,
    Char,
    Err,
    Handle,
    Ok,
    Some,
    Timestamp,
)
from tests.unit.wit_wire import Paths, codec_of


class Third(StrEnum):
    FIRST = "first"
    SECOND = "second"
    THIRD = "third"


@dataclass
class Point:
    x: U32
    y: str | None


@dataclass(frozen=True)
class Nil:
    pass


@dataclass(frozen=True)
class Zero:
    pass


class Word(Case[str]):
    pass


def flags_of(count: int) -> Any:
    """A flag class with members B0, B1 and so on."""
    members: Any = [(f"B{number}", 1 << number) for number in range(count)]
    return Flag(f"Bits{count}", members)


Bits8, Bits10, Bits20, Bits40 = flags_of(8), flags_of(10), flags_of(20), flags_of(40)


class OpenFile(Handle):
    pass


class Socket(Handle):
    pass


ROWS: list[tuple[Any, Any, str]] = [
    (bool, True, "01"),
    (bool, False, "00"),
    (U8, 0, "00"),
    (U8, 127, "7f"),
    (U8, 128, "80"),
    (U8, 255, "ff"),
    (S8, -1, "ff"),
    (S8, -128, "80"),
    (S8, 127, "7f"),
    (U16, 65535, "ff ff 03"),
    (U32, 0, "00"),
    (U32, 127, "7f"),
    (U32, 128, "80 01"),
    (U32, 300, "ac 02"),
    (U32, 16383, "ff 7f"),
    (U32, 16384, "80 80 01"),
    (U32, 624485, "e5 8e 26"),
    (U32, 2**32 - 1, "ff ff ff ff 0f"),
    (U64, 2**63, "80 80 80 80 80 80 80 80 80 01"),
    (U64, 2**64 - 1, "ff ff ff ff ff ff ff ff ff 01"),
    (S16, -32768, "80 80 7e"),
    (S32, 0, "00"),
    (S32, 1, "01"),
    (S32, -1, "7f"),
    (S32, 63, "3f"),
    (S32, 64, "c0 00"),
    (S32, -64, "40"),
    (S32, -65, "bf 7f"),
    (S32, 127, "ff 00"),
    (S32, 128, "80 01"),
    (S32, -128, "80 7f"),
    (S32, -(2**31), "80 80 80 80 78"),
    (S32, 2**31 - 1, "ff ff ff ff 07"),
    (S64, -(2**63), "80 80 80 80 80 80 80 80 80 7f"),
    (S64, 2**63 - 1, "ff ff ff ff ff ff ff ff ff 00"),
    (int, -65, "bf 7f"),
    (F32, 1.0, "00 00 80 3f"),
    (F32, -2.5, "00 00 20 c0"),
    (F64, 1.0, "00 00 00 00 00 00 f0 3f"),
    (float, -2.5, "00 00 00 00 00 00 04 c0"),
    (Char, "a", "61"),
    (Char, "é", "c3 a9"),
    (Char, "€", "e2 82 ac"),
    (Char, "😀", "f0 9f 98 80"),
    (str, "", "00"),
    (str, "hi", "02 68 69"),
    (str, "héllo", "06 68 c3 a9 6c 6c 6f"),
    (str, "a" * 200, "c8 01" + "61" * 200),
    (bytes, b"\x01\x02\xff", "03 01 02 ff"),
    (bytes, b"b" * 200, "c8 01" + "62" * 200),
    (list[U8], [1, 2, 255], "03 01 02 ff"),
    (list[U16], [1, 128, 300], "03 01 80 01 ac 02"),
    (list[str], ["a", "bc"], "02 01 61 02 62 63"),
    (tuple[str, ...], ("a", "bc"), "02 01 61 02 62 63"),
    (set[U8], {7}, "01 07"),
    (frozenset[Third], frozenset({Third.SECOND}), "01 01"),
    (dict[str, U8], {"a": 1, "b": 2}, "02 01 61 01 01 62 02"),
    (tuple[U8, str, bool], (7, "hi", True), "07 02 68 69 01"),
    (tuple[()], (), ""),
    (Point, Point(300, None), "ac 02 00"),
    (Point, Point(1, "hi"), "01 01 02 68 69"),
    (Timestamp, Timestamp(-65, 300), "bf 7f ac 02"),
    (Nil | Zero | Word, Nil(), "00"),
    (Nil | Zero | Word, Zero(), "01"),
    (Nil | Zero | Word, Word("x"), "02 01 78"),
    (Nil | Point, Point(300, None), "01 ac 02 00"),
    (Third, Third.THIRD, "02"),
    (U32 | None, None, "00"),
    (U32 | None, 300, "01 ac 02"),
    (Some[U32 | None] | None, None, "00"),
    (Some[U32 | None] | None, Some(None), "01 00"),
    (Some[U32 | None] | None, Some(7), "01 01 07"),
    (Nil | Word | None, Word("x"), "01 01 01 78"),
    (Ok[U32] | Err[str], Ok(300), "00 ac 02"),
    (Ok[U32] | Err[str], Err("no"), "01 02 6e 6f"),
    (Err[str] | Ok[U32], Err("no"), "01 02 6e 6f"),
    (Ok[None] | Err[str], Ok(None), "00"),
    (Ok[None] | Err[None], Err(None), "01"),
    (Bits8, Bits8.B0 | Bits8.B2, "05"),
    (Bits10, Bits10.B0 | Bits10.B9, "01 02"),
    (Bits20, Bits20.B19, "00 00 08"),
    (Bits40, Bits40.B39, "00 00 00 00 80"),
    (Bits40, Bits40(0), "00 00 00 00 00"),
    (OpenFile, OpenFile(b"\x01\x02"), "02 01 02"),
    (Borrow[OpenFile], OpenFile(b"\x01\x02"), "02 01 02"),
]


@pytest.mark.parametrize(("annotation", "value", "hexed"), ROWS)
def test_values_and_their_bytes_are_as_the_table_says(annotation: Any, value: Any, hexed: str) -> None:
    data = bytes.fromhex(hexed)
    asked = codec_of(annotation)
    assert asked.encode_arguments((value,)).data == data
    (read,) = asked.decode_arguments(data, Paths())
    assert read == value
    assert type(read) is type(value)
    answered = codec_of(result=annotation)
    assert answered.encode_result(value).data == data
    assert answered.decode_result(data, Paths()) == value


@pytest.mark.parametrize(("annotation", "value", "hexed"), ROWS)
def test_a_value_that_is_cut_off_anywhere_says_that_bytes_are_missing(annotation: Any, value: Any, hexed: str) -> None:
    data = bytes.fromhex(hexed)
    codec = codec_of(annotation, result=annotation)
    for end in range(len(data)):
        with pytest.raises(Incomplete) as cut:
            codec.decode_arguments(data[:end], Paths())
        assert 1 <= cut.value.missing <= len(data) - end
        with pytest.raises(Incomplete):
            codec.decode_result(data[:end], Paths())


def test_a_nan_is_one() -> None:
    assert codec_of(F32).encode_arguments((math.nan,)).data.hex() == "0000c07f"
    assert math.isnan(codec_of(F32).decode_arguments(bytes.fromhex("0000c07f"), Paths())[0])


# -- calls as a whole (§4.3)


@dataclass
class NoSuchStore:
    pass


@dataclass
class AccessDenied:
    pass


class Other(Case[str]):
    pass


Trouble = NoSuchStore | AccessDenied | Other


def _trouble(error: ProviderError) -> NoSuchStore | Other:
    return NoSuchStore() if isinstance(error, NotFound) else Other(error.message)


def _error(trouble: Any) -> ProviderError:
    return Internal(trouble.value) if isinstance(trouble, Other) else NotFound("no such store")


@dataclass
class Keys:
    keys: list[str]
    cursor: U64 | None


@dataclass
class ObjectId:
    container: str
    name: str


@dataclass
class Info:
    created_at: U64
    size: U64


@dataclass
class Message:
    subject: str
    body: bytes
    reply_to: str | None = None


STORE = Failure(Trouble, _trouble, _error)
TEXT = Failure(str, error_text, error_of)

CALLS: list[tuple[tuple[Any, ...], tuple[Any, ...], str, Any, Failure, Any, str]] = [
    ((str, str), ("default", "counter"), "07 64656661756c74 07 636f756e746572", bytes | None, STORE, b"7", "00 01 01 37"),
    ((str, str), ("default", "counter"), "07 64656661756c74 07 636f756e746572", bytes | None, STORE, None, "00 00"),
    ((str, str, U64), ("default", "counter", 1), "07 64656661756c74 07 636f756e746572 01", U64, STORE, 42, "00 2a"),
    ((str, str, U64), ("default", "counter", 1), "07 64656661756c74 07 636f756e746572 01", U64, STORE, 300, "00 ac02"),
    ((str, U64 | None), ("", None), "00 00", Keys, STORE, Keys(["a", "b"], 17), "00 02 0161 0162 01 11"),
    (
        (str, list[str]),
        ("b", ["k1", "k2"]),
        "01 62 02 026b31 026b32",
        list[tuple[str, bytes] | None],
        STORE,
        [("k1", b"v"), None],
        "00 02 01 026b31 0176 00",
    ),
    ((str, list[tuple[str, bytes]]), ("b", [("k1", b"v")]), "01 62 01 026b31 0176", None, STORE, None, "00"),
    ((ObjectId,), (ObjectId("c", "o"),), "01 63 01 6f", Info, TEXT, Info(1700000000, 11), "00 80e2cfaa06 0b"),
    ((Message,), (Message("a.b", b"hi"),), "03 612e62 02 6869 00", None, TEXT, None, "00"),
]


@pytest.mark.parametrize(("annotations", "arguments", "asked", "result", "failure", "value", "answered"), CALLS)
def test_whole_calls(
    annotations: tuple[Any, ...], arguments: tuple[Any, ...], asked: str, result: Any, failure: Failure, value: Any, answered: str
) -> None:
    for era in Era:
        codec = codec_of(*annotations, result=result, failure=failure, era=era)
        assert codec.encode_arguments(arguments).data == bytes.fromhex(asked)
        assert codec.decode_arguments(bytes.fromhex(asked), Paths()) == arguments
        assert codec.encode_result(value).data == bytes.fromhex(answered)
        assert codec.decode_result(bytes.fromhex(answered), Paths()) == value


def test_an_error_is_a_value_of_the_operations_error_type_and_is_raised_again() -> None:
    codec = codec_of(result=bytes | None, failure=STORE)
    assert codec.encode_failure(NotFound("x")) == bytes.fromhex("01 00")
    assert codec.encode_failure(Internal("boom")) == bytes.fromhex("01 02 04 626f6f6d")
    with pytest.raises(NotFound, match="no such store"):
        codec.decode_result(b"\x01\x00", Paths())
    with pytest.raises(Internal, match="boom"):
        codec.decode_result(bytes.fromhex("01 02 04 626f6f6d"), Paths())


def test_a_text_for_an_error_carries_its_code() -> None:
    codec = codec_of(failure=TEXT)
    sent = codec.encode_failure(NotFound("no such key"))
    assert sent == b"\x01\x17no such key [not_found]"
    with pytest.raises(NotFound, match=r"^no such key$"):
        codec.decode_result(sent, Paths())


def test_without_an_error_type_an_error_has_no_bytes() -> None:
    assert codec_of(result=str).encode_failure(NotFound("x")) is None


def test_no_parameters_and_no_result_are_no_bytes() -> None:
    codec = codec_of()
    assert codec.encode_arguments(()).data == b""
    assert codec.decode_arguments(b"", Paths()) == ()
    assert codec.encode_result(None).data == b""
    assert codec.decode_result(b"", Paths()) is None


def test_bytes_behind_the_values_are_left_alone() -> None:
    assert codec_of(U8, result=U8).decode_arguments(b"\x07\x08", Paths()) == (7,)
    assert codec_of(U8, result=U8).decode_result(b"\x07\x08", Paths()) == 7


def test_the_order_of_a_unions_cases_counts_though_python_takes_both_for_equal() -> None:
    assert (Nil | Zero) == (Zero | Nil)
    assert codec_of(Nil | Zero).encode_arguments((Nil(),)).data == b"\x00"
    assert codec_of(Zero | Nil).encode_arguments((Nil(),)).data == b"\x01"


class Mixed(IntFlag):
    HIGH = 8
    LOW = 1
    BOTH = 9


def test_flags_go_by_the_order_of_their_members_not_by_their_values() -> None:
    codec = codec_of(Mixed)
    assert codec.encode_arguments((Mixed.HIGH,)).data == b"\x01"
    assert codec.encode_arguments((Mixed.LOW,)).data == b"\x02"
    assert codec.decode_arguments(b"\x03", Paths()) == (Mixed.BOTH,)


@dataclass(kw_only=True)
class Named:
    first: U8
    second: U8 = 9


@dataclass
class Even:
    number: U8

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError(f"{self.number} is odd")


def test_a_dataclass_may_take_its_members_by_keyword_only() -> None:
    assert codec_of(Named).decode_arguments(b"\x01\x02", Paths()) == (Named(first=1, second=2),)


def test_what_a_dataclass_refuses_with_a_value_error_does_not_fit() -> None:
    with pytest.raises(InvalidArgument, match=r"^a\[1\]: 3 is odd$"):
        codec_of(list[Even]).decode_arguments(b"\x02\x02\x03", Paths())


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


def test_an_answer_with_a_malformed_error_is_malformed() -> None:
    with pytest.raises(
        Internal, match=r"^the answer is malformed: result\.err: expected one of NoSuchStore, AccessDenied, Other, got number 9$"
    ):
        codec_of(failure=STORE).decode_result(b"\x01\x09", Paths())


@pytest.mark.parametrize(
    ("annotation", "hexed", "value"),
    [
        (U16, "80 80 00", 0),
        (U32, "81 80 80 80 00", 1),
        (S32, "ff ff ff ff 7f", -1),
        (str, "82 00 68 69", "hi"),
        (Third, "82 80 00", Third.THIRD),
    ],
)
def test_integers_may_be_longer_than_they_need_within_their_limit(annotation: Any, hexed: str, value: Any) -> None:
    assert codec_of(annotation).decode_arguments(bytes.fromhex(hexed), Paths()) == (value,)


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


def test_whole_numbers_are_taken_for_floats_and_other_buffers_for_bytes() -> None:
    assert codec_of(F64).encode_arguments((1,)).data == codec_of(F64).encode_arguments((1.0,)).data
    assert codec_of(bytes, bytes).encode_arguments((bytearray(b"a"), memoryview(b"b"))).data == b"\x01a\x01b"


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


# -- v1.0 (§0.3)


class Modes(Flag):
    READ = auto()
    WRITE = auto()


@pytest.mark.parametrize(
    ("annotation", "value", "hexed"),
    [
        (Char, "a", "61"),
        (Char, "é", "e9 01"),
        (Char, "€", "ac 41"),
        (Char, "😀", "80 ec 07"),
        (Modes, Modes.READ | Modes.WRITE, "03"),
        (Bits10, Bits10.B9, "80 04"),
        (Bits40, Bits40.B39, "80 80 80 80 80 10"),
        (U32 | None, 300, "01 ac 02"),
        (Nil | Zero | Word, Word("x"), "02 01 78"),
        (Ok[U32] | Err[str], Err("no"), "01 02 6e 6f"),
    ],
)
def test_what_v1_0_writes(annotation: Any, value: Any, hexed: str) -> None:
    codec = codec_of(annotation, era=Era.FIRST)
    assert codec.encode_arguments((value,)).data == bytes.fromhex(hexed)
    assert codec.decode_arguments(bytes.fromhex(hexed), Paths()) == (value,)


@pytest.mark.parametrize(
    ("annotation", "hexed", "message"),
    [
        (Char, "80 b0 03", "a: expected a character, got the number 0xd800"),
        (Char, "80 80 44", "a: expected a character, got the number 0x110000"),
        (Modes, "04", "a: expected flags Modes, got one beyond the 2 there are"),
    ],
)
def test_what_v1_0_could_send_and_does_not_fit(annotation: Any, hexed: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        codec_of(annotation, era=Era.FIRST).decode_arguments(bytes.fromhex(hexed), Paths())
    assert str(refused.value) == message
