"""The `provider` command: one verb, one meaning. Other packages add verbs, or groups of them, by entry point (`provider_sdk.cli`).

Exit codes: 0 done; 1 it could not be done (one line on stderr says why); 2 what was given is wrong (InvalidArgument); 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import NoReturn

from provider_sdk.errors import Code, ProviderError

GROUP = "provider_sdk.cli"
OWN = (
    EntryPoint("new", "provider_sdk.cli.new:new", GROUP),
    EntryPoint("run", "provider_sdk.cli.run:run", GROUP),
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
    try:
        command()
    except ProviderError as error:
        print("\n".join(f"provider: {line}" for line in error.message.splitlines()), file=sys.stderr)
        sys.exit(2 if error.code is Code.INVALID_ARGUMENT else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _wanted(words: list[str]) -> list[EntryPoint]:
    """The group that is asked for, or all of them where help is: what another one needs may not be installed, and takes time."""
    groups = [*OWN, *entry_points(group=GROUP)]
    named = [entry for entry in groups if words and entry.name == words[0]]
    return named[:1] or groups


def _nothing() -> None:
    """Keep a group of its own also while it is the only one."""


if __name__ == "__main__":
    run()
