"""Python itself, and the packages that the SDK asks for."""

from __future__ import annotations

import importlib.util
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from provider_sdk.errors import ProviderError
from provider_sdk.findings import Finding, right, warning, wrong
from provider_sdk.provider_toml import read_provider_toml

DISTRIBUTION = "provider-sdk"
_NEEDED_BY = {"cli": "the command", "lattice": "provider run and provider dev", "package": "provider package build, push and pull"}
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?\s*(?P<versions>[^;]*?)\s*(?:;.*?extra == ['\"](?P<extra>[\w.-]+)['\"].*)?")
_BOUND = re.compile(r"(>=|<=|==|!=|>|<)\s*([\d.]+)")


def checks(folder: Path) -> Iterable[Finding]:
    """The interpreter, its environment, what freezing needs of it, and the packages."""
    yield _release()
    if sys.prefix == sys.base_prefix:
        advice = "python -m venv .venv && . .venv/bin/activate, and install the project there"
        yield warning("Python", "this is no virtual environment: projects will get in each other's way", advice)
    if importlib.util.find_spec("ensurepip") is None:
        yield warning("Python", "it cannot make virtual environments (ensurepip is missing)", "on Debian: apt-get install python3-venv")
    yield _shared_library()
    yield from _packages(folder)


def _release() -> Finding:
    known = [tuple(map(int, text.split("."))) for text in _releases()]
    said = f"{platform.python_version()}, {sys.executable}"
    if known and sys.version_info[:2] > max(known):
        newest = ".".join(map(str, max(known)))
        return warning("Python", f"{said}: newer than what the SDK is tested with", f"where something fails, try Python {newest}")
    return right("Python", said)


def _releases() -> Iterator[str]:
    with suppress(PackageNotFoundError):
        for line in metadata(DISTRIBUTION).get_all("Classifier") or ():
            yield from re.findall(r"^Programming Language :: Python :: (3\.\d+)$", line)


def _shared_library() -> Finding:
    """PyInstaller takes Python's shared library along; a program that was linked without it may have none beside it."""
    if sys.platform == "win32" or sysconfig.get_config_var("PYTHONFRAMEWORK"):
        return right("freezing", "this Python brings its shared library")
    names = {sysconfig.get_config_var("INSTSONAME"), sysconfig.get_config_var("LDLIBRARY")} - {None, ""}
    folders = [sysconfig.get_config_var(name) for name in ("LIBDIR", "LIBPL")] + [str(Path(sys.base_prefix) / "lib")]
    shared = [name for name in names if not name.endswith(".a")]
    if any(Path(place, name).exists() for name in shared for place in folders if place):
        return right("freezing", f"Python's shared library is there ({', '.join(sorted(shared))})")
    release = f"{sys.version_info[0]}.{sys.version_info[1]}"
    advice = f"on Debian: apt-get install libpython{release}; with pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared"
    return warning("freezing", "Python's shared library is not there, which provider package build needs", advice)


def _packages(folder: Path) -> Iterator[Finding]:
    try:
        asked = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        yield wrong(
            "packages", f"{DISTRIBUTION} is not installed, only its source is on the path", f"pip install '{DISTRIBUTION}[cli,lattice]'"
        )
        return
    offered, wanted = set(metadata(DISTRIBUTION).get_all("Provides-Extra") or ()), _wanted(folder)
    for extra in sorted(wanted - offered):
        yield wrong(
            "packages",
            f"provider.toml asks for the extra {extra}, which {DISTRIBUTION} has not",
            f"there are: {', '.join(sorted(offered))}",
        )
    fine: list[str] = []
    for extra in ("", *sorted({*_NEEDED_BY, *wanted} & offered)):
        faults = [fault for text in asked if (fault := _fault(text, extra))]
        if not faults:
            fine.append(extra)
            continue
        what = f"{', '.join(faults)}{f': needed by {_NEEDED_BY[extra]}' if extra in _NEEDED_BY else ''}"
        advice = f"pip install '{DISTRIBUTION}{f'[{extra}]' if extra else ''}'"
        yield wrong("packages", what, advice) if not extra or extra in wanted else warning("packages", what, advice)
    yield right("packages", f"those of {DISTRIBUTION} {version(DISTRIBUTION)} with {', '.join(filter(None, fine)) or 'no extra'} are there")


def _wanted(folder: Path) -> set[str]:
    with suppress(ProviderError):
        return set(read_provider_toml(folder).extras)
    return set()


def _fault(requirement: str, extra: str) -> str:
    """What is wrong with one package of an extra; empty where nothing is."""
    found = _REQUIREMENT.fullmatch(requirement)
    if found is None or (found["extra"] or "") != extra:
        return ""
    try:
        installed = version(found["name"])
    except PackageNotFoundError:
        return f"{found['name']} is missing"
    bounds = [(sign, _numbers(bound)) for sign, bound in _BOUND.findall(found["versions"])]
    return "" if all(_fits(_numbers(installed), *bound) for bound in bounds) else f"{found['name']} {installed} is not {found['versions']}"


def _numbers(release: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", release, maxsplit=1)[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _fits(installed: tuple[int, ...], sign: str, bound: tuple[int, ...]) -> bool:
    below, equal = installed < bound, installed == bound
    return {">=": not below, "<=": below or equal, "==": equal, "!=": not equal, ">": not below and not equal, "<": below}[sign]
