"""Where tests keep what takes long to build, for later runs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAUSE = 10.0


def kept(room: str) -> Path:
    """The folder of a kind of things, below $XDG_CACHE_HOME or ~/.cache; it may not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "provider-sdk" / room


def downloading(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """How a program ended that asks a registry: it is run up to three times, since a registry may be away for a moment."""
    for _ in range(2):
        done = subprocess.run(command, check=False, **options)
        if done.returncode == 0:
            return done
        time.sleep(PAUSE)
    return subprocess.run(command, check=False, **options)
