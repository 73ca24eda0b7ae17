"""Kinds of values with parts: tuples, records, lists, options, results, variants (wrpc-1x.md §4.1).

Only parts that hold streams or futures need to know where they stand: those are wrapped in `Step`, which puts the place back behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from provider_sdk.hosts.wrpc.value_bytes import BYTES, Fault, Incomplete, Reader, Writer, unsigned_leb
from provider_sdk.hosts.wrpc.value_kinds import Kind
from provider_sdk.types import Case, Err, Ok, Some


class Step(Kind):
    """A part that holds streams or futures, at an index of the whole (§3.3); None where the protocol gives it none."""

    deferred = True

    def __init__(self, kind: Kind, index: int | None, label: str) -> None:
        self.kind, self.index, self.label = kind, index, label
        self.name, self.smallest, self.hashable = kind.name, kind.smallest, kind.hashable

    def read(self, reader: Reader) -> Any:
        whole = reader.place
        reader.place = whole.step(self.index, self.label)
        value = self.kind.read(reader)
        reader.place = whole
        return value

    def write(self, writer: Writer, value: Any) -> None:
        whole = writer.place
        writer.place = whole.step(self.index, self.label)
        self.kind.write(writer, value)
        writer.place = whole

    def paths(self) -> tuple[str, ...]:
        if self.index is None:
            return self.kind.paths()
        return tuple(f"{self.index}.{path}" if path else str(self.index) for path in self.kind.paths())


def part(kind: Kind, index: int | None, label: str) -> Kind:
    """A kind as a part of a whole."""
    return Step(kind, index, label) if kind.deferred else kind


class Row(Kind):
    """tuple[A, B], and what operations and records share: members one behind the other. `labels` name them in messages."""

    def __init__(self, members: list[tuple[str, Kind]], numbered: bool = True) -> None:
        self.kinds = [part(kind, number if numbered else None, label) for number, (label, kind) in enumerate(members)]
        self.labels = [label for label, _ in members]
        self.reads = tuple(kind.read for kind in self.kinds)
        self.writes = tuple(kind.write for kind in self.kinds)
        self.name = f"a tuple of {len(members)}"
        self.smallest = sum(kind.smallest for kind in self.kinds)
        self.deferred = any(kind.deferred for kind in self.kinds)
        self.hashable = all(kind.hashable for kind in self.kinds)

    def read(self, reader: Reader) -> Any:
        return tuple(self.read_all(reader))

    def read_all(self, reader: Reader) -> list[Any]:
        """The members' values."""
        values: list[Any] = []
        try:
            for read in self.reads:
                values.append(read(reader))  # noqa: PERF401 - the length so far is the number of the fault
        except Fault as fault:
            raise fault.within(self.labels[len(values)]) from None
        return values

    def write(self, writer: Writer, value: Any) -> None:
        if not isinstance(value, tuple | list) or len(value) != len(self.kinds):
            raise self.wrong(value)
        self.write_all(writer, value)

    def write_all(self, writer: Writer, values: Iterable[Any]) -> None:
        """As many values as there are members."""
        number = 0
        try:
            for number, value in enumerate(values):
                self.writes[number](writer, value)
        except Fault as fault:
            raise fault.within(self.labels[number]) from None

    def paths(self) -> tuple[str, ...]:
        return tuple(path for kind in self.kinds for path in kind.paths())


class Record(Row):
    """A dataclass; `names` are its members as Python has them."""

    def __init__(self, type_: type, members: list[tuple[str, Kind]], names: list[str], make: Callable[..., Any]) -> None:
        super().__init__(members)
        self.type, self.names, self.make = type_, names, make
        self.name = type_.__name__
        self.hashable = type_.__hash__ is not None and self.hashable

    def read(self, reader: Reader) -> Any:
        values = self.read_all(reader)
        try:
            return self.make(*values)
        except ValueError as error:
            raise Fault(str(error)) from None

    def write(self, writer: Writer, value: Any) -> None:
        if not isinstance(value, self.type):
            raise self.wrong(value)
        self.write_all(writer, [getattr(value, name) for name in self.names])


class Sequence(Kind):
    """list, tuple[T, ...], set, frozenset: a count, then the items."""

    name = "a list"

    def __init__(self, item: Kind, make: Callable[[list[Any]], Any]) -> None:
        self.item, self.make = item, make
        self.deferred = item.deferred
        self.hashable = make in (tuple, frozenset) and item.hashable

    def read(self, reader: Reader) -> Any:
        count = reader.count()
        missing = count * self.item.smallest - (len(reader.data) - reader.at)
        if missing > 0:
            raise Incomplete(missing)
        return self.make(self._items(reader, count))

    def _items(self, reader: Reader, count: int) -> list[Any]:
        read, items, place = self.item.read, [], reader.place
        try:
            for number in range(count):
                if self.deferred:
                    reader.place = place.step(number, f"[{number}]")
                items.append(read(reader))
        except Fault as fault:
            raise fault.within(f"[{len(items)}]") from None
        except Incomplete as cut:
            # With each message all is read again, from the start: the less often, the larger the list.
            raise Incomplete(cut.missing + (count - len(items) - 1) * self.item.smallest) from None
        return items

    def write(self, writer: Writer, value: Any) -> None:
        if not isinstance(value, list | tuple | AbstractSet):
            raise self.wrong(value)
        self.write_items(writer, value)

    def write_items(self, writer: Writer, items: Any) -> None:
        """The count and the items of a sized collection."""
        write, number, place = self.item.write, 0, writer.place
        writer.append(unsigned_leb(len(items)))
        try:
            for number, item in enumerate(items):
                if self.deferred:
                    writer.place = place.step(number, f"[{number}]")
                write(writer, item)
        except Fault as fault:
            raise fault.within(f"[{number}]") from None


class Table(Sequence):
    """dict: list<tuple<K, V>>, no key twice."""

    name = "a dict"

    def __init__(self, key: Kind, item: Kind) -> None:
        super().__init__(Row([(".key", key), (".value", item)]), _table)
        self.hashable = False

    def write(self, writer: Writer, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise self.wrong(value)
        self.write_items(writer, value.items())


def _table(pairs: list[Any]) -> dict[Any, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise Fault("the same key stands there twice")
    return table


class Maybe(Kind):
    """`T | None`: 00, or 01 and T."""

    def __init__(self, inner: Kind) -> None:
        self.inner = inner
        self.name = f"{inner.name} or None"
        self.deferred, self.hashable = inner.deferred, inner.hashable

    def read(self, reader: Reader) -> Any:
        return self.inner.read(reader) if reader.choice() else None

    def write(self, writer: Writer, value: Any) -> None:
        if value is None:
            writer.append(b"\x00")
        else:
            writer.append(b"\x01")
            self.inner.write(writer, value)

    def paths(self) -> tuple[str, ...]:
        return self.inner.paths()


class Something(Kind):
    """`Some[T]`, inside `Some[T] | None`: T, told apart from None."""

    def __init__(self, inner: Kind) -> None:
        self.inner = inner
        self.name = "Some"
        self.smallest, self.deferred, self.hashable = inner.smallest, inner.deferred, inner.hashable

    def read(self, reader: Reader) -> Any:
        return Some(self.inner.read(reader))

    def write(self, writer: Writer, value: Any) -> None:
        if not isinstance(value, Some):
            raise self.wrong(value)
        self.inner.write(writer, value.value)

    def paths(self) -> tuple[str, ...]:
        return self.inner.paths()


class Outcome(Kind):
    """`Ok[T] | Err[E]`: 00 and T, or 01 and E."""

    name = "Ok or Err"

    def __init__(self, good: Kind, bad: Kind) -> None:
        self.good, self.bad = good, bad
        self.deferred = good.deferred or bad.deferred
        self.hashable = good.hashable and bad.hashable

    def read(self, reader: Reader) -> Any:
        bad = reader.choice()
        try:
            return Err(self.bad.read(reader)) if bad else Ok(self.good.read(reader))
        except Fault as fault:
            raise fault.within(".err" if bad else ".ok") from None

    def write(self, writer: Writer, value: Any) -> None:
        bad = isinstance(value, Err)
        if not bad and not isinstance(value, Ok):
            raise self.wrong(value)
        writer.append(BYTES[bad])
        try:
            (self.bad if bad else self.good).write(writer, value.value)
        except Fault as fault:
            raise fault.within(".err" if bad else ".ok") from None

    def paths(self) -> tuple[str, ...]:
        return _distinct([self.good, self.bad])


class Variants(Kind):
    """A union of dataclasses: the number of the case, and its payload, if it has one."""

    def __init__(self, cases: list[tuple[str, type, Kind | None]]) -> None:
        self.cases = cases
        self.numbers = {type_: number for number, (_, type_, _) in enumerate(cases)}
        self.name = f"one of {', '.join(type_.__name__ for _, type_, _ in cases)}"
        payloads = [kind for _, _, kind in cases if kind is not None]
        self.deferred = any(kind.deferred for kind in payloads)
        self.hashable = all(type_.__hash__ is not None for _, type_, _ in cases) and all(kind.hashable for kind in payloads)

    def read(self, reader: Reader) -> Any:
        number = reader.unsigned(32)
        if number >= len(self.cases):
            raise Fault(f"expected {self.name}, got number {number}")
        label, type_, kind = self.cases[number]
        if kind is None:
            return type_()
        try:
            content = kind.read(reader)
        except Fault as fault:
            raise fault.within(label) from None
        return type_(content) if issubclass(type_, Case) else content

    def write(self, writer: Writer, value: Any) -> None:
        number = self.numbers.get(type(value))
        if number is None:
            raise self.wrong(value)
        label, _, kind = self.cases[number]
        writer.append(unsigned_leb(number))
        if kind is None:
            return
        try:
            kind.write(writer, value.value if isinstance(value, Case) else value)
        except Fault as fault:
            raise fault.within(label) from None

    def paths(self) -> tuple[str, ...]:
        return _distinct([kind for _, _, kind in self.cases if kind is not None])


def _distinct(kinds: list[Kind]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for kind in kinds for path in kind.paths()))
