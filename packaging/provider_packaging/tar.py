"""The tar inside of a provider archive (packaging.md §1.1): plain files with short names, and nothing else that tar can hold."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from provider_packaging.unpacked import PIECE, Limits, Unpacked
from provider_sdk.errors import InvalidArgument

BLOCK = 512
RECORD = 20 * BLOCK
END = bytes(2 * BLOCK)
_ZEROS = bytes(BLOCK)
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a pipe",
    b"S": "a sparse file",
    b"x": "a PAX header",
    b"g": "a PAX header",
    b"L": "a long name of GNU tar",
    b"K": "a long link of GNU tar",
    b"D": "a folder",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file; `stem` is its name without the extension, which is what hosts look at."""

    name: str
    size: int

    @property
    def stem(self) -> str:
        """As Rust's `file_stem` has it."""
        return self.name.rpartition(".")[0] or self.name


def header(name: str, size: int, mode: int) -> bytes:
    """The block before a file, the same for the same arguments on every machine."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, mode
    return info.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """What follows a file of that size."""
    return bytes(-size % BLOCK)


class Tar:
    """Reads forward: `entries`, and of each its `pieces`, unless it is passed over."""

    def __init__(self, source: Unpacked, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._left = 0

    def entries(self) -> Iterator[Entry]:
        """The files in their order; when they end, so has the archive, and as it should."""
        for _ in range(self._limits.files + 1):
            block = self._source.exactly(BLOCK, "the header of a file, or the mark of the end")
            if block == _ZEROS:
                self._end()
                return
            entry = _entry(block)
            limit = self._limits.claims if entry.stem == "claims" else self._limits.program
            if entry.size > limit:
                raise InvalidArgument(f"{entry.name}: {entry.size} bytes, and at most {limit} are taken")
            self._left = entry.size
            yield entry
            for _ in self.pieces(entry):
                pass
            if any(self._source.exactly(-entry.size % BLOCK, f"the padding of {entry.name}")):
                raise InvalidArgument(f"{entry.name}: its padding is not zero")
        raise InvalidArgument(f"more than {self._limits.files} files")

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """What is left of the file that `entries` gave last."""
        while self._left:
            piece = self._source.read(min(self._left, PIECE))
            if not piece:
                raise InvalidArgument(f"cut short: {self._left} bytes of {entry.name} are missing")
            self._left -= len(piece)
            yield piece

    def _end(self) -> None:
        """Two blocks of zeros, or as many as fill a record: an archive that was cut short at any other byte is told from a whole one."""
        least = self._source.position + BLOCK
        record = -(-least // RECORD) * RECORD
        while piece := self._source.read(record + 1 - self._source.position):
            if any(piece) or self._source.position > record:
                raise InvalidArgument("something follows the end of the tar")
        if self._source.position not in {least, record}:
            raise InvalidArgument(f"cut short: it ends within the mark of the end, at byte {self._source.position} of the tar")


def _entry(block: bytes) -> Entry:
    if _number(block[148:156]) != sum(block[:148]) + 8 * 0x20 + sum(block[156:]):
        raise InvalidArgument("neither tar nor gzip of a tar, or damaged: the checksum of a header is wrong")
    name = _name(block)
    kind = block[156:157]
    if kind not in {b"0", b"\0"}:
        raise InvalidArgument(f"{name!r}: {_KINDS.get(kind, f'an entry of type {kind!r}')}: hosts take plain files only")
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"{name!r}: {_fault(name)}")
    size = _number(block[124:136])
    if size is None:
        raise InvalidArgument(f"{name}: its size is not written in octal digits")
    return Entry(name, size)


def _name(block: bytes) -> str:
    raw = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345]:
        raw = block[345:500].partition(b"\0")[0] + b"/" + raw
    return raw.decode("latin-1")


def _fault(name: str) -> str:
    if name.startswith(("/", "\\")):
        return "an absolute path"
    if ".." in re.split(r"[/\\]", name):
        return "a path that leads upwards"
    if name.startswith("./"):
        return "names are written without ./"
    if "/" in name or "\\" in name:
        return "files lie in no folder"
    return "not a name of a target" if name else "a file without a name"


def _number(text: bytes) -> int | None:
    found = _OCTAL.fullmatch(text)
    return int(found[1], 8) if found else None
