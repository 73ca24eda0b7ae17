"""`provider run`: one provider from its source, under a test host, with somebody linked to it who can be told to call."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from provider_sdk.cli.outline import Operation, Outline, outline_of
from provider_sdk.cli.serve import Showing, serve
from provider_sdk.errors import InvalidArgument, PreconditionFailed
from provider_sdk.lattice.deploy import CALLER
from provider_sdk.lattice.manifests import Generation
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.wadm import Manifest, ManifestLink, ProviderComponent
from provider_sdk.lattice.wrpc.links import parts_of
from provider_sdk.lattice.wrpc.manifest import NamedConfig, Settings, Workload, WrpcLink, WrpcManifest
from provider_sdk.provider_toml import FILE, read_provider_toml

MOST_SHOWN = 5


def run(
    folder: Annotated[Path, typer.Argument(help="A folder with a provider.toml, or a provider's .py file.")] = Path(),
    link: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of the caller's link, or a JSON object; may be given again.")] = None,
    config: Annotated[list[str] | None, typer.Option(help="The same of the provider's own configuration.")] = None,
    manner: Annotated[Manner, typer.Option(help="Behave as a Rust host or as an OTP host; of 0.x alone.")] = Manner.RUST,
    generation: Annotated[
        Generation | None, typer.Option(help="The host's generation; by default 0.x, or 1.x for a provider without a contract.")
    ] = None,
) -> None:
    """Run a provider from its source, linked to a caller; it restarts as its source changes. Ctrl-C ends it."""
    values, own = _given(link, "--link"), _given(config, "--config")
    manifest, outline = manifest_of(folder, {key: _text(value) for key, value in values.items()}, own, generation)
    raise typer.Exit(serve(manifest, None, manner=manner, showing=Showing(every_line=True, hints=tuple(_hints(manifest, outline)))))


def manifest_of(
    path: Path, link: dict[str, str], config: dict[str, object], generation: Generation | None = None
) -> tuple[Manifest | WrpcManifest, Outline]:
    """The manifest of that provider alone and its caller, and what the provider serves."""
    image, outline = path.resolve().as_uri(), outline_of(path)
    if path.is_dir():
        read = read_provider_toml(path)
        name, contracts, unserved = read.name, read.contracts, read.unserved(outline.contracts, outline.instances)
    else:
        name, contracts, unserved = path.stem.replace("_", "-"), outline.contracts, []
    warnings = tuple(f"warning: {path / FILE}: {item}: the program does not serve that" for item in unserved)
    if generation is Generation.WRPC or (generation is None and not contracts and outline.instances):
        manifest = _wrpc_manifest(name, image, outline, link, {key: _text(value) for key, value in config.items()})
        return replace(manifest, warnings=warnings), outline
    if not contracts:
        raise PreconditionFailed(f"{path}: it has no contract, and hosts of 0.x know nothing else to call a provider by")
    given = json.dumps(config) if config else None
    provider = ProviderComponent(name, image, contracts[0], config=given)
    programs = (ManifestLink(name, link),)
    return Manifest(name, (), (provider,), Path.cwd(), warnings=warnings, programs=programs), outline


def _wrpc_manifest(name: str, image: str, outline: Outline, link: dict[str, str], config: dict[str, str]) -> WrpcManifest:
    """One link for each package."""
    packages: dict[tuple[str, str], list[str]] = {}
    for instance in outline.instances:
        namespace, package, interface = parts_of(instance)
        packages.setdefault((namespace, package), []).append(interface)
    if not packages:
        raise PreconditionFailed(f"{name}: it serves no interface with wit=, and hosts of 1.x know nothing else to call a provider by")
    given = Settings((NamedConfig(f"{CALLER}-link", link),)) if link else Settings()
    links = [WrpcLink(name, *package, tuple(interfaces), target_settings=given) for package, interfaces in packages.items()]
    own = Settings((NamedConfig(name, config),)) if config else Settings()
    provider = Workload(name, name, image, provider=True, settings=own)
    return WrpcManifest("run", (provider,), Path.cwd(), programs=tuple(links))


def _hints(manifest: Manifest | WrpcManifest, outline: Outline) -> Iterator[str]:
    if isinstance(manifest, Manifest):
        name, served = manifest.providers[0].name, manifest.providers[0].contract
        operations = [item for item in outline.operations if item.contract]
    else:
        name, served = manifest.workloads[0].name, ", ".join(outline.instances)
        operations = [item for item in outline.operations if item.instance]
    yield f"\n{name} runs for {served}; from another terminal, in this folder:"
    for operation in operations[:MOST_SHOWN]:
        yield f"  {_call(name, operation)}"
    if len(operations) > MOST_SHOWN:
        yield f"  and so on: {', '.join(item.name for item in operations[MOST_SHOWN:])}"
    if outline.setting:
        yield f"  provider dev link put {CALLER} {name} {shlex.quote(outline.setting)}"
    yield "  provider dev status"
    yield "\nwhat the provider logs is shown here    end: Ctrl-C\n"


def _call(name: str, operation: Operation) -> str:
    return f"provider dev call {name} {operation.name} {shlex.quote(operation.argument) if operation.argument else ''}".rstrip()


def _given(items: list[str] | None, option: str) -> dict[str, object]:
    """The pairs and objects of an option, later ones winning; InvalidArgument."""
    found: dict[str, object] = {}
    for item in items or ():
        if item.lstrip().startswith("{"):
            try:
                found |= json.loads(item)
            except ValueError as error:
                raise InvalidArgument(f"{option}: not JSON: {error}") from None
        else:
            key, separator, value = item.partition("=")
            if not separator or not key:
                raise InvalidArgument(f"{option}: expected KEY=VALUE or a JSON object")
            found[key] = value
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
