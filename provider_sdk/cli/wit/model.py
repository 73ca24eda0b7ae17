"""A WIT package: interfaces, their types and functions. Both directions of `provider wit` meet here.

Names are WIT's own, without the `%` that a keyword has in text. A function of a resource is called as on the wire:
`[constructor]thing`, `[method]thing.add`, `[static]thing.make`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

_FUNCTION = re.compile(r"\[(constructor|method|static)\]([^.]+)(?:\.(.+))?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a WIT file; lines and columns count from 1."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Builtin:
    """A type of WIT itself with its arguments; None is `_`, or the side of a result that carries nothing."""

    name: str
    arguments: tuple[Type | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Ref:
    """A type by its name in the interface."""

    name: str
    place: Place = field(default=Place(), compare=False)


Type: TypeAlias = Builtin | Ref


@dataclass(frozen=True, slots=True)
class Part:
    """A member of a record, a case of a variant or an enum, a label of flags; `type` is None where it carries nothing."""

    name: str
    type: Type | None = None
    docs: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Compound:
    """A type of named parts: `kind` is record, variant, enum or flags."""

    kind: str
    name: str
    parts: tuple[Part, ...]
    docs: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource; its functions are among the interface's."""

    name: str
    docs: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a type."""

    name: str
    type: Type
    docs: str = field(default="", compare=False)


Definition: TypeAlias = Compound | Resource | Alias


@dataclass(frozen=True, slots=True)
class Function:
    """A function; a method's parameters do not name the resource itself, and a constructor has a result only where it can fail."""

    name: str
    parameters: tuple[tuple[str, Type], ...]
    result: Type | None
    docs: str = field(default="", compare=False)

    @property
    def resource(self) -> str:
        """The resource it belongs to; empty for a function of the interface."""
        found = _FUNCTION.fullmatch(self.name)
        return found[2] if found else ""

    @property
    def role(self) -> str:
        """`constructor`, `method` or `static`; empty for a function of the interface."""
        found = _FUNCTION.fullmatch(self.name)
        return found[1] if found else ""

    @property
    def bare(self) -> str:
        """The name within the resource or the interface; empty for a constructor."""
        found = _FUNCTION.fullmatch(self.name)
        return (found[3] or "") if found else self.name

    @property
    def within(self) -> str:
        """The name that no other function of the interface may have: methods and static functions of a resource share theirs."""
        return f"{self.resource}.{self.bare}" if self.bare and self.resource else self.name


@dataclass(frozen=True, slots=True)
class Use:
    """A type of another interface (`name` of the same package, or `ns:pkg/name@version`), here called `name`."""

    interface: str
    original: str
    name: str
    place: Place = field(default=Place(), compare=False)


@dataclass(frozen=True, slots=True)
class WitInterface:
    """An interface: types of others that it uses, its own types, its functions."""

    name: str
    uses: tuple[Use, ...] = ()
    types: tuple[Definition, ...] = ()
    functions: tuple[Function, ...] = ()
    docs: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Package:
    """A package: `name` is `namespace:name`, `version` may be empty."""

    name: str
    version: str
    interfaces: tuple[WitInterface, ...]
    docs: str = field(default="", compare=False)

    @property
    def id(self) -> str:
        """`namespace:name@version`."""
        return f"{self.name}@{self.version}" if self.version else self.name

    def identity(self, interface: str) -> str:
        """`namespace:name/interface@version`, as `wit=` and messages have it."""
        return f"{self.name}/{interface}@{self.version}" if self.version else f"{self.name}/{interface}"


def refs(item: Definition | Function | Type | None) -> Iterator[Ref]:
    """Every type by name that a definition, a function or a type mentions."""
    if isinstance(item, Ref):
        yield item
    elif isinstance(item, Builtin):
        for argument in item.arguments:
            yield from refs(argument)
    elif isinstance(item, Compound):
        for part in item.parts:
            yield from refs(part.type)
    elif isinstance(item, Alias):
        yield from refs(item.type)
    elif isinstance(item, Function):
        for _, type_ in item.parameters:
            yield from refs(type_)
        yield from refs(item.result)
