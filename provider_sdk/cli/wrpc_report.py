"""What `provider dev status`, `call` and `link` do on 1.x lattices."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum, Flag
from pathlib import Path
from typing import Any

from provider_sdk.cli.json_values import arguments_of
from provider_sdk.cli.report import jsonable
from provider_sdk.cli.wit.subject import interfaces_of
from provider_sdk.errors import InvalidArgument, NotFound, ProviderError, Unsupported
from provider_sdk.interface import Interface, Operation
from provider_sdk.lattice.state import Named
from provider_sdk.lattice.wrpc.attached import WrpcAttached
from provider_sdk.lattice.wrpc.deploy import ask_health
from provider_sdk.lattice.wrpc.links import InterfaceLink, parts_of
from provider_sdk.provider_toml import read_provider_toml
from provider_sdk.types import Case

COLUMNS = {
    "hosts": ("id", "lattice", "url"),
    "providers": ("name", "id", "healthy", "message"),
    "components": ("name", "id", "instances"),
    "links": ("source", "target", "interfaces", "name"),
}


async def gather(attached: WrpcAttached) -> dict[str, Any]:
    """Hosts, providers with their own word of health, components and links, from the control interface."""
    client = attached.lattice.client
    host = await attached.control("host.ping")
    inventory = await attached.control(f"host.get.{host['id']}")
    names = {item.key: name for name, item in attached.state.names.items()}
    providers = []
    for item in inventory["providers"]:
        healthy, message = await ask_health(client.transport, client.lattice, item["id"])
        providers.append({"name": names.get(item["id"], item["name"]), "id": item["id"], "healthy": healthy, "message": message})
    components = [
        {"name": names.get(item["id"], item["name"]), "id": item["id"], "instances": item["max_instances"]}
        for item in inventory["components"]
    ]
    links = [
        {
            "source": names.get(link.source_id, link.source_id),
            "target": names.get(link.target, link.target),
            "interfaces": f"{link.wit_namespace}:{link.wit_package}/{','.join(link.interfaces)}",
            "name": link.name,
        }
        for link in await attached.links()
    ]
    hosts = [{"id": host["id"], "version": host["version"], "lattice": client.lattice, "url": attached.state.url}]
    return {"hosts": hosts, "providers": providers, "components": components, "links": links}


async def invoke(attached: WrpcAttached, target: str, operation: str, value: Any, given: bool, source: str) -> Any:
    """Call `operation` with a JSON value, as 0.x has arguments: one bare, several as a map; the result as JSON has it.

    Its types come from the interface's class, which `source` (see `provider wit`) or the target's own source declares.
    """
    found = await attached.look_up(target)
    operation_found = operation_named(interfaces_of(source or _source(found, target)), operation)
    arguments = arguments_of(operation_found, value, given)
    return _shown(await (await attached.find(target)).call(operation_found, arguments, None))


def _shown(value: Any) -> Any:
    """A result as JSON has it: members under the names of the class, a variant's case under its class's."""
    if isinstance(value, Case):
        return {type(value).__name__: _shown(value.value)}
    if is_dataclass(value):
        members = {item.name: _shown(getattr(value, item.name)) for item in fields(value)}
        return members or type(value).__name__
    if isinstance(value, Flag):
        return [member.name for member in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(item) for item in value]
    if isinstance(value, str | int | float | bytes | None):
        return jsonable(value)
    raise Unsupported("the result holds a stream or a future: those are for programs, see provider_sdk.lattice.attach")


def _source(found: Named, target: str) -> str:
    if found.source:
        return found.source
    with suppress(ProviderError):
        if read_provider_toml(Path()).name == target:  # an archive, in the folder that it was made in
            return "."
    raise InvalidArgument(f"{target}: nothing here declares its interfaces: say with --interface which module or file does")


def operation_named(interfaces: list[type[Interface]], wanted: str) -> Operation:
    """The operation that is meant by its function (`get`), with its interface (`store.get`), or by its name on 0.x; InvalidArgument.

    Of several versions of an interface the newest one counts.
    """
    known: dict[str, list[Operation]] = {}
    versions = {interface.__identity__.wit.partition("@")[0]: interface for interface in sorted(interfaces, key=_version)}
    for interface in versions.values():
        if instance := interface.__identity__.wit:
            for item in interface.operations():
                for name in (item.function, f"{parts_of(instance)[2]}.{item.function}", item.name):
                    known.setdefault(name, []).append(item)
    found = known.get(wanted) or known.get(wanted.replace("_", "-"), [])
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(name for name in known if "." in name and name[0].islower()))
    problem = "there are several of that name" if found else "there is no such operation"
    raise InvalidArgument(f"{wanted}: {problem}: {names}")


def _version(interface: type[Interface]) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", interface.__identity__.wit.partition("@")[2])]


async def put_link(attached: WrpcAttached, source: str, target: str, values: dict[str, str], interfaces: str, name: str) -> None:
    """Put a link, or change the one there is: `values` become the whole configuration of the provider's side."""
    caller, called = await attached.look_up(source), await attached.look_up(target)
    before = [link for link in await attached.links() if (link.source_id, link.target, link.name) == (caller.key, called.key, name)]
    if interfaces:
        first, *more = interfaces.split(",")
        namespace, package, interface = parts_of(first)
        links = [InterfaceLink(caller.key, called.key, namespace, package, (interface, *more), name)]
    elif before:
        links = before
    else:
        raise InvalidArgument(f"{source} is not linked to {target} yet: name --interfaces NAMESPACE:PACKAGE/NAME,NAME")
    for link in links:
        config = f"dev-{caller.key}-{called.key}-{link.wit_package}-{name}"
        await attached.control(f"config.put.{config}", values)
        if link in before:
            # A host does not tell a link that its configuration has changed; a new link it does.
            await attached.control("link.del", link.identity())
        source_side, target_side = ((config,), ()) if caller.kind == "provider" else ((), (config,))
        put = InterfaceLink(
            link.source_id, link.target, link.wit_namespace, link.wit_package, link.interfaces, name, source_side, target_side
        )
        await attached.control("link.put", put.document())


async def delete_link(attached: WrpcAttached, source: str, target: str, name: str) -> None:
    """Delete the links of that name between the two; NotFound where there is none."""
    caller, called = await attached.look_up(source), await attached.look_up(target)
    found = [link for link in await attached.links() if (link.source_id, link.target, link.name) == (caller.key, called.key, name)]
    if not found:
        raise NotFound(f"{source} has no link named {name} to {target}")
    for link in found:
        await attached.control("link.del", link.identity())
