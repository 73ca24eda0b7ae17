"""WIT packages of interface classes, from their annotations.

A type stands in the first interface that reaches it, counted so that the interface with a resource's functions comes before those that
use the resource; the others `use` it from there. Order of members and cases is that of the declaration, as in the bytes (wrpc-1x.md §4).
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, get_args, get_origin

from provider_sdk.cli.wit.model import Definition, Function, Package, Ref, Resource, Type, Use, WitInterface, refs
from provider_sdk.cli.wit.names import IDENTITY, repeated
from provider_sdk.cli.wit.of_annotation import Reading, fault, label, lent, member_label
from provider_sdk.errors import InvalidArgument
from provider_sdk.interface import Interface, Operation
from provider_sdk.types import Handle, Ok


@dataclass(frozen=True, slots=True)
class _Read:
    """An interface with all the types that it reaches; `origins` says what a type's name stands for in Python."""

    class_name: str
    name: str
    interface: WitInterface
    origins: dict[str, Hashable]
    own: frozenset[Hashable]


def packages_of(declarations: Iterable[type[Interface]]) -> tuple[Package, ...]:
    """The packages of the declarations that have a `wit=` identity, in order; InvalidArgument names what cannot be in WIT."""
    found: dict[tuple[str, str], list[_Read]] = {}
    for declaration in dict.fromkeys(item.__declaration__ for item in declarations):
        if declaration.__identity__.wit:
            package, name, version = _identity(declaration)
            reads = found.setdefault((package, version), [])
            if any(item.name == name for item in reads):
                raise InvalidArgument(f"{declaration.__name__}: {declaration.__identity__.wit} is declared by another class too")
            reads.append(_read(declaration, name))
    return tuple(Package(name, version, tuple(_shared(reads))) for (name, version), reads in found.items())


def _identity(declaration: type[Interface]) -> tuple[str, str, str]:
    matched = IDENTITY.fullmatch(declaration.__identity__.wit)
    if matched is None:
        raise InvalidArgument(f"{declaration.__name__}: wit={declaration.__identity__.wit!r}: expected namespace:package/interface@1.2.3")
    return matched[1], matched[2], matched[3] or ""


def _read(declaration: type[Interface], name: str) -> _Read:
    try:
        operations = declaration.operations()
    except TypeError as error:
        raise InvalidArgument(str(error)) from None
    reading = Reading(declaration)
    for operation in operations:
        _name_resource(reading, operation)
    functions = tuple(_function(reading, operation) for operation in operations)
    for function in functions:
        if function.resource and function.resource not in reading.origins:
            reading.define(function.resource, Resource(function.resource), function.resource)
    own = frozenset(reading.origins[function.resource] for function in functions if function.resource)
    interface = WitInterface(name, (), tuple(reading.definitions.values()), functions, _docs(declaration.__dict__.get("__doc__")))
    return _Read(declaration.__name__, name, interface, reading.origins, own)


def _name_resource(reading: Reading, operation: Operation) -> None:
    """A constructor gives the resource's class, and a method takes it."""
    path, function = [f"{operation.interface.__name__}.{operation.method}"], Function(operation.function, (), None)
    class_: Any = operation.result
    if function.role == "method":
        class_ = lent(operation.parameters[0].annotation) if operation.parameters else None
        if class_ is None:
            raise fault(path, f"the first parameter of {function.name} is the resource, lent: Borrow[…] of a Handle's class")
    elif function.role != "constructor":
        return
    else:
        class_ = next((get_args(side)[0] for side in get_args(class_) if get_origin(side) is Ok), class_)
    if not (isinstance(class_, type) and issubclass(class_, Handle)):
        raise fault(path, f"the result of {function.name} is the resource: a Handle's class")
    reading.call(class_, function.resource, path)


def _function(reading: Reading, operation: Operation) -> Function:
    parameters = [(item.name, item.annotation) for item in operation.parameters]
    where = f"{operation.interface.__name__}.{operation.method}"
    bare = Function(operation.function, (), None)
    if bare.role == "method":
        reading.type_of(parameters.pop(0)[1], [where])
    typed = tuple((member_label(name, [where]), reading.type_of(item, [where, f"parameter {name}"])) for name, item in parameters)
    if twice := repeated([name for name, _ in typed]):
        raise fault([where], f"two parameters are called {twice}")
    for name in (bare.resource, bare.bare) if bare.role in ("method", "static") else (bare.resource or bare.name,):
        label(name, [where])
    docs = _docs(getattr(operation.interface, operation.method).__doc__)
    return Function(bare.name, typed, _result(reading, operation, bare, where), docs)


def _result(reading: Reading, operation: Operation, function: Function, where: str) -> Type | None:
    result = None if operation.result in (None, type(None)) else reading.type_of(operation.result, [where, "result"])
    if operation.failure is not None:
        result = reading.result(result, operation.failure.annotation, [where, "error"])
    elif function.role == "constructor" and isinstance(result, Ref):
        result = None
    if reading.lends(result):
        raise fault([where, "result"], "Borrow[…] is for parameters: a result gives the handle away")
    return result


def _shared(reads: list[_Read]) -> Iterable[WitInterface]:
    """The interfaces with each type in one of them, in the order in which they were declared."""
    order = _by_need(reads)
    owners: dict[Hashable, str] = {origin: read.name for read in reads for origin in read.own}
    for read in order:
        for origin in read.origins.values():
            owners.setdefault(origin, read.name)
    names = {(read.name, origin): name for read in reads for name, origin in read.origins.items()}
    return [_with_uses(read, owners, names) for read in reads]


def _by_need(reads: list[_Read]) -> list[_Read]:
    names = {origin: read.name for read in reads for origin in read.own}
    needs = {read.name: {names[origin] for origin in read.origins.values() if origin in names} - {read.name} for read in reads}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise InvalidArgument(f"interfaces whose resources need each other cannot be in WIT: {', '.join(error.args[1][1:])}") from None
    return sorted(reads, key=lambda read: order.index(read.name))


def _with_uses(read: _Read, owners: dict[Hashable, str], names: dict[tuple[str, Hashable], str]) -> WitInterface:
    interface = read.interface
    mine: list[Definition] = [item for item in interface.types if owners[read.origins[item.name]] == read.name]
    named: dict[str, Ref] = {ref.name: ref for item in (*mine, *interface.functions) for ref in refs(item)}
    here = {item.name for item in mine}
    foreign = {name: read.origins[name] for name in named if name not in here}
    uses = [Use(owners[origin], names[owners[origin], origin], name) for name, origin in foreign.items()]
    _check_names(read, (*here, *foreign))
    return replace(interface, uses=tuple(uses), types=tuple(mine))


def _check_names(read: _Read, types: Iterable[str]) -> None:
    """Functions and types share one space of names, in which case does not count."""
    taken = {name.lower(): "a type" for name in types}
    for function in read.interface.functions:
        name = function.within.lower()
        if name in taken:
            raise InvalidArgument(
                f"{read.class_name}: {function.name} is the name of a function and of {taken[name]}: @operation(wit=…) gives another"
            )
        taken[name] = "another function"


def _docs(text: str | None) -> str:
    return inspect.cleandoc(text).strip() if text else ""
