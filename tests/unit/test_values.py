"""Values in msgpack (wasmbus-0x.md §5.2): each kind both ways, what is read besides, and what is refused with its path."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Annotated, Any

import msgpack
import pytest

from provider_sdk.errors import Internal, InvalidArgument
from provider_sdk.hosts.wasmbus.values import Form, codec
from provider_sdk.types import F32, F64, S8, S16, S32, S64, U8, U16, U32, U64, Case, Timestamp


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Level(Enum):
    LOW = 1


@dataclass
class Plain:
    text: str
    flag: bool
    count: U32
    ratio: F64
    data: bytes
    free: Any


@dataclass
class Needy:
    inner: Plain
    items: list[str]
    table: dict[str, U8]
    colour: Colour


@dataclass
class Rich:
    first_name: str
    maybe_data: bytes | None = None
    many: list[bytes] = field(default_factory=list)
    colour: Colour = Colour.RED
    other: U8 = field(default=7, metadata={"name": "OtherName"})


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)


class Num(Case[U32]):
    pass


class Raw(Case[bytes]):
    pass


@dataclass
class Empty:
    pass


@dataclass
class Pair:
    left: S8
    right: S8


Shape = Num | Raw | Empty | Pair


@dataclass
class Deep:
    shapes: list[Shape]
    by_name: dict[str, Pair]
    point: tuple[S8, F32]
    tree: Tree | None = None


def single(number: float) -> str:
    packed: bytes = msgpack.packb(number, use_single_float=True)
    return packed.hex()


BOTH_WAYS: list[tuple[Any, Any, str]] = [
    (U8, 0, "00"),
    (U8, 127, "7f"),
    (U8, 128, "cc80"),
    (U8, 255, "ccff"),
    (U16, 256, "cd0100"),
    (U16, 65_535, "cdffff"),
    (U32, 65_536, "ce00010000"),
    (U32, (1 << 32) - 1, "ceffffffff"),
    (U64, 1 << 32, "cf0000000100000000"),
    (U64, (1 << 64) - 1, "cfffffffffffffffff"),
    (S8, -1, "ff"),
    (S8, -32, "e0"),
    (S8, -33, "d0df"),
    (S8, -128, "d080"),
    (S8, 127, "7f"),
    (S16, 200, "ccc8"),
    (S16, -32_768, "d18000"),
    (S32, 1 << 30, "ce40000000"),
    (S32, -(1 << 31), "d280000000"),
    (S64, (1 << 63) - 1, "cf7fffffffffffffff"),
    (int, -(1 << 63), "d38000000000000000"),
    (bool, True, "c3"),
    (bool, False, "c2"),
    (None, None, "c0"),
    (F64, 1.5, "cb3ff8000000000000"),
    (float, -0.0, "cb8000000000000000"),
    (F32, 1.5, "ca3fc00000"),
    (F32, -math.inf, "caff800000"),
    (str, "", "a0"),
    (str, "é", "a2c3a9"),
    (str, "a" * 32, "d920" + "61" * 32),
    (str, "a" * 256, "da0100" + "61" * 256),
    (bytes, b"\x01\xc8", "9201ccc8"),
    (bytes | None, None, "c0"),
    (str | None, "a", "a161"),
    (list[bytes], [b"\x01", b""], "92910190"),
    (dict[str, bytes], {"k": b"\xff"}, "81a16b91ccff"),
    (list[U8], [1, 2], "920102"),
    (list[F32 | None], [1.5, None], "92ca3fc00000c0"),
    (tuple[U8, ...], (1, 2), "920102"),
    (tuple[U8, str], (1, "a"), "9201a161"),
    (set[str], {"a"}, "91a161"),
    (frozenset[U8], frozenset({5}), "9105"),
    (dict[U8, str], {1: "a"}, "8101a161"),
    (Colour, Colour.GREEN, "a5677265656e"),
    (Timestamp, Timestamp(-1, 5), "82a3736563ffa46e73656305"),
    (Any, {"a": [1, None, b"\x00", 1.5, True]}, "81a1619501c0c40100cb3ff8000000000000c3"),
    (Plain, Plain("a", True, 300, 0.5, b"\xff", None), msgpack.packb(
        {"text": "a", "flag": True, "count": 300, "ratio": 0.5, "data": b"\xff", "free": None}).hex()),
    (Rich, Rich("a"), msgpack.packb({"firstName": "a", "many": [], "colour": "red", "OtherName": 7}).hex()),
    (Rich, Rich("a", b"\x01", [b"\x02"], Colour.GREEN, 8), msgpack.packb(
        {"firstName": "a", "maybeData": b"\x01", "many": [[2]], "colour": "green", "OtherName": 8}).hex()),
    (Tree, Tree("a", [Tree("b")]), msgpack.packb({"name": "a", "children": [{"name": "b", "children": []}]}).hex()),
    (Shape, Num(7), "81a34e756d07"),
    (Shape, Raw(b"\xff"), "81a3526177c401ff"),
    (Shape, Empty(), "a5456d707479"),
    (Shape, Pair(1, -1), "81a45061697282a46c65667401a57269676874ff"),
    (Shape | None, None, "c0"),
    (
        Deep,
        Deep([Empty()], {"k": Pair(0, 1)}, (1, 0.5)),
        f"83a673686170657391a5456d707479a662794e616d6581a16b82a46c65667400a5726967687401a5706f696e749201{single(0.5)}",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "value", "data"), BOTH_WAYS)
def test_a_value_is_these_bytes_both_ways(annotation: Any, value: Any, data: str) -> None:
    assert codec(annotation).encode(value).hex() == data
    read = codec(annotation).decode(bytes.fromhex(data))
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("annotation", "data", "value"),
    [
        pytest.param(U8, "cf0000000000000005", 5, id="any form of an integer that fits"),
        pytest.param(U8, "d005", 5, id="a signed form"),
        pytest.param(F32, "cb3ff8000000000000", 1.5, id="a double where a single is declared"),
        pytest.param(F64, "ca3fc00000", 1.5, id="a single where a double is declared"),
        pytest.param(F64, "05", 5.0, id="an integer where a float is declared"),
        pytest.param(bytes, "c401ff", b"\xff", id="bare bytes as bin"),
        pytest.param(bytes, "a2ffc3", b"\xff\xc3", id="bare bytes as str, not UTF-8"),
        pytest.param(set[str], "92a161a161", {"a"}, id="an item twice in a set"),
        pytest.param(dict[str, U8], "82a16101a16102", {"a": 2}, id="a key twice: the last counts"),
        pytest.param(Shape, "81a5456d707479c0", Empty(), id="a variant without members as a map"),
        pytest.param(Shape, "81a4506169729201ff", Pair(1, -1), id="a structure as positional array"),
        pytest.param(Pair, "9101", Pair(1, 0), id="a positional array that is short"),
        pytest.param(Plain, "80", Plain("", False, 0, 0.0, b"", None), id="required members that have a zero"),
        pytest.param(Rich, "81a966697273744e616d65a161", Rich("a"), id="members with a default"),
        pytest.param(
            Rich,
            msgpack.packb({"firstName": "a", "colour": None, "many": None, "OtherName": None, "maybeData": None}).hex(),
            Rich("a"),
            id="nil",
        ),
        pytest.param(
            Rich, msgpack.packb({"firstName": "a", "x": [{}], 7: 1, b"y": 2, "first_name": 5}).hex(), Rich("a"), id="unknown members"
        ),
        pytest.param(
            Rich, msgpack.packb({"firstName": "a", "many": [b"\1", "b", [3]]}).hex(), Rich("a", None, [b"\1", b"b", b"\3"]), id="blobs"
        ),
    ],
)
def test_what_other_senders_write_is_read(annotation: Any, data: str, value: Any) -> None:
    assert codec(annotation).decode(bytes.fromhex(data)) == value


SIZES: list[tuple[Any, str, int, int]] = [
    (U8, "U8", 0, 255),
    (U16, "U16", 0, 65_535),
    (U32, "U32", 0, (1 << 32) - 1),
    (U64, "U64", 0, (1 << 64) - 1),
    (S8, "S8", -128, 127),
    (S16, "S16", -32_768, 32_767),
    (S32, "S32", -(1 << 31), (1 << 31) - 1),
    (S64, "S64", -(1 << 63), (1 << 63) - 1),
    (int, "S64", -(1 << 63), (1 << 63) - 1),
]


@pytest.mark.parametrize(("annotation", "name", "lowest", "highest"), SIZES, ids=lambda value: str(value)[:20])
def test_an_integer_ends_at_its_limits(annotation: Any, name: str, lowest: int, highest: int) -> None:
    for value in (lowest, highest):
        assert codec(annotation).decode(codec(annotation).encode(value)) == value
    for value in (lowest - 1, highest + 1):
        with pytest.raises(Internal, match=rf"value: {value} is out of range for {name} \({lowest} to {highest}\)$"):
            codec(annotation).encode(value)
        if -(1 << 63) <= value < 1 << 64:
            with pytest.raises(InvalidArgument, match=rf"^value: {value} is out of range for {name} \({lowest} to {highest}\)$"):
                codec(annotation).decode(msgpack.packb(value))


def rich(**members: object) -> dict[str, object]:
    return {"firstName": "a"} | members


def needy(**members: object) -> dict[str, object]:
    return {"inner": {}, "items": [], "table": {}, "colour": "red"} | members


def deep(**members: object) -> dict[str, object]:
    return {"shapes": [], "byName": {}, "point": [1, 1.0]} | members


REFUSED: list[tuple[Any, object, str]] = [
    (str, 5, "value: expected a string, got an integer"),
    (str, b"a", "value: expected a string, got bytes"),
    (str, None, "value: expected a string, got nil"),
    (bool, 1, "value: expected a boolean, got an integer"),
    (bool, "true", "value: expected a boolean, got a string"),
    (U8, 1.0, "value: expected an integer, got a float"),
    (U8, True, "value: expected an integer, got a boolean"),
    (U8, "5", "value: expected an integer, got a string"),
    (F64, True, "value: expected a number, got a boolean"),
    (F32, "1", "value: expected a number, got a string"),
    (None, 0, "value: expected nil, got an integer"),
    (bytes, 5, "value: expected bytes, got an integer"),
    (bytes, [256], "value: expected bytes, got an array of something else than integers from 0 to 255"),
    (bytes, [-1], "value: expected bytes, got an array of something else than integers from 0 to 255"),
    (bytes, ["a"], "value: expected bytes, got an array of something else than integers from 0 to 255"),
    (list[str], {}, "value: expected an array, got a map"),
    (list[str], "ab", "value: expected an array, got a string"),
    (list[str], ["a", 5], "[1]: expected a string, got an integer"),
    (list[list[U8]], [[], [1, 300]], "[1][1]: 300 is out of range for U8 (0 to 255)"),
    (tuple[U8, str], [1], "value: expected an array of 2, got an array"),
    (tuple[U8, str], [1, "a", 2], "value: expected an array of 2, got an array"),
    (tuple[U8, str], [1, 2], "[1]: expected a string, got an integer"),
    (set[Any], [[]], "value: a set cannot hold an array or a map"),
    (dict[str, U8], [], "value: expected a map, got an array"),
    (dict[str, U8], {"k": -1}, "k: -1 is out of range for U8 (0 to 255)"),
    (dict[str, U8], {5: 1}, "5: expected a string, got an integer"),
    (Colour, "blue", "value: expected one of red, green, got 'blue'"),
    (Colour, 5, "value: expected one of red, green, got '5'"),
    (Colour, [], "value: expected one of red, green, got '[]'"),
    (Timestamp, {"sec": 1, "nsec": -1}, "nsec: -1 is out of range for U32 (0 to 4294967295)"),
    (Rich, 5, "value: expected a map, got an integer"),
    (Rich, [1, 2, 3, 4, 5, 6], "value: expected at most 5 members, got 6"),
    (Rich, [5], "firstName: expected a string, got an integer"),
    (Rich, rich(firstName=None), "firstName: expected a string, got nil"),
    (Rich, rich(maybeData=5), "maybeData: expected bytes, got an integer"),
    (Rich, rich(many=["a", 5]), "many[1]: expected bytes, got an integer"),
    (Rich, rich(OtherName=256), "OtherName: 256 is out of range for U8 (0 to 255)"),
    (Needy, {}, "inner: missing"),
    (Needy, {"inner": {}}, "items: missing"),
    (Needy, {"inner": {}, "items": []}, "table: missing"),
    (Needy, {"inner": {}, "items": [], "table": {}}, "colour: missing"),
    (Needy, needy(inner={"text": 5}), "inner.text: expected a string, got an integer"),
    (Needy, needy(inner=None), "inner: expected a map, got nil"),
    (Needy, needy(items=["a", None]), "items[1]: expected a string, got nil"),
    (Needy, needy(table={"k": "v"}), "table.k: expected an integer, got a string"),
    (Needy, needy(colour="blue"), "colour: expected one of red, green, got 'blue'"),
    (Shape, 5, "value: expected one of Num, Raw, Empty, Pair, got an integer"),
    (Shape, "Num", "value: expected one of Num, Raw, Empty, Pair, got a string"),
    (Shape, {}, "value: expected one of Num, Raw, Empty, Pair, got a map"),
    (Shape, {"Num": 1, "Raw": b""}, "value: expected one of Num, Raw, Empty, Pair, got a map"),
    (Shape, {"Sum": 1}, "value: expected one of Num, Raw, Empty, Pair, got 'Sum'"),
    (Shape, {"Num": -1}, "Num: -1 is out of range for U32 (0 to 4294967295)"),
    (Deep, deep(shapes=["Empty", {"Pair": {"left": 1, "right": 200}}]), "shapes[1].Pair.right: 200 is out of range for S8 (-128 to 127)"),
    (Deep, deep(byName={"k": {"left": ""}}), "byName.k.left: expected an integer, got a string"),
    (Deep, deep(point=[1, ""]), "point[1]: expected a number, got a string"),
    (Deep, deep(tree={"children": [{"children": [{"name": 5}]}]}), "tree.children[0].children[0].name: expected a string, got an integer"),
]


@pytest.mark.parametrize(("annotation", "given", "text"), REFUSED)
def test_an_argument_that_does_not_fit_is_refused_with_its_path(annotation: Any, given: object, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        codec(annotation).decode(msgpack.packb(given))
    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("annotation", "data", "text"),
    [
        pytest.param(str, "", "value: not msgpack: Unpack failed: incomplete input", id="nothing"),
        pytest.param(str, "a161c0", "value: bytes follow the value", id="a byte more"),
        pytest.param(str, "c1", "value: not msgpack: ", id="the byte that msgpack never uses"),
        pytest.param(str, "a1ff", "value: expected a string, got one that is not UTF-8", id="not UTF-8"),
        pytest.param(
            Rich, "81a966697273744e616d65a2ffff", "firstName: expected a string, got one that is not UTF-8", id="a member, not UTF-8"
        ),
        pytest.param(list[str], "ddffffffff", "value: not msgpack: ", id="an array of four thousand million"),
        pytest.param(dict[str, str], "dfffffffff", "value: not msgpack: ", id="a map of as many"),
        pytest.param(str, "dbffffffff", "value: not msgpack: ", id="a string of 4 GiB"),
        pytest.param(Any, "91" * 5000 + "c0", "value: not msgpack: ", id="5000 arrays deep"),
        pytest.param(Tree, ("82a46e616d65a0a86368696c6472656e91" * 400) + "80", "value: nested too deep", id="a tree 400 deep"),
        pytest.param(str, "d40500", "value: expected a string, got ExtType", id="an extension type"),
        pytest.param(dict[str, str], "8190a0", "value: not msgpack: ", id="an array as key"),
    ],
)
def test_bytes_that_are_no_value_are_refused(annotation: Any, data: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        codec(annotation).decode(bytes.fromhex(data))
    assert str(refused.value).startswith(text)


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
WRONG: list[tuple[Any, Any, str]] = [
    (str, 5, "value: expected a string, got an integer"),
    (bytes, "a", "value: expected bytes, got a string"),
    (bytes, [1], "value: expected bytes, got an array"),
    (U8, 1.0, "value: expected an integer, got a float"),
    (F32, 1e300, "value: 1e+300 is out of range for F32"),
    (F64, 10**400, "value: a number is out of range for F64"),
    (Any, 1 << 64, "value: "),
    (Any, object(), "value: "),
    (Any, ENDLESS, "value: "),
    (list[str], "ab", "value: expected an array, got a string"),
    (list[str], {"a": 1}, "value: expected an array, got a map"),
    (list[U8], [1, 2, 300], "[2]: 300 is out of range for U8 (0 to 255)"),
    (tuple[U8, str], (1,), "value: expected an array of 2, got tuple"),
    (dict[str, U8], [], "value: expected a map, got an array"),
    (dict[str, U8], {"k": None}, "k: expected an integer, got nil"),
    (Colour, "red", "value: expected one of red, green, got a string"),
    (Rich, {"firstName": "a"}, "value: expected Rich, got dict"),
    (Rich, None, "value: expected Rich, got NoneType"),
    (Rich, Rich("a", many=[b"", 5]), "many[1]: expected bytes, got an integer"),  # type: ignore[list-item]  # wrong on purpose
    (Rich, Rich("a", other=256), "OtherName: 256 is out of range for U8 (0 to 255)"),
    (Rich, Rich("\udcff"), "firstName: expected a string, got one that is not UTF-8"),
    (Shape, 5, "value: expected one of Num, Raw, Empty, Pair, got int"),
    (Shape, Num(-1), "Num: -1 is out of range for U32 (0 to 4294967295)"),
    (Deep, Deep([], {"k": Pair(0, 200)}, (1, 1.0)), "byName.k.right: 200 is out of range for S8 (-128 to 127)"),
    (Deep, Deep([], {}, (1, 1e300)), "point[1]: 1e+300 is out of range for F32"),
]  # fmt: skip


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize(("annotation", "value", "text"), WRONG)
def test_a_result_that_does_not_fit_is_the_programs_own_fault(form: Form, annotation: Any, value: Any, text: str) -> None:
    with pytest.raises(Internal) as refused:
        codec(annotation).encode(value, form)
    assert str(refused.value).startswith("the value to send is wrong: ")
    assert text in str(refused.value)


class Bare(Case):  # type: ignore[type-arg]  # wrong on purpose
    pass


@dataclass
class Unfit:
    number: complex


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (complex, "cannot go over the wire"),
        (str | int, "a union on the wire is made of dataclasses"),
        (Level, "Level: an enum on the wire has string values"),
        (Unfit, "Unfit.number: .* cannot go over the wire"),
        (list[complex], "cannot go over the wire"),
        (Empty | Bare, "Bare: say what the case carries"),
        (Annotated[complex, "note"], "cannot go over the wire"),
    ],
)
def test_a_type_that_cannot_go_over_the_wire_is_named(annotation: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        codec(annotation)
