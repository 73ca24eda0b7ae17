"""Call actors, components and providers from any Python program that holds a lattice's credentials.

async with connect("127.0.0.1:4222", lattice="default", cluster_seed=seed, identity=me) as lattice:
    await NumberGen.at(lattice.provider(key, "wasmcloud:numbergen")).random_in_range(1, 6)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from provider_sdk.interface import Lattice
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import Credentials, Transport
from provider_sdk.transport.nats import connect as connect_nats

if TYPE_CHECKING:
    from provider_sdk.hosts.wasmbus.client import Lattice as WasmbusLattice
    from provider_sdk.hosts.wrpc.client import WrpcLattice

__all__ = ["Lattice", "connect"]


@overload
def connect(
    url: str,
    *,
    cluster_seed: str,
    lattice: str = ...,
    identity: str = ...,
    user_jwt: str = ...,
    user_seed: str = ...,
    ca_file: Path | None = ...,
    timeout: float = ...,
) -> AbstractAsyncContextManager[WasmbusLattice]: ...
@overload
def connect(
    url: str,
    *,
    lattice: str = ...,
    identity: str = ...,
    user_jwt: str = ...,
    user_seed: str = ...,
    ca_file: Path | None = ...,
    timeout: float = ...,
) -> AbstractAsyncContextManager[WrpcLattice]: ...
@asynccontextmanager
async def connect(
    url: str,
    *,
    cluster_seed: str = "",
    lattice: str = "default",
    identity: str = "",
    user_jwt: str = "",
    user_seed: str = "",
    ca_file: Path | None = None,
    timeout: float = 2.0,
) -> AsyncIterator[Any]:
    """Enter a lattice as a caller: one of 0.x with `cluster_seed`, of 1.x without, where calls are not signed.

    `cluster_seed` is that of an issuer which the lattice trusts (`SC…`); `identity` is the id to call as (on 0.x a key `M…` or `V…`; a new
    module key by default); `ca_file` replaces the system's authorities; `timeout` bounds a call, seconds. Raises Unavailable,
    Unauthenticated, InvalidArgument.
    """
    key = KeyPair.from_seed(cluster_seed) if cluster_seed else None
    identity = identity or KeyPair.generate(Prefix.MODULE).public
    transport = await connect_nats(Credentials(url, user_jwt, user_seed, ca_file=ca_file, name="caller"))
    try:
        yield _wasmbus(transport, lattice, key, identity, timeout) if key else await _wrpc(transport, lattice, identity, timeout)
    finally:
        await transport.close()


def _wasmbus(transport: Transport, lattice: str, key: KeyPair, identity: str, timeout: float) -> WasmbusLattice:
    from provider_sdk.hosts.wasmbus.client import Client, Lattice
    from provider_sdk.hosts.wasmbus.envelope import Entity

    client = Client(transport, lattice=lattice, key=key, host_id=KeyPair.generate(Prefix.SERVER).public, timeout=timeout)
    return Lattice(client, Entity(identity, "", ""))


async def _wrpc(transport: Transport, lattice: str, identity: str, timeout: float) -> WrpcLattice:
    from provider_sdk.hosts.wrpc.client import Client, WrpcLattice
    from provider_sdk.hosts.wrpc.inbox import Inbox

    inbox = Inbox(transport)
    await inbox.open()
    return WrpcLattice(Client(transport, inbox, lattice=lattice, origin=identity, timeout=timeout))
