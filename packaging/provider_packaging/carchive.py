"""What is inside of a program that PyInstaller made as one file, read without running it and for any system it was made on.

The layout (PyInstaller's manual, "CArchive"): files one after the other, a table of contents, and at the end of both a cookie with
the magic, the length of all, and where the table lies. That stands behind the bootloader or in a section of it, so that the cookie is
looked for from the end. Numbers are big-endian. A program may come from anybody: everything is bounded and nothing is believed.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from provider_sdk.errors import InvalidArgument, NotFound

MOST_ENTRIES = 50_000
MOST_BYTES = 2 << 30
LONGEST_NAME = 4096

_MAGIC = b"MEI\x0c\x0b\x0a\x0b\x0e"
_COOKIE = struct.Struct(">8sIIII64s")
_ENTRY = struct.Struct(">IIIIBc")
_FILES, _LINK = "bxnzZ", "n"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file inside: where its bytes lie in the program, how many, how many they are unpacked, and PyInstaller's letter for its kind."""

    name: str
    kind: str
    offset: int
    packed: int
    size: int
    compressed: bool

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link to another one."""
        return self.kind == _LINK


class FrozenProgram:
    """A program of one file, open. `entries` are the files, in the order of its table; `python` is the version inside, such as 3.11."""

    def __init__(self, path: Path) -> None:
        """NotFound where the file is not there or not PyInstaller's; InvalidArgument where its table is broken."""
        self.path = path
        self._bytes = _mapped(path)
        try:
            start, self.python, table = self._cookie()
            self.entries: Mapping[str, Entry] = MappingProxyType(self._entries(start, table))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        self._bytes.close()

    def head(self, entry: Entry, size: int) -> bytes:
        """The first bytes of a file inside, fewer where it is shorter."""
        return self._read(entry, min(size, entry.size))

    def read(self, entry: Entry, most: int) -> bytes:
        """A file inside; InvalidArgument where it is longer than `most`, or not as long as the table says."""
        if entry.size > most:
            raise InvalidArgument(f"{self.path}: {entry.name} inside: {entry.size} bytes, {most} at the most")
        found = self._read(entry, entry.size + 1)
        if len(found) != entry.size:
            raise InvalidArgument(f"{self.path}: {entry.name} inside: not of the {entry.size} bytes that the table of contents says")
        return found

    def _read(self, entry: Entry, most: int) -> bytes:
        end = entry.offset + entry.packed
        if not entry.compressed:
            return self._bytes[entry.offset : min(end, entry.offset + most)]
        try:
            return zlib.decompressobj().decompress(self._bytes[entry.offset : end], most) if most else b""
        except zlib.error as error:
            raise InvalidArgument(f"{self.path}: {entry.name} inside: {error}") from None

    def _cookie(self) -> tuple[int, str, bytes]:
        """Where the archive starts, the version of Python, and the table of contents."""
        at = self._bytes.rfind(_MAGIC)
        if at < 0 or at + _COOKIE.size > len(self._bytes):
            raise NotFound(f"{self.path}: nothing of PyInstaller's is in it")
        _, length, offset, size, python, _ = _COOKIE.unpack_from(self._bytes, at)
        start = at + _COOKIE.size - length
        if start < 0 or offset + size + _COOKIE.size > length:
            raise InvalidArgument(f"{self.path}: PyInstaller's table of contents lies outside of the file")
        return start, f"{python // 100}.{python % 100}", self._bytes[start + offset : start + offset + size]

    def _entries(self, start: int, table: bytes) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        at = total = 0
        while at < len(table):
            if at + _ENTRY.size > len(table):
                raise self._broken("ends within an entry")
            length, offset, packed, size, compressed, kind = _ENTRY.unpack_from(table, at)
            if not _ENTRY.size < length <= min(_ENTRY.size + LONGEST_NAME, len(table) - at):
                raise self._broken("has an entry of an impossible length")
            name = table[at + _ENTRY.size : at + length].rstrip(b"\0").decode("utf-8", "replace").replace("\\", "/")
            at += length
            if kind not in _FILES.encode():
                continue
            entry = Entry(name, kind.decode("latin-1"), start + offset, packed, size, bool(compressed))
            total += size
            if entry.offset + packed > len(self._bytes) or (not compressed and packed != size):
                raise self._broken(f"places {name!r} outside of the file")
            if name in found:
                raise self._broken(f"has {name!r} twice")
            if len(found) >= MOST_ENTRIES or total > MOST_BYTES:
                raise self._broken(f"has more than {MOST_ENTRIES} entries, or more than {MOST_BYTES} bytes in all")
            found[name] = entry
        return found

    def _broken(self, what: str) -> InvalidArgument:
        return InvalidArgument(f"{self.path}: PyInstaller's table of contents {what}")


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist") from None
    except ValueError:
        raise NotFound(f"{path}: empty") from None
    except OSError as error:
        raise InvalidArgument(f"{path}: {error.strerror or error}") from None
