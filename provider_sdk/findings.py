"""What `provider doctor` tells of: findings, and the checks that make them.

A package adds checks by the entry point group `provider_sdk.doctor`: a function of the folder of a project, which may hold nothing yet.
It returns within seconds, changes nothing, and raises nothing for what it finds.

    def checks(folder: Path) -> Iterable[Finding]:
        if not (folder / "licence.key").exists():
            yield wrong("licence", f"{folder / 'licence.key'} is missing", "ask for one")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

GROUP = "provider_sdk.doctor"


class Level(StrEnum):
    """ok: as it should be; warning: some verb lacks something; wrong: it will stop you."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for a person: `subject` was looked at, `message` is what is so, `advice` is what to do. No secret is in any of them."""

    level: Level
    subject: str
    message: str
    advice: str = ""


Checks = Callable[[Path], Iterable[Finding]]


def right(subject: str, message: str) -> Finding:
    """It is as it should be."""
    return Finding(Level.OK, subject, message)


def warning(subject: str, message: str, advice: str) -> Finding:
    """Something lacks that not everybody needs."""
    return Finding(Level.WARNING, subject, message, advice)


def wrong(subject: str, message: str, advice: str) -> Finding:
    """It will stop whoever goes on."""
    return Finding(Level.WRONG, subject, message, advice)
