"""The project in a folder: provider.toml, the program, the manifest, and a lattice that runs there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from provider_sdk.cli.outline import ask_outline
from provider_sdk.errors import NotFound, ProviderError, Unavailable
from provider_sdk.findings import Finding, right, warning, wrong
from provider_sdk.lattice.images import provider_program
from provider_sdk.lattice.manifest_text import WrongManifest
from provider_sdk.lattice.manifests import read_any_manifest
from provider_sdk.lattice.state import FOLDER, read_state
from provider_sdk.lattice.wadm import Manifest
from provider_sdk.provider_toml import FILE, MANIFESTS, ProviderToml, read_provider_toml


def checks(folder: Path) -> Iterable[Finding]:
    """What is written there is right, the program starts and serves what it says, and nothing runs in the way."""
    manifests = [folder / name for name in MANIFESTS if (folder / name).exists()]
    if not (folder / FILE).exists() and not manifests:
        yield right("project", f"there is neither {FILE} nor {MANIFESTS[0]} here: provider new NAME makes a project")
        return
    if (folder / FILE).exists():
        yield from _provider(folder)
    for path in manifests:
        yield from _manifest(path)
    try:
        state = read_state(folder / FOLDER)
        yield warning(
            "lattice", f"one runs here already (process {state.pid})", "provider dev down ends it, before you start another in this folder"
        )
    except NotFound:
        pass


def _provider(folder: Path) -> Iterator[Finding]:
    try:
        read = read_provider_toml(folder)
        _ = read.root
    except ProviderError as error:
        yield from (wrong(FILE, line, "docs/provider-toml.md has every key and its form") for line in error.message.splitlines())
        return
    yield right(FILE, f"{read.name} {read.version}, revision {read.revision}")
    yield from _program(folder, read)


def _program(folder: Path, read: ProviderToml) -> Iterator[Finding]:
    try:
        outline = ask_outline(provider_program(folder.resolve().as_uri(), folder))
    except Unavailable as error:
        yield wrong("program", f"python -m {read.module} does not start: {error.message}", "see what it writes when you start it by hand")
        return
    served = ", ".join((*outline.contracts, *outline.instances))
    unserved = read.unserved(outline.contracts, outline.instances)
    for name in unserved:
        advice = f"change {FILE}, or contract= and wit= of the interface"
        yield wrong("program", f"{FILE} says {name}: the program does not serve that, but {served}", advice)
    if not unserved:
        yield right("program", f"python -m {read.module} starts, and serves {served or 'nobody: it only calls'}")


def _manifest(path: Path) -> Iterator[Finding]:
    try:
        read = read_any_manifest(path)
    except WrongManifest as error:
        yield from (wrong(path.name, line, "change that line") for line in error.problems)
        yield from (warning(path.name, line, "see whether you meant that") for line in error.warnings)
        return
    except ProviderError as error:
        yield wrong(path.name, error.message, "change that line")
        return
    except ImportError:
        yield warning(path.name, "not looked at: PyYAML is not installed", "pip install 'provider-sdk[lattice]'")
        return
    yield from (warning(path.name, line, "see whether you meant that") for line in read.warnings)
    if isinstance(read, Manifest):
        names = [actor.name for actor in read.actors] + [provider.name for provider in read.providers]
    else:
        names = [workload.name for workload in read.workloads]
    yield right(path.name, f"{read.name}: {', '.join(names)}")
