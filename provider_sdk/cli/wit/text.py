"""A WIT package as text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provider_sdk.cli.wit.model import Alias, Compound, Definition, Function, Package, Ref, Resource, Type, WitInterface

KEYWORDS = frozenset(
    {
        *(
            "as",
            "async",
            "constructor",
            "export",
            "from",
            "func",
            "import",
            "include",
            "interface",
            "package",
            "static",
            "use",
            "with",
            "world",
        ),
        *("borrow", "enum", "flags", "own", "record", "resource", "type", "variant"),
        *("bool", "char", "f32", "f64", "s8", "s16", "s32", "s64", "string", "u8", "u16", "u32", "u64"),
        *("error-context", "future", "list", "map", "option", "result", "stream", "tuple"),
    }
)


def package_text(package: Package) -> str:
    """The text of the package's file."""
    return "\n".join([*_docs(package.docs, ""), f"package {_path(package.id)};", *map(_interface, package.interfaces)]) + "\n"


def packages_text(packages: tuple[Package, ...]) -> str:
    """One text of several packages, which has those after the first one in braces."""
    first, *others = packages
    return "\n".join([package_text(first), *map(_nested, others)])


def _nested(package: Package) -> str:
    interfaces = "\n".join(map(_interface, package.interfaces)).splitlines()[1:]
    body = "\n".join(f"  {line}" if line else "" for line in interfaces)
    return "\n".join([*_docs(package.docs, ""), f"package {_path(package.id)} {{", body, "}"]) + "\n"


def type_text(type_: Type | None) -> str:
    """A type as it stands in a signature."""
    if type_ is None:
        return "_"
    if isinstance(type_, Ref):
        return name_text(type_.name)
    arguments = list(type_.arguments)
    while arguments and arguments[-1] is None:
        arguments.pop()
    return f"{type_.name}<{', '.join(map(type_text, arguments))}>" if arguments else type_.name


def name_text(name: str) -> str:
    """A name, with `%` before one that is a keyword."""
    return f"%{name}" if name in KEYWORDS else name


def _interface(interface: WitInterface) -> str:
    blocks = [_uses(interface)] if interface.uses else []
    blocks += [list(_definition(item, interface)) for item in interface.types]
    blocks += [list(_function(item)) for item in interface.functions if not item.resource]
    body = "\n\n".join("\n".join(f"  {line}" if line else line for line in block) for block in blocks)
    head = "\n".join([*_docs(interface.docs, ""), f"interface {name_text(interface.name)} {{"])
    return f"\n{head}\n{body}\n}}" if body else f"\n{head}\n}}"


def _path(name: str) -> str:
    """The name of a package or an interface, with `%` before each of its parts that is a keyword."""
    bare, at, version = name.partition("@")
    return re.sub(r"[^:/]+", lambda part: name_text(part[0]), bare) + at + version


def _uses(interface: WitInterface) -> list[str]:
    found: dict[str, list[str]] = {}
    for use in interface.uses:
        shown = name_text(use.original) + (f" as {name_text(use.name)}" if use.name != use.original else "")
        found.setdefault(use.interface, []).append(shown)
    return [f"use {_path(source)}.{{{', '.join(names)}}};" for source, names in found.items()]


def _definition(item: Definition, interface: WitInterface) -> Iterator[str]:
    yield from _docs(item.docs, "")
    if isinstance(item, Alias):
        yield f"type {name_text(item.name)} = {type_text(item.type)};"
    elif isinstance(item, Compound):
        yield f"{item.kind} {name_text(item.name)} {{"
        for part in item.parts:
            yield from _docs(part.docs, "  ")
            yield f"  {name_text(part.name)}{_carried(item, part.type)},"
        yield "}"
    else:
        yield from _resource(item, interface)


def _carried(owner: Compound, type_: Type | None) -> str:
    if type_ is None:
        return ""
    return f": {type_text(type_)}" if owner.kind == "record" else f"({type_text(type_)})"


def _resource(item: Resource, interface: WitInterface) -> Iterator[str]:
    functions = [function for function in interface.functions if function.resource == item.name]
    if not functions:
        yield f"resource {name_text(item.name)};"
        return
    yield f"resource {name_text(item.name)} {{"
    for function in functions:
        yield from (f"  {line}" for line in _function(function))
    yield "}"


def _function(item: Function) -> Iterator[str]:
    yield from _docs(item.docs, "")
    parameters = ", ".join(f"{name_text(name)}: {type_text(type_)}" for name, type_ in item.parameters)
    result = f" -> {type_text(item.result)}" if item.result else ""
    if item.role == "constructor":
        yield f"constructor({parameters}){result};"
    else:
        yield f"{name_text(item.bare)}: {'static ' if item.role == 'static' else ''}func({parameters}){result};"


def _docs(docs: str, indent: str) -> Iterator[str]:
    for line in docs.splitlines():
        yield f"{indent}/// {line}".rstrip()
