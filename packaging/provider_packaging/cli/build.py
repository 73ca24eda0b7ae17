"""The verb `build`: from provider.toml to a signed archive, for this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

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
    from provider_packaging.build import build_program, pack, ready_programs, write_software
    from provider_packaging.freeze import Form
    from provider_packaging.targets import native_target
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
        # Before any key: none is made for what cannot be built.
        made = ready_programs(provider, programs) if programs else {native_target(): build_program(provider, output)}
        signing = Signing(directory, issuer, subject, not disable_keygen)
        built = pack(provider, made, output, signing.account(), signing.provider(provider.name), compressed=not plain)
        files |= {"file": built.archive, "program": built.program, "software": built.software}
        _tell_missing(built.archive, [target for target in provider.targets if target not in made])
    wrote(files, as_json=as_json)


def _tell_missing(archive: Path, missing: Sequence[str]) -> None:
    """Targets of provider.toml that the archive has no program for; hosts on such machines cannot start it."""
    if missing:
        advice = "build --program-only on such a machine, and pack them all by --programs FOLDER"
        print(f"provider: {archive} has no program for {', '.join(missing)}, which provider.toml lists: {advice}", file=sys.stderr)
