"""Tests chosen by what is declared: one about a capability is collected where it is declared, its counterpart where it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """In place of a test that is not for a class: pytest collects what can be called."""

    test: Any


@dataclass(frozen=True, slots=True)
class _Rule:
    needs: frozenset[StrEnum] = frozenset()
    lacks: frozenset[StrEnum] = frozenset()
    given: str = ""


def needs(*capabilities: StrEnum) -> Callable[[F], F]:
    """Marks a test that is for stores with all of these."""
    return _marked(_Rule(needs=frozenset(capabilities)))


def lacks(capability: StrEnum, *, given: str = "") -> Callable[[F], F]:
    """Marks a test that is for stores without the capability; `given` names the optional method that it uses."""
    return _marked(_Rule(lacks=frozenset([capability]), given=given))


def optional(method: F) -> F:
    """Marks a method that a subclass gives only for some capabilities."""
    method.__optional__ = True  # type: ignore[attr-defined]  # a function takes any attribute
    return method


def _marked(rule: _Rule) -> Callable[[F], F]:
    def mark(test: F) -> F:
        before: _Rule = getattr(test, "__rule__", _Rule())
        both = _Rule(before.needs | rule.needs, before.lacks | rule.lacks, before.given or rule.given)
        test.__rule__ = both  # type: ignore[attr-defined]  # a function takes any attribute
        return test

    return mark


class Suite:
    """Base of a conformance suite. A class keeps the tests that its `capabilities` call for.

    `provided_by` names the method that a class has to have for a capability; TypeError where it is not there.
    """

    capabilities: ClassVar[frozenset[Any]] = frozenset()
    provided_by: ClassVar[Mapping[Any, str]] = {}

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        missing = [f"{item}: {cls.provided_by[item]}()" for item in cls.capabilities if not cls._gives(cls.provided_by.get(item, ""))]
        if missing:
            raise TypeError(f"{cls.__name__} declares what it gives no method for: {', '.join(sorted(missing))}")
        for name in {name for base in cls.__mro__ for name in vars(base) if name.startswith("test_")}:
            cls._choose(name)

    @classmethod
    def _choose(cls, name: str) -> None:
        found = getattr(cls, name)
        test = found.test if isinstance(found, _LeftOut) else found
        rule = getattr(test, "__rule__", _Rule())
        wanted = rule.needs <= cls.capabilities and not rule.lacks & cls.capabilities and cls._gives(rule.given)
        if wanted == isinstance(found, _LeftOut):
            setattr(cls, name, test if wanted else _LeftOut(test))

    @classmethod
    def _gives(cls, method: str) -> bool:
        return not method or not getattr(getattr(cls, method), "__optional__", False)
