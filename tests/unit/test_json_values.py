"""`provider dev call` on 1.x: what JSON means as the arguments of an operation, and what is refused in plain words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Any

import pytest

from provider_sdk import InvalidArgument
from provider_sdk.cli.json_values import arguments_of
from provider_sdk.interface import Interface
from provider_sdk.types import F64, U8, U32, Case, Err, Handle, Ok, Some


class Colour(Enum):
    RED = "red"
    DARK_BLUE = "deep"


class Rights(Flag):
    READ = auto()
    DELETE_ALL = auto()


@dataclass(frozen=True, slots=True)
class Box:
    file_name: str
    colour: Colour
    rights: Rights
    weight: U32 | None
    copies: U8 = 1


@dataclass(frozen=True, slots=True)
class ByName(Case[str]):
    pass


@dataclass(frozen=True, slots=True)
class Everything:
    pass


@dataclass(frozen=True, slots=True)
class Between:
    low: U32
    high: U32


class Key(Handle):
    pass


Query = ByName | Everything | Between
BOX = {"file-name": "a", "colour": "dark-blue", "rights": ["READ", "delete-all"], "weight": 3}


class Depot(Interface, wit="acme:depot/depot@0.1.0"):
    @abstractmethod
    async def put(self, box: Box) -> None: ...

    @abstractmethod
    async def find(self, query: Query, at_most: U32 | None) -> None: ...

    @abstractmethod
    async def open(self, key: Key, data: bytes) -> None: ...

    @abstractmethod
    async def mix(
        self, pairs: dict[str, U8], pair: tuple[U8, str], names: frozenset[str], nested: Some[U8 | None] | None, part: F64
    ) -> None: ...

    @abstractmethod
    async def judge(self, verdict: Ok[U32] | Err[None]) -> None: ...

    @abstractmethod
    async def write(self, data: AsyncIterator[bytes]) -> None: ...

    @abstractmethod
    async def nothing(self) -> None: ...


def read(method: str, value: Any = None, *, given: bool = True) -> tuple[Any, ...]:
    (operation,) = [item for item in Depot.operations() if item.method == method]
    return arguments_of(operation, value, given)


@pytest.mark.parametrize("name", ["file_name", "fileName", "file-name"])
def test_members_are_known_in_every_spelling_and_enums_and_flags_by_name_or_value(name: str) -> None:
    given = {name: "a", "colour": "deep", "rights": ["READ", "delete-all"], "weight": 3}
    assert read("put", given) == (Box("a", Colour.DARK_BLUE, Rights.READ | Rights.DELETE_ALL, 3),)


def test_options_and_what_has_a_default_may_be_left_out() -> None:
    assert read("put", {"fileName": "a", "colour": "red", "rights": []}) == (Box("a", Colour.RED, Rights(0), None),)
    assert read("find", {"query": "Everything"}) == (Everything(), None)
    assert read("nothing", given=False) == read("nothing", {}) == ()


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ({"ByName": "a"}, ByName("a")),
        ({"by-name": "a"}, ByName("a")),
        ("everything", Everything()),
        ({"between": {"low": 1, "high": 2}}, Between(1, 2)),
    ],
)
def test_a_variant_is_its_case_with_what_it_carries(given: Any, query: Any) -> None:
    assert read("find", {"query": given, "atMost": 7}) == (query, 7)


def test_collections_nested_options_and_numbers() -> None:
    given = {"pairs": {"a": 1}, "pair": [1, "b"], "names": ["x", "x"], "nested": 5, "part": 2}
    assert read("mix", given) == ({"a": 1}, (1, "b"), frozenset({"x"}), Some(5), 2.0)
    assert read("mix", {**given, "pairs": [["a", 1]], "nested": None})[::3] == ({"a": 1}, None)


def test_bytes_are_text_base64_or_numbers() -> None:
    for given in ("hi", {"base64": "aGk="}, [104, 105]):
        key, data = read("open", {"key": given, "data": given})
        assert (type(key), key, data) == (Key, b"hi", b"hi")


def test_a_result_is_one_of_its_sides() -> None:
    assert read("judge", {"Ok": 3}) == (Ok(3),)
    assert read("judge", "err") == (Err(None),)


@pytest.mark.parametrize(
    ("method", "given", "words"),
    [
        ("put", {**BOX, "colour": "blue"}, "colour: 'blue' is not one of RED, DARK_BLUE"),
        ("put", {**BOX, "rights": ["RED"]}, "rights: 'RED' is not one of READ, DELETE_ALL"),
        ("put", {**BOX, "wieght": 3}, "box: wieght is not known; there is file_name, colour, rights, weight, copies"),
        ("put", {"colour": "red", "rights": []}, "box: file_name is missing"),
        ("put", "a", "box: expected a map, got str"),
        ("find", {"at_most": 7}, "find: query is missing"),
        ("find", {"query": "Nobody"}, "with one of ByName, Everything, Between"),
        ("find", {"query": {"between": {"low": 1}}}, "query.Between: high is missing"),
        ("open", {"key": "a", "data": [300]}, "data: expected text"),
        ("mix", {"pairs": 1}, "pairs: expected a map, got int"),
        ("write", "abc", "data: streams and futures are for programs"),
        ("nothing", {"a": 1}, "nothing: a is not known; there is nothing to give"),
    ],
)
def test_what_does_not_fit_is_named(method: str, given: Any, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(method, given)
    assert words in caught.value.message


def test_an_argument_that_is_not_given_is_missing() -> None:
    with pytest.raises(InvalidArgument, match="put: box is missing"):
        read("put", given=False)
