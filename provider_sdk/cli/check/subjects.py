"""The providers of a manifest of either generation, as they are looked at: what each is asked for, and what it is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.cli.outline import Given
from provider_sdk.hosts.wrpc.control_messages import own_settings
from provider_sdk.hosts.wrpc.names import contract
from provider_sdk.lattice.addresses import http_addresses
from provider_sdk.lattice.wadm import Manifest, ProviderComponent
from provider_sdk.lattice.wrpc.manifest import Settings, Workload, WrpcManifest


@dataclass(frozen=True, slots=True)
class Side:
    """What is given to a provider itself or to its side of a link, as the host puts it together.

    `lines` are those of the names, secrets included; `partly`: there is more in the lattice, and it is not known here.
    """

    given: Given
    lines: Mapping[str, int] = field(default_factory=dict)
    partly: bool = False


@dataclass(frozen=True, slots=True)
class Linked:
    """A link as its provider sees it: with whom, and for HTTP the address where it listens."""

    peer: str
    line: int
    side: Side
    address: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """A provider. `wanted` are the interfaces or the contract that it is to serve, with the line that says so; `fault` what of its
    configuration cannot be read."""

    name: str
    image: str
    line: int
    own: Side
    links: tuple[Linked, ...]
    wanted: tuple[tuple[str, int], ...]
    fault: str = ""


def subjects_of(manifest: Manifest | WrpcManifest) -> list[Subject]:
    """The providers, in the order of the manifest."""
    if isinstance(manifest, Manifest):
        return [_wasmbus_subject(provider, manifest) for provider in manifest.providers]
    return [_wrpc_subject(workload, manifest) for workload in manifest.workloads if workload.provider]


def _wasmbus_subject(provider: ProviderComponent, manifest: Manifest) -> Subject:
    addresses = list(http_addresses(manifest))
    links = [
        Linked(actor.name, link.line, Side(Given(dict(link.values)), link.lines), _address(link, addresses))
        for actor in manifest.actors
        for link in actor.links
        if link.target == provider.name
    ]
    values, fault = _config_json(provider.config or "")
    own = Side(Given(values), provider.lines)
    return Subject(provider.name, provider.image, provider.line, own, tuple(links), ((provider.contract, provider.line),), fault)


def _config_json(text: str) -> tuple[dict[str, Any], str]:
    try:
        values = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        return {}, f"config: not JSON: {error}"
    return (values, "") if isinstance(values, dict) else ({}, "config: expected a map, or the text of a JSON object")


def _wrpc_subject(provider: Workload, manifest: WrpcManifest) -> Subject:
    addresses = list(http_addresses(manifest))
    links, wanted = list[Linked](), list[tuple[str, int]]()
    for workload in manifest.workloads:
        for link in workload.links:
            if workload is provider:
                links.append(Linked(link.target, link.line, _side(link.source_settings), _address(link, addresses)))
            elif link.target == provider.name:
                links.append(Linked(workload.name, link.line, _side(link.target_settings)))
                package = contract(link.namespace, link.package)
                wanted += [(f"{package}/{interface}", link.line) for interface in link.interfaces]
    own = _side(provider.settings)
    own = Side(Given(dict(own_settings(own.given.values)), own.given.secrets), own.lines, own.partly)
    return Subject(provider.name, provider.image, provider.line, own, tuple(links), tuple(wanted))


def _side(settings: Settings) -> Side:
    values, lines = dict[str, Any](), dict[str, int]()
    for config in settings.config:
        values |= config.properties or {}
        lines |= config.lines
    lines |= {secret.name: secret.line for secret in settings.secrets}
    partly = any(config.properties is None for config in settings.config)
    return Side(Given(values, tuple(secret.name for secret in settings.secrets)), lines, partly)


def _address(link: object, addresses: list[tuple[Any, str]]) -> str:
    return next((address for item, address in addresses if item is link), "")
