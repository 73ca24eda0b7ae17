"""Verbs for keys. A seed is printed only where `--seed` asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from provider_packaging.cli.app import app
from provider_packaging.cli.options import FolderOption, JsonOption
from provider_packaging.keys import KeyFile, Kind, default_stem, folders, lookup, stored_keys
from provider_packaging.keys import generate as make
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.verbs import usage

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Keys that sign archives, in the folders and files of wash: FOLDER/NAME_KIND.nk.

    FOLDER is --directory, or WASH_KEYS, or else ~/.wash/keys and then $XDG_DATA_HOME/wash/keys.""",
)
app.add_typer(group, name="keys")

SeedOption = Annotated[bool, typer.Option("--seed", help="Print the seed too, which is the secret.")]


@group.command()
def generate(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(Kind)}.")],
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Begins the file's name; default: the user's, as wash has it for accounts.")
    ] = "",
    directory: FolderOption = None,
    seed: SeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key and save it; one that is there stays."""
    pair, path = make(Kind.of(kind), name or default_stem(), directory)
    _print(_facts(KeyFile(path, pair), seed=seed), as_json=as_json)


@group.command("list")
def list_(directory: FolderOption = None, as_json: JsonOption = False) -> None:
    """List the keys of the folders."""
    keys = list(stored_keys(directory))
    if as_json:
        print(json.dumps({"keys": [key.stem for key in keys], "files": [_facts(key) for key in keys]}, indent=2))
        return
    if not keys:
        print(f"no keys in {' or '.join(map(str, folders(directory)))}")
    for key in keys:
        print(f"{key.stem:32} {key.pair.public if key.pair else 'holds no key':56} {key.path}")


@group.command()
def find(
    text: Annotated[str, typer.Argument(metavar="NAME|PUBLIC", help="Name of the file, with or without _KIND.nk, or a public key.")],
    directory: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the files of the keys that are called so."""
    found = _found(text, directory)
    print(json.dumps([_facts(key) for key in found], indent=2) if as_json else "\n".join(str(key.path) for key in found))


@group.command()
def get(
    text: Annotated[str, typer.Argument(metavar="NAME|PUBLIC", help="As for find.")],
    directory: FolderOption = None,
    seed: SeedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the public key of the one key that is called so."""
    found = _found(text, directory)
    if len(found) > 1:
        usage(f"{text} is the name of several: {', '.join(key.stem for key in found)}")
    if found[0].pair is None:
        raise InvalidArgument(f"{found[0].path} holds no key")
    _print(_facts(found[0], seed=seed), as_json=as_json)


group.command("public", hidden=True)(get)


def _found(text: str, directory: Path | None) -> list[KeyFile]:
    found = lookup(text, directory)
    if not found:
        raise NotFound(f"no key is called {text} in {' or '.join(map(str, folders(directory)))}")
    return found


def _facts(key: KeyFile, *, seed: bool = False) -> dict[str, Any]:
    facts = {"public_key": key.pair.public if key.pair else None, "file": str(key.path)}
    return facts | {"seed": key.pair.seed} if seed and key.pair else facts


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    """The public key stands alone in a line, for scripts."""
    if as_json:
        print(json.dumps(facts))
        return
    print(facts["public_key"])
    if "seed" in facts:
        print(facts["seed"])
