"""The standard pack: the providers installed here, by name and by contract. Each is a module whose folder holds a provider.toml."""

from __future__ import annotations

import importlib.util
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from provider_sdk.errors import InvalidArgument, NotFound

GROUP = "provider_sdk.providers"


@dataclass(frozen=True, slots=True)
class PackProvider:
    """A provider that can be started from its source: `python -m module`, imported from `root`."""

    name: str
    contracts: tuple[str, ...]
    version: str
    module: str
    folder: Path

    @property
    def root(self) -> Path:
        """The folder from which `module` is imported."""
        return self.folder.parents[self.module.count(".")]


def read_provider_toml(path: Path) -> PackProvider:
    """What a provider.toml says; InvalidArgument names the file and what is wrong in it."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist: a provider's folder holds a provider.toml") from None
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"{path}: {error}") from None
    contracts = content.get("contracts")
    if not isinstance(contracts, list) or not contracts or not all(isinstance(item, str) for item in contracts):
        raise InvalidArgument(f"{path}: contracts: expected a list of contract ids")
    for name in ("name", "version", "module"):
        if not isinstance(content.get(name), str):
            raise InvalidArgument(f"{path}: {name}: expected a string")
    return PackProvider(content["name"], tuple(contracts), content["version"], content["module"], path.parent.resolve())


@cache
def standard_pack() -> dict[str, PackProvider]:
    """The installed providers by name."""
    pack = {}
    for entry in entry_points(group=GROUP):
        spec = importlib.util.find_spec(entry.value)
        if spec is not None and spec.submodule_search_locations:
            pack[entry.name] = read_provider_toml(Path(next(iter(spec.submodule_search_locations))) / "provider.toml")
    return pack


def provider_for(contract: str) -> PackProvider:
    """The installed provider of a contract; NotFound names it."""
    for provider in standard_pack().values():
        if contract in provider.contracts:
            return provider
    known = ", ".join(sorted({item for provider in standard_pack().values() for item in provider.contracts})) or "none"
    raise NotFound(f"no installed provider serves {contract} (there are: {known}): name one in a manifest, and use `provider dev up`")
