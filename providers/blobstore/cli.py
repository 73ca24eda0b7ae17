"""`provider blob …`: move a store to another, compare the two, look into one.

Exit codes: 0 done, and equal; 1 it could not be done for all, or there are differences; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from provider_sdk import InvalidArgument, ProviderError
from provider_sdk.verbs import run, usage
from providers.blobstore.backend import Backend, Capability, checked_container, shown
from providers.blobstore.journal import journal, journal_file
from providers.blobstore.pairs import listing
from providers.blobstore.place import Place, place
from providers.blobstore.progress import Bar, progress
from providers.blobstore.transfer import Done, Existing, Transfer, Wish

VARIABLES, TO_VARIABLES = "PROVIDER_BLOB_", "PROVIDER_BLOB_TO_"
ACTOR_KEY = 56
COMPONENT_ID = re.compile(r"(?=.*_)[a-z0-9_]+-[a-z0-9_]+")
"""Application and component, as a lattice names them; without the underscore that could be a bucket."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=f"""Blobstores: move one to another, compare the two, look into one.

    A store is file:///folder, s3://bucket/prefix?endpoint=… or s3://?endpoint=…, as in a link's `url`.
    Keys for S3 are looked for as the AWS tools do, or come from --set access_key_id=… with --secret-file, or from the variables
    {VARIABLES}ACCESS_KEY_ID, {VARIABLES}SECRET_ACCESS_KEY, {VARIABLES}SESSION_TOKEN (of the target of a copy: {TO_VARIABLES}…).
    Exit codes: 0 done, and equal; 1 it could not be done for all, or there are differences; 2 wrong usage.""",
)

StoreArgument = Annotated[str, typer.Argument(metavar="STORE", help="URL of the store.")]
ActorOption = Annotated[
    str, typer.Option(metavar="ID", help="Public key of an actor, or a component's id: its own place, as links have for files by default.")
]
SecretOption = Annotated[Path | None, typer.Option(help=f"File with the secret of the key; else {VARIABLES}SECRET_ACCESS_KEY.")]
SettingOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the link, such as access_key_id; may be repeated.")
]
PrefixOption = Annotated[str, typer.Option(help="Only objects whose names begin so.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For a program to read.")]


@app.command()
def copy(
    from_: Annotated[str, typer.Argument(metavar="FROM", help="URL of the source.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="URL of the target.")],
    actor: ActorOption = "",
    to_actor: Annotated[str, typer.Option(metavar="ID", help="The same for the target.")] = "",
    settings: SettingOption = None,
    to_settings: Annotated[list[str] | None, typer.Option("--to-set", metavar="NAME=VALUE", help="A setting of the target.")] = None,
    secret_file: SecretOption = None,
    to_secret_file: Annotated[Path | None, typer.Option(help=f"The target's; else {TO_VARIABLES}SECRET_ACCESS_KEY.")] = None,
    containers: Annotated[list[str] | None, typer.Option("--container", help="Only this one; may be repeated.")] = None,
    prefix: PrefixOption = "",
    parallel: Annotated[int, typer.Option(min=1, max=256, help="Objects at once.")] = 8,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what differs also where the target has it newer.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave objects that the target has as they are, whatever they hold.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare the contents of all objects, and change neither store.")] = False,
    verify: Annotated[
        bool, typer.Option(help="Read back what was written, and compare contents; without it, sizes and times are believed.")
    ] = True,
    journal_: Annotated[
        Path | None, typer.Option("--journal", help="File that remembers what is done; default: in the user's state folder.")
    ] = None,
    most: Annotated[int, typer.Option("--show", min=0, help="Objects that are told of one by one.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Copy what is missing in the target or differs there; nothing is removed.

    Run again after an interruption, it goes on; run again later, it moves what has changed.
    What differs and is newer in the target is left alone and told of, unless --overwrite is given.
    """
    if (overwrite, keep, check).count(True) > 1:
        usage("--overwrite, --keep and --check contradict each other")
    if check and not verify:
        usage("--check and --no-verify contradict each other: a check compares contents")
    source = place(from_, settings or [], actor, secret_file, VARIABLES).existing()
    target = place(to, to_settings or [], to_actor, to_secret_file, TO_VARIABLES)
    if source.overlaps(target):
        usage("the source and the target are one, or one lies in the other")
    existing = Existing.OVERWRITE if overwrite else Existing.KEEP if keep else Existing.OLDER
    done = Done()

    async def work(bar: Bar) -> None:
        async with source.open() as near, target.open() as far:
            chosen = await _chosen(source, target, near, containers)
            if not containers:
                _warn_of_places([name for _, name in chosen], far.capabilities)
            wish = Wish(chosen, prefix, existing, parallel, check, verify, most)
            with journal(journal_ or journal_file(source, target)) as noted:
                async with bar.counting(near, wish):
                    await Transfer(near, far, wish, noted, bar.tell, done).run()

    try:
        with progress("comparing" if check else "copying") as bar:
            run(work(bar))
    except (ProviderError, KeyboardInterrupt):
        print(*done.lines, sep="\n", end="\n" if done.lines else "")
        if done.copied or done.replaced:
            print(f"provider: {done.copied + done.replaced} objects were copied; the same command goes on from there", file=sys.stderr)
        raise
    _report(done, as_json=as_json)
    raise typer.Exit(0 if done.well else 1)


@app.command("list")
def list_(
    store: StoreArgument,
    container: Annotated[str, typer.Argument(help="Its objects are listed; without it, the containers are.")] = "",
    prefix: PrefixOption = "",
    actor: ActorOption = "",
    secret_file: SecretOption = None,
    settings: SettingOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the containers, or the objects of one with size and time."""
    source = place(store, settings or [], actor, secret_file, VARIABLES).existing()

    async def work() -> None:
        async with source.open() as backend:
            if not container:
                for found in await backend.containers():
                    _line(as_json, {"name": source.name(found.name), "created": _moment(found.created)})
                return
            async for info in listing(backend, source.container(container), prefix):
                _line(as_json, {"name": info.name, "size": info.size, "modified": _moment(info.modified)})

    run(work())


@app.command()
def stats(
    store: StoreArgument,
    prefix: PrefixOption = "",
    actor: ActorOption = "",
    secret_file: SecretOption = None,
    settings: SettingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count objects and bytes, of each container and in all."""
    source = place(store, settings or [], actor, secret_file, VARIABLES).existing()

    async def work() -> dict[str, dict[str, int]]:
        found = {}
        async with source.open() as backend:
            for container in await backend.containers():
                count = {"objects": 0, "bytes": 0}
                async for info in listing(backend, container.name, prefix):
                    count = {"objects": count["objects"] + 1, "bytes": count["bytes"] + info.size}
                found[source.name(container.name)] = count
        return found

    found = run(work())
    total = {name: sum(count[name] for count in found.values()) for name in ("objects", "bytes")}
    if as_json:
        print(json.dumps({"containers": found, **total}))
        return
    for name, count in [*((_plain(name), count) for name, count in found.items()), ("in all", total)]:
        print(f"{count['objects']:>12} objects {count['bytes']:>16} bytes  {name}")


async def _chosen(source: Place, target: Place, near: Backend, wanted: list[str] | None) -> list[tuple[str, str]]:
    """The containers, each by its name in the source and in the target; NotFound."""
    if wanted:
        found = [checked_container(source.container(name), near.capabilities) for name in dict.fromkeys(wanted)]
        for name in found:
            await near.container(name)
    else:
        found = [info.name for info in await near.containers()]
    pairs = [(name, target.container(source.name(name))) for name in found]
    if len({other for _, other in pairs}) < len(pairs):
        raise InvalidArgument("two containers of the source would be one in the target: see its aliases, or choose with --container")
    return pairs


def _warn_of_places(names: list[str], target: frozenset[Capability]) -> None:
    """Tell of folders that look like places of actors, or of components: ids are seldom names of buckets."""
    if names and all(len(name) == ACTOR_KEY and name.startswith("M") and name.isalnum() and name.isupper() for name in names):
        text = f"the source has a folder for each actor, such as {names[0]}: --actor ID copies what is in one"
    elif Capability.ANY_CONTAINER not in target and (found := next(filter(COMPONENT_ID.fullmatch, names), None)):
        text = f"{found} is no name of a bucket: is this a folder for each component? --actor ID copies what is in one"
    else:
        return
    print(f"provider: warning: {text}", file=sys.stderr)


def _report(done: Done, *, as_json: bool) -> None:
    counts = asdict(done)
    if as_json:
        print(json.dumps({"ok": done.well, **counts}))
        return
    words = {
        "copied": "copied",
        "replaced": "replaced",
        "equal": "equal",
        "kept": "kept as they were",
        "gone": "gone from the source meanwhile",
        "missing": "missing in the target",
        "different": "different",
        "failed": "NOT copied",
        "extra": "only in the target",
    }
    print(*done.lines, sep="\n", end="\n" if done.lines else "")
    told = [f"{counts[name]} {word}" for name, word in words.items() if counts[name]]
    print(f"objects: {', '.join(told) or 'none'}" + (f"; {done.size} bytes copied" if done.size else ""))


def _line(as_json: bool, found: dict[str, object]) -> None:
    if as_json:
        print(json.dumps(found))
    elif "size" in found:
        print(f"{found['size']:>16}  {found['modified'] or '-':24}  {_plain(str(found['name']))}")
    else:
        print(_plain(str(found["name"])))


def _plain(name: str) -> str:
    return name if name.isprintable() else shown(name)


def _moment(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
