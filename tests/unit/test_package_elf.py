"""The floor of a frozen program: what its files ask of the machine, with binutils as the judge, and nothing that a hostile file can do."""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
import sys
import sysconfig
import zlib
from functools import cache
from pathlib import Path

import PyInstaller  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner

from provider_packaging.carchive import FrozenProgram
from provider_packaging.cli import app
from provider_packaging.elf import read_elf
from provider_packaging.floor import floor, written
from provider_packaging.macho import read_macho
from provider_sdk.errors import InvalidArgument, NotFound, ProviderError
from tests.tiers import scale
from tests.unit.package_elf import a_macho, an_elf, build_version, fat, version_min
from tests.unit.package_program import a_program

MACHINES = {
    "x86_64": (62, True, "<"),
    "aarch64": (183, True, "<"),
    "arm": (40, False, "<"),
    "ppc64": (21, True, ">"),
    "mips": (8, False, ">"),
}
BOOTLOADER = next(Path(PyInstaller.__file__).parent.glob("bootloader/Linux-*/run"), None)


def glibc_of(*words: str, path: Path) -> set[tuple[int, ...]]:
    shown = subprocess.run([*words, str(path)], capture_output=True, text=True, check=True).stdout
    return {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_(\d+(?:\.\d+)+)", shown)}


@cache
def libraries() -> list[Path]:
    folders = [sysconfig.get_path("platstdlib", vars={"platbase": sys.base_prefix}), sysconfig.get_path("platlib")]
    found = [path for folder in folders for path in Path(folder).rglob("*.so*") if path.is_file()]
    found += [path for path in Path(sys.base_prefix, "lib").glob("libpython*.so.*") if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_size)


@pytest.mark.needs("readelf")
def test_the_floor_of_each_library_here_is_the_one_that_readelf_shows() -> None:
    chosen = random.Random(7).sample(libraries(), scale(test=12, ci=40, soak=10_000) if len(libraries()) > 40 else len(libraries()))
    for path in chosen:
        # Versions that it defines itself, as glibc does, are shown too: no library of Python's has any.
        assert read_elf(path.read_bytes()).glibc == max(glibc_of("readelf", "-V", "-W", path=path), default=None), path


@pytest.mark.needs("objdump", "readelf")
def test_the_symbol_that_is_named_asks_for_that_release() -> None:
    for path in [*libraries()[:3], *libraries()[-3:]]:
        found = read_elf(path.read_bytes())
        if found.glibc is None:
            continue
        symbol, version = found.symbol.split("@")
        shown = subprocess.run(["objdump", "-T", "-w", str(path)], capture_output=True, text=True, check=True).stdout
        assert any(version in line and line.split()[-1] == symbol for line in shown.splitlines()), (path, found.symbol)
        needed = subprocess.run(["readelf", "-d", "-W", str(path)], capture_output=True, text=True, check=True).stdout
        assert list(found.needed) == re.findall(r"\(NEEDED\).*\[(.+)\]", needed)


@pytest.mark.needs("readelf")
@pytest.mark.parametrize("name", MACHINES)
def test_every_processor_word_size_and_byte_order_is_read(name: str, tmp_path: Path) -> None:
    machine, wide, order = MACHINES[name]
    path = tmp_path / "lib.so"
    path.write_bytes(an_elf({"open": "GLIBC_2.4", "fstat": "GLIBC_2.33", "stat": "GLIBC_2.33"}, machine=machine, wide=wide, order=order))
    found = read_elf(path.read_bytes())
    assert (found.architecture, found.glibc, found.symbol, found.needed) == (name, (2, 33), "fstat@GLIBC_2.33", ("libc.so.6",))
    assert glibc_of("readelf", "-V", "-W", path=path) == {(2, 4), (2, 33)}


def test_releases_are_compared_as_numbers() -> None:
    assert read_elf(an_elf({"a": "GLIBC_2.9", "b": "GLIBC_2.17", "c": "GLIBC_2.3.4"})).glibc == (2, 17)


def test_a_mark_of_the_linker_counts_as_the_release_that_knows_it() -> None:
    assert read_elf(an_elf({"a": "GLIBC_2.17", "b": "GLIBC_ABI_DT_RELR"})).glibc == (2, 36)


def test_private_symbols_of_glibc_are_no_release_and_break_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(an_elf({"a": "GLIBC_2.17", "b": "GLIBC_PRIVATE"}))
    assert floor(path).faults(most_glibc="2.31") == [
        "the program itself: asks for GLIBC_PRIVATE, which only the glibc has that it was made with"
    ]
    assert floor(path).faults() == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (a_macho(0x0100000C, build_version(1, 11, 0)), (("aarch64",), (11, 0))),
        (a_macho(0x01000007, version_min(10, 13)), (("x86_64",), (10, 13))),
        (a_macho(0x01000007, build_version(2, 17, 0)), (("x86_64",), None)),
        (
            fat(a_macho(0x01000007, version_min(10, 13)), a_macho(0x0100000C, build_version(1, 11, 0))),
            (("aarch64", "x86_64"), (11, 0)),
        ),
    ],
)
def test_a_macho_file_says_the_oldest_macos(content: bytes, expected: object) -> None:
    found = read_macho(content)
    assert (found.architectures, found.macos) == expected


@pytest.mark.parametrize("content", [b"\xca\xfe\xba\xbe\0\0\0\x34", a_macho(7, bytes(8)), fat(b"nothing")])
def test_what_is_no_macho_file_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidArgument):
        read_macho(content)


@pytest.mark.parametrize(
    "content", [an_elf({"open": "GLIBC_2.4", "stat": "GLIBC_2.33"}), fat(a_macho(7, build_version(1, 11, 0)))], ids=["elf", "macho"]
)
def test_a_broken_file_gets_one_line_wherever_it_is_broken(content: bytes) -> None:
    read = read_elf if content[:4] == b"\x7fELF" else read_macho
    for length in range(len(content)):
        with pytest.raises(InvalidArgument):
            read(content[:length])
    random.seed(11)
    for _ in range(scale(test=500, ci=2000, soak=200_000)):
        spoiled = bytearray(content)
        for _ in range(random.randint(1, 4)):
            spoiled[random.randrange(4, len(spoiled))] = random.choice([0, 1, 0x7F, 0xFF, random.randrange(256)])
        try:
            read(bytes(spoiled))
        except InvalidArgument as error:
            assert "\n" not in error.message


def test_a_file_without_section_headers_is_not_passed_as_one_that_asks_for_nothing(tmp_path: Path) -> None:
    content = bytearray(an_elf({"open": "GLIBC_2.4"}))
    content[40:48] = bytes(8)
    path = tmp_path / "lib.so"
    path.write_bytes(content)
    assert floor(path).faults() == ["the program itself: an ELF file without section headers: what it asks of the system cannot be told"]


def test_a_program_of_one_file_is_read_with_all_that_is_inside(tmp_path: Path) -> None:
    program = a_program(
        tmp_path / "greeter",
        {
            "libold.so.1": an_elf({"open": "GLIBC_2.17"}),
            "lib/libnew.so.1": an_elf({"fstat": "GLIBC_2.33"}, needed=("libc.so.6", "libold.so.1", "libfar.so.2")),
            "libnew.so.1": b"-> lib/libnew.so.1",
            "notes.txt": b"text",
            "empty": b"",
        },
    )
    found = floor(program)
    assert [str(part) for part in found.parts] == ["the program itself", "libold.so.1", "lib/libnew.so.1"]
    assert found.glibc and (str(found.glibc), found.glibc.symbol) == ("lib/libnew.so.1", "fstat@GLIBC_2.33")
    assert found.outside == ("libc.so.6", "libfar.so.2")
    assert found.faults(most_glibc="2.33") == ["asks for libfar.so.2, which is not inside"]
    assert found.faults(most_glibc="2.31")[0] == "lib/libnew.so.1: asks for glibc 2.33 (fstat@GLIBC_2.33), 2.31 at the most"


@pytest.mark.needs("objcopy")
def test_an_archive_in_a_section_of_the_program_is_found_too(tmp_path: Path) -> None:
    assert BOOTLOADER, "PyInstaller's bootloader for Linux"
    bare = a_program(tmp_path / "bare", {"lib.so": an_elf({"fstat": "GLIBC_2.33"})})
    program = tmp_path / "program"
    subprocess.run(["objcopy", "--add-section", f"pydata={bare}.pkg", str(BOOTLOADER), str(program)], check=True)
    assert [str(part) for part in floor(program).parts] == ["the program itself", "lib.so"]


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "_internal").mkdir()
    (tmp_path / "greeter").write_bytes(an_elf({"open": "GLIBC_2.4"}))
    (tmp_path / "_internal" / "lib.so").write_bytes(an_elf({"fstat": "GLIBC_2.33"}))
    (tmp_path / "_internal" / "link.so").symlink_to("lib.so")
    (tmp_path / "_internal" / "elf.txt").write_bytes(b"\x7fEL")
    assert written(getattr(floor(tmp_path).glibc, "glibc", None)) == "2.33"
    assert len(floor(tmp_path).parts) == 2


def test_a_library_of_another_processor_is_named(tmp_path: Path) -> None:
    program = a_program(tmp_path / "greeter", {"lib.so": an_elf({}, machine=183)})
    assert floor(program).faults() == ["lib.so: for aarch64, not for x86_64"]
    assert "the program itself: for x86_64, not for aarch64" in floor(program).faults(architecture="aarch64")


def test_what_is_no_program_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "nothing").touch()
    for name, error in {"text": InvalidArgument, "nothing": InvalidArgument, "missing": NotFound}.items():
        with pytest.raises(error, match=re.escape(str(tmp_path / name))):
            floor(tmp_path / name)


def tables(entry: bytes, *, length: int | None = None, offset: int | None = None) -> bytes:
    """An archive with one file of 4 bytes, and this table of contents."""
    size = 4 + len(entry) + 88
    cookie = struct.pack(">8sIIII64s", b"MEI\x0c\x0b\x0a\x0b\x0e", length or size, 4 if offset is None else offset, len(entry), 311, b"lib")
    return b"data" + entry + cookie


def an_entry(
    name: bytes = b"lib.so\0", *, length: int | None = None, offset: int = 0, packed: int = 4, size: int = 4, flag: int = 0
) -> bytes:
    return struct.pack(">IIIIBc", 18 + len(name) if length is None else length, offset, packed, size, flag, b"b") + name


@pytest.mark.parametrize(
    "archive",
    [
        tables(an_entry(length=0)),
        tables(an_entry(length=17)),
        tables(an_entry(length=0xFFFFFFFF)),
        tables(an_entry(name=bytes(5000))),
        tables(an_entry(offset=0xFFFFFFF0)),
        tables(an_entry(packed=0x7FFFFFFF, size=0x7FFFFFFF)),
        tables(an_entry(size=5)),
        tables(an_entry(packed=4, size=3 << 30, flag=1)),
        tables(an_entry(), length=0xFFFFFFFF),
        tables(an_entry(), length=10),
        tables(an_entry(), offset=0xFFFFFFFF),
        tables(an_entry()[:-1]),
        tables(an_entry() * 2),
        tables(b"".join(an_entry(b"%d\0" % number) for number in range(50_001))),
    ],
)
def test_a_hostile_table_of_contents_is_refused(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(archive)
    with pytest.raises(ProviderError, match="PyInstaller's table of contents"):
        FrozenProgram(path)


@pytest.mark.parametrize(
    ("packed", "said"),
    [(zlib.compress(bytes(1 << 20)), 100), (zlib.compress(b"abc"), 100), (b"not zlib", 8), (zlib.compress(bytes(100))[:-6], 100)],
)
def test_a_file_inside_is_never_longer_or_shorter_than_the_table_says(packed: bytes, said: int, tmp_path: Path) -> None:
    path = tmp_path / "program"
    entry = an_entry(offset=0, packed=len(packed), size=said, flag=1)
    cookie = struct.pack(">8sIIII64s", b"MEI\x0c\x0b\x0a\x0b\x0e", len(packed) + len(entry) + 88, len(packed), len(entry), 311, b"lib")
    path.write_bytes(packed + entry + cookie)
    with FrozenProgram(path) as frozen, pytest.raises(InvalidArgument, match=r"lib\.so inside: "):
        frozen.read(frozen.entries["lib.so"], 1 << 20)


def test_a_file_inside_that_is_too_long_is_not_unpacked(tmp_path: Path) -> None:
    with (
        FrozenProgram(a_program(tmp_path / "greeter", {"a": bytes(1000)})) as frozen,
        pytest.raises(InvalidArgument, match="999 at the most"),
    ):
        frozen.read(frozen.entries["a"], 999)


def floor_verb(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["floor", *map(str, words)])
    return result.exit_code, result.output


def test_the_verb_ends_with_1_and_names_file_and_symbol_where_the_limit_is_broken(tmp_path: Path) -> None:
    program = a_program(tmp_path / "greeter", {"lib.so": an_elf({"fstat": "GLIBC_2.33"})})
    code, shown = floor_verb(program, "--max-glibc", "2.31")
    assert code == 1 and f"WRONG {program}: lib.so: asks for glibc 2.33 (fstat@GLIBC_2.33), 2.31 at the most" in shown
    code, shown = floor_verb(program, "--max-glibc", "2.33", "--target", "x86_64-linux", "--json")
    told = json.loads(shown)[str(program)]
    assert code == 0 and told["glibc"] == {"release": "2.33", "file": "lib.so", "symbol": "fstat@GLIBC_2.33"} and told["faults"] == []
    assert floor_verb(program, "--target", "aarch64-linux")[0] == 1
    assert floor_verb(program, "--max-glibc", "new")[0] == 2
