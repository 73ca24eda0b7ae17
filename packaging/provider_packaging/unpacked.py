"""The bytes of an archive, plain or gzip, in pieces and within bounds: what a file says about its own size is not believed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from provider_sdk.errors import InvalidArgument

PIECE = 256 * 1024
GZIP = b"\x1f\x8b"
_FREE = 64 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold: files; bytes of the claims, of a program and of all; bytes that come of one packed byte."""

    files: int = 64
    claims: int = 1 << 20
    program: int = 1 << 30
    total: int = 4 << 30
    ratio: int = 100


LIMITS = Limits()


class Unpacked:
    """Reads forward. InvalidArgument at the byte at which the file turns out to be damaged, cut short or too large."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        magic = file.read(2)
        if len(magic) < 2:
            raise InvalidArgument(f"{len(magic)} bytes long: not a provider archive")
        file.seek(0)
        self.compressed = magic == GZIP
        self.position = 0
        self._limit = limits.total
        self._source: _Source = _Gzip(file, limits.ratio) if self.compressed else _Plain(file)

    def read(self, size: int) -> bytes:
        """Some of the next `size` bytes; none at the end."""
        data = self._source.read(min(size, PIECE))
        self.position += len(data)
        if self.position > self._limit:
            raise InvalidArgument(f"more than {self._limit} bytes when unpacked")
        return data

    def exactly(self, size: int, what: str) -> bytes:
        """The next `size` bytes, which are few."""
        data = bytearray()
        while len(data) < size:
            piece = self.read(size - len(data))
            if not piece:
                raise InvalidArgument(f"cut short: it ends within {what}, at byte {self.position} of the tar")
            data += piece
        return bytes(data)


class _Source(Protocol):
    def read(self, size: int) -> bytes: ...


class _Plain:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return self._file.read(size)


class _Gzip:
    """One member, and nothing after it: hosts read no second one."""

    def __init__(self, file: BinaryIO, ratio: int) -> None:
        self._file = file
        self._ratio = ratio
        self._inflate = zlib.decompressobj(wbits=31)
        self._packed = b""
        self._taken = self._made = 0

    def read(self, size: int) -> bytes:
        while not self._inflate.eof:
            ended = not self._packed and not self._more()
            try:
                data = self._inflate.decompress(self._packed, size)
            except zlib.error as error:
                raise InvalidArgument(f"damaged: not gzip data ({str(error).partition(': ')[2] or error})") from None
            self._packed = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._nothing_after()
            elif ended and not data:
                raise InvalidArgument("cut short: the gzip data has no end")
            if data:
                self._made += len(data)
                if self._made > _FREE and self._made > self._ratio * self._taken:
                    raise InvalidArgument(f"unpacks to more than {self._ratio} times its size")
                return data
        return b""

    def _more(self) -> bool:
        self._packed = self._file.read(PIECE)
        self._taken += len(self._packed)
        return bool(self._packed)

    def _nothing_after(self) -> None:
        after = self._inflate.unused_data[:2] or self._file.read(2)
        if after == GZIP:
            raise InvalidArgument("several gzip members: hosts read the first alone")
        if after:
            raise InvalidArgument("something follows the end of the gzip data")
