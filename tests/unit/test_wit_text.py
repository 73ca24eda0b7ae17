"""WIT of interface classes: names, types, what stands where, what cannot be said, and that the bytes are of the same order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, Flag, IntEnum
from pathlib import Path
from types import new_class
from typing import Any

import pytest

from provider_sdk import Interface, operation
from provider_sdk.cli.wit.model import Builtin, Compound, Package, Ref, Type
from provider_sdk.cli.wit.of_interface import packages_of
from provider_sdk.cli.wit.parser import parse
from provider_sdk.cli.wit.text import package_text, packages_text
from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.wrpc.values import operation_codec
from provider_sdk.types import U8, U16, Borrow, Case, Err, Handle, Ok
from tests.tools.wasm_tools import meaning
from tests.unit import wit_interfaces
from tests.unit.wit_interfaces import Elsewhere, Keepers, Level, Rights, TicketsOther, TicketsSoldOut, Visits, Zebra

ZOO = """\
package acme:zoo@1.2.0;

/// Who comes.
///
/// And goes.
interface visits {
  use keepers.{zebra, zoo-keeper};

  variant animal {
    zebra(zebra),
    none,
    /// Carries its name.
    ape(string),
    ant,
  }

  /// A moment as seconds since 1970-01-01 UTC and nanoseconds (0 to 999,999,999) within the second.
  record timestamp {
    sec: s64,
    nsec: u32,
  }

  flags rights {
    write-all,
    read,
  }

  record everything {
    number: s64,
    real: f64,
    small: f32,
    letter: char,
    raw: list<u8>,
    some: list<s8>,
    more: list<u16>,
    both: tuple<string, bool>,
    table: list<tuple<string, animal>>,
    maybe: option<animal>,
    twice: option<option<u8>>,
    outcome: result<_, string>,
    when: timestamp,
    %list: list<rights>,
  }

  variant tickets {
    sold-out,
    other(string),
  }

  /// Come in.
  come: func(keeper: borrow<zoo-keeper>, animal: animal, loud: bool) -> result<everything, tickets>;

  watch: func(input: stream<u8>) -> tuple<stream<string>, future<result<_, tickets>>>;

  %import: func();
}

interface keepers {
  /// Feeds.
  resource zoo-keeper {
    constructor(name: string) -> result<zoo-keeper, string>;
    feed: func(zebra: zebra, %list: list<u32>) -> future;
    count: static func() -> u32;
  }

  /// How loud.
  enum level {
    low,
    DNS-high,
    in-memory,
    other,
  }

  /// Striped.
  record zebra {
    legs: u8,
    %from: level,
  }
}
"""

PARK = """\
package acme:park {
  interface walks {
    /// How loud.
    enum level {
      low,
      DNS-high,
      in-memory,
      other,
    }

    /// Striped.
    record zebra {
      legs: u8,
      %from: level,
    }

    /// Feeds.
    resource zoo-keeper;

    walk: func(%with: zebra) -> option<zoo-keeper>;
  }
}
"""


def test_a_package_has_its_interfaces_with_each_type_in_one_of_them() -> None:
    (package,) = packages_of([Visits, Keepers])
    assert package_text(package) == ZOO


def test_several_packages_are_one_text_with_the_later_ones_in_braces(tmp_path: Path) -> None:
    packages = packages_of([Visits, Elsewhere, Keepers])
    assert packages_text(packages) == f"{ZOO}\n{PARK}"
    (tmp_path / "zoo.wit").write_text(packages_text(packages))
    assert set(meaning(tmp_path / "zoo.wit", "acme:park")) == {"acme:park/walks.walk"}


def test_interfaces_of_0_x_alone_are_left_out() -> None:
    class Old(Interface, contract="acme:old"):
        pass

    assert packages_of([Old]) == ()


@dataclass(frozen=True, slots=True)
class Node:
    children: list[Node]


@dataclass(frozen=True, slots=True)
class Empty:
    pass


@dataclass(frozen=True, slots=True)
class Wide:
    a: Any


@dataclass(frozen=True, slots=True)
class Odd:
    a__b: int


@dataclass(frozen=True, slots=True)
class One(Case[U8]):
    pass


@dataclass(frozen=True, slots=True)
class Bare(Case):  # type: ignore[type-arg]  # what it carries is not said
    pass


Unsaid = One | Bare


class Numbered(IntEnum):
    A = 1


class None_(Enum):  # noqa: N801  # its name says what is in it
    pass


ManyFlags = Flag("ManyFlags", [f"F{number}" for number in range(33)])  # type: ignore[misc]  # mypy wants to see the names


class Thing(Handle):
    pass


@dataclass(frozen=True, slots=True)
class Lender:
    lent: Borrow[Thing]


NO_NAME = "is no name in WIT: words of ASCII letters and digits with - between, the first beginning with a letter"


def _declared(annotation: Any, result: Any = None, **names: str) -> type[Interface]:
    """An interface `Asked` with one operation, `ask`, of a parameter `value` of that annotation."""

    async def ask(self: Any, value: Any) -> Any: ...

    ask.__annotations__ = {"value": annotation, "return": result}
    ask.__isabstractmethod__ = True  # type: ignore[attr-defined]  # a function takes any attribute
    members = {"ask": operation(**names)(ask), "__module__": __name__}
    return new_class("Asked", (Interface,), {"wit": "acme:asked/asked@1.0.0"}, lambda namespace: namespace.update(members))


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (None, "None alone is no type in WIT"),
        (Any, "Any cannot be in WIT"),
        (complex, "complex cannot be in WIT"),
        (Node, "Node.children: node holds itself, which no type of WIT can"),
        (Empty, "empty has no members: no record of WIT is empty"),
        (Wide, "Wide.a: Any cannot be in WIT"),
        (Odd, f"Odd.a__b: 'a--b' {NO_NAME}"),
        (One | TicketsSoldOut, "a variant needs a name in WIT: write `Name = One | TicketsSoldOut` in the module, and Name here"),
        (Unsaid, "Bare: say what the case carries: class Bare(Case[U32])"),
        (str | int, "str in a union: the cases of a variant are dataclasses"),
        (Numbered, "Numbered.A: the members of an enum are strings"),
        (None_, "none has no members: no enum of WIT is empty"),
        (ManyFlags, "ManyFlags has 33 members: flags of WIT have 32 at the most"),
    ],
)
def test_what_cannot_be_in_wit_is_told_with_the_way_to_it(annotation: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        packages_of([_declared(annotation)])
    assert caught.value.message == f"Asked.ask: parameter value: {message}"


@pytest.mark.parametrize(
    ("interface", "message"),
    [
        (
            _declared(U8, wit="[method]thing.ask"),
            "Asked.ask: the first parameter of [method]thing.ask is the resource, lent: Borrow[…] of a Handle's class",
        ),
        (_declared(U8, str, wit="[constructor]thing"), "Asked.ask: the result of [constructor]thing is the resource: a Handle's class"),
        (_declared(Zebra, wit="zebra"), "Asked: zebra is the name of a function and of a type: @operation(wit=…) gives another"),
        (_declared(U8, wit="0k"), f"Asked.ask: '0k' {NO_NAME}"),
        (_declared(U8, U8, wit="[static]thing"), f"Asked.ask: '' {NO_NAME}"),
        (_declared(U8, U8, wit="[own]thing"), f"Asked.ask: '[own]thing' {NO_NAME}"),
        (_declared(Borrow[Thing], Borrow[Thing]), "Asked.ask: result: Borrow[…] is for parameters: a result gives the handle away"),
        (_declared(Borrow[Thing], list[Lender]), "Asked.ask: result: Borrow[…] is for parameters: a result gives the handle away"),
        (_declared(U8, Ok[Any] | Err[None]), "Asked.ask: result: Any cannot be in WIT"),
    ],
)
def test_a_function_that_cannot_be_in_wit_is_told(interface: type[Interface], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        packages_of([interface])
    assert caught.value.message == message


def test_two_types_of_one_name_are_told() -> None:
    @dataclass(frozen=True, slots=True)
    class Zebra:
        spots: U8

    with pytest.raises(InvalidArgument, match=r"two types are called zebra: tests\.unit\.wit_interfaces\.Zebra and .*<locals>\.Zebra"):
        packages_of([_declared(tuple[wit_interfaces.Zebra, Zebra])])


@pytest.mark.parametrize("identity", ["acme:asked", "acme/asked", "Acme:asked/x@1", "acme:asked/asked@latest"])
def test_an_identity_that_is_none_is_told(identity: str) -> None:
    class Asked(Interface, wit=identity):
        pass

    with pytest.raises(InvalidArgument, match=r"Asked: wit='.*': expected namespace:package/interface@1\.2\.3"):
        packages_of([Asked])


class Twice(Interface, wit="acme:twice/twice"):
    @abstractmethod
    @operation(wit="[static]thing.make")
    async def make(self, value: U8, value_: U8) -> Thing: ...


class Same(Interface, wit="acme:same/same"):
    @abstractmethod
    @operation(wit="[static]thing.make")
    async def make(self) -> Thing: ...

    @abstractmethod
    @operation(wit="[method]thing.make")
    async def make_more(self, thing: Borrow[Thing]) -> None: ...


@pytest.mark.parametrize(
    ("interface", "message"),
    [
        (Twice, "Twice.make: two parameters are called value"),
        (Same, "Same: [method]thing.make is the name of a function and of another function: @operation(wit=…) gives another"),
    ],
)
def test_names_that_come_twice_are_told(interface: type[Interface], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        packages_of([interface])
    assert caught.value.message == message


class Made(Interface, wit="package:list/use@1.0.0"):
    @abstractmethod
    @operation(wit="[constructor]thing")
    async def make(self) -> Ok[Thing] | Err[None]: ...


class Taken(Interface, wit="package:list/from@1.0.0"):
    @abstractmethod
    async def zebra(self, keeper: Thing) -> None: ...


def test_a_constructor_may_fail_without_a_word_and_names_may_be_keywords(tmp_path: Path) -> None:
    (package,) = packages_of([Made, Taken])
    (tmp_path / "made.wit").write_text(package_text(package))
    assert set(meaning(tmp_path / "made.wit", "package:list@1.0.0")) == {
        "package:list/use@1.0.0.[constructor]thing",
        "package:list/from@1.0.0.zebra",
    }
    assert "constructor() -> result<thing>;" in package_text(package)


class Flocks(Interface, wit="acme:flocks/flocks"):
    @abstractmethod
    @operation(wit="[static]thing.make")
    async def make(self, everything: wit_interfaces.Animal) -> Thing: ...


class Names(Interface, wit="acme:flocks/names"):
    @abstractmethod
    async def zebra(self, thing: Thing, animal: wit_interfaces.Animal) -> None: ...


def test_a_function_may_have_the_name_of_a_type_that_its_interface_does_not_name(tmp_path: Path) -> None:
    (package,) = packages_of([Names, Flocks])
    (tmp_path / "flocks.wit").write_text(package_text(package))
    assert "acme:flocks/names.zebra" in meaning(tmp_path / "flocks.wit", "acme:flocks")


def test_two_classes_of_one_interface_are_told() -> None:
    class Again(Interface, wit="acme:zoo/visits@1.2.0"):
        pass

    with pytest.raises(InvalidArgument, match=r"Again: acme:zoo/visits@1\.2\.0 is declared by another class too"):
        packages_of([Visits, Again])


class First(Handle):
    pass


class Second(Handle):
    pass


class Left(Interface, wit="acme:circle/left"):
    @abstractmethod
    @operation(wit="[method]first.ask")
    async def ask(self, first: Borrow[First], second: Second) -> None: ...


class Right(Interface, wit="acme:circle/right"):
    @abstractmethod
    @operation(wit="[method]second.ask")
    async def ask(self, second: Borrow[Second], first: First) -> None: ...


def test_interfaces_that_need_each_other_are_told() -> None:
    with pytest.raises(InvalidArgument, match=r"interfaces whose resources need each other cannot be in WIT: (left, right|right, left)"):
        packages_of([Left, Right])


class Orders(Interface, wit="acme:orders/orders@1.0.0"):
    @abstractmethod
    async def of_levels(self, value: Level) -> None: ...

    @abstractmethod
    async def of_rights(self, value: Rights) -> None: ...

    @abstractmethod
    async def of_animals(self, value: list[wit_interfaces.Animal]) -> None: ...

    @abstractmethod
    async def of_tickets(self, value: dict[U8, wit_interfaces.Tickets]) -> None: ...

    @abstractmethod
    async def of_results(self, value: Ok[U16] | Err[str]) -> None: ...


@pytest.mark.parametrize(
    ("function", "value", "told"),
    [
        *(("of-levels", level, name) for level, name in zip(Level, ["low", "DNS-high", "in-memory", "other"], strict=True)),
        ("of-rights", Rights.WRITE_ALL, {"write-all"}),
        ("of-rights", Rights.READ, {"read"}),
        (
            "of-animals",
            [wit_interfaces.Ant(None), Zebra(7, Level.OTHER), wit_interfaces.Ape("bo"), wit_interfaces.AnimalNone()],
            [("ant", None), ("zebra", {"from": "other", "legs": 7}), ("ape", "bo"), ("none", None)],
        ),
        ("of-tickets", {1: TicketsOther("x"), 2: TicketsSoldOut()}, [(1, ("other", "x")), (2, ("sold-out", None))]),
        ("of-results", Err("no"), ("err", "no")),
    ],
)
def test_the_bytes_are_those_of_the_printed_package(function: str, value: Any, told: Any) -> None:
    """`told` names cases and members as WIT does; `wire` writes it by the printed text alone."""
    (package,) = packages_of([Orders])
    (read,) = parse(package_text(package), "orders.wit")
    operation = next(item for item in Orders.operations() if item.function == function)
    ((_, type_),) = next(item for item in read.interfaces[0].functions if item.name == function).parameters
    assert operation_codec(operation).encode_arguments((value,)).data == wire(read, type_, told)


def wire(package: Package, type_: Type | None, value: Any) -> bytes:
    """The bytes of a value (wrpc-1x.md §4.1), as far as the tests above need it: all numbers are below 128."""
    if isinstance(type_, Ref):
        found = next(item for item in package.interfaces[0].types if item.name == type_.name)
        assert isinstance(found, Compound)
        return _compound(package, found, value)
    if type_ is None:
        return b""
    writers: dict[str, Callable[[], bytes]] = {
        "u8": lambda: bytes([value]),
        "string": lambda: bytes([len(value)]) + value.encode(),
        "list": lambda: bytes([len(value)]) + b"".join(wire(package, type_.arguments[0], item) for item in value),
        "tuple": lambda: b"".join(wire(package, part, item) for part, item in zip(type_.arguments, value, strict=True)),
        "result": lambda: bytes([value[0] == "err"]) + wire(package, type_.arguments[value[0] == "err"], value[1]),
    }
    assert isinstance(type_, Builtin)
    return writers[type_.name]()


def _compound(package: Package, type_: Compound, value: Any) -> bytes:
    names = [part.name for part in type_.parts]
    if type_.kind == "record":
        return b"".join(wire(package, part.type, value[part.name]) for part in type_.parts)
    if type_.kind == "flags":
        return bytes([sum(1 << names.index(name) for name in value)])
    case, payload = value if type_.kind == "variant" else (value, None)
    return bytes([names.index(case)]) + wire(package, type_.parts[names.index(case)].type, payload)
