"""The real host, host/: a command around the published library of wasmCloud 1.9.2, and `kvmem`, a provider on the official Rust SDK.

Built once for these sources by `.ci/interop` (20 to 40 minutes on two cores, the first time) and kept in ~/.cache/provider-sdk/host1x.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from tests.built_once import kept
from tests.tools import cargo

NAME = "host1x"
PROGRAMS = (NAME, "kvmem")
SOURCES = Path(__file__).parent / "host"
TOOLCHAIN = "1.95.0"


def found(program: str = NAME) -> Path | None:
    """One of the two programs, where it is in the cache and made of these sources."""
    cached = _cached() / program
    return cached if cached.exists() else None


def build() -> Path:
    """The folder of both programs, built into the cache where they are not yet: cargo and its registry are needed.

    What the compiler made is kept beside them: other sources of our own are then a minute's work.
    """
    folder = _cached()
    workshop = folder.parent / "workshop"
    workshop.mkdir(parents=True, exist_ok=True)
    with (workshop / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not all((folder / program).exists() for program in PROGRAMS):
            _compile(workshop, folder)
    return folder


def _cached() -> Path:
    return kept(NAME) / cargo.digest(SOURCES)


def _compile(workshop: Path, folder: Path) -> None:
    sources = cargo.copied(SOURCES, workshop / "sources")
    cargo.build(sources, target=workshop / "target", environment=_environment())
    # All at once: nobody finds half a program.
    made = workshop / "made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for program in PROGRAMS:
        shutil.copy2(workshop / "target" / "release" / program, made)
    made.rename(folder)


def _environment() -> dict[str, str]:
    """The toolchain that these versions are known to compile with, where rustup has it."""
    homes = Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup") / "toolchains"
    there = sorted(homes.glob(f"{TOOLCHAIN}-*"))
    return {"RUSTUP_TOOLCHAIN": there[0].name} if there else {}


def main() -> None:
    """Build it where it is missing."""
    print(f"{NAME}: {build()}")


if __name__ == "__main__":
    main()
