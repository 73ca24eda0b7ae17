"""Interfaces: typed operations, declared once, implemented by a provider and called through any target.

    class Greeter(Interface, contract="acme:greeter"):
        @abstractmethod
        async def greet(self, name: str) -> str: ...

    class Polite(Greeter): ...            # implements it
    await Greeter.at(target).greet("x")   # calls it

Names on 0.x (wasmbus-0x.md §8): operation `Greeter.Greet`, one parameter bare, several as a map with camelCase names. On 1.x
(wrpc-1x.md §3.1): function `greet` of the interface that `wit` names, everything in kebab-case. Knows no host generation: a Target
carries the client that reaches it.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, ClassVar, Protocol, Self, TypeVar, get_type_hints

from provider_sdk.errors import ProviderError, error_of, error_text

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Parameter:
    """One wire argument of an operation; `required` is false where the declaration gives a default."""

    name: str
    annotation: Any
    required: bool
    default: Any = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The error type of an operation on 1.x, and how an error becomes a value of it and is restored from one."""

    annotation: Any
    encode: Callable[[ProviderError], Any]
    decode: Callable[[Any], ProviderError]


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of an interface; identity is the object itself.

    `name` is that of 0.x; `function` that of WIT, `[method]file.read` for one of a resource; `failure` is None where an error has no
    form on 1.x, so that the caller sees the answer end.
    """

    interface: type[Interface]
    method: str
    name: str
    parameters: tuple[Parameter, ...]
    result: Any
    function: str = ""
    failure: Failure | None = None

    @cached_property
    def signature(self) -> inspect.Signature:
        """The call signature without `self`, to bind arguments against."""
        bare = inspect.signature(getattr(self.interface, self.method))
        return bare.replace(parameters=list(bare.parameters.values())[1:])

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in declared order with defaults filled in; TypeError as a Python call would raise it."""
        if not kwargs and len(args) == len(self.parameters):
            return args
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return tuple(bound.arguments[parameter.name] for parameter in self.parameters)


class Target(ABC):
    """Somebody who can be asked: a link's far side, an actor, a provider. Carries the client that reaches it."""

    @abstractmethod
    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> Any:
        """Carry out `operation`; `timeout` in seconds, None for the client's own. Raises ProviderError."""


class Lattice(Protocol):
    """Whom a program on a lattice can ask, in its own name."""

    @property
    def identity(self) -> str:
        """The id that it asks as."""

    def actor(self, key: str) -> Target:
        """The actor or component with id `key`, on 0.x its public key (`M…`)."""

    def provider(self, key: str, contract: str, link_name: str = "default") -> Target:
        """The provider with id `key` (`V…`). It answers those that are linked to it: put a link for `identity`."""


class _Declared(Protocol):
    __operation_name__: str
    __function_name__: str
    __failure__: Failure


def operation(name: str = "", *, wit: str = "") -> Callable[[F], F]:
    """Give a method other wire names than those derived from its own: `@operation("Random32", wit="random32")`.

    `wit` is the name of 1.x; a resource's functions are `[constructor]file`, `[method]file.read` and `[static]file.open`, where a method
    takes the resource, borrowed, as its first parameter.
    """

    def mark(method: F) -> F:
        if name:
            method.__operation_name__ = name  # type: ignore[attr-defined]  # a function takes any attribute
        if wit:
            method.__function_name__ = wit  # type: ignore[attr-defined]  # as above
        return method

    return mark


def fails(
    annotation: Any, *, encode: Callable[[ProviderError], Any] | None = None, decode: Callable[[Any], ProviderError] | None = None
) -> Callable[[F], F]:
    """Declare an operation's error type: on 1.x its result is a `result<T, annotation>`; 0.x has errors for every operation anyway.

    With `str`, the error's message goes over with its code behind it, ` [code]`, from which a caller of ours restores it. For another type
    `encode` makes a value of an error, and `decode` an error of a value.
    """
    if annotation is str:
        encode, decode = encode or error_text, decode or error_of
    if encode is None or decode is None:
        raise TypeError(f"fails({annotation!r}): say with encode= and decode= what an error is as such a value")
    failure = Failure(annotation, encode, decode)

    def mark(method: F) -> F:
        method.__failure__ = failure  # type: ignore[attr-defined]  # a function takes any attribute
        return method

    return mark


@dataclass(frozen=True, slots=True)
class InterfaceIdentity:
    """How an interface is known to the host generations; empty where it has no name there."""

    contract: str
    wit: str
    service: str
    cbor: bool = False


class Interface(ABC):
    """Base of interface declarations.

    Class arguments: `contract` (0.x contract id), `wit` (1.x interface), `service` (the part of a 0.x operation before
    the dot; default the class name), `cbor` (0.x protocol "2": answered in CBOR where the caller asked in CBOR).
    A class given a contract or wit declares an interface; a subclass without them implements it.
    """

    __identity__: ClassVar[InterfaceIdentity]
    __declaration__: ClassVar[type[Interface]]

    def __init_subclass__(cls, *, contract: str = "", wit: str = "", service: str = "", cbor: bool = False, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if contract or wit:
            cls.__identity__ = InterfaceIdentity(contract, wit, service or cls.__name__, cbor)
            cls.__declaration__ = cls
        elif not hasattr(cls, "__identity__"):
            raise TypeError(f"{cls.__name__}: an interface needs contract= or wit=")

    @classmethod
    def operations(cls) -> tuple[Operation, ...]:
        """The operations that the declaration names, in order; TypeError for one without annotations."""
        return _operations(cls.__declaration__)

    @classmethod
    def at(cls, target: Target, *, timeout: float | None = None) -> Self:
        """A caller of this interface: its methods ask `target`. `timeout` in seconds bounds each call."""
        declaration = cls.__declaration__
        if cls is not declaration:
            raise TypeError(f"{cls.__name__} implements {declaration.__name__}: use {declaration.__name__}.at(...)")
        caller = _caller_class(declaration)
        return caller(target, timeout)  # type: ignore[return-value,call-arg]  # made below, a subclass of cls


@dataclass(slots=True)
class _Caller:
    target: Target
    timeout: float | None = field(default=None)


@cache
def _operations(declaration: type[Interface]) -> tuple[Operation, ...]:
    found = []
    for name, member in _abstract_methods(declaration):
        if not inspect.iscoroutinefunction(member):
            raise TypeError(f"{declaration.__name__}.{name}: an operation is declared with async def")
        try:
            hints = get_type_hints(member, include_extras=True)
        except NameError as error:
            raise TypeError(f"{declaration.__name__}.{name}: an annotation: {error}") from None
        if "return" not in hints:
            raise TypeError(f"{declaration.__name__}.{name}: the result has no annotation")
        parameters = tuple(_parameter(declaration, name, hints, item) for item in list(inspect.signature(member).parameters.values())[1:])
        wire = getattr(member, "__operation_name__", "") or pascal_case(name)
        function = getattr(member, "__function_name__", "") or kebab_case(name)
        full = f"{declaration.__identity__.service}.{wire}"
        found.append(Operation(declaration, name, full, parameters, hints["return"], function, getattr(member, "__failure__", None)))
    return tuple(found)


def _abstract_methods(declaration: type[Interface]) -> list[tuple[str, Any]]:
    """Abstract methods in declared order, those of bases first."""
    names: dict[str, Any] = {}
    for base in reversed(declaration.__mro__):
        names.update({name: item for name, item in vars(base).items() if getattr(item, "__isabstractmethod__", False)})
    return list(names.items())


def _parameter(declaration: type[Interface], method: str, hints: dict[str, Any], item: inspect.Parameter) -> Parameter:
    if item.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise TypeError(f"{declaration.__name__}.{method}: an operation has no *args or **kwargs")
    if item.name not in hints:
        raise TypeError(f"{declaration.__name__}.{method}: parameter {item.name} has no annotation")
    required = item.default is inspect.Parameter.empty
    return Parameter(item.name, hints[item.name], required, None if required else item.default)


@cache
def _caller_class(declaration: type[Interface]) -> type[Interface]:
    members: dict[str, Any] = {item.method: _remote(item) for item in _operations(declaration)}
    members["__init__"] = _Caller.__init__
    members["__repr__"] = lambda self: f"{declaration.__name__}.at({self.target!r})"
    return type(f"{declaration.__name__}Caller", (declaration,), members)


def _remote(item: Operation) -> Callable[..., Any]:
    async def method(self: _Caller, *args: Any, **kwargs: Any) -> Any:
        return await self.target.call(item, item.bind(args, kwargs), self.timeout)

    method.__name__ = item.method
    method.__doc__ = getattr(item.interface, item.method).__doc__
    return method


def pascal_case(name: str) -> str:
    """`generate_guid` → `GenerateGuid`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def camel_case(name: str) -> str:
    """`query_string` → `queryString`."""
    joined = pascal_case(name)
    return joined[:1].lower() + joined[1:]


def kebab_case(name: str) -> str:
    """`generate_guid` → `generate-guid`, `OpenFile` → `open-file`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).replace("_", "-").lower().strip("-")
