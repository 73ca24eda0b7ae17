"""ELF and Mach-O files made by hand, of processors that no compiler here is for; that the first are right, readelf says in the tests."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import accumulate


@dataclass
class Strings:
    data: bytearray = field(default_factory=lambda: bytearray(b"\0"))

    def add(self, text: str) -> int:
        at = len(self.data)
        self.data += text.encode() + b"\0"
        return at


def an_elf(
    versions: dict[str, str], *, machine: int = 62, wide: bool = True, order: str = "<", needed: tuple[str, ...] = ("libc.so.6",)
) -> bytes:
    """A library whose symbols (name → version of libc.so.6) are asked for from outside."""
    strings = Strings()
    libraries = [strings.add(name) for name in needed]
    indexes = {version: number for number, version in enumerate(sorted(set(versions.values())), 2)}
    symbol = order + ("IBBHQQ" if wide else "IIIBBH")
    symbols = [struct.pack(symbol, *[0] * 6)]
    for name in versions:
        at = strings.add(name)
        symbols.append(struct.pack(symbol, at, 0x12, 0, 0, 0, 0) if wide else struct.pack(symbol, at, 0, 0, 0x12, 0, 0))
    versym = struct.pack(f"{order}{len(symbols)}H", 0, *(indexes[version] for version in versions.values()))
    verneed = struct.pack(f"{order}HHIII", 1, len(indexes), strings.add("libc.so.6"), 16, 0)
    for number, (version, index) in enumerate(indexes.items(), 1):
        verneed += struct.pack(f"{order}IHHII", 0, 0, index, strings.add(version), 16 if number < len(indexes) else 0)
    word = order + ("qQ" if wide else "iI")
    dynamic = b"".join(struct.pack(word, 1, at) for at in libraries) + struct.pack(word, 0, 0)
    names = Strings()
    sections = [
        (names.add(".dynstr"), 3, bytes(strings.data), 0, 0, 0),
        (names.add(".dynsym"), 11, b"".join(symbols), 1, 1, struct.calcsize(symbol)),
        (names.add(".gnu.version"), 0x6FFFFFFF, versym, 2, 0, 2),
        (names.add(".gnu.version_r"), 0x6FFFFFFE, verneed, 1, int(bool(indexes)), 0),
        (names.add(".dynamic"), 6, dynamic, 1, 0, struct.calcsize(word)),
        (names.add(".shstrtab"), 3, bytes(names.data), 0, 0, 0),
    ]
    return _assembled(sections, machine, wide, order)


def _assembled(sections: list[tuple[int, int, bytes, int, int, int]], machine: int, wide: bool, order: str) -> bytes:
    long = "Q" if wide else "I"
    header = struct.Struct(f"{order}HHI{long}{long}{long}IHHHHHH")
    entry = struct.Struct(f"{order}II{long * 4}II{long * 2}")
    starts = list(accumulate((len(data) for _, _, data, *_ in sections), initial=16 + header.size))
    size = 16 + header.size
    identification = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    parts = [identification, header.pack(3, machine, 1, 0, 0, starts[-1], 0, size, 0, 0, entry.size, len(sections) + 1, len(sections))]
    parts += [data for _, _, data, *_ in sections]
    parts.append(bytes(entry.size))
    for (name, kind, data, link, information, each), start in zip(sections, starts, strict=False):
        parts.append(entry.pack(name, kind, 0, start, start, len(data), link, information, 1, each))
    return b"".join(parts)


def a_macho(processor: int, *commands: bytes) -> bytes:
    header = struct.pack("<IIIIIIII", 0xFEEDFACF, processor, 0, 2, len(commands), sum(map(len, commands)), 0, 0)
    return header + b"".join(commands)


def build_version(platform: int, major: int, minor: int) -> bytes:
    return struct.pack("<IIIIII", 0x32, 24, platform, major << 16 | minor << 8, 0, 0)


def version_min(major: int, minor: int) -> bytes:
    return struct.pack("<IIII", 0x24, 16, major << 16 | minor << 8, 0)


def fat(*slices: bytes) -> bytes:
    start = 8 + 20 * len(slices)
    starts = list(accumulate((len(one) for one in slices), initial=start))
    table = b"".join(struct.pack(">IIIII", 0, 0, at, len(one), 0) for at, one in zip(starts, slices, strict=False))
    return struct.pack(">II", 0xCAFEBABE, len(slices)) + table + b"".join(slices)
