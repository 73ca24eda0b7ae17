"""Programs of one file, without the half minute that PyInstaller takes: their archives are written by its own writer."""

from __future__ import annotations

from pathlib import Path

from PyInstaller.archive.writers import CArchiveWriter  # type: ignore[import-untyped]

from tests.unit.package_elf import an_elf


def a_program(path: Path, inside: dict[str, bytes]) -> Path:
    """A program with these files inside, every other one compressed; `-> target` is a link."""
    entries = []
    for number, (name, content) in enumerate(inside.items()):
        if content.startswith(b"-> "):
            entries.append((name, content[3:].decode(), False, "n"))
            continue
        source = path.with_name(f"{path.name}.{number}")
        source.write_bytes(content)
        entries.append((name, str(source), number % 2 == 0, "b" if content[:4] == b"\x7fELF" else "x"))
    entries.append(("pyi-contents-directory _internal", "", False, "o"))
    archive = path.with_name(f"{path.name}.pkg")
    CArchiveWriter(str(archive), entries, "libpython3.11.so.1.0")
    path.write_bytes(an_elf({"open": "GLIBC_2.4"}) + archive.read_bytes())
    return path
