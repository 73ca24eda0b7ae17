"""Interfaces to be told in WIT: every kind of annotation, shared types, resources."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from enum import Enum, Flag, auto

from provider_sdk import Interface, fails, operation
from provider_sdk.errors import Internal, ProviderError
from provider_sdk.types import F32, S8, U8, U16, U32, Borrow, Case, Char, Err, Handle, Ok, Some, Timestamp


class Level(Enum):
    """How loud."""

    LOW = "low"
    DNS_HIGH = "DNS-high"
    IN_MEMORY = "InMemory"
    OTHER = "some/thing"


class Rights(Flag):
    WRITE_ALL = auto()
    READ = auto()


@dataclass(frozen=True, slots=True)
class Zebra:
    """Striped."""

    legs: U8 = 4
    from_: Level = Level.LOW


@dataclass(frozen=True, slots=True)
class AnimalNone:
    pass


@dataclass(frozen=True, slots=True)
class Ape(Case[str]):
    """Carries its name."""


@dataclass(frozen=True, slots=True)
class Ant(Case[None]):
    pass


Animal = Zebra | AnimalNone | Ape | Ant


@dataclass(frozen=True, slots=True)
class Everything:
    number: int
    real: float
    small: F32
    letter: Char
    raw: bytes
    some: set[S8]
    more: tuple[U16, ...]
    both: tuple[str, bool]
    table: dict[str, Animal]
    maybe: Animal | None
    twice: Some[U8 | None] | None
    outcome: Ok[None] | Err[str]
    when: Timestamp
    list_: list[Rights] = field(default_factory=list)


class ZooKeeper(Handle):
    """Feeds."""


@dataclass(frozen=True, slots=True)
class TicketsSoldOut:
    pass


@dataclass(frozen=True, slots=True)
class TicketsOther(Case[str]):
    pass


Tickets = TicketsSoldOut | TicketsOther


def encode_tickets(error: ProviderError) -> Tickets:
    return TicketsOther(error.message)


def decode_tickets(value: Tickets) -> ProviderError:
    return Internal(repr(value))


class Visits(Interface, contract="acme:zoo", wit="acme:zoo/visits@1.2.0"):
    """Who comes.

    And goes.
    """

    @abstractmethod
    @fails(Tickets, encode=encode_tickets, decode=decode_tickets)
    async def come(self, keeper: Borrow[ZooKeeper], animal: Animal, loud: bool = False) -> Everything:
        """Come in."""

    @abstractmethod
    async def watch(self, input: AsyncIterator[bytes]) -> tuple[AsyncIterator[str], Awaitable[Ok[None] | Err[Tickets]]]: ...

    @abstractmethod
    @operation("Import", wit="import")
    async def import_all(self) -> None: ...


class Keepers(Interface, wit="acme:zoo/keepers@1.2.0"):
    @abstractmethod
    @fails(str)
    @operation(wit="[constructor]zoo-keeper")
    async def hire(self, name: str) -> ZooKeeper: ...

    @abstractmethod
    @operation(wit="[method]zoo-keeper.feed")
    async def feed(self, keeper: Borrow[ZooKeeper], zebra: Zebra, list_: list[U32]) -> Awaitable[None]: ...

    @abstractmethod
    @operation(wit="[static]zoo-keeper.count")
    async def count(self) -> U32: ...


class Elsewhere(Interface, wit="acme:park/walks"):
    @abstractmethod
    async def walk(self, with_: Zebra) -> ZooKeeper | None: ...
