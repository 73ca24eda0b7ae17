"""Where the manifests of either generation have HTTP listened for, and whether anything can listen there."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from provider_sdk.errors import PreconditionFailed
from provider_sdk.lattice.wadm import Manifest, ManifestLink
from provider_sdk.lattice.wrpc.manifest import Workload, WrpcLink, WrpcManifest

HTTP = "wasmcloud:httpserver"
OTHER_ADDRESS = "end what listens there, or give the link another address"
_DEFAULT = "127.0.0.1:8000"


def http_addresses(manifest: Manifest | WrpcManifest) -> Iterator[tuple[ManifestLink | WrpcLink, str]]:
    """The links through which HTTP comes in, and where, as far as the manifest itself has the settings."""
    if isinstance(manifest, Manifest):
        for actor in manifest.actors:
            yield from ((link, wasmbus_address(link.values)) for link in actor.links if manifest.provider(link.target).contract == HTTP)
        return
    for workload in manifest.workloads:
        for given in filter(lambda item: takes_http(workload, item), workload.links):
            own, values = (
                {name: value for config in settings.config for name, value in (config.properties or {}).items()}
                for settings in (workload.settings, given.source_settings)
            )
            yield given, wrpc_address(own, values)


def wasmbus_address(values: Mapping[str, str]) -> str:
    """Where a link of the httpserver listens on 0.x, by its plain settings."""
    given = {name.lower(): value for name, value in values.items()}
    return f"127.0.0.1:{given['port']}" if "port" in given else given.get("address", _DEFAULT)


def takes_http(workload: Workload, link: WrpcLink) -> bool:
    """Whether it is a link through which a provider of 1.x hands requests on."""
    return workload.provider and link.package == "http" and "incoming-handler" in link.interfaces


def wrpc_address(own: Mapping[str, str], values: Mapping[str, str]) -> str:
    """Where a link of the httpserver listens on 1.x, by the provider's plain settings and the link's own: without one, anywhere at 8000."""
    given = _folded(own)
    if given.get("routing_mode", "address") == "address":
        given |= _folded(values)
    return given.get("address") or given.get("default_address") or _DEFAULT


def _folded(values: Mapping[str, str]) -> dict[str, str]:
    return {name.lower().replace("-", "_"): value for name, value in values.items()}


def host_and_port(address: str) -> tuple[str, int] | None:
    """The parts of host:port; None for what has not that form."""
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdecimal() and int(port) <= 65535 else None


def cannot_listen(address: str) -> str:
    """Why nothing can listen there, in the system's words; empty where it can, at port 0, and for what is no address."""
    found = host_and_port(address)
    if found is None or not found[1]:
        return ""
    with socket.socket(socket.AF_INET6 if ":" in found[0] else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(found)
        except OSError as error:
            return error.strerror or str(error)
        except UnicodeError:
            return "that is no host"
    return ""


def check_free(address: str) -> None:
    """PreconditionFailed where something else listens there."""
    if problem := cannot_listen(address):
        raise PreconditionFailed(f"{address} cannot be used ({problem}): {OTHER_ADDRESS}")
