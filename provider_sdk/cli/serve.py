"""`provider dev up` and `run`: a box in the foreground, its traffic on the screen, until Ctrl-C, SIGTERM or `provider dev down`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from provider_sdk.cli.checks import hello_checks
from provider_sdk.cli.view import Traffic
from provider_sdk.cli.wrpc_view import WrpcTraffic
from provider_sdk.errors import NotFound, PreconditionFailed, Unavailable
from provider_sdk.hosts.wasmbus.actor_claims import ActorClaims, verify_actor
from provider_sdk.lattice.addresses import HTTP, host_and_port, http_addresses
from provider_sdk.lattice.box import Box, BoxOptions, open_box
from provider_sdk.lattice.images import actor_file
from provider_sdk.lattice.manifests import Generation
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.pack import provider_for
from provider_sdk.lattice.state import FOLDER
from provider_sdk.lattice.wadm import ActorComponent, Manifest, ManifestLink, ProviderComponent
from provider_sdk.lattice.wrpc.manifest import WrpcManifest

BUILT_IN = ("wasmcloud:builtin:numbergen", "wasmcloud:builtin:logging")
PREFERRED_PORT = 8080
LOUD = (" WARNING ", " ERROR ", " CRITICAL ", "Traceback")


def say(line: str) -> None:
    """A line for the person at the terminal."""
    print(line, flush=True)


@dataclass(frozen=True, slots=True)
class Showing:
    """What a person gets to see: what to try with the `demo`, the answers to a `check` that ends it, `every_line` of the providers' logs,
    or `hints` once all runs."""

    demo: bool = False
    check: bool = False
    every_line: bool = False
    hints: tuple[str, ...] = ()


def serve(manifest: Manifest | WrpcManifest, path: Path | None, *, manner: Manner, showing: Showing, folder: Path = FOLDER) -> int:
    """Run a box with the manifest until told to end, or as long as the check takes. The exit code. `manner` is of 0.x."""
    if showing.check and not any(http_addresses(manifest)):
        raise PreconditionFailed("--check is for the hello example, and nothing listens here: provider dev check looks at any manifest")
    return asyncio.run(_serve(manifest, path, manner, showing, folder))


async def _serve(manifest: Manifest | WrpcManifest, path: Path | None, manner: Manner, showing: Showing, folder: Path) -> int:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ending.set)
    traffic = Traffic(say)
    wrpc_traffic = WrpcTraffic(say)

    def output(name: str, line: str) -> None:
        if showing.every_line or any(word in line for word in LOUD):
            say(f"{name}: {line}")

    generation = Generation.WRPC if isinstance(manifest, WrpcManifest) else Generation.WASMBUS
    options = BoxOptions(folder, manner, generation, manifest.base, say=say, on_output=output)
    if not showing.check:
        options.on_call, options.on_wrpc_call = traffic.take, wrpc_traffic.take
    async with open_box(options) as box:
        wrpc_traffic.names = lambda: {item.key: name for name, item in box.deployment.state("").names.items()}
        work = asyncio.create_task(_deploy(box, manifest, showing))
        ended = asyncio.create_task(ending.wait())
        await asyncio.wait([work, ended], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            await asyncio.wait([work])
            return 0
        code = work.result()
        if showing.check or code:
            ended.cancel()
            return code
        following = asyncio.create_task(box.follow(path, manifest))
        stopped = asyncio.create_task(box.host.stop_requested())
        await asyncio.wait([ended, stopped, following], return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        say("stopping")
        for task in (ended, stopped, following):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    return 0


async def _deploy(box: Box, manifest: Manifest | WrpcManifest, showing: Showing) -> int:
    await box.deploy(manifest)
    troubles = await box.unhealthy()
    for trouble in troubles:
        say(trouble)
    if showing.check:
        if troubles:
            return 1
        return 0 if await asyncio.to_thread(_checked, f"http://{box.deployment.addresses[0]}") else 1
    for address in filter(host_and_port, box.deployment.addresses):  # what is none is among the troubles
        say(f"\nlistening on http://{address}/{'   ← open it in a browser' if showing.demo else ''}")
    if showing.demo and box.deployment.addresses:
        base = f"http://{box.deployment.addresses[0]}"
        say("or ask from another terminal:")
        for line in (f"curl {base}/", f"curl '{base}/random?min=1&max=6'", f"curl {base}/guid", f"curl -d 'some text' {base}/echo"):
            say(f"  {line}")
        say(f"\neach request is shown here as it passes    logs: {box.options.folder}/log    end: Ctrl-C\n")
    for line in showing.hints or (() if showing.demo else ("end: Ctrl-C",)):
        say(line)
    return 0


def _checked(base: str) -> bool:
    results = []
    for what, right, answer in hello_checks(base):
        say(f"{'ok  ' if right else 'FAIL'} {what} → {answer}")
        results.append(right)
    say(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return all(results)


def manifest_for(actor: Path, *, port: int | None, registry: str) -> Manifest:
    """The manifest that an actor's claims ask for: contracts served by the standard pack, with embedded defaults.

    A contract that nobody here serves is left out with a warning, since claims say what an actor may use, not what it cannot do without;
    NotFound where nothing is left. `port` None: a free one is chosen.
    """
    claims = verify_actor(actor_file(actor.resolve().as_uri(), Path.cwd()).read_bytes())
    name = _component_name(claims)
    links: list[ManifestLink] = []
    providers: list[ProviderComponent] = []
    missing: list[NotFound] = []
    for contract in claims.capabilities:
        if contract in BUILT_IN:
            continue
        try:
            found = provider_for(contract)
        except NotFound as error:
            missing.append(error)
            continue
        values = {"address": f"127.0.0.1:{port or _free_port()}"} if contract == HTTP else {}
        links.append(ManifestLink(found.name, values))
        reference = f"{registry}/{found.name}:{found.version}"
        providers.append(ProviderComponent(found.name, reference, contract))
    if missing and not providers:
        raise missing[0]
    warnings = tuple(f"warning: {error.message}; until then {name}'s calls of it fail" for error in missing)
    component = ActorComponent(name, actor.resolve().as_uri(), 1, tuple(links))
    return Manifest(name, (component,), tuple(providers), Path.cwd(), warnings=warnings)


def _component_name(claims: ActorClaims) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in claims.name.lower()).strip("-")
    return kept or "actor"


def _free_port() -> int:
    for port in (PREFERRED_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found: int = probe.getsockname()[1]
                return found
    raise Unavailable("no free port on 127.0.0.1")
