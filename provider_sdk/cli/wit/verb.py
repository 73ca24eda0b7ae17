"""`provider wit`: an interface in the other one of its two forms, a Python class or a WIT package (docs/wit.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provider_sdk.cli.wit.model import Package
from provider_sdk.cli.wit.of_interface import packages_of
from provider_sdk.cli.wit.packages import read_packages
from provider_sdk.cli.wit.python import python_source
from provider_sdk.cli.wit.subject import interfaces_of
from provider_sdk.cli.wit.text import package_text, packages_text
from provider_sdk.errors import AlreadyExists
from provider_sdk.provider_toml import FILE


def wit(
    what: Annotated[
        str, typer.Argument(help="MODULE, FILE.py or a provider's folder, with :CLASS for one; or FILE.wit, or a folder of them.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write: a folder for WIT, a file for Python; by default it is shown.")
    ] = None,
) -> None:
    """Show the WIT packages of Python interfaces, or the Python interfaces of a WIT package."""
    path = Path(what)
    if path.suffix == ".wit" or (path.is_dir() and not (path / FILE).exists() and any(path.glob("*.wit"))):
        _to_python(python_source(read_packages(path)), output)
    else:
        _to_wit(packages_of(interfaces_of(what)), output)


def _to_python(source: str, output: Path | None) -> None:
    if output is None:
        print(source, end="")
        return
    if output.exists():
        raise AlreadyExists(f"{output} is there already, and may have been edited: remove it, or name another file")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(source, "utf-8")
    print(f"{output} is written")


def _to_wit(packages: tuple[Package, ...], output: Path | None) -> None:
    if output is None:
        print(packages_text(packages), end="")
        return
    output.mkdir(parents=True, exist_ok=True)
    names = [package.name for package in packages]
    for package in packages:
        several = names.count(package.name) > 1
        file = output / f"{(package.id if several else package.name).replace(':', '-').replace('@', '-')}.wit"
        file.write_text(package_text(package), "utf-8")
        print(f"{file} is written")
