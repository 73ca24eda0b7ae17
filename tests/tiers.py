"""The tiers of the test runs: `test` (minutes), `ci` (under 40 minutes), `soak` (hours, full size)."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

TIERS = ("test", "ci", "soak")


def tier() -> str:
    """The running tier, from the environment variable TIER; `test` where that is not set."""
    name = os.environ.get("TIER", "test")
    if name not in TIERS:
        raise ValueError(f"TIER={name}: not one of {', '.join(TIERS)}")
    return name


def scale(*, test: T, ci: T, soak: T) -> T:
    """The one of three sizes (rounds, seconds, bytes) that fits the running tier."""
    return {"test": test, "ci": ci, "soak": soak}[tier()]
