"""Arguments that come as JSON, made values of the types of a 1.x operation. What is plain is left to whoever encodes it to check."""

from __future__ import annotations

import base64
import dataclasses
import types
import typing
from collections.abc import Collection, Mapping
from enum import Enum, Flag
from typing import Annotated, Any, Union, get_args, get_origin

from provider_sdk.errors import InvalidArgument
from provider_sdk.interface import Operation, kebab_case
from provider_sdk.types import Case, Some, carried_by


def arguments_of(operation: Operation, value: Any, given: bool) -> tuple[Any, ...]:
    """The arguments in declared order: one comes bare, several as a map by name, however spelled; InvalidArgument for what does not fit."""
    parameters = operation.parameters
    if len(parameters) == 1 and given:
        return (value_of(parameters[0].annotation, value, parameters[0].name),)
    annotations = {item.name: item.annotation for item in parameters}
    spare = {name for name, item in operation.signature.parameters.items() if item.default is not item.empty}
    return operation.bind((), _members(value if given else {}, annotations, spare, operation.function))


def value_of(annotation: Any, value: Any, place: str) -> Any:
    """The value of a type that `value`, as `json.loads` gives it, stands for; `place` names it in errors. InvalidArgument."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return value_of(inner[0], value, place)
    if origin in (Union, types.UnionType):
        return _one_of(inner, value, place)
    if origin in (list, set, frozenset, tuple):
        return _collection(origin, inner, value, place)
    if origin is dict:
        pairs = value.items() if isinstance(value, dict) else _pairs(value, place)
        return {value_of(inner[0], key, place): value_of(inner[1], item, f"{place}.{key}") for key, item in pairs}
    if origin is not None:
        raise InvalidArgument(f"{place}: streams and futures are for programs, see provider_sdk.lattice.attach")
    return _of_class(annotation, value, place) if isinstance(annotation, type) else value


def _of_class(class_: type[Any], value: Any, place: str) -> Any:
    if issubclass(class_, bytes):
        return class_(_octets(value, place))
    if issubclass(class_, Flag):
        names = _expected(list, value, place, "a list of flags")
        return class_(sum(_named(class_, name, place).value for name in dict.fromkeys(map(str, names))))
    if issubclass(class_, Enum):
        return _named(class_, value, place)
    if issubclass(class_, float) and type(value) is int:
        return float(value)
    if dataclasses.is_dataclass(class_):
        fields = dataclasses.fields(class_)
        hints = typing.get_type_hints(class_, include_extras=True)
        unset = dataclasses.MISSING
        spare = {item.name for item in fields if item.default is not unset or item.default_factory is not unset}
        return class_(**_members(value, {item.name: hints[item.name] for item in fields}, spare, place))
    return value


def _members(value: Any, annotations: Mapping[str, Any], spare: Collection[str], place: str) -> dict[str, Any]:
    """Members by name; those in `spare`, and options, may be left out."""
    given = {kebab_case(str(name)): item for name, item in _expected(dict, value, place, "a map").items()}
    members = {}
    for name, annotation in annotations.items():
        short = kebab_case(name)
        if short in given:
            members[name] = value_of(annotation, given.pop(short), name)
        elif name not in spare:
            if type(None) not in get_args(annotation):
                raise InvalidArgument(f"{place}: {name} is missing")
            members[name] = None
    for name in given:
        raise InvalidArgument(f"{place}: {name} is not known; there is {', '.join(annotations) or 'nothing to give'}")
    return members


def _one_of(items: tuple[Any, ...], value: Any, place: str) -> Any:
    cases = [item for item in items if item is not type(None)]
    if value is None and len(cases) < len(items):
        return None
    if len(cases) == 1:
        return Some(value_of(get_args(cases[0])[0], value, place)) if get_origin(cases[0]) is Some else value_of(cases[0], value, place)
    names = {(get_origin(item) or item).__name__: item for item in cases}
    wanted, content = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else (value, None)
    for name, case in names.items():
        if wanted in (name, kebab_case(name)):
            class_ = get_origin(case) or case
            if not issubclass(class_, Case):
                return value_of(class_, content or {}, f"{place}.{name}")
            return class_(value_of(get_args(case)[0] if get_args(case) else carried_by(class_), content, f"{place}.{name}"))
    raise InvalidArgument(f'{place}: expected {{"CASE": value}} or "CASE", with one of {", ".join(names)}')


def _collection(origin: Any, inner: tuple[Any, ...], value: Any, place: str) -> Any:
    items = _expected(list, value, place, "a list")
    if origin is not tuple or inner[-1] is ...:
        return origin(value_of(inner[0], item, f"{place}[{number}]") for number, item in enumerate(items))
    if len(items) != len(inner):
        raise InvalidArgument(f"{place}: expected a list of {len(inner)}, got one of {len(items)}")
    return tuple(value_of(one, item, f"{place}[{number}]") for number, (one, item) in enumerate(zip(inner, items, strict=True)))


def _pairs(value: Any, place: str) -> list[Any]:
    pairs: list[Any] = _expected(list, value, place, "a map")
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise InvalidArgument(f"{place}: expected a map, or a list of pairs")
    return pairs


def _named(class_: type[Any], value: Any, place: str) -> Any:
    for member in class_:
        if value in (member.value, member.name) or kebab_case(str(value)) == kebab_case(str(member.name)):
            return member
    raise InvalidArgument(f"{place}: {value!r} is not one of {', '.join(member.name for member in class_)}")


def _octets(value: Any, place: str) -> bytes:
    """Text, `{"base64": …}` as results have it, or a list of numbers."""
    try:
        if isinstance(value, dict) and list(value) == ["base64"]:
            return base64.b64decode(value["base64"], validate=True)
        return value.encode() if isinstance(value, str) else bytes(_expected(list, value, place, "bytes"))
    except (ValueError, TypeError):
        raise InvalidArgument(f'{place}: expected text, {{"base64": …}} or a list of numbers from 0 to 255') from None


def _expected(type_: type[Any], value: Any, place: str, what: str) -> Any:
    if not isinstance(value, type_):
        raise InvalidArgument(f"{place}: expected {what}, got {type(value).__name__}")
    return value
