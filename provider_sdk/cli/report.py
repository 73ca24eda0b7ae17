"""What `provider dev status`, `call` and `sign` do."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack

from provider_sdk.errors import InvalidArgument, ProviderError, Unavailable
from provider_sdk.hosts.wasmbus.actor_claims import ActorClaims, embed
from provider_sdk.hosts.wasmbus.client import LatticeTarget
from provider_sdk.lattice.attached import Attached
from provider_sdk.lattice.deploy import ask_health
from provider_sdk.nkeys import KeyPair, Prefix

COLUMNS = {
    "hosts": ("id", "lattice", "url"),
    "providers": ("name", "contract", "link_name", "healthy", "message"),
    "actors": ("name", "id", "instances"),
    "links": ("actor", "provider", "contract_id", "link_name"),
}


async def gather(attached: Attached) -> dict[str, Any]:
    """Hosts, providers with their own word of health, actors and links, from the control interface."""
    client = attached.lattice.client
    host: Any = await attached.control("ping.hosts", {})
    inventory: Any = await attached.control(f"get.{host['id']}.inv", {})
    links: Any = (await attached.control("get.links", {}))["links"]
    names = {item.key: name for name, item in attached.state.names.items()}
    providers = []
    for item in inventory["providers"]:
        healthy, message = await ask_health(client.transport, client.lattice, item["id"], item["link_name"])
        own = {
            "name": names.get(item["id"], item.get("name", "")),
            "id": item["id"],
            "link_name": item["link_name"],
            "contract": item["contract_id"],
        }
        providers.append({**own, "healthy": healthy, "message": message})
    actors = [
        {"name": names.get(item["id"], item.get("name", "")), "id": item["id"], "instances": len(item["instances"])}
        for item in inventory["actors"]
    ]
    hosts = [{"id": host["id"], "version": host.get("version", ""), "lattice": client.lattice, "url": attached.state.url}]
    shown = [{**item, "actor": names.get(item["actor_id"], ""), "provider": names.get(item["provider_id"], "")} for item in links]
    return {"hosts": hosts, "providers": providers, "actors": actors, "links": shown}


def show(found: dict[str, Any], columns: Mapping[str, tuple[str, ...]]) -> None:
    """The same as tables on the terminal. Values of links stay out: there may be secrets in them."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, names in columns.items():
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in names:
            table.add_column(name, overflow="fold")
        for item in found[title]:
            table.add_row(*(_cell(item, name) for name in names))
        console.print(table)
        console.print()


def _cell(item: dict[str, Any], name: str) -> str:
    if name in ("actor", "provider"):
        return str(item[name] or item[f"{name}_id"])
    return {True: "yes", False: "NO"}.get(item[name], str(item[name])) if isinstance(item[name], bool) else str(item[name])


async def invoke(attached: Attached, target: str, operation: str, value: Any, given: bool, contract: str) -> Any:
    """Call `operation` with a JSON value; the result as JSON has it, bytes as text or base64."""
    found = await attached.find(target, contract)
    assert isinstance(found, LatticeTarget)
    payload: bytes = msgpack.packb(value) if given else b""
    until = 10
    while True:
        try:
            result = await attached.lattice.client.invoke(found.origin, found.entity, operation, payload)
            break
        except Unavailable as error:
            until -= 1
            if "being set up" not in error.message or not until:
                raise
    if not result:
        return None
    try:
        return jsonable(msgpack.unpackb(result, strict_map_key=False, unicode_errors="replace"))
    except (ValueError, msgpack.UnpackException):
        return jsonable(result)


def jsonable(value: Any) -> Any:
    """A decoded value as JSON has it: bytes are text, or base64."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return value


def sign_for_development(path: Path, name: str, capabilities: tuple[str, ...], call_alias: str) -> str:
    """Sign the module in place; the actor's public key."""
    account, actor = _key(Prefix.ACCOUNT, "account"), _key(Prefix.MODULE, f"actor {name}")
    claims = ActorClaims(actor.public, account.public, name, capabilities, call_alias, "0.1.0", 1)
    try:
        path.write_bytes(embed(path.read_bytes(), claims, account))
    except ProviderError as error:
        raise InvalidArgument(f"{path}: {error.message}") from None
    return actor.public


def _key(prefix: Prefix, name: str) -> KeyPair:
    return KeyPair(prefix, hashlib.sha256(f"development {name}".encode()).digest())
