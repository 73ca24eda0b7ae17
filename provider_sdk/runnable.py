"""A provider that can be started on this machine, wherever it came from: its source, or an archive that was fetched and unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Runnable:
    """How a provider is started. A change of its `sources` asks for a restart; `note` says what stands in for the image.

    `key` is the provider's public key (`V…`); `cwd` None is the starter's own; `revision` 0 is none.
    """

    command: tuple[str, ...]
    cwd: Path | None
    key: str
    version: str
    sources: tuple[Path, ...]
    note: str = ""
    revision: int = 0
