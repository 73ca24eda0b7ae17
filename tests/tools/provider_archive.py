"""The reference reader and writer of provider archives, provider-archive/: built once by `.ci/archive-tool`, kept in a cache."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.tools.reference import Reference

NAME = "provider-archive"
TOOL = Reference(NAME)
VERSIONS = ("older", "newer")
PANIC = 101


def read(version: str, archive: Path, target: str | None = None) -> dict[str, Any]:
    """What the library finds in an archive, in all targets or as a host does; CalledProcessError where it refuses it or panics."""
    done = _run(["read", version, str(archive), *([target] if target else [])])
    found: dict[str, Any] = json.loads(done)
    return found


def write(version: str, archive: Path, wish: Mapping[str, Any], *, compressed: bool) -> None:
    """An archive by the library; a compressed one is called `.gz`."""
    _run(["write", version, str(archive), "gzip" if compressed else "plain"], json.dumps(wish))


def _run(words: list[str], text: str = "") -> str:
    program = TOOL.found()
    assert program is not None
    return subprocess.run([program, *words], input=text, capture_output=True, text=True, check=True, timeout=60).stdout


def main() -> None:
    """Build it where it is missing."""
    print(f"{NAME}: {TOOL.build()}")


if __name__ == "__main__":
    main()
