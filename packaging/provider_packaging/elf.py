"""One ELF file (System V gABI, and the LSB's symbol versions): its processor, the libraries it asks for, the glibc it needs.

Read from the section headers, as binutils do. A file may come from anybody: each number is checked against the file's length, and
chains are followed for a bounded number of steps.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from provider_sdk.errors import InvalidArgument

MAGIC = b"\x7fELF"
MOST_SECTIONS = 10_000
MOST_STEPS = 100_000
LONGEST_NAME = 4096

_MACHINES = {3: "x86", 8: "mips", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_DYNSYM, _DYNAMIC, _VERNEED, _VERSYM = 11, 6, 0x6FFFFFFE, 0x6FFFFFFF
_NEEDED = 1
_RELEASE = re.compile(r"GLIBC_(\d{1,4}(?:\.\d{1,4}){1,3})")
# Marks of the linker's doing, not of a symbol: the glibc that first knew each.
_MARKS = {"GLIBC_ABI_DT_RELR": (2, 36), "GLIBC_ABI_DT_X86_64_PLT": (2, 42), "GLIBC_ABI_GNU_TLS": (2, 42), "GLIBC_ABI_GNU2_TLS": (2, 42)}

Release = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Elf:
    """`needed` are the libraries by soname; `glibc` is the lowest release that has every symbol, None where none is asked for.

    `symbol` is one that asks for that release, with its version, such as `fstat@GLIBC_2.33`. `odd` are versions of glibc that are no
    release, such as GLIBC_PRIVATE: no release can be told then.
    """

    architecture: str
    needed: tuple[str, ...]
    glibc: Release | None
    symbol: str
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    link: int
    count: int
    data: memoryview


def read_elf(content: bytes) -> Elf:
    """What the file asks for; InvalidArgument says what is broken."""
    try:
        return _Reading(memoryview(content)).elf()
    except (struct.error, IndexError):
        raise InvalidArgument("an ELF file that is cut off, or whose headers point outside of it") from None


class _Reading:
    def __init__(self, content: memoryview) -> None:
        if content[:4] != MAGIC or content[4] not in {1, 2} or content[5] not in {1, 2}:
            raise InvalidArgument("not an ELF file of 32 or 64 bits")
        self._content = content
        self._wide = content[4] == 2
        self._order = "<" if content[5] == 1 else ">"
        (self._machine,) = self._unpack("H", content, 18)
        self._sections = self._read_sections()

    def elf(self) -> Elf:
        versions = dict(self._versions())
        releases = {index: release for index, name in versions.items() if (release := _release(name))}
        highest = max(releases.values(), default=None)
        asking = sorted(index for index, release in releases.items() if release == highest)
        return Elf(
            architecture=_MACHINES.get(self._machine, f"machine {self._machine}"),
            needed=tuple(self._needed()),
            glibc=highest,
            symbol=self._asking(asking[0], versions[asking[0]]) if asking else "",
            odd=tuple(sorted({name for index, name in versions.items() if name.startswith("GLIBC_") and index not in releases})),
        )

    def _unpack(self, form: str, data: memoryview, at: int) -> tuple[int, ...]:
        if at < 0:
            raise struct.error
        return struct.unpack_from(self._order + form, data, at)

    def _read_sections(self) -> list[_Section]:
        if self._wide:
            (start,) = self._unpack("Q", self._content, 40)
            size, count = self._unpack("HH", self._content, 58)
            form = "IIQQQQIIQQ"
        else:
            (start,) = self._unpack("I", self._content, 32)
            size, count = self._unpack("HH", self._content, 46)
            form = "IIIIIIIIII"
        if not start or not count or size != struct.calcsize(self._order + form):
            raise InvalidArgument("an ELF file without section headers: what it asks of the system cannot be told")
        if count > MOST_SECTIONS:
            raise InvalidArgument(f"an ELF file of more than {MOST_SECTIONS} sections")
        found = []
        for number in range(count):
            _, kind, _, _, offset, length, link, information, _, _ = self._unpack(form, self._content, start + number * size)
            if kind in {_DYNSYM, _DYNAMIC, _VERNEED, _VERSYM, 3} and offset + length > len(self._content):
                raise struct.error
            found.append(_Section(kind, link, information, self._content[offset : offset + length]))
        return found

    def _of(self, kind: int) -> Iterator[tuple[_Section, memoryview]]:
        """The sections of a kind, each with the strings it refers to."""
        for section in self._sections:
            if section.kind == kind:
                yield section, self._sections[section.link].data

    def _versions(self) -> Iterator[tuple[int, str]]:
        """The versions that are asked for, by the index that symbols name them with."""
        steps = 0
        for section, strings in self._of(_VERNEED):
            at = 0
            for _ in range(section.count):
                _, several, _, auxiliary, following = self._unpack("HHIII", section.data, at)
                inner = at + auxiliary
                for _ in range(several):
                    _, _, index, name, next_one = self._unpack("IHHII", section.data, inner)
                    yield index & 0x7FFF, _text(strings, name)
                    inner += next_one
                    steps += 1
                    if steps > MOST_STEPS:
                        raise InvalidArgument(f"an ELF file that asks for more than {MOST_STEPS} versions")
                    if not next_one:
                        break
                at += following
                if not following:
                    break

    def _needed(self) -> Iterator[str]:
        size, form = (16, "qQ") if self._wide else (8, "iI")
        for section, strings in self._of(_DYNAMIC):
            for at in range(0, min(len(section.data), MOST_STEPS * size), size):
                tag, value = self._unpack(form, section.data, at)
                if tag == 0:
                    break
                if tag == _NEEDED:
                    yield _text(strings, value)

    def _asking(self, index: int, version: str) -> str:
        """The first symbol of that version; the version alone where no symbol carries it."""
        versions = next((section.data for section, _ in self._of(_VERSYM)), memoryview(b""))
        symbols, strings = next(self._of(_DYNSYM), (None, memoryview(b"")))
        if symbols is not None:
            size = 24 if self._wide else 16
            for number in range(min(len(versions) // 2, len(symbols.data) // size)):
                if self._unpack("H", versions, number * 2)[0] & 0x7FFF == index:
                    return f"{_text(strings, self._unpack('I', symbols.data, number * size)[0])}@{version}"
        return version


def _text(strings: memoryview, at: int) -> str:
    if not 0 <= at < len(strings):
        raise IndexError
    return bytes(strings[at : at + LONGEST_NAME]).partition(b"\0")[0].decode("utf-8", "replace")


def _release(name: str) -> Release | None:
    if found := _RELEASE.fullmatch(name):
        return tuple(int(part) for part in found[1].split("."))
    return _MARKS.get(name)
