"""Types of WIT from type annotations (provider_sdk/types.py)."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import AsyncIterator, Awaitable, Hashable
from enum import Enum, Flag
from typing import Annotated, Any, Union, get_args, get_origin

from provider_sdk.cli.wit.model import Builtin, Compound, Definition, Part, Ref, Resource, Type
from provider_sdk.cli.wit.names import LABEL, repeated, wit_name
from provider_sdk.errors import InvalidArgument
from provider_sdk.interface import Interface, kebab_case
from provider_sdk.types import Borrowed, Case, Character, Err, Float, Handle, Integer, Ok, Some, carried_by

_PLAIN: dict[Any, Type] = {
    str: Builtin("string"),
    bool: Builtin("bool"),
    int: Builtin("s64"),
    float: Builtin("f64"),
    bytes: Builtin("list", (Builtin("u8"),)),
}
_LISTS = (list, set, frozenset)
_NOTHING = (None, type(None))
_MOST_FLAGS = 32


def fault(path: list[str], what: str) -> InvalidArgument:
    """What cannot be in WIT, after the way to it: class and method, parameter, members."""
    return InvalidArgument(": ".join((*path, what)))


def label(name: str, path: list[str]) -> str:
    """The name, when WIT takes it as one."""
    if not LABEL.fullmatch(name):
        raise fault(
            path, f"{name!r} is no name in WIT: words of ASCII letters and digits with - between, the first beginning with a letter"
        )
    return name


def member_label(name: str, path: list[str]) -> str:
    """The WIT name of a member, parameter or method."""
    return label(name if "-" in name else kebab_case(name), path)


class Reading:
    """Reads the annotations of one declaration: `definitions` has every type that they reach by its name in WIT, after those that it needs.

    `origins` has what each name stands for: a class, or the cases of a union.
    """

    def __init__(self, declaration: type[Interface]) -> None:
        self.definitions: dict[str, Definition] = {}
        self.origins: dict[str, Hashable] = {}
        self._modules = [base.__module__ for base in declaration.__mro__]
        self._open: list[Hashable] = []
        self._resources: dict[type, str] = {}

    def type_of(self, annotation: Any, path: list[str]) -> Type:
        """The type of an annotation; InvalidArgument after `path` for what cannot be in WIT."""
        if annotation in _NOTHING:
            raise fault(path, "None alone is no type in WIT")
        if isinstance(annotation, type) and annotation in _PLAIN:
            return _PLAIN[annotation]
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._annotated(annotation, path)
        if origin in (Union, types.UnionType):
            return self._union(annotation, path)
        if origin in _LISTS or (origin is tuple and arguments[1:] == (...,)):
            return Builtin("list", (self.type_of(arguments[0], path),))
        if origin is tuple and arguments:
            return Builtin("tuple", tuple(self.type_of(item, path) for item in arguments))
        if origin is dict:
            pair = Builtin("tuple", (self.type_of(arguments[0], path), self.type_of(arguments[1], path)))
            return Builtin("list", (pair,))
        if origin is AsyncIterator:
            item = arguments[0]
            return Builtin("stream", (Builtin("u8") if item is bytes else self._carried(item, path),))
        if origin is Awaitable:
            return Builtin("future", (self._carried(arguments[0], path),))
        if isinstance(annotation, type) and origin is None:
            return self._class(annotation, path)
        raise fault(path, f"{_shown(annotation)} cannot be in WIT")

    def result(self, good: Type | None, bad: Any, path: list[str]) -> Type:
        """`result<good, bad>`; `bad` is an annotation, None where nothing is said of the error."""
        return Builtin("result", (good, self._carried(bad, path)))

    def call(self, class_: type[Handle], name: str, path: list[str]) -> None:
        """Name a resource as its functions do, whatever the class is called."""
        if self._resources.setdefault(class_, name) != name:
            raise fault(path, f"{class_.__name__} is the resource {self._resources[class_]} already")

    def lends(self, type_: Type | None) -> bool:
        """Whether a value of the type holds a borrowed resource."""
        if isinstance(type_, Ref):
            definition = self.definitions[type_.name]
            return isinstance(definition, Compound) and any(self.lends(part.type) for part in definition.parts)
        return type_ is not None and (type_.name == "borrow" or any(map(self.lends, type_.arguments)))

    def define(self, name: str, definition: Definition, origin: Hashable) -> None:
        """Remember what a name stands for."""
        self.definitions[name] = definition
        self.origins[name] = origin

    def _carried(self, annotation: Any, path: list[str]) -> Type | None:
        return None if annotation in _NOTHING else self.type_of(annotation, path)

    def _annotated(self, annotation: Any, path: list[str]) -> Type:
        inner, *notes = get_args(annotation)
        for note in notes:
            if isinstance(note, Integer):
                return Builtin(f"{'s' if note.signed else 'u'}{note.bits}")
            if isinstance(note, Float):
                return Builtin(f"f{note.bits}")
            if isinstance(note, Character):
                return Builtin("char")
            if isinstance(note, Borrowed):
                return Builtin("borrow", (self.type_of(inner, path),))
        return self.type_of(inner, path)

    def _union(self, annotation: Any, path: list[str]) -> Type:
        members = get_args(annotation)
        others = tuple(item for item in members if item not in _NOTHING)
        if len(others) < len(members):
            inner = others[0] if len(others) == 1 else others
            if get_origin(inner) is Some:
                inner = get_args(inner)[0]
            return Builtin("option", (self._cases(inner, path) if isinstance(inner, tuple) else self.type_of(inner, path),))
        return self._cases(others, path)

    def _cases(self, cases: tuple[Any, ...], path: list[str]) -> Type:
        sides = {get_origin(case): get_args(case) for case in cases}
        if sides.keys() == {Ok, Err}:
            return Builtin("result", (self._carried(sides[Ok][0], path), self._carried(sides[Err][0], path)))
        for case in cases:
            if not (isinstance(case, type) and dataclasses.is_dataclass(case)):
                raise fault(path, f"{_shown(case)} in a union: the cases of a variant are dataclasses")
        alias = self._alias(cases, path)
        return self._defined(wit_name(alias), cases, path, lambda: self._variant(alias, cases, path))

    def _alias(self, cases: tuple[Any, ...], path: list[str]) -> str:
        """The name under which the union stands in its module, or in that of a case."""
        for module in dict.fromkeys((*self._modules, *(case.__module__ for case in cases))):
            for name, value in vars(sys.modules[module]).items():
                if get_origin(value) in (Union, types.UnionType) and get_args(value) == cases:
                    return name
        shown = " | ".join(case.__name__ for case in cases)
        raise fault(path, f"a variant needs a name in WIT: write `Name = {shown}` in the module, and Name here")

    def _variant(self, alias: str, cases: tuple[Any, ...], path: list[str]) -> Definition:
        parts = []
        for case in cases:
            within = [*path, case.__name__]
            bare = case.__name__.removeprefix(alias) or case.__name__
            name = label(wit_name(bare), within)
            if issubclass(case, Case):
                parts.append(Part(name, self._carried(_carried_by(case, path), within), _docs(case)))
            elif dataclasses.fields(case):
                parts.append(Part(name, self._class(case, path)))
            else:
                parts.append(Part(name, None, _docs(case)))
        return _compound("variant", wit_name(alias), parts, "", path)

    def _class(self, class_: type, path: list[str]) -> Type:
        name = wit_name(class_.__name__)
        if issubclass(class_, Flag):
            return self._defined(name, class_, path, lambda: _flags(class_, path))
        if issubclass(class_, Enum):
            return self._defined(name, class_, path, lambda: _enumeration(class_, path))
        if issubclass(class_, Handle):
            called = self._resources.get(class_, name)
            return self._defined(called, class_, path, lambda: Resource(called, _docs(class_)))
        if dataclasses.is_dataclass(class_) and not issubclass(class_, Case | Some):
            return self._defined(name, class_, path, lambda: self._record(class_, path))
        raise fault(path, f"{class_.__name__} cannot be in WIT")

    def _record(self, class_: Any, path: list[str]) -> Definition:
        try:
            hints = typing.get_type_hints(class_, include_extras=True)
        except NameError as error:
            raise fault([*path, class_.__name__], str(error)) from None
        parts = []
        for item in dataclasses.fields(class_):
            within = [*path, f"{class_.__name__}.{item.name}"]
            parts.append(Part(member_label(item.name, within), self.type_of(hints[item.name], within)))
        return _compound("record", wit_name(class_.__name__), parts, _docs(class_), path)

    def _defined(self, name: str, origin: Hashable, path: list[str], make: typing.Callable[[], Definition]) -> Type:
        """A reference to a type that is defined at the first one; a type cannot hold itself, nor two have one name."""
        if origin in self._open:
            raise fault(path, f"{name} holds itself, which no type of WIT can")
        known = next((item for item in self.origins if item.lower() == name.lower()), None)
        if known is None:
            self._open.append(origin)
            definition = make()
            self._open.pop()
            self.define(label(name, path), definition, origin)
        elif self.origins[known] != origin:
            raise fault(path, f"two types are called {name}: {_shown(self.origins[known])} and {_shown(origin)}")
        return Ref(name)


def _compound(kind: str, name: str, parts: list[Part], docs: str, path: list[str]) -> Compound:
    if not parts:
        raise fault(path, f"{name} has no members: no {kind} of WIT is empty")
    if twice := repeated([part.name for part in parts]):
        raise fault(path, f"{name} has {twice} twice")
    return Compound(kind, name, tuple(parts), docs)


def _flags(class_: type[Flag], path: list[str]) -> Definition:
    parts = [Part(member_label(item.name or "", [*path, class_.__name__])) for item in class_]
    if len(parts) > _MOST_FLAGS:
        raise fault(path, f"{class_.__name__} has {len(parts)} members: flags of WIT have {_MOST_FLAGS} at the most")
    return _compound("flags", wit_name(class_.__name__), parts, _docs(class_), path)


def _enumeration(class_: type[Enum], path: list[str]) -> Definition:
    parts = []
    for item in class_:
        within = [*path, f"{class_.__name__}.{item.name}"]
        if not isinstance(item.value, str):
            raise fault(within, "the members of an enum are strings")
        names = (name for name in (item.value, kebab_case(item.value)) if LABEL.fullmatch(name))
        parts.append(Part(next(names, "") or member_label(item.name, within)))
    return _compound("enum", wit_name(class_.__name__), parts, _docs(class_), path)


def lent(annotation: Any) -> type[Handle] | None:
    """The class that `Borrow[…]` lends; None for another annotation."""
    inner, *notes = get_args(annotation) or (None,)
    return inner if any(isinstance(note, Borrowed) for note in notes) and isinstance(inner, type) else None


def _carried_by(case: type, path: list[str]) -> Any:
    try:
        return carried_by(case)
    except TypeError as error:
        raise fault(path, str(error)) from None


def _docs(class_: Any) -> str:
    """The docstring that was written, not the signature that a dataclass makes for itself."""
    text = vars(class_).get("__doc__") or ""
    return "" if text.startswith(f"{class_.__name__}(") else inspect.cleandoc(text).strip()


def _shown(annotation: Any) -> str:
    if isinstance(annotation, tuple):
        return " | ".join(map(_shown, annotation))
    if not isinstance(annotation, type):
        return repr(annotation)
    return annotation.__name__ if annotation.__module__ == "builtins" else f"{annotation.__module__}.{annotation.__qualname__}"
