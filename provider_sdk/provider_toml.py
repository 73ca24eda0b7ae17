"""provider.toml: the one file in which an author says what a provider is (docs/packaging.md).

name = "greeter"                   # of the archive and its claims: lower-case letters, digits, "-" and "_"
contract = "acme:greeter"          # or contracts = […]: ids of 0.x; the first one goes into the claims
interfaces = ["acme:greeter/greeter@0.1.0"]     # of 1.x, as WIT writes them
version = "0.1.0"
revision = 1                       # raised for every published build: hosts cache by it
vendor = "Acme"
module = "greeter"                 # the entry point: what `python -m` starts, found in this file's folder or its parents
extras = ["metrics"]               # of provider-sdk: what the frozen program can do beside the base
targets = ["x86_64-linux", "aarch64-linux"]     # ARCH-OS that an archive is to have a program for

[freeze]
include = ["greeter.backends.*"]   # modules that no import statement names
exclude = ["greeter.cli"]          # modules that are left out
data = { botocore = ["data/s3/**"] }            # of that package only these data files, as patterns
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from provider_sdk.errors import InvalidArgument, NotFound

FILE = "provider.toml"
MANIFESTS = ("wadm.yaml", "wadm-1x.yaml")
"""What `provider new` calls the manifests of a project, of 0.x and of 1.x."""
HIGHEST_REVISION = (1 << 31) - 1

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_CONTRACT = re.compile(r"[\w.-]+(:[\w.-]+)+")
_INTERFACE = re.compile(r"[a-z][a-z0-9-]*:[a-z][a-z0-9-]*/[a-z][a-z0-9-]*(@\d+\.\d+\.\d+[\w.+-]*)?")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_PATTERN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(\.\*)?")
_EXTRA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TARGET = re.compile(r"[a-z0-9_]+-[a-z0-9]+")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"\s*[\"']?([\w.-]+)[\"']?\s*=")
_INNER = re.compile(r"[{,]\s*[\"']?([\w-]+)[\"']?\s*=")
_RELATIVE = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$)).+")


@dataclass(frozen=True, slots=True)
class ProviderToml:
    """What a provider.toml says. `folder` holds the file; `data` maps a package to patterns of its data files that are kept."""

    folder: Path
    name: str
    contracts: tuple[str, ...]
    version: str
    revision: int
    vendor: str
    module: str
    interfaces: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    data: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The folder from which `module` is imported: the nearest one, from this file's upwards, in which it is found."""
        parts = self.module.split(".")
        for folder in (self.folder, self.folder / "src", *self.folder.parents[: len(parts)]):
            if folder.joinpath(*parts, "__main__.py").is_file() or folder.joinpath(*parts[:-1], f"{parts[-1]}.py").is_file():
                return folder
        raise NotFound(
            f"{self.folder / FILE}: module {self.module!r}: neither {'/'.join(parts)}.py nor {'/'.join(parts)}/__main__.py is there"
        )

    def unserved(self, contracts: Sequence[str], instances: Sequence[str]) -> list[str]:
        """What is said here and not served by a program that serves these contracts and WIT instances; nothing for one that serves nobody.

        Of the contracts the first one counts, which goes into the claims; others may be names by which hosts know the same.
        """
        first = [item for item in self.contracts[:1] if contracts and item not in contracts]
        return first + [item for item in self.interfaces if (contracts or instances) and item not in instances]


def read_provider_toml(path: Path) -> ProviderToml:
    """What the file, or the one in that folder, says. NotFound; InvalidArgument has a line `FILE:NUMBER: what is wrong` for each fault."""
    path = path / FILE if path.is_dir() else path
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist: a provider's folder holds a {FILE}") from None
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"{path}: {error}") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(_syntax(path, text, str(error))) from None
    except RecursionError:
        raise InvalidArgument(f"{path}: nested too deeply") from None
    reading = _Reading(path, text)
    found = reading.provider(document)
    if reading.faults:
        raise InvalidArgument("\n".join(line for _, line in sorted(reading.faults)))
    return found


def _syntax(path: Path, text: str, message: str) -> str:
    position = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    number = len(text.splitlines()) if position is None or position[1] is None else int(position[1])
    return f"{path}:{number}: not TOML: {message[: position.start()] if position else message}"


class _Reading:
    """Collects every fault of one file, each with its line."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._places = _places(text)
        self.faults: list[tuple[int, str]] = []

    def provider(self, document: dict[str, Any]) -> ProviderToml:
        freeze = document.get("freeze", {})
        if not isinstance(freeze, dict):
            self._fault("", "freeze", "expected a table: [freeze]")
            freeze = {}
        self._unknown("", document, (*_TOP, "freeze"))
        self._unknown("freeze", freeze, ("include", "exclude", "data"))
        return ProviderToml(
            folder=self._path.parent.resolve(),
            name=self._text(document, "name", _NAME, 'lower-case letters, digits, "-" and "_", 63 at the most'),
            contracts=self._contracts(document),
            version=self._text(document, "version", _PRINTABLE, "a version such as 0.1.0"),
            revision=self._revision(document),
            vendor=self._text(document, "vendor", _PRINTABLE, "who makes it"),
            module=self._text(document, "module", _MODULE, "the name of a module, such as greeter"),
            interfaces=self._list("", document, "interfaces", _INTERFACE, "namespace:package/interface@1.2.3"),
            extras=self._list("", document, "extras", _EXTRA, "a name of an extra of provider-sdk"),
            targets=self._list("", document, "targets", _TARGET, "ARCH-OS such as x86_64-linux"),
            include=self._list("freeze", freeze, "include", _PATTERN, "a module, or all below one: greeter.backends.*"),
            exclude=self._list("freeze", freeze, "exclude", _PATTERN, "a module, or all below one: greeter.cli.*"),
            data=self._data(freeze),
        )

    def _contracts(self, document: dict[str, Any]) -> tuple[str, ...]:
        one, several = document.get("contract"), document.get("contracts")
        expected = "an id such as acme:greeter"
        if one is not None and several is not None:
            self._fault("", "contract", "stands beside contracts: give one of the two")
        if one is not None:
            return (self._text(document, "contract", _CONTRACT, expected),)
        found = self._list("", document, "contracts", _CONTRACT, expected)
        if not found and not document.get("interfaces") and not self.faults:
            self.faults.append((1, f"{self._path}:1: contract: missing: {expected}, or interfaces of 1.x hosts"))
        return found

    def _revision(self, document: dict[str, Any]) -> int:
        value = document.get("revision")
        if type(value) is int and 1 <= value <= HIGHEST_REVISION:
            return value
        self._fault("", "revision", f"{_said(value)}expected a whole number from 1 to {HIGHEST_REVISION}, raised for every published build")
        return 1

    def _text(self, table: dict[str, Any], key: str, pattern: re.Pattern[str], expected: str) -> str:
        value = table.get(key)
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        self._fault("", key, f"{_said(value)}expected {expected}")
        return ""

    def _list(self, table: str, values: dict[str, Any], key: str, pattern: re.Pattern[str], expected: str) -> tuple[str, ...]:
        given = values.get(key, [])
        if not isinstance(given, list):
            self._fault(table, key, f"{_said(given)}expected a list")
            return ()
        for item in given:
            if not isinstance(item, str) or not pattern.fullmatch(item):
                self._fault(table, key, f"{_said(item)}expected {expected}")
            elif given.count(item) > 1:
                self._fault(table, key, f"{item!r} stands there twice")
                break
        return tuple(str(item) for item in given)

    def _data(self, freeze: dict[str, Any]) -> Mapping[str, tuple[str, ...]]:
        given = freeze.get("data", {})
        if not isinstance(given, dict):
            self._fault("freeze", "data", "expected a table of a package's name to a list of patterns")
            return {}
        for name in given:
            if not _MODULE.fullmatch(name):
                self._fault("freeze.data", name, "expected the name of a package")
        return {name: self._list("freeze.data", given, name, _RELATIVE, "a pattern below the package's folder") for name in given}

    def _unknown(self, table: str, values: dict[str, Any], known: tuple[str, ...]) -> None:
        for key in values.keys() - set(known):
            near = get_close_matches(key, known, 1)
            self._fault(table, key, f"unknown: did you mean {near[0]}?" if near else f"unknown: there are {', '.join(known)}")

    def _fault(self, table: str, key: str, what: str) -> None:
        number = self._line(table, key)
        name = f"{table}.{key}" if table else key
        self.faults.append((number, f"{self._path}:{number}: {name}: {what}"))

    def _line(self, table: str, key: str) -> int:
        """Where a key stands; where it does not, the line of its table, or 1."""
        name = f"{table}.{key}" if table else key
        return self._places.get(name) or self._places.get(table, 1)


def _places(text: str) -> dict[str, int]:
    """The line of each dotted name: of tables by their headers, of keys, and of keys of inline tables."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = header[1].replace('"', "").replace(" ", "")
            found.setdefault(table, number)
        elif written := _KEY.match(line):
            name = f"{table}.{written[1]}" if table else written[1]
            found.setdefault(name, number)
            for inner in _INNER.findall(line[written.end() :]):
                found.setdefault(f"{name}.{inner}", number)
    return found


def _said(value: object) -> str:
    if value is None:
        return "missing: "
    shown = repr(value)
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'}: "


_TOP = ("name", "contract", "contracts", "interfaces", "version", "revision", "vendor", "module", "extras", "targets")
