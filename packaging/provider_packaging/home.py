"""The user's home folder."""

from __future__ import annotations

from pathlib import Path

NOWHERE = Path("/nonexistent")


def home() -> Path:
    """The folder; for a user who has none, as containers have them that run as any number, one that is not there, as Debian calls it."""
    try:
        return Path.home()
    except RuntimeError:
        return NOWHERE
