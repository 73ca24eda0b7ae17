"""The verb that tells what a frozen program asks of a machine, and stops a build that asks for too much."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provider_packaging.cli.app import app
from provider_packaging.cli.options import JsonOption
from provider_sdk.errors import InvalidArgument
from provider_sdk.verbs import usage

if TYPE_CHECKING:
    from provider_packaging.floor import Floor

ProgramArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A frozen program, the folder of one, or an archive: its programs for Linux and macOS.")
]
MostOption = Annotated[
    str, typer.Option("--max-glibc", metavar="RELEASE", help="Exit with 1 where a newer glibc is asked for, such as 2.31.")
]
TargetOption = Annotated[
    str, typer.Option("--target", help="ARCH-OS that it is for; default: what the program itself, or the archive, says.")
]


@app.command()
def floor(
    file: ProgramArgument,
    max_glibc: MostOption = "",
    target: TargetOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show the oldest glibc or macOS that a program runs on, and the file and symbol that decide it.

    Exit codes: 0 nothing is in the way; 1 a library is of another processor, or asks for a newer glibc than --max-glibc, or the file
    could not be read; 2 wrong usage.
    """
    from provider_packaging.floor import document, parsed
    from provider_packaging.verify import plain

    if max_glibc:
        try:
            parsed(max_glibc)
        except InvalidArgument as error:
            usage(f"--max-glibc: {error.message}")
    told, faults = {}, []
    with _programs(file) as found:
        for name, of, one in found:
            lines = one.faults(architecture=(target or of).partition("-")[0], most_glibc=max_glibc)
            told[name] = {**document(one), "faults": lines}
            faults += [f"{name}: {line}" for line in lines]
            if not as_json:
                print(*map(plain, _in_words(name, one)), sep="\n")
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        for line in faults:
            print(plain(f"WRONG {line}"))
    raise typer.Exit(1 if faults else 0)


@contextmanager
def _programs(file: Path) -> Iterator[Iterator[tuple[str, str, Floor]]]:
    """The floor of each program, with its name and the target that an archive says it is for."""
    from provider_packaging.archive import CLAIMS, open_archive
    from provider_packaging.floor import floor as read

    if not file.is_file() or not _is_archive(file, CLAIMS):
        yield iter([(str(file), "", read(file))])
        return
    with open_archive(file) as archive, tempfile.TemporaryDirectory() as folder:

        def each() -> Iterator[tuple[str, str, Floor]]:
            for target in sorted(target for target in archive.programs if target.endswith(("-linux", "-macos"))):
                program = Path(folder, target)
                archive.extract(target, program)
                yield target, target, read(program)
                program.unlink()

        yield each()


def _is_archive(file: Path, first: str) -> bool:
    from provider_packaging.unpacked import GZIP

    with file.open("rb") as opened:
        head = opened.read(len(first))
    return head.startswith(GZIP) or head == first.encode()


def _in_words(name: str, found: Floor) -> Iterator[str]:
    from provider_packaging.floor import written

    yield f"{name}: {' and '.join(found.architectures)}, {len(found.parts)} ELF or Mach-O files"
    if found.glibc:
        yield f"  glibc {written(found.glibc.glibc)}, asked for by {found.glibc} ({found.glibc.symbol})"
    if found.macos:
        yield f"  macOS {written(found.macos.macos)}, asked for by {found.macos}"
    if not found.glibc and not found.macos:
        yield "  asks for no release of glibc or macOS"
    if found.outside:
        yield f"  from the system: {', '.join(found.outside)}"
