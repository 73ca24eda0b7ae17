"""What a provider says of itself when it is run by hand: with --interface, with --settings."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provider_sdk.errors import PreconditionFailed, Unavailable
from provider_sdk.lattice.images import provider_program
from provider_sdk.runnable import Runnable

WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as it is called; `argument` is JSON to try it with, empty where it takes none. `contract` and `instance` are what its
    interface is called on 0.x and 1.x.
    """

    name: str
    argument: str
    contract: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """Contracts that are served, their operations, the first setting of a link that is text, as KEY=VALUE, the interfaces' classes, and
    what they are called on 1.x, such as `acme:greeter/greeter@0.1.0`.

    A class is `module:Class`, where the module may be `__main__`.
    """

    contracts: tuple[str, ...]
    operations: tuple[Operation, ...]
    setting: str = ""
    declared: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What a provider or a link is given: plain values, and the names of secrets."""

    values: dict[str, Any]
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with settings, what they have that is not known, and what of them is a secret in plain text."""

    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()


def outline_of(path: Path) -> Outline:
    """What the provider in a folder or .py file serves; PreconditionFailed where it does not start."""
    runnable = provider_program(path.resolve().as_uri(), Path.cwd())
    try:
        return ask_outline(runnable)
    except Unavailable as error:
        raise PreconditionFailed(f"{path}: the provider does not start: {error.message}") from None


def ask_outline(runnable: Runnable) -> Outline:
    """Ask the program; Unavailable with the last line that it wrote where it ends otherwise, as one with a fault in its source does."""
    answer = _asked(runnable, "--interface")
    try:
        return _read(json.loads(answer))
    except (ValueError, TypeError, KeyError):
        raise Unavailable("it answers --interface with something else than a provider does: is main(…) its last line?") from None


def ask_settings(runnable: Runnable, own: Given, links: Sequence[Given]) -> list[Verdict]:
    """What the program makes of its own settings for the process, and of those of each link over its own; Unavailable as above."""
    asked = json.dumps({"own": asdict(own), "links": [asdict(link) for link in links]})
    # As hosts clear it: what stands in a person's environment is no setting of a provider's. Windows starts nothing without that name.
    environment = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    answer = _asked(runnable, "--settings", asked, environment)
    try:
        document = json.loads(answer)
        found = [document["own"], *document["links"]]
        return [Verdict(*(tuple(item[name]) for name in ("faults", "warnings", "exposed"))) for item in found]
    except (ValueError, TypeError, KeyError):
        raise Unavailable("it answers --settings with something else than a provider does") from None


def _asked(runnable: Runnable, option: str, given: str = "", environment: dict[str, str] | None = None) -> str:
    command = [*runnable.command, option]
    try:
        done = subprocess.run(
            command,
            cwd=runnable.cwd,
            input=given,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command)} did not end within {WITHIN:g} s: is main(…) the last line?") from None
    except OSError as error:
        raise Unavailable(f"{runnable.command[0]} cannot be started: {error.strerror}") from None
    if done.returncode:
        raise Unavailable(done.stderr.strip().rpartition("\n")[2] or f"it ended with status {done.returncode}")
    return done.stdout


def _argument(operation: dict[str, Any]) -> str:
    return json.dumps(operation["argument"], ensure_ascii=False) if "argument" in operation else ""


def _read(document: dict[str, Any]) -> Outline:
    interfaces = document["interfaces"]
    operations = [
        Operation(item["operation"], _argument(item), interface["contract"], interface["wit"])
        for interface in interfaces
        for item in interface["operations"]
    ]
    texts = [
        f"{key}={value['default']}" for key, value in document["settings"].items() if value.get("type") == "string" and value.get("default")
    ]
    contracts = tuple(item["contract"] for item in interfaces if item["contract"])
    declared = tuple(item["declared"] for item in interfaces)
    instances = tuple(item["wit"] for item in interfaces if item["wit"])
    return Outline(contracts, tuple(operations), texts[0] if texts else "", declared, instances)
