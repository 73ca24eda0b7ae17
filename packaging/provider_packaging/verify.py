"""Whether an archive is what it says, and what was asked for: a list of checks, and a verdict for a deploy gate."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from provider_packaging.archive import Archive, open_archive
from provider_packaging.claims import Claims, check_signature
from provider_sdk.errors import InvalidArgument, ProviderError, Unauthenticated


class Outcome(IntEnum):
    """What is wrong, as an exit code; of several the lowest."""

    WELL = 0
    UNREADABLE = 1
    FORM = 3
    INTEGRITY = 4
    TIME = 5
    ASKED = 6


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `line` says what was found."""

    name: str
    outcome: Outcome
    line: str

    @property
    def ok(self) -> bool:
        """Whether it is as it should be."""
        return self.outcome is Outcome.WELL


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks, and what follows from them."""

    checks: tuple[Check, ...]

    @property
    def outcome(self) -> Outcome:
        """The first thing that is wrong, in the order of the exit codes."""
        return min((check.outcome for check in self.checks if not check.ok), default=Outcome.WELL)


def verify(
    path: Path, *, issuers: Iterable[str] = (), targets: Iterable[str] = (), capability: str | None = None, now: float | None = None
) -> Verdict:
    """Look at everything: that the file can be read, its form, its hashes, the signature, its times; and at what is asked for: one of these
    issuers, all of these targets, this contract.
    """
    try:
        with open_archive(path) as archive:
            wishes = _wishes(archive, tuple(issuers), tuple(targets), capability)
            checks = (_form(archive), *_hashes(archive), _signature(archive), *_times(archive.claims, now), *wishes)
    except InvalidArgument as error:
        return Verdict((Check("form", Outcome.FORM, error.message),))
    except ProviderError as error:
        return Verdict((Check("file", Outcome.UNREADABLE, error.message),))
    return Verdict(checks)


def moment(seconds: int) -> str:
    """A time of the claims, which may lie beyond any calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"second {seconds}"


def plain(text: str) -> str:
    """One line to be shown. Claims are written by others: they do not get to move the cursor."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _form(archive: Archive) -> Check:
    form = "gzip of a tar" if archive.compressed else "tar"
    return Check("form", Outcome.WELL, f"{form}, claims and {', '.join(archive.programs)}")


def _hashes(archive: Archive) -> Iterator[Check]:
    wrong = archive.mismatches
    for line in wrong:
        yield Check("hash", Outcome.INTEGRITY, line)
    if not wrong:
        yield Check("hash", Outcome.WELL, "every file is the one that the claims are about")


def _signature(archive: Archive) -> Check:
    try:
        check_signature(archive.token)
    except Unauthenticated as error:
        return Check("signature", Outcome.INTEGRITY, error.message)
    return Check("signature", Outcome.WELL, f"signed by {archive.claims.issuer}")


def _times(claims: Claims, now: float | None) -> Iterator[Check]:
    now = time.time() if now is None else now
    if claims.expires is not None and claims.expires <= now:
        yield Check("time", Outcome.TIME, f"expired at {moment(claims.expires)}")
    elif claims.not_before is not None and now < claims.not_before:
        yield Check("time", Outcome.TIME, f"not valid before {moment(claims.not_before)}")
    else:
        until = "without an end" if claims.expires is None else f"until {moment(claims.expires)}"
        yield Check("time", Outcome.WELL, f"valid {until}")


def _wishes(archive: Archive, issuers: tuple[str, ...], targets: tuple[str, ...], capability: str | None) -> list[Check]:
    claims = archive.claims
    checks = []
    if issuers:
        checks.append(_asked("issuer", claims.issuer in issuers, claims.issuer, " or ".join(issuers)))
    if targets:
        there = set(targets) <= archive.programs.keys()
        checks.append(_asked("target", there, ", ".join(archive.programs), ", ".join(targets)))
    if capability is not None:
        checks.append(_asked("capability", claims.capability == capability, claims.capability or "none", capability))
    return checks


def _asked(name: str, ok: bool, found: str, wanted: str) -> Check:
    return Check(name, Outcome.WELL, found) if ok else Check(name, Outcome.ASKED, f"{found}: asked for was {wanted}")
