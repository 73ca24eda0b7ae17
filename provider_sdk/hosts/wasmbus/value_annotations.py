"""Kinds of values derived from type annotations."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache, partial
from typing import Annotated, Any, Union, get_args, get_origin

from provider_sdk.hosts.wasmbus.value_kinds import (
    Blob,
    Choice,
    Document,
    Flag,
    Kind,
    Later,
    Maybe,
    Member,
    Nothing,
    Real,
    Row,
    Sequence,
    Structure,
    Table,
    Text,
    Variants,
    Whole,
)
from provider_sdk.interface import camel_case
from provider_sdk.types import BareMember, Case, Float, Integer, carried_by

_PLAIN: dict[Any, Callable[[], Kind]] = {
    str: Text,
    bool: Flag,
    int: lambda: Whole(Integer(64, signed=True)),
    float: lambda: Real(single=False),
    bytes: Blob,
    None: Nothing,
    type(None): Nothing,
    Any: Document,
}
_SEQUENCES: dict[Any, Callable[[list[Any]], Any]] = {list: list, set: set, frozenset: frozenset}
_deriving: set[Any] = set()


@cache
def kind_of(annotation: Any) -> Kind:
    """The kind of an annotation; TypeError names what cannot go over the wire."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]()
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(annotation, arguments)
    if origin in (Union, types.UnionType):
        return _union(annotation, arguments)
    if origin in _SEQUENCES:
        return Sequence(kind_of(arguments[0]), _SEQUENCES[origin])
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is ...:
            return Sequence(kind_of(arguments[0]), tuple)
        return Row([kind_of(item) for item in arguments])
    if origin is dict:
        return Table(kind_of(arguments[0]), kind_of(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        if not all(isinstance(item.value, str) for item in annotation):
            raise TypeError(f"{annotation.__name__}: an enum on the wire has string values")
        return Choice(annotation)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _structure(annotation)
    raise TypeError(
        f"{annotation!r} cannot go over the wire: use sized integers, str, bytes, bool, float, dataclasses, enums, lists, dicts, unions"
    )


def _annotated(annotation: Any, arguments: tuple[Any, ...]) -> Kind:
    for note in arguments[1:]:
        if isinstance(note, Integer):
            return Whole(note)
        if isinstance(note, Float):
            return Real(single=note.bits == 32)
        if isinstance(note, BareMember):
            return _with_bare(kind_of(arguments[0]), note.name)
    return kind_of(arguments[0])


def _with_bare(kind: Kind, name: str) -> Kind:
    if not isinstance(kind, Structure):
        raise TypeError(f"BareMember({name!r}) is for a dataclass")
    wire = next((member.wire for member in kind.members if member.name == name), None)
    if wire is None:
        raise TypeError(f"BareMember({name!r}): there is no such member")
    return Structure(kind.members, kind.make, kind.type, wire)


def _union(annotation: Any, arguments: tuple[Any, ...]) -> Kind:
    others = [item for item in arguments if item is not type(None)]
    if len(others) == 1:
        return Maybe(kind_of(others[0]))
    cases: dict[str, tuple[type, Kind | None]] = {}
    for item in others:
        if not isinstance(item, type) or not dataclasses.is_dataclass(item):
            raise TypeError(f"{annotation!r}: a union on the wire is made of dataclasses")
        cases[item.__name__] = (item, _variant(item))
    variants = Variants(cases)
    return Maybe(variants) if len(others) < len(arguments) else variants


def _variant(item: Any) -> Kind | None:
    if issubclass(item, Case):
        return kind_of(carried_by(item))
    return kind_of(item) if dataclasses.fields(item) else None


def _structure(type_: type) -> Kind:
    if type_ in _deriving:
        return Later(partial(kind_of, type_))
    _deriving.add(type_)
    try:
        hints = typing.get_type_hints(type_, include_extras=True)
        members = [_member(type_, item, hints[item.name]) for item in dataclasses.fields(type_)]
    finally:
        _deriving.discard(type_)
    return Structure(members, type_, type_)


def _member(type_: type, item: dataclasses.Field[Any], annotation: Any) -> Member:
    try:
        kind = kind_of(annotation)
    except TypeError as error:
        raise TypeError(f"{type_.__name__}.{item.name}: {error}") from None
    default: Callable[[], Any] | None = None
    if item.default is not dataclasses.MISSING:
        default = _constant(item.default)
    elif item.default_factory is not dataclasses.MISSING:
        default = item.default_factory
    return Member(item.name, item.metadata.get("name") or camel_case(item.name), kind, default)


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value
