"""`push`, `pull`, `copy`, `tags`, `digest`, `manifest`, `login`, `logout`: archives in registries."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provider_packaging.cli.app import app
from provider_packaging.cli.options import JsonOption
from provider_sdk.errors import InvalidArgument, NotFound, Unauthenticated
from provider_sdk.verbs import usage

if TYPE_CHECKING:
    from provider_packaging.oci.blob import Progress
    from provider_packaging.oci.credentials import Finder
    from provider_packaging.oci.reference import Reference
    from provider_packaging.oci.registry import Access

DIST = Path("dist")

RefArgument = Annotated[str, typer.Argument(metavar="REF", help="REGISTRY/REPOSITORY:TAG, or …@sha256:DIGEST.")]
UserOption = Annotated[str, typer.Option(metavar="NAME", help="To log in as; else WASH_REG_USER, and the files of docker login.")]
StdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input; else WASH_REG_PASSWORD.")]
InsecureOption = Annotated[bool, typer.Option("--insecure", help="Plain HTTP. On loopback that is so anyway, without --ca-file.")]
CaOption = Annotated[Path | None, typer.Option(metavar="FILE", help="A further authority for TLS, in PEM form.")]


@app.command()
def push(
    ref: RefArgument,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The archive; by default the only one in dist/.")] = None,
    annotations: Annotated[list[str] | None, typer.Option("--annotation", "-a", metavar="KEY=VALUE", help="Of the manifest.")] = None,
    allow_latest: Annotated[bool, typer.Option("--allow-latest", help="Also as `latest`, which hosts refuse by default.")] = False,
    username: UserOption = "",
    password_stdin: StdinOption = False,
    insecure: InsecureOption = False,
    ca_file: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put an archive into a registry, and print the reference that always gives these bytes."""
    from provider_packaging.oci import transfer

    reference = _reference(ref).for_push(allow_latest=allow_latest)
    access = _access(username, password_stdin, insecure, ca_file)
    marks = dict(_pair(one) for one in annotations or [])
    file = file or _only_archive()
    with _progress(f"pushing {file.name}") as progress:
        digest = transfer.push(file, reference, access, annotations=marks, progress=progress)
    pinned = str(reference.pinned(digest))
    _print(pinned, {"url": str(reference), "tag": reference.tag, "digest": digest, "pinned": pinned, "file": str(file)}, as_json)


@app.command()
def pull(
    ref: RefArgument,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: as the repository.")] = None,
    digest: Annotated[str, typer.Option(metavar="sha256:…", help="The digest that the manifest must have.")] = "",
    username: UserOption = "",
    password_stdin: StdinOption = False,
    insecure: InsecureOption = False,
    ca_file: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch an archive. What an interrupted run has fetched is kept beside the file, and gone on with."""
    from provider_packaging.oci import transfer

    reference, access = _reference(ref), _access(username, password_stdin, insecure, ca_file)
    with _progress(f"pulling {reference.repository}") as progress:
        done = transfer.pull(reference, output, access, digest=digest, progress=progress)
    pinned = str(reference.pinned(done.digest))
    _print(str(done.path), {"file": str(done.path), "digest": done.digest, "pinned": pinned, "size": done.size}, as_json)


@app.command()
def copy(
    from_: Annotated[str, typer.Argument(metavar="FROM", help="What is copied.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="Where to, with a tag.")],
    allow_latest: Annotated[bool, typer.Option("--allow-latest", help="Also as `latest`, which hosts refuse by default.")] = False,
    username: Annotated[str, typer.Option(metavar="NAME", help="To log in as at TO; for FROM there is `login`.")] = "",
    password_stdin: StdinOption = False,
    insecure: InsecureOption = False,
    ca_file: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy from one registry into another; the digest stays the same."""
    from provider_packaging.oci import transfer
    from provider_packaging.oci.credentials import find

    source, target = _reference(from_), _reference(to).for_push(allow_latest=allow_latest)
    far = _access(username, password_stdin, insecure, ca_file)
    near = _access("", False, insecure, ca_file, find=lambda registry, repository: find(registry, repository, target=False))
    with _progress(f"copying {source.repository}") as progress:
        digest = transfer.copy(source, target, near, far, progress=progress)
    pinned = str(target.pinned(digest))
    _print(pinned, {"url": str(target), "tag": target.tag, "digest": digest, "pinned": pinned}, as_json)


@app.command()
def tags(
    repository: Annotated[str, typer.Argument(metavar="REPOSITORY", help="REGISTRY/REPOSITORY.")],
    username: UserOption = "",
    password_stdin: StdinOption = False,
    insecure: InsecureOption = False,
    ca_file: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tags of a repository, a line each."""
    from provider_packaging.oci import transfer

    reference = _reference(repository)
    found = transfer.tags(reference, _access(username, password_stdin, insecure, ca_file))
    _print("\n".join(found), {"repository": reference.name, "tags": found}, as_json)


@app.command()
def digest(
    ref: RefArgument,
    username: UserOption = "",
    password_stdin: StdinOption = False,
    insecure: InsecureOption = False,
    ca_file: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the digest of what a reference names."""
    from provider_packaging.oci import transfer

    reference = _reference(ref)
    found = transfer.digest(reference, _access(username, password_stdin, insecure, ca_file))
    _print(found, {"url": str(reference), "digest": found, "pinned": str(reference.pinned(found))}, as_json)


@app.command()
def manifest(
    ref: RefArgument,
    raw: Annotated[bool, typer.Option("--raw", help="Its bytes as they are in the registry.")] = False,
    username: UserOption = "",
    password_stdin: StdinOption = False,
    insecure: InsecureOption = False,
    ca_file: CaOption = None,
) -> None:
    """Print the manifest of what a reference names, as JSON."""
    from provider_packaging.oci import transfer

    found = transfer.manifest(_reference(ref), _access(username, password_stdin, insecure, ca_file))
    content = found.content()
    if raw:
        sys.stdout.buffer.write(found.raw)
    else:
        print(json.dumps(content, indent=2))


@app.command()
def login(
    registry: Annotated[str, typer.Argument(metavar="REGISTRY", help="Host, or host:port.")],
    username: UserOption = "",
    password_stdin: StdinOption = False,
    insecure: InsecureOption = False,
    ca_file: CaOption = None,
) -> None:
    """Try a login, and keep it where Docker does: in its file, or with the helper that the file names."""
    from provider_packaging.oci import docker_files
    from provider_packaging.oci.reference import Reference
    from provider_packaging.oci.registry import Registry

    host = _host(registry)
    name = username or os.environ.get("WASH_REG_USER") or _asked("user name: ", input)
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else _asked("password: ", getpass.getpass)
    with Registry.of(Reference(host, "login"), _given(name, password, insecure, ca_file)) as opened:
        if not opened.accepts_login():
            raise Unauthenticated(f"{registry} asks for no login: there is nothing to keep")
    kept = docker_files.read(docker_files.docker_file(os.environ)).keep(host, name, password, os.environ)
    print(f"kept in {kept}")


@app.command()
def logout(registry: Annotated[str, typer.Argument(metavar="REGISTRY", help="Host, or host:port.")]) -> None:
    """Remove a login from where Docker keeps it."""
    from provider_packaging.oci import docker_files

    file = docker_files.docker_file(os.environ)
    if not docker_files.read(file).forget(_host(registry), os.environ):
        raise NotFound(f"{file} has no login for {registry}")
    print(f"removed from {file}")


def _reference(text: str) -> Reference:
    from provider_packaging.oci.reference import Reference

    return Reference.parse(text)


def _host(text: str) -> str:
    """A registry's host. As part of a reference, what is none would be of Docker Hub, which then got the login."""
    from provider_packaging.oci.reference import Reference

    with suppress(InvalidArgument):
        found = Reference.parse(f"{text}/login")
        if found.repository == "login":
            return found.registry
    raise InvalidArgument(f"{text!r} is no registry: HOST or HOST:PORT is expected, such as ghcr.io or localhost:5000")


def _access(username: str, password_stdin: bool, insecure: bool, ca_file: Path | None, find: Finder | None = None) -> Access:
    from provider_packaging.oci import credentials
    from provider_packaging.oci.registry import Access

    if not username and not password_stdin:
        return Access(insecure=insecure, ca_file=ca_file, credentials=find or credentials.find)
    if not username:
        username = os.environ.get("WASH_REG_USER", "")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else os.environ.get("WASH_REG_PASSWORD", "")
    if not username or not password:
        usage("--username wants a password, from --password-stdin or WASH_REG_PASSWORD, and --password-stdin a --username")
    return _given(username, password, insecure, ca_file)


def _given(username: str, password: str, insecure: bool, ca_file: Path | None) -> Access:
    from provider_packaging.oci.credentials import given
    from provider_packaging.oci.registry import Access

    return Access(insecure=insecure, ca_file=ca_file, credentials=given(username, password))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        usage(f"--annotation {text!r}: KEY=VALUE")
    return key, value


def _only_archive() -> Path:
    found = sorted((*DIST.glob("*.par"), *DIST.glob("*.par.gz")))
    if len(found) != 1:
        usage(f"which archive? dist/ has {', '.join(one.name for one in found) or 'none'}")
    return found[0]


def _asked(question: str, ask: Callable[[str], str]) -> str:
    if not sys.stdin.isatty():
        usage("no terminal to ask on: give --username and --password-stdin")
    return ask(question)


def _print(words: str, content: dict[str, object], as_json: bool) -> None:
    print(json.dumps(content, indent=2) if as_json else words)


@contextmanager
def _progress(title: str) -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
