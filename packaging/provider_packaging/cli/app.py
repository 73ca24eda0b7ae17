"""The group that the verbs are added to."""

from __future__ import annotations

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Provider archives: build, sign, inspect, verify, push, pull.",
)


@app.callback()
def _group() -> None:
    """Keep a group of it also while it has one verb."""
