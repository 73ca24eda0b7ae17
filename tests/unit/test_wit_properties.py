"""What holds for every type and value on 1.x: it comes back as it went, a part of it is incomplete, other bytes do not fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, make_dataclass
from enum import Enum, Flag
from itertools import pairwise
from types import new_class
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk.errors import Internal, InvalidArgument, ProviderError
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.values import Incomplete
from provider_sdk.types import F32, F64, S8, S16, S32, S64, U8, U16, U32, U64, Case, Char, Err, Handle, Ok, Some
from tests.unit.wit_wire import Paths, carried, codec_of

ERAS = st.sampled_from(Era)


class Typed:
    """An annotation and the values it has."""

    def __init__(self, annotation: Any, values: st.SearchStrategy[Any]) -> None:
        self.annotation, self.values = annotation, values

    def __repr__(self) -> str:
        return repr(self.annotation)


class Ticket(Handle):
    pass


def _whole(annotation: Any, bits: int, signed: bool) -> Typed:
    low = -(1 << bits - 1) if signed else 0
    return Typed(annotation, st.integers(low, low + (1 << bits) - 1))


SCALARS = [
    *(_whole(annotation, bits, False) for annotation, bits in ((U8, 8), (U16, 16), (U32, 32), (U64, 64))),
    *(_whole(annotation, bits, True) for annotation, bits in ((S8, 8), (S16, 16), (S32, 32), (S64, 64), (int, 64))),
    Typed(bool, st.booleans()),
    Typed(F32, st.floats(width=32, allow_nan=False)),
    Typed(F64, st.floats(allow_nan=False)),
    Typed(Char, st.characters(codec="utf-8")),
    Typed(str, st.text()),
    Typed(bytes, st.binary()),
    Typed(Ticket, st.binary().map(Ticket)),
]


def _made(base: Any, members: list[tuple[str, Any]]) -> Any:
    return base("Made", members)


@st.composite
def _enums(draw: st.DrawFn) -> Typed:
    kind = _made(Enum, [(f"L{number}", f"l{number}") for number in range(draw(st.integers(1, 300)))])
    return Typed(kind, st.sampled_from(kind))


@st.composite
def _flags(draw: st.DrawFn) -> Typed:
    count = draw(st.integers(1, 70))
    kind = _made(Flag, [(f"B{number}", 1 << number) for number in range(count)])
    return Typed(kind, st.integers(0, (1 << count) - 1).map(kind))


def _wider(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    return st.one_of(
        inner.map(lambda one: Typed(list[one.annotation], st.lists(one.values, max_size=4))),  # type: ignore[name-defined]  # made here
        inner.map(lambda one: Typed(Some[one.annotation] | None, st.none() | one.values.map(Some))),  # type: ignore[name-defined]
        inner.map(lambda one: Typed(dict[str, one.annotation], st.dictionaries(st.text(), one.values, max_size=3))),  # type: ignore[name-defined]
        st.lists(inner, min_size=1, max_size=4).map(_tuple),
        st.lists(inner, min_size=1, max_size=4).map(_record),
        st.lists(st.none() | inner, min_size=2, max_size=4).map(_variant),
        st.tuples(inner, inner).map(_result),
    )


def _tuple(members: list[Typed]) -> Typed:
    return Typed(tuple[tuple(one.annotation for one in members)], st.tuples(*(one.values for one in members)))  # type: ignore[misc]  # made here


def _record(members: list[Typed]) -> Typed:
    made = make_dataclass("Made", [(f"m{number}", one.annotation) for number, one in enumerate(members)])
    return Typed(made, st.builds(made, *(one.values for one in members)))


def _variant(payloads: list[Typed | None]) -> Typed:
    annotation, values = None, []
    for number, payload in enumerate(payloads):
        if payload is None:
            case: Any = make_dataclass(f"Case{number}", [])
            values.append(st.builds(case))
        else:
            case = new_class(f"Case{number}", (Case[payload.annotation],))  # type: ignore[name-defined]  # made here
            values.append(payload.values.map(case))
        annotation = case if annotation is None else annotation | case
    return Typed(annotation, st.one_of(values))


def _result(sides: tuple[Typed, Typed]) -> Typed:
    good, bad = sides
    return Typed(Ok[good.annotation] | Err[bad.annotation], good.values.map(Ok) | bad.values.map(Err))  # type: ignore[name-defined]  # made here


TYPES = st.recursive(st.sampled_from(SCALARS) | _enums() | _flags(), _wider, max_leaves=6)


@st.composite
def _typed_values(draw: st.DrawFn) -> tuple[Any, Any]:
    typed = draw(TYPES)
    return typed.annotation, draw(typed.values)


@given(st.lists(_typed_values(), max_size=3), ERAS)
def test_arguments_come_back_as_they_went(typed: list[tuple[Any, Any]], era: Era) -> None:
    codec = codec_of(*(annotation for annotation, _ in typed), era=era)
    values = tuple(value for _, value in typed)
    data = codec.encode_arguments(values).data
    assert codec.decode_arguments(data, Paths()) == values
    assert codec.encode_arguments(codec.decode_arguments(data, Paths())).data == data


@given(_typed_values(), ERAS)
def test_a_result_comes_back_as_it_went(typed: tuple[Any, Any], era: Era) -> None:
    annotation, value = typed
    codec = codec_of(result=annotation, era=era)
    assert codec.decode_result(codec.encode_result(value).data, Paths()) == value


@given(_typed_values(), ERAS, st.data())
def test_what_is_cut_off_is_incomplete_by_no_more_than_is_missing(typed: tuple[Any, Any], era: Era, choose: st.DataObject) -> None:
    annotation, value = typed
    codec = codec_of(annotation, era=era)
    data = codec.encode_arguments((value,)).data
    end = choose.draw(st.integers(0, len(data) - 1))
    with pytest.raises(Incomplete) as cut:
        codec.decode_arguments(data[:end], Paths())
    assert 1 <= cut.value.missing <= len(data) - end


@given(TYPES, ERAS, st.binary(max_size=64))
def test_any_bytes_are_a_value_or_incomplete_or_do_not_fit(typed: Typed, era: Era, data: bytes) -> None:
    codec = codec_of(typed.annotation, result=typed.annotation, era=era)
    for decode, wrong in ((codec.decode_arguments, InvalidArgument), (codec.decode_result, Internal)):
        try:
            decode(data, Paths())
        except (Incomplete, ProviderError) as error:
            assert isinstance(error, Incomplete | wrong)


@given(_typed_values(), ERAS, st.data())
def test_a_changed_byte_does_no_worse(typed: tuple[Any, Any], era: Era, choose: st.DataObject) -> None:
    annotation, value = typed
    codec = codec_of(annotation, era=era)
    data = bytearray(codec.encode_arguments((value,)).data)
    data[choose.draw(st.integers(0, len(data) - 1))] = choose.draw(st.integers(0, 255))
    try:
        codec.decode_arguments(bytes(data), Paths())
    except (Incomplete, InvalidArgument):
        return


@given(st.integers(0, 2**64 - 1))
def test_an_integer_is_seven_bits_a_byte_and_no_byte_more_than_it_needs(number: int) -> None:
    data = codec_of(U64).encode_arguments((number,)).data
    assert sum((byte & 127) << 7 * place for place, byte in enumerate(data)) == number
    assert [byte >= 128 for byte in data] == [True] * (len(data) - 1) + [False]
    assert len(data) == max(1, -(-number.bit_length() // 7))


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_signed_integer_has_its_sign_in_the_last_byte(number: int) -> None:
    data = codec_of(S64).encode_arguments((number,)).data
    bits = 7 * len(data)
    assert sum((byte & 127) << 7 * place for place, byte in enumerate(data)) == number % (1 << bits)
    assert -(1 << bits - 1) <= number < 1 << bits - 1
    assert len(data) == 1 or not -(1 << bits - 8) <= number < 1 << bits - 8


# -- streams


def split(data: bytes, places: list[int]) -> list[bytes]:
    """The bytes in messages that end at these places, none of them empty."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


async def _given(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def _soon(value: Any) -> Any:
    return value


PLACES = st.lists(st.integers(0, 1000), max_size=12)


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 400), PLACES, ERAS)
async def test_streams_of_bytes_come_whole_whatever_the_limit_and_the_messages(
    chunks: list[bytes], limit: int, places: list[int], era: Era
) -> None:
    codec = codec_of(str, AsyncIterator[bytes], era=era)
    encoded = codec.encode_arguments(("x", _given(chunks)))
    paths = await carried(encoded, limit)
    paths.sent["1"] = split(b"".join(paths.sent["1"]), places)
    _, stream = codec.decode_arguments(encoded.data, paths)
    pieces = [piece async for piece in stream]
    assert b"".join(pieces) == b"".join(chunks)
    assert all(pieces)
    assert paths.closed == ["1"]


@given(TYPES, st.integers(1, 400), PLACES, ERAS, st.data())
async def test_streams_and_futures_of_anything_come_as_they_went(
    typed: Typed, limit: int, places: list[int], era: Era, choose: st.DataObject
) -> None:
    items, value = choose.draw(st.lists(typed.values, max_size=4)), choose.draw(typed.values)
    codec = codec_of(AsyncIterator[typed.annotation], Awaitable[typed.annotation], era=era)  # type: ignore[name-defined]  # made here
    encoded = codec.encode_arguments((_given(items), _soon(value)))
    paths = await carried(encoded, limit)
    for path, pieces in paths.sent.items():
        paths.sent[path] = split(b"".join(pieces), places)
    stream, future = codec.decode_arguments(encoded.data, paths)
    assert [item async for item in stream] == items
    assert await future == value


@dataclass
class Busy:
    body: AsyncIterator[bytes]
    items: AsyncIterator[list[str]]
    later: Awaitable[U32 | None]


@given(st.binary(max_size=40), st.dictionaries(st.sampled_from(["0.0", "0.1", "0.2"]), st.binary(max_size=40)), PLACES, ERAS)
async def test_any_bytes_on_any_path_break_off_or_do_not_fit(data: bytes, sent: dict[str, bytes], places: list[int], era: Era) -> None:
    codec = codec_of(Busy, str, era=era)
    paths = Paths({path: split(content, places) for path, content in sent.items()})
    try:
        busy, _ = codec.decode_arguments(data, paths)
    except (Incomplete, InvalidArgument):
        return
    for stream in (busy.body, busy.items):
        try:
            assert all([item is not None async for item in stream])
        except ProviderError as error:
            assert error.code in ("unavailable", "invalid_argument", "resource_exhausted")
    try:
        await busy.later
    except ProviderError as error:
        assert error.code in ("unavailable", "invalid_argument")
