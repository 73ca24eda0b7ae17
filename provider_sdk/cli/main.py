"""The `provider` command: one verb, one meaning. Groups of other packages are added by entry point (`provider_sdk.cli`).

Exit codes: 0 done; 1 it could not be done (one line on stderr says why); 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import NoReturn

from provider_sdk.errors import ProviderError

GROUP = "provider_sdk.cli"


def run() -> NoReturn:
    """The console script."""
    try:
        import typer

        from provider_sdk.cli.dev import dev
    except ImportError as error:
        sys.exit(f"provider: {error.name} is not installed: install provider-sdk[cli,lattice]")
    command = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="wasmCloud capability providers in Python.",
    )
    command.add_typer(dev, name="dev")
    command.callback()(_nothing)
    for entry in entry_points(group=GROUP):
        command.add_typer(entry.load(), name=entry.name)
    try:
        command()
    except ProviderError as error:
        print("\n".join(f"provider: {line}" for line in error.message.splitlines()), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _nothing() -> None:
    """Keep `dev` a group of its own also while it is the only one."""


if __name__ == "__main__":
    run()
