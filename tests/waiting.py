"""What tests wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path


async def until(holds: Callable[[], object], seconds: float = 90.0) -> None:
    """Returns when it comes true; TimeoutError where that takes longer."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process runs: one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
