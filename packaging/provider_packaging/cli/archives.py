"""Verbs for archives: create, insert, sign, inspect, verify."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from provider_packaging.cli.app import app
from provider_packaging.cli.located import located
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
from provider_sdk.errors import InvalidArgument, ProviderError
from provider_sdk.nkeys import Prefix, decode_public
from provider_sdk.verbs import usage

DAY = 86400

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="The archive.")]
ProgramsArgument = Annotated[list[str] | None, typer.Argument(metavar="[TARGET=PROGRAM]...", help="Programs, each for ARCH-OS.")]
ArchOption = Annotated[str | None, typer.Option("-a", "--arch", metavar="TARGET", help="Target of --binary; default: this machine's.")]
BinaryOption = Annotated[Path | None, typer.Option("-b", "--binary", help="One program, as wash takes it.")]
OutputOption = Annotated[Path | None, typer.Option("--destination", help="Where it is written; default: in its place.")]
IdentityOption = Annotated[bool, typer.Option("--new-identity", help="Sign with other keys than the claims name, on purpose.")]
ExpiresOption = Annotated[float | None, typer.Option("-x", "--expires", metavar="DAYS", min=0, help="Valid for so many days from now.")]
NotBeforeOption = Annotated[float | None, typer.Option("--not-before", "--nbf", metavar="DAYS", min=0, help="Valid only in so many days.")]


@app.command()
def create(
    programs: ProgramsArgument = None,
    name: Annotated[str, typer.Option("-n", "--name", help="Of the provider.")] = "",
    vendor: Annotated[str, typer.Option("-v", "--vendor", help="Who makes it.")] = "",
    capid: Annotated[str | None, typer.Option("-c", "--capid", help="Contract id; hosts of 0.x start nothing without one.")] = None,
    revision: Annotated[int | None, typer.Option("-r", "--revision", help="Raised for every published build: hosts cache by it.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="As people write it.")] = None,
    schema: Annotated[
        Path | None, typer.Option("-j", "--schema", envvar="WASH_JSON_SCHEMA", show_envvar=True, help="JSON schema of the links' values.")
    ] = None,
    arch: ArchOption = None,
    binary: BinaryOption = None,
    destination: Annotated[Path | None, typer.Option("--destination", help="Default: PROGRAM.par here.")] = None,
    compress: Annotated[bool, typer.Option("--compress", help="With gzip; the name gets .gz.")] = False,
    world: Annotated[Path | None, typer.Option("--wit", help="Interface encoded as wasm, for hosts of 1.x alone.")] = None,
    expires: ExpiresOption = None,
    not_before: NotBeforeOption = None,
    directory: FolderOption = None,
    issuer: IssuerOption = None,
    subject: SubjectOption = None,
    disable_keygen: KeygenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make an archive of ready programs, signed; the same again makes the same bytes where SOURCE_DATE_EPOCH is set."""
    from provider_packaging.archive import create as write
    from provider_packaging.archive import source
    from provider_packaging.claims import WORLD, Claims

    if not name or not vendor:
        usage("--name and --vendor are needed")
    files = _programs(programs, arch, binary)
    if not files:
        usage("no program: TARGET=PROGRAM, or --binary")
    if world:
        files[WORLD] = world
    for file in files.values():
        source(file)  # what is missing is told of before keys are made
    tidy_when_ended()
    issued, its_schema = _now(), _schema(schema)
    stem = (binary or next(iter(files.values()))).stem
    path = destination or Path(f"{stem}.par")
    if compress and path.suffix != ".gz":
        path = path.with_name(f"{path.name}.gz")
    signing = Signing(directory, issuer, subject, not disable_keygen)
    account = signing.account()
    claims = Claims(
        issuer=account.public,
        subject=signing.provider(stem),
        issued=issued,
        expires=_in_days(issued, expires),
        not_before=_in_days(issued, not_before),
        name=name,
        vendor=vendor,
        capability=capid,
        version=version,
        revision=revision,
        schema=its_schema,
        hashes={},
    )
    write(path, claims, files, account, compressed=compress)
    wrote({"file": path}, as_json=as_json)


@app.command()
def insert(
    archive: FileArgument,
    programs: ProgramsArgument = None,
    arch: ArchOption = None,
    binary: BinaryOption = None,
    destination: OutputOption = None,
    new_identity: IdentityOption = False,
    directory: FolderOption = None,
    issuer: IssuerOption = None,
    subject: SubjectOption = None,
    disable_keygen: KeygenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add programs of builds made elsewhere, or replace those that are there; the rest of the claims stays."""
    from provider_packaging.rewrite import insert as add

    files = _programs(programs, arch, binary)
    if not files:
        usage("no program: TARGET=PROGRAM, or --binary")
    tidy_when_ended()
    path = Path(archive)
    signing = Signing(directory, issuer, subject, new_identity and not disable_keygen)
    account, provider = signing.account(), signing.provider("") if subject else None
    add(path, files, account, provider, issued=_now(), output=destination, new_identity=new_identity)
    wrote({"file": destination or path}, as_json=as_json)


@app.command()
def sign(
    archive: FileArgument,
    destination: OutputOption = None,
    expires: ExpiresOption = None,
    not_before: NotBeforeOption = None,
    new_identity: IdentityOption = False,
    directory: FolderOption = None,
    issuer: IssuerOption = None,
    subject: SubjectOption = None,
    disable_keygen: KeygenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sign an archive again: with these times, and with other keys if that is asked for."""
    from provider_packaging.rewrite import sign_again

    tidy_when_ended()
    path, issued = Path(archive), _now()
    signing = Signing(directory, issuer, subject, new_identity and not disable_keygen)
    account, provider = signing.account(), signing.provider("") if subject else None
    times = {"expires": _in_days(issued, expires), "not_before": _in_days(issued, not_before)}
    sign_again(path, account, provider, issued=issued, output=destination, new_identity=new_identity, **times)
    wrote({"file": destination or path}, as_json=as_json)


@app.command()
def inspect(archive: FileArgument, directory: FolderOption = None, as_json: JsonOption = False) -> None:
    """Show claims, programs with sizes and hashes, schema, and who signed it."""
    from provider_packaging.archive import open_archive
    from provider_packaging.inspection import contents, describe, in_words
    from provider_packaging.keys import stored_keys

    known: dict[str, str] = {}
    with suppress(ProviderError):  # it is only said which of them are ours
        known = {key.pair.public: str(key.path) for key in stored_keys(directory) if key.pair}
    with open_archive(located(archive)) as opened:
        found = describe(opened, known=known, contents=contents(opened))
    print(json.dumps(found, indent=2) if as_json else "\n".join(in_words(found)))


@app.command()
def verify(
    archive: FileArgument,
    issuer: Annotated[list[str] | None, typer.Option("--issuer", metavar="A…", help="Who may have signed it; may be repeated.")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="A target that must be there; may be repeated.")] = None,
    capability: Annotated[str | None, typer.Option("--capability", metavar="ID", help="The contract that it must be of.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check an archive before it is deployed.

    Exit codes: 0 all right; 1 it could not be read or fetched; 2 wrong usage; 3 not an archive that hosts accept; 4 a hash or the
    signature is wrong; 5 expired, or not yet valid; 6 issuer, target or capability not as asked for. Of several faults the lowest.
    """
    from provider_packaging.verify import plain
    from provider_packaging.verify import verify as check

    _check_issuers(issuer or [])
    verdict = check(located(archive), issuers=issuer or (), targets=target or (), capability=capability)
    if as_json:
        checks = [{"name": one.name, "ok": one.ok, "line": one.line} for one in verdict.checks]
        print(json.dumps({"ok": not verdict.outcome, "code": verdict.outcome.value, "checks": checks}, indent=2))
    else:
        print(*(plain(f"{'ok   ' if one.ok else 'WRONG'} {one.name}: {one.line}") for one in verdict.checks), sep="\n")
    raise typer.Exit(verdict.outcome.value)


def _programs(words: list[str] | None, arch: str | None, binary: Path | None) -> dict[str, Path]:
    from provider_packaging.targets import TARGET, native_target

    found = {arch or native_target(): binary} if binary else {}
    if arch and not binary:
        usage("--arch goes with --binary")
    for word in words or ():
        target, equals, path = word.partition("=")
        if not equals or not path:
            usage(f"{word!r}: TARGET=PROGRAM is expected, such as x86_64-linux=dist/greeter")
        if target in found:
            usage(f"{target}: two programs for one target")
        found[target] = Path(path)
    for target in found:
        if not TARGET.fullmatch(target):
            usage(f"{target!r} is not a target: ARCH-OS is expected, such as x86_64-linux")
    return found


def _now() -> int:
    """The time of signing, which a reproducible build sets."""
    from provider_packaging.epoch import told

    given = told()
    return int(time.time()) if given is None else given


def _in_days(issued: int, days: float | None) -> int | None:
    return None if days is None else issued + round(days * DAY)


def _schema(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        usage(f"{path}: no JSON schema: {error}")


def _check_issuers(keys: list[str]) -> None:
    for key in keys:
        try:
            kind = decode_public(key)[0]
        except InvalidArgument as error:
            usage(f"--issuer: {error.message}")
        if kind is not Prefix.ACCOUNT:
            usage(f"--issuer {key}: the public key of an account begins with A")
