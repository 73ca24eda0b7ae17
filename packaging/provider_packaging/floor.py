"""What a frozen program asks of the machine it is to run on: the oldest glibc or macOS, the processor, libraries from outside.

The glibc floor is the highest GLIBC_x.y that any ELF file asks for, of the program and of all libraries inside, with the file and the
symbol that set it. A program of one file is read without running it; of a folder, every file in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from provider_packaging import elf, macho
from provider_packaging.carchive import FrozenProgram
from provider_packaging.elf import Elf, Release, read_elf
from provider_packaging.macho import MachO, read_macho
from provider_sdk.errors import InvalidArgument, NotFound

LARGEST_FILE = 512 << 20
EVERYWHERE = re.compile(r"(ld-linux[\w-]*|lib(c|m|dl|rt|pthread|util|resolv|nsl|gcc_s|stdc\+\+|z|atomic))\.so\.\d+|ld64\.so\.\d+")
"""The libraries that every Linux of glibc has, and the bootloader's libz (packaging.md §6.1)."""

_GLIBC = re.compile(r"\d{1,4}(\.\d{1,4}){1,3}")


@dataclass(frozen=True, slots=True)
class Part:
    """An ELF or Mach-O file of a program; `name` is "" for the program itself. `fault` says why it could not be read."""

    name: str
    architectures: tuple[str, ...] = ()
    glibc: Release | None = None
    symbol: str = ""
    odd: tuple[str, ...] = ()
    macos: Release | None = None
    needed: tuple[str, ...] = ()
    fault: str = ""

    def __str__(self) -> str:
        return self.name or "the program itself"


@dataclass(frozen=True, slots=True)
class Floor:
    """`glibc` and `macos` are parts that set the floor, None where none asks for any; `outside` is what no file inside supplies."""

    parts: tuple[Part, ...]
    glibc: Part | None = field(init=False)
    macos: Part | None = field(init=False)
    architectures: tuple[str, ...] = field(init=False)
    outside: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        inside = {part.name.rpartition("/")[2] for part in self.parts}
        outside = {name for part in self.parts for name in part.needed} - inside
        found = {
            "glibc": max((part for part in self.parts if part.glibc), key=lambda part: part.glibc or (), default=None),
            "macos": max((part for part in self.parts if part.macos), key=lambda part: part.macos or (), default=None),
            "architectures": self.parts[0].architectures,
            "outside": tuple(sorted(outside)),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def faults(self, *, architecture: str = "", most_glibc: str = "") -> list[str]:
        """What is in the way of running: on `architecture` (the program's own by default), with no newer glibc than that; a line each."""
        expected = {architecture} if architecture else set(self.architectures)
        strange = [part for part in self.parts if part.architectures and not expected & set(part.architectures)]
        lines = [f"{part}: {part.fault}" for part in self.parts if part.fault]
        lines += [f"{part}: for {' and '.join(part.architectures)}, not for {' or '.join(sorted(expected))}" for part in strange]
        if most_glibc:
            lines += self._too_new(parsed(most_glibc), most_glibc)
            lines += [f"asks for {name}, which is not inside" for name in self.outside if not EVERYWHERE.fullmatch(name)]
        return lines

    def _too_new(self, most: Release, said: str) -> Iterator[str]:
        for part in self.parts:
            if part.glibc and part.glibc > most:
                yield f"{part}: asks for glibc {written(part.glibc)} ({part.symbol}), {said} at the most"
            for name in part.odd:
                yield f"{part}: asks for {name}, which only the glibc has that it was made with"


def floor(program: Path) -> Floor:
    """The floor of a program, or of a folder with one; NotFound, InvalidArgument where it is neither ELF nor Mach-O."""
    parts = tuple(_of_folder(program) if program.is_dir() else _of_file(program))
    if not parts:
        raise InvalidArgument(f"{program}: neither ELF nor Mach-O: what it asks of a machine cannot be told")
    return Floor(parts)


def written(release: Release | None) -> str:
    """A release as people write it; "none" for None."""
    return ".".join(map(str, release)) if release else "none"


def document(found: Floor) -> dict[str, object]:
    """The same for a program to read."""
    return {
        "architectures": list(found.architectures),
        "glibc": _setter(found.glibc, found.glibc.glibc) if found.glibc else None,
        "macos": _setter(found.macos, found.macos.macos) if found.macos else None,
        "outside": list(found.outside),
        "parts": [
            {
                "file": str(part),
                "architectures": list(part.architectures),
                "glibc": written(part.glibc) if part.glibc else None,
                "macos": written(part.macos) if part.macos else None,
                "fault": part.fault or None,
            }
            for part in found.parts
        ],
    }


def _setter(part: Part, release: Release | None) -> dict[str, str | None]:
    return {"release": written(release), "file": str(part), "symbol": part.symbol or None}


def parsed(release: str) -> Release:
    """A release as people write it, such as 2.31; InvalidArgument where it is none."""
    if not _GLIBC.fullmatch(release):
        raise InvalidArgument(f"{release!r}: expected a release of glibc such as 2.31")
    return tuple(map(int, release.split(".")))


def _of_file(program: Path) -> Iterator[Part]:
    size = _size(program)
    if size > LARGEST_FILE:
        raise InvalidArgument(f"{program}: {size} bytes, {LARGEST_FILE} at the most")
    own = _part("", program.read_bytes())
    if own is None:
        return
    yield own
    try:
        frozen = FrozenProgram(program)
    except NotFound:
        return
    with frozen:
        for entry in frozen.entries.values():
            if not entry.is_link and _is_binary(frozen.head(entry, 4)) and (part := _part(entry.name, frozen.read(entry, LARGEST_FILE))):
                yield part


def _of_folder(folder: Path) -> Iterator[Part]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            if not _is_binary(file.read(4)):
                continue
            file.seek(0)
            name = path.relative_to(folder).as_posix()
            part = _part(name, file.read(LARGEST_FILE)) if _size(path) <= LARGEST_FILE else Part(name, fault="too large to be read")
        if part:
            yield part


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist") from None
    except OSError as error:
        raise InvalidArgument(f"{path}: {error.strerror}") from None


def _is_binary(head: bytes) -> bool:
    return head == elf.MAGIC or head in macho.MAGICS


def _part(name: str, content: bytes) -> Part | None:
    if not _is_binary(content[:4]):
        return None
    try:
        return _of_elf(name, read_elf(content)) if content[:4] == elf.MAGIC else _of_macho(name, read_macho(content))
    except InvalidArgument as error:
        return Part(name, fault=error.message)


def _of_elf(name: str, found: Elf) -> Part:
    return Part(name, (found.architecture,), found.glibc, found.symbol, found.odd, needed=found.needed)


def _of_macho(name: str, found: MachO) -> Part:
    return Part(name, found.architectures, macos=found.macos)
