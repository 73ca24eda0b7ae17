"""The verb `build`: from provider.toml to a signed archive, for this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provider_packaging.cli.app import app
from provider_packaging.cli.options import (
    FolderOption,
    IssuerOption,
    JsonOption,
    KeygenOption,
    Signing,
    SubjectOption,
    tidy_when_ended,
    wrote,
)
from provider_sdk.verbs import usage

if TYPE_CHECKING:
    from provider_packaging.build import Built


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(help="The folder of a provider.toml, or the file; default: this one.")] = Path(),
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder that it is written to.")] = Path("dist"),
    program_only: Annotated[bool, typer.Option("--program-only", help="Freeze only, to be inserted into an archive elsewhere.")] = False,
    onedir: Annotated[bool, typer.Option("--onedir", help="Freeze only, as a folder: one process, nothing unpacked at its start.")] = False,
    programs: Annotated[
        Path | None, typer.Option("--programs", metavar="FOLDER", help="Freeze nothing: pack the NAME.TARGET.bin that lie in or below it.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Write a .par that is not compressed.")] = False,
    directory: FolderOption = None,
    issuer: IssuerOption = None,
    subject: SubjectOption = None,
    disable_keygen: KeygenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Freeze a provider, sign it, write its archive and the list of the software inside."""
    from provider_packaging.build import build as make
    from provider_packaging.build import build_program, ready_programs, write_software
    from provider_packaging.freeze import Form
    from provider_sdk.provider_toml import read_provider_toml

    if programs and (onedir or program_only):
        usage("--programs freezes nothing: it does not go with --onedir or --program-only")
    tidy_when_ended()
    provider = read_provider_toml(folder)
    files: dict[str, Path] = {}
    if onedir:
        files["folder"] = build_program(provider, output, form=Form.ONEDIR)
    elif program_only:
        files["program"] = build_program(provider, output)
        files["software"] = write_software(files["program"], output / f"{provider.name}.cdx.json")
    else:
        signing = Signing(directory, issuer, subject, not disable_keygen)
        ready = None if programs is None else ready_programs(provider, programs)
        built = make(provider, output, signing.account(), signing.provider(provider.name), compressed=not plain, programs=ready)
        files |= {"file": built.archive, "program": built.program, "software": built.software}
        _tell_missing(provider.targets, built, ready)
    wrote(files, as_json=as_json)


def _tell_missing(listed: Iterable[str], built: Built, ready: Mapping[str, Path] | None) -> None:
    """Targets of provider.toml that the archive has no program for; hosts on such machines cannot start it."""
    missing = [target for target in listed if target not in (ready or {built.target})]
    if missing:
        advice = "build --program-only on such a machine, and pack them all by --programs FOLDER"
        print(f"provider: {built.archive} has no program for {', '.join(missing)}, which provider.toml lists: {advice}", file=sys.stderr)
