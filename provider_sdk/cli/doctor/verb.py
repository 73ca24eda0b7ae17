"""The verb: all checks at once, in bounded time, told in the order in which things are needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from provider_sdk.cli.doctor import bus, interpreter, machine, places, project
from provider_sdk.cli.told import tell
from provider_sdk.errors import ProviderError
from provider_sdk.findings import GROUP, Checks, Finding, warning
from provider_sdk.verbs import usage

WITHIN = 10.0
OWN: tuple[tuple[str, Checks], ...] = (
    ("Python", interpreter.checks),
    ("machine", machine.checks),
    ("NATS", bus.checks),
    ("project", project.checks),
    ("servers", places.checks),
)


def doctor(
    folder: Annotated[Path, typer.Argument(help="The folder of a project; it may hold nothing yet.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Say what is missing or wrong, each with what to do. Exit code 1 where something will stop you."""
    if not folder.is_dir():
        usage(f"{folder} is no folder")
    raise typer.Exit(tell([finding for found in gather(folder) for finding in found], as_json))


def gather(folder: Path) -> list[list[Finding]]:
    """What each group of checks found; one that takes too long, or fails, says so itself."""
    groups = list(OWN)
    others: list[list[Finding]] = []
    for entry in entry_points(group=GROUP):
        try:
            groups.append((entry.name, entry.load()))
        except ImportError as error:
            others.append([warning(entry.name, f"not looked at: {error.name or error} is not installed", "install what it needs")])
    works = [_Work(name, checks, folder) for name, checks in groups]
    until = time.monotonic() + WITHIN
    return [list(work.found(until)) for work in works] + others


class _Work(threading.Thread):
    """One group in a thread of its own, which ends with the process should it hang."""

    def __init__(self, name: str, checks: Checks, folder: Path) -> None:
        super().__init__(name=name, daemon=True)
        self._checks, self._folder = checks, folder
        self._found: list[Finding] = []
        self.start()

    def run(self) -> None:
        try:
            for finding in self._checks(self._folder):
                self._found.append(finding)
        except ProviderError as error:
            self._found.append(warning(self.name, f"not looked at any further: {error.message}", "see to that, and ask again"))
        except Exception as error:
            self._found.append(warning(self.name, f"the check itself failed: {type(error).__name__}: {error}", "please report it"))

    def found(self, until: float) -> Iterator[Finding]:
        """What it found by then."""
        self.join(max(0.0, until - time.monotonic()))
        yield from list(self._found)
        if self.is_alive():
            yield warning(self.name, f"no answer within {WITHIN:g} s", "see what holds it up, and ask again")
