"""The lock files are in step with pyproject.toml; nothing is asked of the network."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
RUNTIME_EXTRAS = ("cli", "httpserver", "lattice")
ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?P<marker> ;[^\\]*)? \\\n(?P<rest>(?:[ \t]+.*\n?)+)", re.MULTILINE)
STORES = "tests/foreign/requirements-stores"
EACH = pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt", f"{STORES}.txt"])


@dataclass(frozen=True)
class Pin:
    """An entry of a lock: its hashes, and the packages that asked for it."""

    version: Version
    hashes: frozenset[str]
    via: frozenset[str]


def pins(lock: str) -> dict[str, Pin]:
    return {canonicalize_name(entry["name"]): _pin(entry) for entry in ENTRY.finditer((ROOT / lock).read_text("utf-8"))}


def _pin(entry: re.Match[str]) -> Pin:
    rest = entry["rest"]
    via = rest[rest.index("# via") :].replace("# via", "") if "# via" in rest else ""
    parents = frozenset(re.findall(r"^[#\s]*([^\s#]+)", line)[0] for line in via.splitlines() if line.strip(" #"))
    return Pin(Version(entry["version"]), frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})\b", rest)), parents)


def wanted(extras: tuple[str, ...]) -> Iterator[Requirement]:
    lists = [PROJECT["dependencies"], PYPROJECT["build-system"]["requires"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return (Requirement(text) for requirements in lists for text in requirements)


def unmet(lock: str, extras: tuple[str, ...]) -> list[str]:
    held = pins(lock)
    return [
        str(need) for need in wanted(extras) if (pin := held.get(canonicalize_name(need.name))) is None or pin.version not in need.specifier
    ]


def test_the_runtime_lock_holds_what_the_demo_needs() -> None:
    assert unmet("requirements.txt", RUNTIME_EXTRAS) == []


def test_the_development_lock_holds_every_extra() -> None:
    assert unmet("requirements-dev.txt", tuple(PROJECT["optional-dependencies"])) == []


def test_the_development_lock_holds_the_runtime_lock() -> None:
    held = pins("requirements-dev.txt")
    assert {name: pin.hashes for name, pin in pins("requirements.txt").items()} == {
        name: held[name].hashes for name in pins("requirements.txt") if name in held
    }


def test_nothing_is_locked_that_nobody_asks_for() -> None:
    asked = {canonicalize_name(need.name) for need in wanted(tuple(PROJECT["optional-dependencies"]))}
    held = pins("requirements-dev.txt")
    own = canonicalize_name(PROJECT["name"])
    assert {name for name, pin in held.items() if own in pin.via} - asked == set()
    assert {name: pin.via for name, pin in held.items() if not pin.via or pin.via - held.keys() - {own}} == {}


def test_the_lock_of_foreign_suites_holds_what_is_asked_for_and_fits_beside_the_development_lock() -> None:
    held, beside = pins(f"{STORES}.txt"), pins("requirements-dev.txt")
    asked = [Requirement(line) for line in (ROOT / f"{STORES}.in").read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert asked and all(held[canonicalize_name(need.name)].version in need.specifier for need in asked)
    assert {name: pin.version for name, pin in held.items() if name in beside} == {
        name: beside[name].version for name in held if name in beside
    }


@EACH
def test_every_entry_of_a_lock_is_pinned_by_hash(lock: str) -> None:
    held = pins(lock)
    lines = [line for line in (ROOT / lock).read_text("utf-8").splitlines() if line and line[0] not in " #"]
    assert len(lines) == len(held)
    assert [name for name, pin in held.items() if not pin.hashes] == []


@EACH
def test_a_lock_holds_for_every_python_that_is_served(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert "with Python 3.11\n" in text
    assert "python_version" not in text


@EACH
def test_a_lock_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert re.findall(r"\w+://|@ file|^-.*|--(?!hash=)\S+", text, re.MULTILINE) == []
