"""`provider dev registry`: an OCI registry of this folder, for this machine, until Ctrl-C."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from provider_sdk.lattice.registry import PORT, open_registry
from provider_sdk.lattice.state import FOLDER


def registry(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: a free one.")] = PORT,
    folder: Annotated[Path, typer.Option(help="Where it keeps what is pushed.")] = FOLDER / "registry",
) -> None:
    """Serve a registry on this machine, to push archives to and start them from."""
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    # Blocked before any thread is made: they inherit it, so that sigwait alone takes the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    with open_registry(folder, port=port, say=_say) as opened:
        _say(f"a registry listens on {opened.address}; it keeps its content in {folder}; end: Ctrl-C")
        _say(f"provider package push {opened.address}/NAME:VERSION")
        signal.sigwait(ending)


def _say(line: str) -> None:
    print(line, flush=True)
