"""Which packages a provider may use: what provider-sdk asks for, and the extras that its provider.toml lists."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from provider_sdk.errors import InvalidArgument, Unavailable

SDK = "provider-sdk"


@dataclass(frozen=True, slots=True)
class Packages:
    """Names as they are imported: of what the SDK needs for the listed extras, and of what belongs to the others alone."""

    wanted: frozenset[str]
    unwanted: frozenset[str]


def packages_of(extras: Iterable[str]) -> Packages:
    """What the extras mean on this machine. InvalidArgument for one that there is not, Unavailable for one that is not installed."""
    listed = [canonicalize_name(name) for name in extras]
    distribution = metadata.distribution(SDK)
    known = sorted(canonicalize_name(name) for name in distribution.metadata.get_all("Provides-Extra") or ())
    for name in listed:
        if name not in known:
            raise InvalidArgument(f"extras: {name!r}: {SDK} has no such extra; it has {', '.join(known)}")
    requirements = [Requirement(line) for line in distribution.requires or ()]
    wanted = _asked_for(requirements, "")
    for name in listed:
        wanted |= _checked(name, _asked_for(requirements, name))
    all_wanted = _with_their_own(wanted)
    others = _with_their_own({found for name in known if name not in listed for found in _asked_for(requirements, name)})
    return Packages(_imported(all_wanted), _imported(others - all_wanted) - _imported(all_wanted))


def _asked_for(requirements: Iterable[Requirement], extra: str) -> set[str]:
    """The distributions that an extra asks for; those without any for ""."""
    found: set[str] = set()
    for requirement in requirements:
        marker = requirement.marker
        if marker is None:
            applies = extra == ""
        else:
            applies = marker.evaluate({"extra": extra}) and (extra == "" or not marker.evaluate({"extra": ""}))
        if applies:
            found.add(canonicalize_name(requirement.name))
    return found


def _checked(extra: str, names: set[str]) -> set[str]:
    for name in sorted(names):
        if _installed(name) is None:
            raise Unavailable(f"extras: {extra}: {name} is not installed: pip install '{SDK}[{extra}]'")
    return names


def _with_their_own(names: Iterable[str]) -> set[str]:
    """The distributions and all that they ask for in turn, as far as it is installed."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and (distribution := _installed(name)) is not None:
            found.add(name)
            waiting += _asked_for((Requirement(line) for line in distribution.requires or ()), "")
    return found


@functools.cache
def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _imported(names: Iterable[str]) -> frozenset[str]:
    return frozenset(module for name in names for module in _modules_of(name))


@functools.cache
def _modules_of(name: str) -> frozenset[str]:
    """The names that a distribution adds to those that can be imported. importlib.metadata takes seconds to tell."""
    distribution = _installed(name)
    if distribution is None:
        return frozenset()
    if told := distribution.read_text("top_level.txt"):
        return frozenset(told.split())
    files = (line.partition(",")[0].split("/") for line in (distribution.read_text("RECORD") or "").splitlines())
    tops = {parts[0] if len(parts) > 1 else parts[0].partition(".")[0] for parts in files if parts[-1].endswith((".py", ".so", ".pyd"))}
    return frozenset(top for top in tops if top.isidentifier() and top != "__pycache__")
