"""Verbs that enter a lattice: the one of this folder, or another that their options name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from provider_sdk.errors import InvalidArgument
from provider_sdk.lattice.attached import Attached, enter
from provider_sdk.lattice.deploy import CALLER
from provider_sdk.lattice.manifests import Generation
from provider_sdk.lattice.state import State, read_state
from provider_sdk.lattice.wrpc.attached import WrpcAttached

SEED = "CLUSTER_SEED"

UrlOption = Annotated[
    str,
    typer.Option(
        "--nats-url", help=f"Another lattice than the one of this folder; one of 0.x needs its cluster seed in the variable {SEED}."
    ),
]
ElsewhereOption = Annotated[Generation, typer.Option("--generation", help="The hosts of the lattice, with --nats-url.")]
LatticeOption = Annotated[str, typer.Option("--lattice", help="The lattice's name, with --nats-url.")]


def do_attached(
    work: Callable[[Attached | WrpcAttached], Coroutine[Any, Any, None]], nats_url: str, lattice: str, generation: Generation
) -> None:
    """Do `work` in the lattice of this folder, or in the one that the options name; ProviderError."""

    async def run() -> None:
        async with enter(_elsewhere(nats_url, lattice, generation) if nats_url else read_state()) as attached:
            await work(attached)

    asyncio.run(run())


def _elsewhere(nats_url: str, lattice: str, generation: Generation) -> State:
    if generation is Generation.WRPC:
        return State(0, nats_url, lattice, "", "", CALLER, generation=generation)
    seed = os.environ.get(SEED, "")
    if not seed:
        raise InvalidArgument(f"calling another lattice of 0.x needs its cluster seed (SC…) in the environment variable {SEED}")
    return State(0, nats_url, lattice, "", seed)
