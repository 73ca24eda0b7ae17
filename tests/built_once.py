"""Where tests keep what takes long to build, for later runs."""

from __future__ import annotations

import os
from pathlib import Path


def kept(room: str) -> Path:
    """The folder of a kind of things, below $XDG_CACHE_HOME or ~/.cache; it may not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "provider-sdk" / room
