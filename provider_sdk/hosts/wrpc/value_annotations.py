"""Kinds of values derived from type annotations."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum, Flag
from functools import partial
from typing import Annotated, Any, Union, get_args, get_origin

from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.value_compounds import Maybe, Outcome, Record, Row, Sequence, Something, Table, Variants, part
from provider_sdk.hosts.wrpc.value_kinds import (
    Blob,
    Boolean,
    Character,
    Choice,
    Flags,
    Kind,
    Nothing,
    NumberedCharacter,
    NumberedFlags,
    Octet,
    Real,
    Resource,
    Signed,
    Text,
    Unsigned,
)
from provider_sdk.hosts.wrpc.value_streams import ByteStream, Future, ItemStream
from provider_sdk.interface import kebab_case
from provider_sdk.types import Case, Err, Float, Handle, Integer, Ok, Some, carried_by
from provider_sdk.types import Character as CharacterNote

_PLAIN: dict[Any, Callable[[], Kind]] = {
    str: Text,
    bool: Boolean,
    int: lambda: Signed(Integer(64, signed=True)),
    float: lambda: Real(64),
    bytes: Blob,
    None: Nothing,
    type(None): Nothing,
}
_SEQUENCES: dict[Any, Callable[[list[Any]], Any]] = {list: list, set: set, frozenset: frozenset}


class Derivation:
    """Derives kinds for one era.

    Kinds are not cached by annotation: unions are equal whatever the order of their cases, and here the order is what counts.
    """

    def __init__(self, era: Era) -> None:
        self.first = era is Era.FIRST
        self._inside: list[type] = []

    def kind(self, annotation: Any) -> Kind:
        """The kind of an annotation; TypeError names what cannot go over the wire."""
        if isinstance(annotation, type) and not get_args(annotation):
            return self._class(annotation)
        if annotation is None:
            return Nothing()
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._annotated(arguments)
        if origin in (Union, types.UnionType):
            return self._union(annotation, arguments)
        if origin in (*_SEQUENCES, tuple, dict):
            return self._collection(origin, arguments)
        if origin is AsyncIterator:
            return self._stream(annotation, arguments[0])
        if origin is Awaitable:
            return Future(self.kind(arguments[0]))
        raise _refused(annotation)

    def _class(self, class_: type) -> Kind:
        if class_ in _PLAIN:
            return _PLAIN[class_]()
        if issubclass(class_, Handle):
            return Resource(class_)
        if issubclass(class_, Flag):
            return NumberedFlags(class_) if self.first else Flags(class_)
        if issubclass(class_, Enum):
            if not all(isinstance(item.value, str) for item in class_):
                raise TypeError(f"{class_.__name__}: an enum on the wire has string values")
            return Choice(class_)
        if dataclasses.is_dataclass(class_) and class_ is not Some:
            return self._record(class_)
        raise _refused(class_)

    def _annotated(self, arguments: tuple[Any, ...]) -> Kind:
        for note in arguments[1:]:
            if isinstance(note, Integer):
                return Octet(note) if note.bits == 8 else Signed(note) if note.signed else Unsigned(note)
            if isinstance(note, Float):
                return Real(note.bits)
            if isinstance(note, CharacterNote):
                return NumberedCharacter() if self.first else Character()
        return self.kind(arguments[0])

    def _collection(self, origin: Any, arguments: tuple[Any, ...]) -> Kind:
        if origin is dict:
            key = self.kind(arguments[0])
            _check_hashable(arguments[0], key)
            return Table(key, self.kind(arguments[1]))
        if origin is tuple and arguments[-1:] != (...,):
            return Row([(f".{number}", self.kind(item)) for number, item in enumerate(arguments)])
        item = self.kind(arguments[0])
        if origin in (set, frozenset):
            _check_hashable(arguments[0], item)
        return self._listed(arguments[0], Sequence(item, _SEQUENCES.get(origin, tuple)))

    def _stream(self, annotation: Any, item: Any) -> Kind:
        if item is bytes:
            return ByteStream(self.first)
        stream = ItemStream(self.kind(item), self.first)
        self._listed(item, stream.whole)
        return stream

    def _listed(self, annotation: Any, kind: Kind) -> Kind:
        # A count is all that a list of such items has: a few bytes could ask for any amount of memory.
        if isinstance(kind, Sequence) and not kind.item.smallest:
            raise TypeError(f"{annotation!r} takes no bytes: there are no lists or streams of it")
        return kind

    def _union(self, annotation: Any, arguments: tuple[Any, ...]) -> Kind:
        others = [item for item in arguments if item is not type(None)]
        optional = len(others) < len(arguments)
        if len(others) == 1:
            inner = self._something(others[0]) if get_origin(others[0]) is Some else self.kind(others[0])
        elif {get_origin(item) for item in others} == {Ok, Err} and len(others) == 2:
            inner = self._outcome(others)
        else:
            inner = self._variants(annotation, others)
        return Maybe(part(inner, 1, "") if self.first else inner) if optional else inner

    def _something(self, annotation: Any) -> Kind:
        return Something(self.kind(get_args(annotation)[0]))

    def _outcome(self, sides: list[Any]) -> Kind:
        payloads = {get_origin(side): self.kind(get_args(side)[0]) for side in sides}
        return Outcome(self._payload(payloads[Ok], 0, ".ok"), self._payload(payloads[Err], 1, ".err"))

    def _payload(self, kind: Kind, number: int, label: str) -> Kind:
        return part(kind, number if self.first else None, label)

    def _variants(self, annotation: Any, items: list[Any]) -> Kind:
        cases: list[tuple[str, type, Kind | None]] = []
        for number, item in enumerate(items):
            if not isinstance(item, type) or not dataclasses.is_dataclass(item) or item in (Some, Ok, Err, Case):
                raise TypeError(f"{annotation!r}: a union on the wire is made of dataclasses, or of Ok[...] and Err[...]")
            label = f".{kebab_case(item.__name__)}"
            kind = self._case(item)
            cases.append((label, item, None if kind is None else self._payload(kind, number, label)))
        return Variants(cases)

    def _case(self, item: Any) -> Kind | None:
        if issubclass(item, Case):
            return self.kind(carried_by(item))
        return self._record(item) if dataclasses.fields(item) else None

    def _record(self, type_: Any) -> Kind:
        if type_ in self._inside:
            raise TypeError(f"{type_.__name__} contains itself, which no type of WIT does")
        self._inside.append(type_)
        try:
            hints = typing.get_type_hints(type_, include_extras=True)
            fields = dataclasses.fields(type_)
            members = [(f".{kebab_case(item.name)}", self._member(type_, item, hints[item.name])) for item in fields]
        finally:
            self._inside.pop()
        names = [item.name for item in fields]
        make = partial(_by_keyword, type_, names) if any(item.kw_only for item in fields) else type_
        return Record(type_, members, names, make)

    def _member(self, type_: Any, item: dataclasses.Field[Any], annotation: Any) -> Kind:
        if not item.init:
            raise TypeError(f"{type_.__name__}.{item.name}: a member on the wire is given to __init__")
        try:
            return self.kind(annotation)
        except TypeError as error:
            raise TypeError(f"{type_.__name__}.{item.name}: {error}") from None


def _by_keyword(type_: Callable[..., Any], names: list[str], *values: Any) -> Any:
    return type_(**dict(zip(names, values, strict=True)))


def _check_hashable(annotation: Any, kind: Kind) -> None:
    if not kind.hashable:
        raise TypeError(f"{annotation!r} can be neither a key nor in a set")


def _refused(annotation: Any) -> TypeError:
    return TypeError(
        f"{annotation!r} cannot go over the wire: use sized integers, str, bytes, bool, float, dataclasses, enums, flags, handles, "
        "lists, dicts, unions, async iterators, awaitables"
    )
