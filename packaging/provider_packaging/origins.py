"""Whose a file is that gets into a frozen program: the provider's, a distribution's, Python's, a Debian package's, or nobody's known."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.utils import canonicalize_name

from provider_sdk.provider_toml import ProviderToml

_PYTHON_LIBRARY = re.compile(r"(lib)?python3[\d.]*t?(\.so[\d.]*|\.dylib|\.dll)|Python", re.IGNORECASE)
_DPKG_SECONDS = 60


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A package that dpkg knows, by which a file came onto this machine; `distribution` is such as ("debian", "12")."""

    name: str
    version: str
    architecture: str
    distribution: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Provider:
    """The author's own."""


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter and its standard library."""


Origin = Provider | Python | Distribution | DebianPackage | None


class Origins:
    """Tells the origin of files on this machine, for one provider and the distributions that this Python imports from."""

    def __init__(self, provider: ProviderToml) -> None:
        self._own, self._root = _real(provider.folder), _real(provider.root)
        self._recorded: dict[str, Distribution] = {}
        self._editable: dict[str, Distribution] = {}
        self.distributions: dict[str, Distribution] = {}
        for distribution in distributions():
            name = canonicalize_name(distribution.name)
            if self.distributions.setdefault(name, distribution) is distribution:
                self._record(distribution)
        site = sysconfig.get_paths()
        self._sites = [_real(Path(site[key])) for key in ("purelib", "platlib")]
        self._standard = [
            _real(Path(sysconfig.get_path("stdlib"))),
            _real(Path(sysconfig.get_path("platstdlib", vars={"platbase": sys.base_prefix}))),
        ]
        if sys.base_prefix not in {"/usr", "/usr/local"}:
            self._standard.append(_real(Path(sys.base_prefix)))

    def of(self, files: Iterable[Path]) -> Mapping[Path, Origin]:
        """The origin of each file, None where nobody knows it. dpkg is asked once for all that are left."""
        found = {path: self._of(path) for path in files}
        packages = _debian([path for path, origin in found.items() if origin is None])
        return {path: origin if origin is not None else packages.get(path) for path, origin in found.items()}

    def _of(self, path: Path) -> Origin:
        place = f"{_real_folder(str(path.parent))}{os.sep}{path.name}"
        if recorded := self._recorded.get(place):
            return recorded
        if _below(place, self._sites):
            return None
        if _PYTHON_LIBRARY.fullmatch(path.name) or (_below(place, self._standard) and not re.search(r"/(site|dist)-packages/", place)):
            return Python()
        if _below(place, [self._own]):
            return Provider()
        for folder, distribution in self._editable.items():
            if _below(place, [folder]):
                return distribution
        return Provider() if _below(place, [self._root]) else None

    def _record(self, distribution: Distribution) -> None:
        base = _real(Path(str(distribution.locate_file(""))))
        record = distribution.read_text("RECORD")
        # Many times as fast as `files`, which makes an object of each and looks for it on disk.
        names = [row[0] for row in csv.reader(record.splitlines()) if row] if record else [str(file) for file in distribution.files or ()]
        for name in names:
            self._recorded[f"{base}/{name}" if os.sep == "/" and ".." not in name else os.path.normpath(f"{base}/{name}")] = distribution
        text = distribution.read_text("direct_url.json")
        source = json.loads(text) if text else {}
        if source.get("dir_info", {}).get("editable"):
            self._editable[_real(Path(url2pathname(urlsplit(source["url"]).path)))] = distribution


def _real(path: Path) -> str:
    return os.path.realpath(path)


@lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _below(place: str, folders: Iterable[str]) -> bool:
    return any(place.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def _debian(paths: list[Path]) -> dict[Path, DebianPackage]:
    if not paths or not shutil.which("dpkg-query"):
        return {}
    spelled = {spelling: path for path in paths for spelling in _spellings(path)}
    owners: dict[Path, str] = {}
    for line in _dpkg("--search", *spelled):
        names, _, spelling = line.partition(": ")
        if spelling in spelled:
            owners.setdefault(spelled[spelling], names.split(", ")[0])
    packages = {}
    if owners:
        form = "${binary:Package}\t${Package}\t${Version}\t${Architecture}\n"
        for line in _dpkg("--show", f"--showformat={form}", *sorted(set(owners.values()))):
            key, name, version, architecture = line.split("\t")
            packages[key] = packages[name] = DebianPackage(name, version, architecture, _system())
    return {path: packages[owner] for path, owner in owners.items() if owner in packages}


def _spellings(path: Path) -> set[str]:
    """A file's names as dpkg may know it: since /lib became a link to /usr/lib, packages name it in either way."""
    names = {str(path), os.path.realpath(path)}
    return names | {name.removeprefix("/usr") for name in names} | {f"/usr{name}" for name in names if not name.startswith("/usr/")}


def _dpkg(*arguments: str) -> list[str]:
    """The lines that dpkg-query answers; it ends with 1 where it knows some of what is asked and not the rest."""
    try:
        done = subprocess.run(
            ["dpkg-query", *arguments],
            capture_output=True,
            text=True,
            timeout=_DPKG_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines()


def _system() -> tuple[str, str]:
    try:
        lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    except OSError:
        return ("debian", "")
    said = dict(line.replace('"', "").split("=", 1) for line in lines if "=" in line)
    return (said.get("ID", "debian"), said.get("VERSION_ID", ""))
