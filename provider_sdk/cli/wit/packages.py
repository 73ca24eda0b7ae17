"""WIT packages of a file or a folder, with what they use: `deps/` beside the file or in the folder, one file or folder a package."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from provider_sdk.cli.wit.model import Alias, Definition, Package, Ref, Type, WitInterface, refs
from provider_sdk.cli.wit.names import repeated
from provider_sdk.cli.wit.parser import parse
from provider_sdk.errors import InvalidArgument, NotFound


@dataclass(frozen=True, slots=True)
class Found:
    """A type where it is defined: what a chain of `use` leads to."""

    package: Package
    interface: WitInterface
    definition: Definition


class Packages:
    """Packages that are asked for, `main`, and all those that they can use."""

    def __init__(self, main: list[Package], dependencies: list[Package]) -> None:
        self.main = main
        self._by_id = {package.id: package for package in (*dependencies, *main)}
        for package in main:
            if twice := repeated([interface.name for interface in package.interfaces]):
                raise InvalidArgument(f"{package.id}: {twice} is defined twice")
            for interface in package.interfaces:
                self._check(package, interface)

    def find(self, package: Package, interface: WitInterface, ref: Ref) -> Found:
        """The type behind a name of an interface; InvalidArgument at the place of the name where there is none."""
        seen: set[tuple[str, str, str]] = set()
        name = ref.name
        while (package.id, interface.name, name) not in seen:
            seen.add((package.id, interface.name, name))
            for definition in interface.types:
                if definition.name == name:
                    return Found(package, interface, definition)
            use = next((use for use in interface.uses if use.name == name), None)
            if use is None:
                raise InvalidArgument(f"{ref.place}: {ref.name}: expected a type of {interface.name}, found no such name")
            package, interface = self._interface(package, use.interface, ref if use.place.line == 0 else Ref(name, use.place))
            ref, name = Ref(use.original, use.place), use.original
        raise InvalidArgument(f"{ref.place}: {ref.name} is used in a circle")

    def resolved(self, package: Package, interface: WitInterface, type_: Type | None) -> tuple[Package, WitInterface, Type | None]:
        """The type behind other names of it, with the interface in which its own names hold."""
        while isinstance(type_, Ref):
            found = self.find(package, interface, type_)
            if not isinstance(found.definition, Alias):
                break
            package, interface, type_ = found.package, found.interface, found.definition.type
        return package, interface, type_

    def _interface(self, package: Package, path: str, ref: Ref) -> tuple[Package, WitInterface]:
        wanted, name = package.id, path
        if ":" in path:
            bare, _, version = path.partition("@")
            wanted, _, name = bare.partition("/")
            wanted = f"{wanted}@{version}" if version else wanted
        holder = self._by_id.get(wanted)
        if holder is None:
            raise InvalidArgument(f"{ref.place}: {ref.name}: package {wanted} is not at hand: put it into the folder deps")
        for interface in holder.interfaces:
            if interface.name == name:
                return holder, interface
        raise InvalidArgument(f"{ref.place}: {ref.name}: package {wanted} has no interface {name} here")

    def _check(self, package: Package, interface: WitInterface) -> None:
        names = [item.name for item in (*interface.uses, *interface.types)] + [item.within for item in interface.functions]
        if twice := repeated(names):
            raise InvalidArgument(f"{package.identity(interface.name)}: {twice} is defined twice")
        for use in interface.uses:
            self.find(package, interface, Ref(use.name, use.place))
        for function in interface.functions:
            for ref in refs(function):
                self.find(package, interface, ref)
        for item in interface.types:
            for ref in refs(item):
                self.find(package, interface, ref)


def read_packages(path: Path) -> Packages:
    """The packages of a .wit file, or of a folder of such files that are one package. NotFound; InvalidArgument `FILE:LINE:COLUMN: …`."""
    main = _folder(path) if path.is_dir() else _file(path)
    deps = (path if path.is_dir() else path.parent) / "deps"
    entries = sorted(deps.iterdir()) if deps.is_dir() else []
    dependencies = [package for entry in entries for package in (_folder(entry) if entry.is_dir() else _wit_only(entry))]
    return Packages(main, dependencies)


def _wit_only(path: Path) -> list[Package]:
    return _file(path) if path.suffix == ".wit" else []


def _file(path: Path) -> list[Package]:
    return _named(path, parse(_text(path), str(path)))


def _folder(folder: Path) -> list[Package]:
    """What the files of a folder say together; a package that stands within another one's file stays by itself."""
    files = sorted(folder.glob("*.wit"))
    if not files:
        raise NotFound(f"{folder}: there is no .wit file in it")
    heads, nested = [], []
    for path in files:
        head, *inner = parse(_text(path), str(path))
        heads.append(head)
        nested += inner
    ids = {head.id for head in heads if head.name}
    if len(ids) > 1:
        raise InvalidArgument(f"{folder}: its files are of several packages: {', '.join(sorted(ids))}")
    named = next((head for head in heads if head.name), heads[0])
    docs = next((head.docs for head in heads if head.docs), "")
    return _named(folder, [replace(named, interfaces=tuple(item for head in heads for item in head.interfaces), docs=docs), *nested])


def _named(path: Path, packages: list[Package]) -> list[Package]:
    head, *nested = packages
    if head.name:
        return packages
    if head.interfaces or not nested:
        raise InvalidArgument(f"{path}:1:1: expected `package namespace:name;`, found none")
    return nested


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist") from None
    except ValueError as error:
        raise InvalidArgument(f"{path}: not UTF-8: {error}") from None
