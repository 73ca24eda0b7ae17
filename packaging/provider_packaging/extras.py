"""Which packages a provider may use: what provider-sdk asks for, and the extras that its provider.toml lists."""

from __future__ import annotations

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
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise Unavailable(f"extras: {extra}: {name} is not installed: pip install '{SDK}[{extra}]'") from None
    return names


def _with_their_own(names: Iterable[str]) -> set[str]:
    """The distributions and all that they ask for in turn, as far as it is installed."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            lines = metadata.distribution(name).requires or ()
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += _asked_for((Requirement(line) for line in lines), "")
    return found


def _imported(names: Iterable[str]) -> frozenset[str]:
    wanted = set(names)
    return frozenset(
        module
        for module, owners in metadata.packages_distributions().items()
        if any(canonicalize_name(owner) in wanted for owner in owners)
    )
