"""Call actors and providers from any Python program that holds lattice credentials and the cluster's signing seed.

async with connect("127.0.0.1:4222", lattice="default", cluster_seed=seed, identity=me) as lattice:
    await NumberGen.at(lattice.provider(key, "wasmcloud:numbergen")).random_in_range(1, 6)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from provider_sdk.hosts.wasmbus.client import Client, Lattice
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import Credentials
from provider_sdk.transport.nats import connect as connect_nats

__all__ = ["Lattice", "connect"]


@asynccontextmanager
async def connect(
    url: str,
    *,
    lattice: str = "default",
    cluster_seed: str,
    identity: str = "",
    user_jwt: str = "",
    user_seed: str = "",
    ca_file: Path | None = None,
    timeout: float = 2.0,
) -> AsyncIterator[Lattice]:
    """Enter a 0.x lattice as a caller.

    `cluster_seed` signs the calls (`SC…`, an issuer that the lattice trusts); `identity` is the public key to call as (`M…` or
    `V…`; a new module key by default); `ca_file` replaces the system's authorities; `timeout` bounds a call, seconds. Raises
    Unavailable, Unauthenticated, InvalidArgument.
    """
    key = KeyPair.from_seed(cluster_seed)
    transport = await connect_nats(Credentials(url, user_jwt, user_seed, ca_file=ca_file, name="caller"))
    try:
        host_id = KeyPair.generate(Prefix.SERVER).public
        client = Client(transport, lattice=lattice, key=key, host_id=host_id, timeout=timeout)
        yield Lattice(client, Entity(identity or KeyPair.generate(Prefix.MODULE).public, "", ""))
    finally:
        await transport.close()
