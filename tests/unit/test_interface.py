"""Interfaces: declared once, implemented by a provider, called through any target."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pytest

from provider_sdk import Interface, Target, operation
from provider_sdk.interface import Operation, camel_case, pascal_case
from provider_sdk.types import U32


class Numbers(Interface, contract="acme:numbers", service="Num"):
    @abstractmethod
    async def in_range(self, low: U32, high: U32 = 6) -> U32:
        """A number."""

    @abstractmethod
    @operation("Random32")
    async def any_number(self) -> U32: ...


class Recorder(Target):
    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], float | None]] = []

    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> Any:
        self.calls.append((operation.name, arguments, timeout))
        return 4


def test_operations_have_wire_names_in_declared_order() -> None:
    assert [item.name for item in Numbers.operations()] == ["Num.InRange", "Num.Random32"]


def test_an_implementation_shares_its_declarations_operations() -> None:
    class Dice(Numbers):
        async def in_range(self, low: U32, high: U32 = 6) -> U32:
            return low

        async def any_number(self) -> U32:
            return 4

    assert Dice.operations() is Numbers.operations()


async def test_a_caller_binds_arguments_as_python_does() -> None:
    target = Recorder()
    numbers = Numbers.at(target, timeout=1.5)
    assert await numbers.in_range(1) == 4
    assert await numbers.in_range(high=9, low=2) == 4
    await numbers.any_number()
    assert target.calls == [("Num.InRange", (1, 6), 1.5), ("Num.InRange", (2, 9), 1.5), ("Num.Random32", (), 1.5)]
    with pytest.raises(TypeError, match="low"):
        await numbers.in_range()  # type: ignore[call-arg]


def test_a_caller_is_an_instance_of_its_interface() -> None:
    assert isinstance(Numbers.at(Recorder()), Numbers)


def test_a_declaration_needs_a_name() -> None:
    with pytest.raises(TypeError, match="contract= or wit="):

        class Nameless(Interface):
            pass


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("async def go(self, x): ...", "no annotation"),
        ("async def go(self, x: int): ...", "result has no annotation"),
        ("async def go(self, x: 'Nowhere') -> int: ...", ": an annotation: name 'Nowhere' is not defined"),
        ("async def go(self, *x: int) -> int: ...", r"\*args"),
        ("def go(self) -> int: ...", "async def"),
    ],
)
def test_an_incomplete_operation_is_refused_by_name(source: str, complaint: str) -> None:
    space: dict[str, Any] = {"Interface": Interface, "abstractmethod": abstractmethod}
    exec(f"class Bad(Interface, contract='a:b'):\n    @abstractmethod\n    {source}\n", space)
    with pytest.raises(TypeError, match=f"Bad.go.*{complaint}"):
        space["Bad"].operations()


def test_names_change_case_for_the_wire() -> None:
    assert (pascal_case("generate_guid"), camel_case("query_string"), camel_case("min")) == ("GenerateGuid", "queryString", "min")
