"""What a provider serves, as its callers write it: contracts, operations, and an argument for each to try it with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from provider_sdk.config import Config
from provider_sdk.hosts.wasmbus.value_kinds import (
    Blob,
    Choice,
    Flag,
    Kind,
    Later,
    Maybe,
    Nothing,
    Real,
    Row,
    Sequence,
    Structure,
    Table,
    Text,
    Variants,
    Whole,
)
from provider_sdk.hosts.wasmbus.values import operation_codec
from provider_sdk.interface import Interface, Operation

_DEEPEST = 4


def outline(serves: Iterable[type[Interface]], config_class: type[Config]) -> dict[str, Any]:
    """The interfaces that a provider serves, and the settings of its links, as plain data."""
    return {"interfaces": [_interface(item) for item in serves], "settings": config_class.json_schema()["properties"]}


def _interface(interface: type[Interface]) -> dict[str, Any]:
    identity = interface.__identity__
    operations = [_operation(item) for item in interface.operations()]
    declared = f"{interface.__module__}:{interface.__qualname__}"
    return {"contract": identity.contract, "wit": identity.wit, "declared": declared, "operations": operations}


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {"operation": operation.name, "parameters": [item.name for item in operation.parameters]}
    if not operation.interface.__identity__.contract:
        return found  # its types may be such as 0.x has no form for
    codec = operation_codec(operation).arguments
    if codec is not None:
        found["argument"] = example(codec.kind, operation.parameters[0].name)
    return found


def example(kind: Kind, name: str = "", depth: int = 0) -> Any:
    """A value of that kind as JSON has it; `name` is what it is called, which says much of a text.

    What is optional is left out, and what would go on for ever ends early.
    """
    depth += 1
    if isinstance(kind, Later):
        return example(kind.kind, name, depth)
    if isinstance(kind, Text | Blob):
        return "Ada" if "name" in name.lower() else name or "text"
    if isinstance(kind, Flag):
        return True
    if isinstance(kind, Whole):
        return min(kind.highest, 6 if "max" in name.lower() else 1)
    if isinstance(kind, Real):
        return 1.5
    if isinstance(kind, Choice):
        return next(iter(kind.enum)).value
    if isinstance(kind, Sequence):
        return [] if depth > _DEEPEST else [example(kind.item, name, depth)]
    if isinstance(kind, Row):
        return [example(item, name, depth) for item in kind.items]
    if isinstance(kind, Table):
        return {} if depth > _DEEPEST else {example(kind.key, "key", depth): example(kind.item, "value", depth)}
    if isinstance(kind, Structure):
        required = [item for item in kind.members if item.default is None and not isinstance(item.kind, Maybe)]
        return {item.wire: example(item.kind, item.name, depth) for item in required}
    if isinstance(kind, Variants):
        case, (_, content) = next(iter(kind.cases.items()))
        return case if content is None else {case: example(content, name, depth)}
    if isinstance(kind, Maybe) and depth == 1:
        return example(kind.inner, name, depth)
    return None if isinstance(kind, Nothing | Maybe) else "text"
