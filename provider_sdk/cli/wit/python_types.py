"""Python names and annotations of the types of WIT packages (provider_sdk/types.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provider_sdk.cli.wit.model import Builtin, Compound, Definition, Function, Package, Ref, Resource, Type, WitInterface, refs
from provider_sdk.cli.wit.names import class_name, is_builtin
from provider_sdk.cli.wit.packages import Found, Packages
from provider_sdk.errors import Code, InvalidArgument, ProviderError

_ERRORS = tuple(type(ProviderError.of(code, "")).__name__ for code in Code)
_NUMBERS = ("F32", "F64", "S8", "S16", "S32", "S64", "U8", "U16", "U32", "U64")
_FROM = {
    "abc": ("abstractmethod",),
    "collections.abc": ("AsyncIterator", "Awaitable"),
    "dataclasses": ("dataclass",),
    "enum": ("Enum", "Flag", "auto"),
    "provider_sdk.errors": ("Code", "ProviderError", *_ERRORS, "error_of", "error_text"),
    "provider_sdk.interface": ("Interface", "fails", "operation"),
    "provider_sdk.types": (*_NUMBERS, "Borrow", "Case", "Char", "Err", "Handle", "Ok", "Some"),
}
_MODULES = {name: module for module, names in _FROM.items() for name in names}
_OF_PYTHON = {"bool": "bool", "string": "str"}
Scope = tuple[Package, WitInterface]
WIDTH = 140


class Imports:
    """The names that a module needs from elsewhere."""

    def __init__(self) -> None:
        self._needed: set[str] = set()

    def need(self, name: str) -> str:
        """The name, which is imported then."""
        self._needed.add(name)
        return name

    def lines(self) -> Iterator[str]:
        """The import statements, in the order that isort has."""
        yield from self._statements("")
        yield ""
        yield from self._statements("provider_sdk")

    def _statements(self, root: str) -> Iterator[str]:
        for module in _FROM:
            names = sorted((name for name in self._needed if _MODULES[name] == module), key=_import_order)
            if names and module.startswith("provider_sdk") == bool(root):
                line = f"from {module} import {', '.join(names)}"
                yield from [line] if len(line) <= WIDTH else [f"from {module} import (", *(f"    {name}," for name in names), ")"]


def _import_order(name: str) -> tuple[int, list[tuple[str, int]]]:
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, [(letters, int(digits or 0)) for letters, digits in re.findall(r"(\D+)(\d*)", name)]


class PythonTypes:
    """The types that the interfaces of `packages.main` reach, those that others need first, with a Python name for each.

    A name that is taken, by another type or by what the module imports, has its interface's before it.
    """

    def __init__(self, packages: Packages, imports: Imports) -> None:
        self._packages = packages
        self._need = imports.need
        self.found: list[Found] = []
        self.taken = set(_MODULES)
        self._names: dict[tuple[str, str, str], str] = {}
        self._cases: dict[tuple[tuple[str, str, str], str], str] = {}
        for package in packages.main:
            for interface in package.interfaces:
                for item in (*interface.types, *interface.functions):
                    self._reach((package, interface), item)
                for definition in interface.types:
                    self._add(Found(package, interface, definition))

    def free(self, *wanted: str) -> str:
        """The first of the names that nothing else has, which is taken from then on."""
        name = next((name for name in wanted if name not in self.taken and not is_builtin(name)), "")
        while not name or name in self.taken:
            name = f"{name or wanted[-1]}X"
        self.taken.add(name)
        return name

    def name(self, scope: Scope, ref: Ref) -> str:
        """The class or alias behind a name of an interface."""
        return self.name_of(self._packages.find(*scope, ref))

    def name_of(self, found: Found) -> str:
        """The class or alias of a type."""
        return self._names[_key(found)]

    def case_name(self, found: Found, case: str) -> str:
        """The class of a variant's case: its name follows the variant's."""
        return self._cases[_key(found), case]

    def behind(self, scope: Scope, type_: Type | None) -> tuple[Scope, Builtin | Found | None]:
        """What a type is when the other names of it are left out."""
        package, interface, found = self._packages.resolved(*scope, type_)
        inner = package, interface
        return inner, self._packages.find(*inner, found) if isinstance(found, Ref) else found

    def annotation(self, scope: Scope, type_: Type | None) -> str:
        """The annotation of a type; `None` of none."""
        if type_ is None:
            return "None"
        if isinstance(type_, Ref):
            return self.name(scope, type_)
        if type_.name in _OF_PYTHON:
            return _OF_PYTHON[type_.name]
        if not type_.arguments:
            return self._need("Char" if type_.name == "char" else type_.name.upper())
        return self._with_arguments(scope, type_)

    def _with_arguments(self, scope: Scope, type_: Builtin) -> str:
        first = type_.arguments[0]
        if type_.name in ("list", "stream") and self._is(scope, first, "u8"):
            return "bytes" if type_.name == "list" else f"{self._need('AsyncIterator')}[bytes]"
        inner = self.annotation(scope, first)
        match type_.name:
            case "list":
                return f"list[{inner}]"
            case "tuple":
                return f"tuple[{', '.join(self.annotation(scope, item) for item in type_.arguments)}]"
            case "option":
                return f"{self._need('Some')}[{inner}] | None" if self._is(scope, first, "option") else f"{inner} | None"
            case "result":
                return f"{self._need('Ok')}[{inner}] | {self._need('Err')}[{self.annotation(scope, type_.arguments[1])}]"
            case "stream":
                item = f"list[{self._need('U8')}]" if inner == "bytes" else inner
                return f"{self._need('AsyncIterator')}[{item}]"
            case "future":
                return f"{self._need('Awaitable')}[{inner}]"
        if isinstance(first, Ref) and not isinstance(getattr(self.behind(scope, first)[1], "definition", None), Resource):
            raise InvalidArgument(f"{first.place}: {first.name}: expected a resource in borrow< >")
        return f"{self._need('Borrow')}[{inner}]"

    def _is(self, scope: Scope, type_: Type | None, name: str) -> bool:
        behind = self.behind(scope, type_)[1]
        return isinstance(behind, Builtin) and behind.name == name

    def _reach(self, scope: Scope, item: Definition | Function) -> None:
        for ref in refs(item):
            found = self._packages.find(*scope, ref)
            if _key(found) not in self._names:
                self._reach((found.package, found.interface), found.definition)
                self._add(found)

    def _add(self, found: Found) -> None:
        definition = found.definition
        if _key(found) in self._names:
            return
        if isinstance(definition, Compound) and definition.kind == "variant" and len(definition.parts) == 1:
            where = found.package.identity(found.interface.name)
            raise InvalidArgument(f"{where}: {definition.name}: a variant of one case has no form in Python")
        name = class_name(definition.name)
        self._names[_key(found)] = self.free(name, f"{class_name(found.interface.name)}{name}")
        self.found.append(found)
        if isinstance(definition, Compound) and definition.kind == "variant":
            for part in definition.parts:
                case = f"{self.name_of(found)}{class_name(part.name)}"
                self._cases[_key(found), part.name] = self.free(case, f"{case}Case")


def _key(found: Found) -> tuple[str, str, str]:
    return found.package.id, found.interface.name, found.definition.name
