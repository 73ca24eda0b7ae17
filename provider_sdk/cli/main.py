"""The `provider` command: one verb, one meaning. Other packages add verbs, or groups of them, by entry point (`provider_sdk.cli`).

Exit codes: 0 done; 1 it could not be done (one line on stderr says why); 2 what was given is wrong (InvalidArgument); 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from io import TextIOWrapper
from typing import NoReturn

from provider_sdk.errors import Code, ProviderError

GROUP = "provider_sdk.cli"
OWN = (
    EntryPoint("new", "provider_sdk.cli.new:new", GROUP),
    EntryPoint("run", "provider_sdk.cli.run:run", GROUP),
    EntryPoint("wit", "provider_sdk.cli.wit.verb:wit", GROUP),
    EntryPoint("doctor", "provider_sdk.cli.doctor:doctor", GROUP),
    EntryPoint("dev", "provider_sdk.cli.dev:dev", GROUP),
)


def run() -> NoReturn:
    """The console script."""
    try:
        import typer
    except ImportError as error:
        sys.exit(f"provider: {error.name} is not installed: install provider-sdk[cli,lattice]")
    command = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="wasmCloud capability providers in Python.",
    )
    command.callback()(_nothing)
    wanted = _wanted(sys.argv[1:])
    for entry in wanted:
        try:
            loaded = entry.load()
            if isinstance(loaded, typer.Typer):
                command.add_typer(loaded, name=entry.name)
            else:
                command.command(entry.name)(loaded)
        except ImportError as error:
            print(f"provider: {entry.name} needs {error.name or error}, which is not installed", file=sys.stderr)
            if len(wanted) == 1:
                sys.exit(1)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be no text
    sys.exit(_ended(command))


def _ended(command: Callable[[], object]) -> int:
    """The exit code of a command, when its words are written too; in place of a traceback, why it failed."""
    code = 0
    try:
        try:
            command()
        except SystemExit as end:
            if not isinstance(end.code, int | None):
                raise
            code = end.code or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except ProviderError as error:
        _say(error.message)
        return 2 if error.code is Code.INVALID_ARGUMENT else 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _forget_words()
        # Who reads no further has what it wanted, as `head` has.
        if not isinstance(error, BrokenPipeError):
            _say(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
        return code or 1
    return code


def _say(message: str) -> None:
    """One line for each of the message's, without what would move a terminal: part of it may come from a server."""
    for line in message.splitlines():
        print("provider: " + "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line), file=sys.stderr)


def _forget_words() -> None:
    """What cannot be written is not tried again at the end of the process."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _wanted(words: list[str]) -> list[EntryPoint]:
    """The group that is asked for, or all of them where help is: what another one needs may not be installed, and takes time."""
    groups = [*OWN, *entry_points(group=GROUP)]
    named = [entry for entry in groups if words and entry.name == words[0]]
    return named[:1] or groups


def _nothing() -> None:
    """Keep a group of its own also while it is the only one."""


if __name__ == "__main__":
    run()
