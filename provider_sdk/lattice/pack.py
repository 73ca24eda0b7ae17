"""The standard pack: the providers installed here, by name and by contract. Each is a module whose folder holds a provider.toml."""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from provider_sdk.errors import NotFound
from provider_sdk.provider_toml import ProviderToml, read_provider_toml

GROUP = "provider_sdk.providers"


@cache
def standard_pack() -> dict[str, ProviderToml]:
    """The installed providers by name."""
    pack = {}
    for entry in entry_points(group=GROUP):
        spec = importlib.util.find_spec(entry.value)
        if spec is not None and spec.submodule_search_locations:
            pack[entry.name] = read_provider_toml(Path(next(iter(spec.submodule_search_locations))))
    return pack


def provider_for(contract: str) -> ProviderToml:
    """The installed provider of a contract; NotFound names it."""
    for provider in standard_pack().values():
        if contract in provider.contracts:
            return provider
    known = ", ".join(sorted({item for provider in standard_pack().values() for item in provider.contracts})) or "none"
    raise NotFound(f"no installed provider serves {contract} (there are: {known}): name one in a manifest, and use `provider dev up`")
