"""Values in CBOR (wasmbus-0x.md §5.3), with cbor2 as the judge, and the byte that says in which form a message is (§5.1)."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import cbor2
import pytest

from provider_sdk.errors import Internal, InvalidArgument
from provider_sdk.hosts.wasmbus.values import Form, OperationCodec, codec, operation_codec
from provider_sdk.interface import Interface, operation
from provider_sdk.types import F32, F64, S8, S32, S64, U8, U16, U32, U64, Case, Timestamp


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass
class Pair:
    left: S8
    right: S8


@dataclass
class Rich:
    first_name: str
    maybe_data: bytes | None = None
    many: list[bytes] = field(default_factory=list)
    other: U8 = field(default=7, metadata={"name": "OtherName"})


@dataclass
class Moments:
    name: str
    made: Timestamp
    changed: Timestamp | None
    count: U8


@dataclass
class Needy:
    pairs: list[Pair]
    table: dict[str, Pair]
    colour: Colour


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)


class Num(Case[U32]):
    pass


@dataclass
class Empty:
    pass


Shape = Num | Empty | Pair


def dumped(value: object) -> bytes:
    data: bytes = cbor2.dumps(value)
    return data


def read(annotation: Any, data: bytes) -> Any:
    return codec(annotation).decode(data, Form.CBOR)


# Annotation, value, its bytes, and what cbor2 makes of them.
BOTH_WAYS: list[tuple[Any, Any, str, Any]] = [
    (U8, 0, "00", 0),
    (U8, 23, "17", 23),
    (U8, 24, "1818", 24),
    (U8, 255, "18ff", 255),
    (U16, 256, "190100", 256),
    (U32, 65_536, "1a00010000", 65_536),
    (U64, (1 << 64) - 1, "1bffffffffffffffff", (1 << 64) - 1),
    (S8, -1, "20", -1),
    (S8, -24, "37", -24),
    (S8, -25, "3818", -25),
    (S32, -(1 << 31), "3a7fffffff", -(1 << 31)),
    (S64, -(1 << 63), "3b7fffffffffffffff", -(1 << 63)),
    (bool, True, "f5", True),
    (bool, False, "f4", False),
    (None, None, "f6", None),
    (F64, 1.5, "fb3ff8000000000000", 1.5),
    (F32, 1.5, "fa3fc00000", 1.5),
    (F32, math.inf, "fa7f800000", math.inf),
    (str, "", "60", ""),
    (str, "é", "62c3a9", "é"),
    (str, "a" * 24, "7818" + "61" * 24, "a" * 24),
    (bytes, b"\x01\xff", "4201ff", b"\x01\xff"),
    (list[bytes], [b"\x01", b""], "82410140", [b"\x01", b""]),
    (list[bool | None], [True, None], "82f5f6", [True, None]),
    (tuple[U8, ...], (1, 2), "820102", [1, 2]),
    (tuple[U8, str], (1, "a"), "82016161", [1, "a"]),
    (set[str], {"a"}, "816161", ["a"]),
    (dict[str, U8], {"a": 1}, "a1616101", {"a": 1}),
    (dict[U8, bytes], {1: b""}, "a10140", {1: b""}),
    (str | None, None, "f6", None),
    (Colour, Colour.GREEN, "65677265656e", "green"),
    (Any, {"a": [1, -1, None, b"\x00", 1.5, True]}, "a16161860120f64100fb3ff8000000000000f5", {"a": [1, -1, None, b"\x00", 1.5, True]}),
    (Pair, Pair(1, -1), "820120", [1, -1]),
    (Rich, Rich("a"), "846161f68007", ["a", None, [], 7]),
    (Rich, Rich("a", b"\x01", [b"\x02"], 8), "846161410181410208", ["a", b"\x01", [b"\x02"], 8]),
    (Tree, Tree("a", [Tree("b")]), "8261618182616280", ["a", [["b", []]]]),
    (Shape, Num(7), "820007", [0, 7]),
    (Shape, Empty(), "8201f6", [1, None]),
    (Shape, Pair(1, -1), "8202820120", [2, [1, -1]]),
]


@pytest.mark.parametrize(("annotation", "value", "data", "plain"), BOTH_WAYS)
def test_a_value_is_these_bytes_both_ways_and_a_library_agrees(annotation: Any, value: Any, data: str, plain: Any) -> None:
    assert codec(annotation).encode(value, Form.CBOR).hex() == f"7f{data}"
    assert read(annotation, bytes.fromhex(data)) == value
    assert cbor2.loads(bytes.fromhex(data)) == plain
    assert read(annotation, dumped(plain)) == value


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (Moments("a", Timestamp(5, 6), None, 7), "8461610506f607"),
        (Moments("a", Timestamp(-1), Timestamp(8, 9), 7), "8461612000080907"),
    ],
)
def test_a_timestamp_is_two_items_that_its_parent_counts_as_one(value: Moments, data: str) -> None:
    assert codec(Moments).encode(value, Form.CBOR).hex() == f"7f{data}"
    assert read(Moments, bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    ("annotation", "data", "value"),
    [
        pytest.param(U8, "1b0000000000000005", 5, id="a long form of an integer that fits"),
        pytest.param(F64, "f93e00", 1.5, id="a half"),
        pytest.param(F64, "fa3fc00000", 1.5, id="a single"),
        pytest.param(F64, "05", 5.0, id="an integer where a float is declared"),
        pytest.param(Any, "f7", None, id="undefined for null"),
        pytest.param(str, "c06161", "a", id="a tag is passed over"),
        pytest.param(bytes, "8201187f", b"\x01\x7f", id="bytes as an array of integers"),
        pytest.param(Rich, "816161", Rich("a"), id="a short array"),
        pytest.param(Rich, "866161f68007a1616101f5", Rich("a"), id="a long array"),
        pytest.param(Rich, "846161f6f6f6", Rich("a"), id="null for a member with a default"),
        pytest.param(Rich, dumped({"firstName": "a", "OtherName": 9}).hex(), Rich("a", other=9), id="a map by name"),
        pytest.param(Rich, dumped({"x": {"y": [1]}, "firstName": "a", 5: 6}).hex(), Rich("a"), id="a map with unknown names"),
        pytest.param(Rich, "a2810505" + dumped("firstName").hex() + "6161", Rich("a"), id="a map with an array as a name"),
        pytest.param(Pair, "82f605", Pair(0, 5), id="null in a gap reads as the zero"),
    ],
)
def test_what_other_senders_write_is_read(annotation: Any, data: str, value: Any) -> None:
    assert read(annotation, bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    ("annotation", "given", "text"),
    [
        (str, 5, "value: expected a string, got an integer"),
        (bool, 1, "value: expected a boolean, got an integer"),
        (U8, 256, "value: 256 is out of range for U8 (0 to 255)"),
        (U8, -1, "value: -1 is out of range for U8 (0 to 255)"),
        (S64, 1 << 63, "value: 9223372036854775808 is out of range for S64"),
        (S64, -(1 << 64), "value: -18446744073709551616 is out of range for S64"),
        (U8, 1.0, "value: expected an integer, got a float"),
        (F64, True, "value: expected a number, got a boolean"),
        (bytes, [256], "value: expected bytes, got an array of something else"),
        (list[str], {}, "value: expected an array"),
        (list[str], ["a", 5], "[1]: expected a string, got an integer"),
        (tuple[U8, str], [1], "value: expected an array of 2"),
        (tuple[U8, str], [1, 2], "[1]: expected a string, got an integer"),
        (set[Any], [[]], "value: a set cannot hold an array or a map"),
        (dict[str, U8], [], "value: expected a map"),
        (dict[str, U8], {"k": 256}, "k: 256 is out of range for U8 (0 to 255)"),
        (dict[str, U8], {5: 1}, "value: expected a string, got an integer"),
        (Colour, "blue", "value: expected one of red, green, got 'blue'"),
        (Rich, 5, "value: expected a map"),
        (Rich, [5], "firstName: expected a string, got an integer"),
        (Rich, ["a", None, [b"", 5]], "many[1]: expected bytes, got an integer"),
        (Rich, {"firstName": 5}, "firstName: expected a string, got an integer"),
        (Needy, [], "pairs: missing"),
        (Needy, [[], None, "red"], "table: missing"),
        (Needy, [[[1, 2], [3, 200]], {}, "red"], "pairs[1].right: 200 is out of range for S8 (-128 to 127)"),
        (Needy, [[], {"k": [True]}, "red"], "table.k.left: expected an integer, got a boolean"),
        (Needy, [[], {}, "blue"], "colour: expected one of red, green, got 'blue'"),
        (Shape, [0], "value: expected one of Num, Empty, Pair as an array of two"),
        (Shape, [3, 1], "value: expected the number of one of Num, Empty, Pair"),
        (Shape, ["Num", 1], "value: expected the number of one of Num, Empty, Pair"),
        (Shape, [True, 1], "value: expected the number of one of Num, Empty, Pair"),
        (Shape, [0, -1], "Num: -1 is out of range for U32"),
        (Shape, [1, 5], "Empty: expected null"),
        (Moments, ["a", "b", 1], "made: expected an integer, got a string"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_with_its_path(annotation: Any, given: object, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        read(annotation, dumped(given))
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize(
    ("annotation", "data", "text"),
    [
        pytest.param(str, "", "the message is cut off", id="nothing"),
        pytest.param(str, "6161f6", "bytes follow the value", id="a byte more"),
        pytest.param(str, "61ff", "a string is not UTF-8", id="not UTF-8"),
        pytest.param(str, "6261", "the message is cut off", id="a short string cut off"),
        pytest.param(str, "7bffffffffffffffff", "a length is longer than the message", id="a string of 16 EiB"),
        pytest.param(bytes, "5affffffff", "a length is longer than the message", id="bytes of 4 GiB"),
        pytest.param(list[U8], "9affffffff", "a length is longer than the message", id="an array of four thousand million"),
        pytest.param(dict[str, U8], "baffffffff", "a length is longer than the message", id="a map of as many"),
        pytest.param(Any, "9affffffff", "a length is longer than the message", id="any array of as many"),
        pytest.param(list[U8], "9f01ff", "only definite lengths are read", id="an indefinite array"),
        pytest.param(str, "7f6161ff", "only definite lengths are read", id="an indefinite string"),
        pytest.param(Rich, "bfff", "only definite lengths are read", id="an indefinite map"),
        pytest.param(U8, "1c", "only definite lengths are read", id="a reserved length"),
        pytest.param(Any, "e0", "an unknown simple value", id="simple value 0"),
        pytest.param(Any, "ff", "an unknown simple value", id="a break alone"),
        pytest.param(Any, "a18001", "a key is an array or a map", id="an array as key"),
        pytest.param(dict[Any, U8], "a18001", "an array or a map cannot be a key", id="an array as key of a declared map"),
        pytest.param(Any, "81" * 100 + "00", "nested more than 64 deep", id="100 arrays deep"),
        pytest.param(Any, "a100" * 100 + "00", "nested more than 64 deep", id="100 maps deep"),
        pytest.param(str, "c0" * 10_000 + "60", "nested more than 64 deep", id="10,000 tags deep"),
        pytest.param(Tree, "826081" * 100 + "80", "nested more than 64 deep", id="a tree 100 deep"),
        pytest.param(Moments, "84616105", "the message is cut off", id="half a timestamp"),
    ],
)
def test_bytes_that_are_no_value_are_refused(annotation: Any, data: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        read(annotation, bytes.fromhex(data))
    assert text in str(refused.value)


@pytest.mark.parametrize(("annotation", "data"), [(item[0], item[2]) for item in BOTH_WAYS])
def test_a_value_cut_off_anywhere_is_refused(annotation: Any, data: str) -> None:
    encoded = bytes.fromhex(data)
    for end in range(len(encoded)):
        with pytest.raises(InvalidArgument):
            read(annotation, encoded[:end])


class Calls(Interface, contract="acme:calls"):
    @abstractmethod
    async def nothing(self) -> None: ...

    @abstractmethod
    async def one(self, text: str) -> str: ...

    @abstractmethod
    async def two(self, first_name: str, count: U8 = 3) -> list[U8]: ...

    @operation("Other")
    @abstractmethod
    async def number(self, number: U8) -> U8: ...


class Packed(Calls, contract="acme:packed", cbor=True):
    pass


CODECS = {item.name: operation_codec(item) for item in (*Calls.operations(), *Packed.operations())}


def of(name: str) -> OperationCodec:
    return CODECS[name]


@pytest.mark.parametrize(
    ("name", "arguments", "data"),
    [
        ("Calls.Nothing", (), ""),
        ("Calls.One", ("a",), "a161"),
        ("Calls.Two", ("a", 5), "82a966697273744e616d65a161a5636f756e7405"),
        ("Calls.Other", (7,), "07"),
        ("Packed.One", ("a",), "a161"),
    ],
)
def test_arguments_go_bare_or_as_a_map_by_name(name: str, arguments: tuple[Any, ...], data: str) -> None:
    assert of(name).encode_arguments(arguments).hex() == data
    assert of(name).decode_arguments(bytes.fromhex(data)) == (arguments, Form.MSGPACK)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        pytest.param("Calls.Nothing", "c0", ((), Form.MSGPACK), id="nil for no argument"),
        pytest.param("Calls.Two", "81a966697273744e616d65a161", (("a", 3), Form.MSGPACK), id="an argument with a default"),
        pytest.param("Calls.Two", "92a16104", (("a", 4), Form.MSGPACK), id="a positional array"),
        pytest.param("Calls.One", "c1a161", (("a",), Form.MSGPACK), id="c1 and msgpack"),
        pytest.param("Calls.Other", "7f", ((127,), Form.MSGPACK), id="one byte is msgpack"),
        pytest.param("Packed.Other", "7f", ((127,), Form.MSGPACK), id="one byte is msgpack also where CBOR is spoken"),
        pytest.param("Packed.Other", "00", ((0,), Form.MSGPACK), id="one reserved byte is msgpack"),
        pytest.param("Packed.One", "c1a161", (("a",), Form.MSGPACK), id="c1 where CBOR is spoken"),
        pytest.param("Packed.One", "7f6161", (("a",), Form.CBOR), id="7f and CBOR"),
        pytest.param("Packed.Two", "7f82616104", (("a", 4), Form.CBOR), id="several in CBOR"),
        pytest.param("Packed.Nothing", "7ff6", ((), Form.CBOR), id="no argument in CBOR"),
    ],
)
def test_the_first_byte_says_the_form(name: str, data: str, expected: tuple[tuple[Any, ...], Form]) -> None:
    assert of(name).decode_arguments(bytes.fromhex(data)) == expected


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("Calls.One", "", "argument: not msgpack: "),
        ("Calls.One", "c1", "argument: not msgpack: "),
        ("Calls.One", "7f6161", "argument: CBOR (7f) is not spoken by this interface: send msgpack"),
        ("Calls.One", "05", "argument: expected a string, got an integer"),
        ("Calls.One", "a161a1", "argument: bytes follow the value"),
        ("Calls.Two", "81a966697273744e616d6505", "firstName: expected a string, got an integer"),
        ("Calls.Two", "81a5636f756e74cd012c", "count: 300 is out of range for U8 (0 to 255)"),
        ("Packed.Other", "0005", "argument: invalid encoding: a message cannot begin with the reserved byte 00"),
        ("Packed.Other", "7e05", "argument: invalid encoding: a message cannot begin with the reserved byte 7e"),
        ("Packed.Other", "c005", "argument: invalid encoding: a message cannot begin with the reserved byte c0"),
        ("Packed.One", "7f05", "argument: expected a string, got an integer"),
        ("Packed.Two", "7f8205", "firstName: expected a string, got an integer"),
    ],
)
def test_an_argument_in_no_form_of_the_interface_is_refused(name: str, data: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        of(name).decode_arguments(bytes.fromhex(data))
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize(
    ("name", "value", "form", "data"),
    [
        ("Calls.Nothing", None, Form.MSGPACK, ""),
        ("Packed.Nothing", None, Form.CBOR, "7ff6"),
        ("Calls.One", "a", Form.MSGPACK, "a161"),
        ("Packed.One", "a", Form.CBOR, "7f6161"),
        ("Packed.One", "a", Form.MSGPACK, "a161"),
        ("Calls.Two", [1], Form.MSGPACK, "9101"),
    ],
)
def test_a_result_goes_in_the_form_of_the_question(name: str, value: Any, form: Form, data: str) -> None:
    assert of(name).encode_result(value, form).hex() == data
    assert of(name).decode_result(bytes.fromhex(data)) == value


@pytest.mark.parametrize("data", ["", "c0"])
def test_no_result_is_read_in_both_ways_that_hosts_write_it(data: str) -> None:
    assert of("Calls.Nothing").decode_result(bytes.fromhex(data)) is None


def test_an_operation_without_a_result_has_none() -> None:
    with pytest.raises(Internal, match="expected nothing, got str"):
        of("Calls.Nothing").encode_result("a")


def test_an_argument_of_a_call_out_that_does_not_fit_is_the_callers_fault() -> None:
    with pytest.raises(InvalidArgument, match=r"count: 300 is out of range for U8 \(0 to 255\)$"):
        of("Calls.Two").encode_arguments(("a", 300))
