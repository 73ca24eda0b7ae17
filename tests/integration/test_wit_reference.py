"""wRPC's own library, and the code its generator makes, beside our values of 1.x: each reads what the other writes, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, Flag, StrEnum, auto
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.wrpc.values import Incomplete
from provider_sdk.types import F32, F64, S8, S16, S32, S64, U8, U16, U32, U64, Case, Char, Err, Ok, Some
from tests.tools import wrpc_codec
from tests.unit.wit_wire import Paths, codec_of

pytestmark = pytest.mark.needs(wrpc_codec.NAME)


@pytest.fixture(scope="module")
def library() -> Iterator[wrpc_codec.Codec]:
    with wrpc_codec.Codec() as codec:
        yield codec


# The types of wrpc-codec/wit.


@dataclass
class Point:
    x: U32
    y: str | None


@dataclass
class Nil:
    pass


@dataclass
class Zero:
    pass


class Word(Case[str]):
    pass


class Count(Case[S64]):
    pass


class Perhaps(Case[U8 | None]):
    pass


class Few(Flag):
    B0 = auto()
    B1 = auto()
    B2 = auto()
    B3 = auto()
    B4 = auto()
    B5 = auto()
    B6 = auto()
    B7 = auto()


class Letter(StrEnum):
    A = "a"
    B = "b"
    C = "c"


def _flags(count: int) -> Any:
    members: Any = [(f"B{number}", 1 << number) for number in range(count)]
    return Flag("Bits", members)


Ten, Half, Wide = _flags(10), _flags(32), _flags(64)
Shape = Nil | Word | Point | Count | Perhaps


@dataclass
class Everything:
    yes: bool
    small: S8
    middle: S16
    large: U64
    ratio: F32
    exact: F64
    sign: Char
    text: str
    data: bytes
    letter: Letter
    few: Few
    maybe: Point | None
    shapes: list[Shape]
    table: dict[str, bytes]
    outcome: Ok[U32] | Err[str]
    done: Ok[None] | Err[Letter]
    pair: tuple[U16, Some[str | None] | None]


def _whole(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low = -(1 << bits - 1) if signed else 0
    return st.integers(low, low + (1 << bits) - 1)


def _bits(kind: Any, count: int) -> st.SearchStrategy[Any]:
    return st.integers(0, (1 << count) - 1).map(kind)


SINGLES, DOUBLES = st.floats(width=32, allow_nan=False), st.floats(allow_nan=False)
CHARACTERS: st.SearchStrategy[str] = st.characters(codec="utf-8")
LETTERS: st.SearchStrategy[Enum] = st.sampled_from(Letter)
POINTS = st.builds(Point, _whole(32, False), st.none() | st.text())
SHAPES = st.one_of(
    st.builds(Nil),
    st.text().map(Word),
    POINTS,
    _whole(64, True).map(Count),
    (st.none() | _whole(8, False)).map(Perhaps),
)
OUTCOMES = _whole(32, False).map(Ok) | st.text().map(Err)
TYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "bool": (bool, st.booleans()),
    "u8": (U8, _whole(8, False)),
    "u16": (U16, _whole(16, False)),
    "u32": (U32, _whole(32, False)),
    "u64": (U64, _whole(64, False)),
    "s8": (S8, _whole(8, True)),
    "s16": (S16, _whole(16, True)),
    "s32": (S32, _whole(32, True)),
    "s64": (S64, _whole(64, True)),
    "f32": (F32, SINGLES),
    "f64": (F64, DOUBLES),
    "char": (Char, CHARACTERS),
    "string": (str, st.text()),
    "bytes": (bytes, st.binary()),
    "list-u16": (list[U16], st.lists(_whole(16, False))),
    "list-string": (list[str], st.lists(st.text())),
    "list-list-u8": (list[bytes], st.lists(st.binary())),
    "tuple": (tuple[U8, str, bool], st.tuples(_whole(8, False), st.text(), st.booleans())),
    "option-option-u32": (Some[U32 | None] | None, st.none() | (st.none() | _whole(32, False)).map(Some)),
    "result": (Ok[U32] | Err[str], OUTCOMES),
    "result-no-ok": (Ok[None] | Err[str], st.just(Ok(None)) | st.text().map(Err)),
    "table": (dict[str, U8], st.dictionaries(st.text(), _whole(8, False))),
    "point": (Point, POINTS),
    "shape": (Shape, SHAPES),
    "bare": (Nil | Zero, st.builds(Nil) | st.builds(Zero)),
    "letter": (Letter, LETTERS),
    "few": (Few, _bits(Few, 8)),
    "ten": (Ten, _bits(Ten, 10)),
    "half": (Half, _bits(Half, 32)),
    "wide": (Wide, _bits(Wide, 64)),
    "everything": (
        Everything,
        st.builds(
            Everything,
            yes=st.booleans(),
            small=_whole(8, True),
            middle=_whole(16, True),
            large=_whole(64, False),
            ratio=SINGLES,
            exact=DOUBLES,
            sign=CHARACTERS,
            text=st.text(),
            data=st.binary(),
            letter=LETTERS,
            few=_bits(Few, 8),
            maybe=st.none() | POINTS,
            shapes=st.lists(SHAPES, max_size=4),
            table=st.dictionaries(st.text(), st.binary(), max_size=3),
            outcome=OUTCOMES,
            done=st.just(Ok(None)) | LETTERS.map(Err),
            pair=st.tuples(_whole(16, False), st.none() | (st.none() | st.text()).map(Some)),
        ),
    ),
}
NAMES = st.sampled_from(sorted(TYPES))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("u64", 2**64 - 1, "18446744073709551615"),
        ("s16", -32768, "-32768"),
        ("f32", -2.5, "-2.5"),
        ("char", "é", "'é'"),
        ("string", "héllo", '"héllo"'),
        ("bytes", b"\x01hi", 'b"\\x01hi"'),
        ("option-option-u32", Some(None), "Some(None)"),
        ("result", Err("no"), 'Err("no")'),
        ("point", Point(300, "hi"), 'Point { x: 300, y: Some("hi") }'),
        ("shape", Point(300, None), "Shape::At(Point { x: 300, y: None })"),
        ("shape", Perhaps(7), "Shape::Maybe(Some(7))"),
        ("bare", Zero(), "Bare::Zero"),
        ("letter", Letter.C, "Letter::C"),
        ("few", Few(5), "Few(B0 | B2)"),
        ("ten", Ten(1 << 9), "Ten(B9)"),
        ("wide", Wide(1 << 63 | 1), "Wide(B0 | B63)"),
    ],
)
def test_the_library_sees_the_value_that_we_wrote(library: wrpc_codec.Codec, name: str, value: Any, shown: str) -> None:
    data = codec_of(TYPES[name][0]).encode_arguments((value,)).data
    assert library.read(name, data) == ["ok", data.hex(), shown]


@given(name=NAMES, choose=st.data())
def test_the_library_reads_ours_and_writes_the_same(library: wrpc_codec.Codec, name: str, choose: st.DataObject) -> None:
    annotation, values = TYPES[name]
    data = codec_of(annotation).encode_arguments((choose.draw(values),)).data
    assert library.read(name, data)[:2] == ["ok", data.hex()]


@given(name=NAMES, choose=st.data())
def test_the_library_wants_more_where_we_do(library: wrpc_codec.Codec, name: str, choose: st.DataObject) -> None:
    annotation, values = TYPES[name]
    codec = codec_of(annotation)
    data = codec.encode_arguments((choose.draw(values),)).data
    data = data[: choose.draw(st.integers(0, len(data) - 1))]
    with pytest.raises(Incomplete):
        codec.decode_arguments(data, Paths())
    assert library.read(name, data) == ["incomplete"]


@st.composite
def _spoiled(draw: st.DrawFn) -> tuple[str, bytes]:
    """Bytes of a type with some changed: NaNs and keys that come twice aside, the library and we write again what we take of them."""
    name = draw(NAMES.filter(lambda name: name not in ("f32", "f64", "table", "everything")))
    annotation, values = TYPES[name]
    data = bytearray(codec_of(annotation).encode_arguments((draw(values),)).data)
    for place in draw(st.lists(st.integers(0, len(data) - 1), max_size=3)):
        data[place] = draw(st.integers(0, 255))
    return name, bytes(data)


@given(given_bytes=_spoiled() | st.tuples(NAMES.filter(lambda name: name not in ("f32", "f64", "table")), st.binary(max_size=24)))
def test_the_library_takes_what_we_take_and_sees_the_same(library: wrpc_codec.Codec, given_bytes: tuple[str, bytes]) -> None:
    name, data = given_bytes
    codec = codec_of(TYPES[name][0])
    said, *more = library.read(name, data)
    try:
        ours = codec.encode_arguments(codec.decode_arguments(data, Paths())).data
    except (Incomplete, InvalidArgument):
        assert said in ("incomplete", "wrong"), more
    else:
        assert said in ("ok", "rest"), more
        assert more[0] == ours.hex()
