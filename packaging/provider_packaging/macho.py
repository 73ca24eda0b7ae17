"""One Mach-O file (Apple's mach-o/loader.h): its processors, and the oldest macOS that it says it runs on."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from provider_sdk.errors import InvalidArgument

MAGICS = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
MOST_COMMANDS = 10_000
MOST_SLICES = 16

_FAT = b"\xca\xfe\xba\xbe"
_PROCESSORS = {7: "x86", 0x01000007: "x86_64", 12: "arm", 0x0100000C: "aarch64"}
_VERSION_MIN_MACOS, _BUILD_VERSION, _MACOS = 0x24, 0x32, 1

Release = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MachO:
    """`macos` is the highest of the minimums of its slices, None where it says none."""

    architectures: tuple[str, ...]
    macos: Release | None


def read_macho(content: bytes) -> MachO:
    """What the file asks for; InvalidArgument says what is broken."""
    view = memoryview(content)
    try:
        slices = [_slice(view[start:]) for start in _starts(view)]
    except struct.error:
        raise InvalidArgument("a Mach-O file that is cut off, or whose headers point outside of it") from None
    return MachO(
        architectures=tuple(sorted({architecture for architecture, _ in slices})),
        macos=max((release for _, release in slices if release), default=None),
    )


def _starts(view: memoryview) -> Iterator[int]:
    if view[:4] != _FAT:
        yield 0
        return
    (count,) = struct.unpack_from(">I", view, 4)
    # The class files of Java begin with the same four bytes, and then with a number that is higher.
    if not 0 < count <= MOST_SLICES:
        raise InvalidArgument(f"not a Mach-O file of at most {MOST_SLICES} slices")
    for number in range(count):
        yield struct.unpack_from(">I", view, 8 + number * 20 + 8)[0]


def _slice(view: memoryview) -> tuple[str, Release | None]:
    if view[:4] not in {MAGICS[0], MAGICS[1]}:
        raise InvalidArgument("not a Mach-O file of little-endian order")
    processor, _, _, count = struct.unpack_from("<IIII", view, 4)
    at = 32 if view[:4] == MAGICS[0] else 28
    release = None
    for _ in range(min(count, MOST_COMMANDS)):
        command, size = struct.unpack_from("<II", view, at)
        if command == _VERSION_MIN_MACOS:
            release = _release(view, at + 8)
        elif command == _BUILD_VERSION and struct.unpack_from("<I", view, at + 8)[0] == _MACOS:
            release = _release(view, at + 12)
        if size < 8 or at + size > len(view):
            raise struct.error
        at += size
    return _PROCESSORS.get(processor, f"processor {processor:#x}"), release


def _release(view: memoryview, at: int) -> Release:
    (word,) = struct.unpack_from("<I", view, at)
    return (word >> 16, word >> 8 & 0xFF)
