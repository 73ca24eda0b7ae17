"""`provider dev …`: the lattice in a box, and verbs that also serve any other lattice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from provider_sdk.cli.entered import ElsewhereOption, LatticeOption, UrlOption, do_attached
from provider_sdk.cli.links import link
from provider_sdk.cli.registry import registry
from provider_sdk.errors import InvalidArgument, NotFound, Unavailable
from provider_sdk.lattice.attached import Attached
from provider_sdk.lattice.manifests import Generation, read_any_manifest
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.state import FOLDER, read_state
from provider_sdk.lattice.wrpc.attached import WrpcAttached

dev = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A lattice in a box: NATS, a host, providers, actors, on this machine.",
)
dev.add_typer(link, name="link")
dev.command()(registry)

REGISTRY = "registry.example/wasmcloud"
DETACHED_WITHIN = 90.0

ManifestArgument = Annotated[
    Path, typer.Argument(help="A wadm manifest of a 0.x or 1.x lattice, or a folder that holds wadm.yaml; by default the one here.")
]
ActorArgument = Annotated[Path, typer.Argument(help="A signed WebAssembly actor.")]
MannerOption = Annotated[Manner, typer.Option(help="Behave as a Rust host or as an OTP host; of 0.x alone.")]
GenerationOption = Annotated[
    Generation | None, typer.Option(help="The hosts that the manifest is for; by default those that it looks like.")
]


@dev.command()
def up(
    manifest: ManifestArgument = Path("wadm.yaml"),
    demo: Annotated[bool, typer.Option("--demo", help="Say what to try.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Ask the hello example over HTTP, check the answers, end. For any manifest: `provider dev check`."),
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Go on in the background; `provider dev down` ends it.")] = False,
    manner: MannerOption = Manner.RUST,
    generation: GenerationOption = None,
) -> None:
    """Start a lattice with what a manifest says, and follow its changes."""
    from provider_sdk.cli.serve import Showing, serve

    path = _file(manifest)
    read = read_any_manifest(path, generation)
    if detach:
        _detached(["up", str(path), "--manner", manner.value, *(["--generation", generation.value] if generation else [])])
    else:
        raise typer.Exit(serve(read, path, manner=manner, showing=Showing(demo, check)))


@dev.command()
def check(
    manifest: ManifestArgument = Path("wadm.yaml"),
    generation: GenerationOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Say what a manifest comes to, and start nothing.

    Programs, settings, links, secrets and addresses are looked at, each by its line. Exit code 1 where something is wrong.
    """
    from provider_sdk.cli.check import look
    from provider_sdk.cli.told import tell

    raise typer.Exit(tell(look(_file(manifest), generation), as_json))


@dev.command()
def run(
    actor: ActorArgument,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port for HTTP; by default 8080 or a free one.")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Go on in the background.")] = False,
    manner: MannerOption = Manner.RUST,
) -> None:
    """Run an actor with the providers that its claims ask for: no manifest, no links, no settings."""
    from provider_sdk.cli.serve import Showing, manifest_for, serve

    manifest = manifest_for(actor, port=port, registry=REGISTRY)
    if detach:
        _detached(["run", str(actor), "--manner", manner.value, *(["--port", str(port)] if port else [])])
    else:
        raise typer.Exit(serve(manifest, None, manner=manner, showing=Showing()))


@dev.command()
def manifest(
    actor: Annotated[Path, typer.Argument(help="A signed WebAssembly actor, or a folder with a provider.toml.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; standard output by default.")] = None,
    registry: Annotated[str, typer.Option(help="Where a real host finds the providers' archives.")] = "",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port for HTTP, for an actor.")] = 8080,
    generation: Annotated[
        Generation | None, typer.Option(help="The hosts that it is for; of 0.x for an actor, and for a provider with a contract.")
    ] = None,
) -> None:
    """Write the wadm manifest of what `run` does, or that of a provider as `provider new` does, ready for a real host."""
    from provider_sdk.cli.new import manifest_text
    from provider_sdk.cli.serve import manifest_for
    from provider_sdk.lattice.wadm import write_manifest

    if actor.is_dir():
        text = manifest_text(actor, generation, registry)
    elif generation is Generation.WRPC:
        raise InvalidArgument(f"{actor}: actors are of 0.x; for 1.x name a folder with a provider.toml")
    else:
        found = manifest_for(actor, port=port, registry=registry or REGISTRY)
        for warning in found.warnings:
            print(warning, file=sys.stderr)
        text = write_manifest(found, f"written from the claims of {actor.name}")
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, "utf-8")


@dev.command()
def down() -> None:
    """End the lattice of this folder."""
    state = read_state()
    os.kill(state.pid, signal.SIGTERM)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.kill(state.pid, 0)
            read_state()
        except (ProcessLookupError, NotFound):
            return
        time.sleep(0.05)
    raise Unavailable(f"process {state.pid} has not ended yet")


@dev.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
    nats_url: UrlOption = "",
    lattice: LatticeOption = "default",
    generation: ElsewhereOption = Generation.WASMBUS,
) -> None:
    """What runs: hosts, providers with their health, actors or components, links."""
    from provider_sdk.cli import report, wrpc_report

    async def work(attached: Attached | WrpcAttached) -> None:
        if isinstance(attached, WrpcAttached):
            found, columns = await wrpc_report.gather(attached), wrpc_report.COLUMNS
        else:
            found, columns = await report.gather(attached), report.COLUMNS
        print(json.dumps(found, indent=2)) if as_json else report.show(found, columns)

    do_attached(work, nats_url, lattice, generation)


@dev.command()
def call(
    target: Annotated[str, typer.Argument(help="Name or id of an actor, component or provider, or an actor's call alias.")],
    operation: Annotated[str, typer.Argument(help="Such as NumberGen.RandomInRange, on 1.x store.get or get.")],
    argument: Annotated[str, typer.Argument(help='JSON: \'{"min": 1, "max": 6}\'; nothing for an operation without argument.')] = "",
    contract: Annotated[str, typer.Option(help="The provider's contract, for one that the state of this folder does not name.")] = "",
    interface: Annotated[
        str, typer.Option(help="Where the interface is declared, as for `provider wit`: for what has no source here. 1.x only.")
    ] = "",
    nats_url: UrlOption = "",
    lattice: LatticeOption = "default",
    generation: ElsewhereOption = Generation.WASMBUS,
) -> None:
    """Call an operation and print its result as JSON."""
    from provider_sdk.cli import report, wrpc_report

    try:
        value = json.loads(argument) if argument else None
    except ValueError as error:
        raise InvalidArgument(f"the argument is not JSON: {error} (text goes in quotes: '\"Ada\"')") from None

    async def work(attached: Attached | WrpcAttached) -> None:
        given = argument != ""
        if isinstance(attached, WrpcAttached):
            result = await wrpc_report.invoke(attached, target, operation, value, given, interface)
        else:
            result = await report.invoke(attached, target, operation, value, given, contract)
        print(json.dumps(result, ensure_ascii=False))

    do_attached(work, nats_url, lattice, generation)


@dev.command()
def logs(
    name: Annotated[str, typer.Argument(help="Only this provider's lines.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """What the providers wrote."""
    path = FOLDER / "log"
    if not path.exists():
        raise NotFound(f"{path} does not exist: no lattice ran in this folder")
    with path.open(encoding="utf-8") as file:
        while True:
            for line in file:
                if not name or line[9:].startswith(f"{name} |"):
                    print(line, end="", flush=True)
            if not follow:
                return
            time.sleep(0.2)


@dev.command()
def sign(
    actor: Annotated[Path, typer.Argument(help="A WebAssembly actor; its claims are replaced.")],
    name: Annotated[str, typer.Option(help="Name in the claims; default: the file's.")] = "",
    cap: Annotated[list[str] | None, typer.Option(help="Contract id that the actor uses; may be given again.")] = None,
    call_alias: Annotated[str, typer.Option(help="Name under which other actors call it.")] = "",
) -> None:
    """Sign an actor with development keys, the same for the same name on every run. For production sign with keys of your own."""
    from provider_sdk.cli.report import sign_for_development

    if not actor.is_file():
        raise NotFound(f"{actor} does not exist")
    print(sign_for_development(actor, name or actor.stem, tuple(cap or ()), call_alias))


def _file(manifest: Path) -> Path:
    return manifest / "wadm.yaml" if manifest.is_dir() else manifest


def _detached(arguments: list[str]) -> None:
    """Start the same in the background and wait until its links are up, or what keeps them from it is known."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    record = FOLDER / "up.log"
    with record.open("w") as file:
        command = [sys.executable, "-m", "provider_sdk.cli.main", "dev", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
    until = time.monotonic() + DETACHED_WITHIN
    while time.monotonic() < until and process.poll() is None:
        try:
            state = read_state()
            if state.pid == process.pid and state.troubles is not None:
                for trouble in state.troubles:
                    print(trouble, file=sys.stderr)
                print("\n".join(f"http://{address}/" for address in state.addresses) or "running")
                return
        except NotFound:
            pass
        time.sleep(0.1)
    process.poll()
    raise Unavailable(record.read_text().strip().replace("provider: ", "") or "the lattice did not come up")
