"""Kinds of values: how each goes to and comes from plain msgpack data (wasmbus-0x.md §5.2).

A Kind checks while it converts. A fault is raised as `Fault` and gathers its path on the way out: the good case pays nothing for it.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any, ClassVar

from provider_sdk.hosts.wasmbus.envelope import kind as words
from provider_sdk.types import Case, Integer

DEEPEST = 64


class Fault(Exception):
    """A value that does not fit; `path` grows from the inside out."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def within(self, step: str) -> Fault:
        """The same fault, one step further out."""
        self.path.append(step)
        return self

    def describe(self, root: str) -> str:
        """`header.accept[2]: expected a string, got an integer`."""
        path = "".join(reversed(self.path)).lstrip(".")
        return f"{path or root}: {self.problem}"


class Single(float):
    """A float that is packed in 32 bits."""


class Kind:
    """One kind of value. `zero` is what a missing required member reads as (`MISSING`: it is a fault)."""

    MISSING: ClassVar[object] = object()
    name = "a value"
    zero: Any = MISSING

    def read(self, value: Any) -> Any:
        """From plain data, checked."""
        raise Fault(f"expected {self.name}, got {words(value)}")

    def write(self, value: Any) -> Any:
        """To plain data, checked: by default the same rule as reading."""
        return self.read(value)

    def write_member(self, value: Any) -> Any:
        """To plain data as a structure's member."""
        return self.write(value)

    def wrong(self, value: Any) -> Fault:
        """The fault of another type."""
        return Fault(f"expected {self.name}, got {words(value)}")


class Text(Kind):
    """str."""

    name = "a string"
    zero = ""

    def read(self, value: Any) -> Any:
        if type(value) is not str:
            if isinstance(value, str):
                return str(value)
            raise self.wrong(value)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Fault("expected a string, got one that is not UTF-8") from None
        return value


class Flag(Kind):
    """bool."""

    name = "a boolean"
    zero = False

    def read(self, value: Any) -> Any:
        if value is True or value is False:
            return value
        raise self.wrong(value)


class Whole(Kind):
    """int of a size."""

    name = "an integer"
    zero = 0

    def __init__(self, size: Integer) -> None:
        self.lowest, self.highest = size.lowest, size.highest
        self.label = f"{'S' if size.signed else 'U'}{size.bits}"

    def read(self, value: Any) -> Any:
        if type(value) is not int:
            raise self.wrong(value)
        if not self.lowest <= value <= self.highest:
            raise Fault(f"{value} is out of range for {self.label} ({self.lowest} to {self.highest})")
        return value


class Real(Kind):
    """float; whole numbers are taken."""

    name = "a number"
    zero = 0.0

    def __init__(self, single: bool) -> None:
        self.single = single

    def read(self, value: Any) -> Any:
        if type(value) is not float and type(value) is not int:
            raise self.wrong(value)
        try:
            return float(value)
        except OverflowError:
            raise Fault("a number is out of range for F64") from None

    def write(self, value: Any) -> Any:
        number = self.read(value)
        if not self.single:
            return number
        try:
            struct.pack(">f", number)
        except OverflowError:
            raise Fault(f"{number} is out of range for F32") from None
        return Single(number)


class Blob(Kind):
    """bytes: bin as a structure's member, elsewhere an array of small integers; every form is read."""

    name = "bytes"
    zero = b""

    def read(self, value: Any) -> Any:
        if type(value) is bytes:
            return value
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if isinstance(value, list):
            try:
                return bytes(value)
            except (ValueError, TypeError):
                raise Fault("expected bytes, got an array of something else than integers from 0 to 255") from None
        raise self.wrong(value)

    def write(self, value: Any) -> Any:
        return list(self.write_member(value))

    def write_member(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return value
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        raise self.wrong(value)


class Nothing(Kind):
    """None."""

    name = "nil"
    zero = None

    def read(self, value: Any) -> Any:
        if value is not None:
            raise self.wrong(value)


class Document(Kind):
    """Any: a plain value as msgpack has it."""

    zero = None

    def read(self, value: Any) -> Any:
        return value


class Maybe(Kind):
    """`T | None`: nil is read as None; a member that is None is left out."""

    zero = None

    def __init__(self, inner: Kind) -> None:
        self.inner = inner
        self.name = f"{inner.name} or nil"

    def read(self, value: Any) -> Any:
        return None if value is None else self.inner.read(value)

    def write(self, value: Any) -> Any:
        return None if value is None else self.inner.write(value)

    def write_member(self, value: Any) -> Any:
        return None if value is None else self.inner.write_member(value)


class Sequence(Kind):
    """list, tuple[T, ...], set, frozenset."""

    name = "an array"

    def __init__(self, item: Kind, make: Callable[[list[Any]], Any]) -> None:
        self.item, self.make = item, make
        self._of_text = type(item) is Text

    def read(self, value: Any) -> Any:
        if not isinstance(value, list):
            raise self.wrong(value)
        if self._of_text and _all_plain(value):
            return self.gather(value)
        return self.gather(_each(self.item.read, value))

    def gather(self, items: list[Any]) -> Any:
        """The items, read, in the declared collection; Fault where a set cannot hold one."""
        try:
            return self.make(items)
        except TypeError:
            raise Fault("a set cannot hold an array or a map") from None

    def accept(self, value: Any) -> Any:
        """A value to write that is a collection of items; Fault for others, strings among them."""
        if not isinstance(value, list | tuple | AbstractSet):
            raise self.wrong(value)
        return value

    def write(self, value: Any) -> Any:
        if self._of_text and type(value) is list and _all_plain(value):
            return value
        return _each(self.item.write, self.accept(value))


def _all_plain(items: list[Any]) -> bool:
    """Whether all are strings that need no look, which most are: the values of HTTP headers, for one."""
    return all(type(item) is str and item.isascii() for item in items)


def _each(convert: Callable[[Any], Any], items: Any) -> list[Any]:
    out: list[Any] = []
    try:
        for item in items:
            out.append(convert(item))  # noqa: PERF401 - the length so far is the index of the fault
    except Fault as fault:
        raise fault.within(f"[{len(out)}]") from None
    return out


class Row(Kind):
    """tuple[A, B]: an array of just so many."""

    def __init__(self, items: list[Kind]) -> None:
        self.items = items
        self.name = f"an array of {len(items)}"

    def read(self, value: Any) -> Any:
        return tuple(self._convert(value, [item.read for item in self.items]))

    def write(self, value: Any) -> Any:
        return self._convert(value, [item.write for item in self.items])

    def _convert(self, value: Any, converters: list[Callable[[Any], Any]]) -> list[Any]:
        if not isinstance(value, list | tuple) or len(value) != len(converters):
            raise self.wrong(value)
        pairs = iter(zip(converters, value, strict=True))
        return _each(lambda pair: pair[0](pair[1]), pairs)


class Table(Kind):
    """dict."""

    name = "a map"

    def __init__(self, key: Kind, item: Kind) -> None:
        self.key, self.item = key, item

    def read(self, value: Any) -> Any:
        return self._convert(value, self.key.read, self.item.read)

    def write(self, value: Any) -> Any:
        return self._convert(value, self.key.read if type(self.key) is Text else self.key.write, self.item.write)

    def _convert(self, value: Any, key_of: Callable[[Any], Any], item_of: Callable[[Any], Any]) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise self.wrong(value)
        out = {}
        for key, item in value.items():
            try:
                out[key_of(key)] = item_of(item)
            except Fault as fault:
                raise fault.within(f".{key}"[:80]) from None
            except TypeError:
                raise Fault(f"{words(key)} cannot be a key") from None
        return out


class Choice(Kind):
    """Enum with string values."""

    def __init__(self, enum: type[Enum]) -> None:
        self.enum = enum
        self.name = f"one of {', '.join(str(item.value) for item in enum)}"

    def read(self, value: Any) -> Any:
        try:
            return self.enum(value)
        except ValueError:
            raise Fault(f"expected {self.name}, got {str(value)[:64]!r}") from None

    def write(self, value: Any) -> Any:
        if not isinstance(value, self.enum):
            raise self.wrong(value)
        return value.value


@dataclasses.dataclass(slots=True)
class Member:
    """One member of a structure or one of several parameters; `default` is a factory or None."""

    name: str
    wire: str
    kind: Kind
    default: Callable[[], Any] | None

    def missing(self) -> Any:
        """What it reads as when it is not there."""
        if self.default is not None:
            return self.default()
        if self.kind.zero is Kind.MISSING:
            raise Fault("missing").within(f".{self.wire}")
        return self.kind.zero


class Structure(Kind):
    """A dataclass, or the parameters of an operation: a map by member name, read from an array in declared order as well.

    Text is read as the value of the member `bare`, where there is one.
    """

    name = "a map"

    def __init__(self, members: list[Member], make: Callable[..., Any], type_: type | None = None, bare: str = "") -> None:
        self.members, self.make, self.type, self.bare = members, make, type_, bare
        self._writing: list[tuple[str, str, Callable[[Any], Any], bool]] = []

    def read(self, value: Any) -> Any:
        if isinstance(value, list):
            if len(value) > len(self.members):
                raise Fault(f"expected at most {len(self.members)} members, got {len(value)}")
            value = {member.wire: item for member, item in zip(self.members, value, strict=False)}
        elif self.bare and isinstance(value, str):
            value = {self.bare: value}
        elif not isinstance(value, dict):
            raise self.wrong(value)
        out = []
        for member in self.members:
            item = value.get(member.wire)
            if item is None and (member.wire not in value or member.default is not None):
                out.append(member.missing())
                continue
            try:
                out.append(member.kind.read(item))
            except Fault as fault:
                raise fault.within(f".{member.wire}") from None
        return self.make(*out)

    def write(self, value: Any) -> Any:
        if self.type is not None and not isinstance(value, self.type):
            raise Fault(f"expected {self.type.__name__}, got {type(value).__name__}")
        # Not in __init__, where a structure that contains itself is not whole yet.
        writing = self._writing = self._writing or [(m.name, m.wire, _writer(m.kind), isinstance(m.kind, Maybe)) for m in self.members]
        items = value if self.type is None else [getattr(value, name) for name, _, _, _ in writing]
        out = {}
        for (_, wire, write, optional), item in zip(writing, items, strict=True):
            if item is None and optional:
                continue
            try:
                out[wire] = write(item)
            except Fault as fault:
                raise fault.within(f".{wire}") from None
        return out


def _writer(kind: Kind) -> Callable[[Any], Any]:
    """What writes a member of this kind, without the steps in between that most kinds inherit."""
    if type(kind).write_member is not Kind.write_member:
        return kind.write_member
    return kind.read if type(kind).write is Kind.write else kind.write


class Variants(Kind):
    """A union of dataclasses: `{"Variant": value}`; one without members is its bare name."""

    def __init__(self, cases: dict[str, tuple[type, Kind | None]]) -> None:
        self.cases = cases
        self.by_type = {type_: (name, kind) for name, (type_, kind) in cases.items()}
        self.name = f"one of {', '.join(cases)}"

    def read(self, value: Any) -> Any:
        if isinstance(value, str) and value in self.cases and self.cases[value][1] is None:
            return self.cases[value][0]()
        if not isinstance(value, dict) or len(value) != 1:
            raise self.wrong(value)
        ((name, content),) = value.items()
        if name not in self.cases:
            raise Fault(f"expected {self.name}, got {str(name)[:64]!r}")
        type_, kind = self.cases[name]
        if kind is None:
            return type_()
        try:
            read = kind.read(content)
        except Fault as fault:
            raise fault.within(f".{name}") from None
        return type_(read) if issubclass(type_, Case) else read

    def write(self, value: Any) -> Any:
        found = self.by_type.get(type(value))
        if found is None:
            raise Fault(f"expected {self.name}, got {type(value).__name__}")
        name, kind = found
        if kind is None:
            return name
        try:
            return {name: kind.write_member(value.value if isinstance(value, Case) else value)}
        except Fault as fault:
            raise fault.within(f".{name}") from None


class Later(Kind):
    """A dataclass that contains itself, looked up when first used."""

    def __init__(self, look_up: Callable[[], Kind]) -> None:
        self._look_up = look_up

    @property
    def kind(self) -> Kind:
        """What it stands for."""
        return self._look_up()

    def read(self, value: Any) -> Any:
        return self.kind.read(value)

    def write(self, value: Any) -> Any:
        return self.kind.write(value)
