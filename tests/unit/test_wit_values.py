"""Values on 1.x (wrpc-1x.md §4): each type both ways, and what v1.0 does otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

import pytest

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.values import Incomplete
from provider_sdk.types import F32, F64, S8, S16, S32, S64, U8, U16, U32, U64, Borrow, Char, Err, Ok, Some, Timestamp
from tests.unit.wit_types import Bits8, Bits10, Bits20, Bits40, Mixed, Nil, OpenFile, Point, Third, Word, Zero
from tests.unit.wit_wire import Paths, codec_of

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


def test_the_order_of_a_unions_cases_counts_though_python_takes_both_for_equal() -> None:
    assert (Nil | Zero) == (Zero | Nil)
    assert codec_of(Nil | Zero).encode_arguments((Nil(),)).data == b"\x00"
    assert codec_of(Zero | Nil).encode_arguments((Nil(),)).data == b"\x01"


def test_flags_go_by_the_order_of_their_members_not_by_their_values() -> None:
    codec = codec_of(Mixed)
    assert codec.encode_arguments((Mixed.HIGH,)).data == b"\x01"
    assert codec.encode_arguments((Mixed.LOW,)).data == b"\x02"
    assert codec.decode_arguments(b"\x03", Paths()) == (Mixed.BOTH,)


@dataclass(kw_only=True)
class Named:
    first: U8
    second: U8 = 9


def test_a_dataclass_may_take_its_members_by_keyword_only() -> None:
    assert codec_of(Named).decode_arguments(b"\x01\x02", Paths()) == (Named(first=1, second=2),)


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


def test_whole_numbers_are_taken_for_floats_and_other_buffers_for_bytes() -> None:
    assert codec_of(F64).encode_arguments((1,)).data == codec_of(F64).encode_arguments((1.0,)).data
    assert codec_of(bytes, bytes).encode_arguments((bytearray(b"a"), memoryview(b"b"))).data == b"\x01a\x01b"


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
