"""Python names and annotations of the types of WIT packages (provider_sdk/types.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provider_sdk.cli.wit.model import Builtin, Compound, Definition, Function, Package, Part, Ref, Resource, Type, WitInterface, refs
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
_Key = tuple[str, str, str]
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
        """The import statements in the order that isort has, with an empty line behind each group."""
        for root in ("", "provider_sdk"):
            if lines := list(self._statements(root)):
                yield from (*lines, "")

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
        self.taken = set(_MODULES)
        self._reached: dict[_Key, Found] = {}
        self._open: set[_Key] = set()
        for package in packages.main:
            for interface in package.interfaces:
                for definition in interface.types:
                    self._reach(Found(package, interface, definition))
                for function in interface.functions:
                    self._reach_from((package, interface), function)
        self.found = list(self._reached.values())
        own = {package.id for package in packages.main}
        self._names = {_key(found): self._name(found) for found in sorted(self.found, key=lambda found: found.package.id not in own)}
        self._cases = {(_key(found), part.name): self._case(found, part.name) for found in self.found for part in _cases(found)}

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

    def _reach(self, found: Found) -> None:
        """Remember a type behind those that it needs."""
        key = _key(found)
        if key in self._open:
            where = found.package.identity(found.interface.name)
            raise InvalidArgument(f"{where}: {found.definition.name} holds itself, which no type of WIT can")
        if key not in self._reached:
            self._open.add(key)
            self._reach_from((found.package, found.interface), found.definition)
            self._open.remove(key)
            self._reached[key] = found

    def _reach_from(self, scope: Scope, item: Definition | Function) -> None:
        for ref in refs(item):
            self._reach(self._packages.find(*scope, ref))

    def _name(self, found: Found) -> str:
        name = class_name(found.definition.name)
        return self.free(name, f"{class_name(found.interface.name)}{name}")

    def _case(self, found: Found, case: str) -> str:
        name = f"{self.name_of(found)}{class_name(case)}"
        return self.free(name, f"{name}Case")


def _key(found: Found) -> _Key:
    return found.package.id, found.interface.name, found.definition.name


def _cases(found: Found) -> tuple[Part, ...]:
    definition = found.definition
    if not isinstance(definition, Compound) or definition.kind != "variant":
        return ()
    if len(definition.parts) == 1:
        where = found.package.identity(found.interface.name)
        raise InvalidArgument(f"{where}: {definition.name}: a variant of one case has no form in Python")
    return definition.parts
