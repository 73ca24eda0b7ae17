"""wadm manifests of 1.x lattices (packaging.md §4): components and providers with links, named configurations and secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

POLICY = "policy.secret.wasmcloud.dev/v1alpha1"


@dataclass(frozen=True, slots=True)
class NamedConfig:
    """A configuration by its name in the manifest. `properties` None: it is in the lattice already. `lines` are those of the properties."""

    name: str
    properties: Mapping[str, str] | None = None
    line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecretUse:
    """A secret: `name` is the setting that it becomes; `key`, `field` and `version` say which one it is, `policy` who keeps it."""

    name: str
    key: str
    policy: str = ""
    field: str = ""
    version: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a component, a provider or one side of a link is given."""

    config: tuple[NamedConfig, ...] = ()
    secrets: tuple[SecretUse, ...] = ()


@dataclass(frozen=True, slots=True)
class WrpcLink:
    """A link of the workload that has it to the workload `target`."""

    target: str
    namespace: str
    package: str
    interfaces: tuple[str, ...]
    name: str = "default"
    source_settings: Settings = field(default_factory=Settings)
    target_settings: Settings = field(default_factory=Settings)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """A component or, with `provider`, a provider. `id` is its id on the lattice."""

    name: str
    id: str
    image: str
    provider: bool
    settings: Settings = field(default_factory=Settings)
    instances: int = 1
    links: tuple[WrpcLink, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class WrpcManifest:
    """An application. References in it are relative to `base`; `policies` gives the backend of secrets by a policy's name;
    `warnings` are lines about what is not supported.

    `programs` are links of the programs that call from outside, `provider dev call` among them; no manifest file has such.
    """

    name: str
    workloads: tuple[Workload, ...]
    base: Path
    source: str = ""
    policies: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    programs: tuple[WrpcLink, ...] = ()

    def workload(self, name: str) -> Workload:
        """The workload of that name, which the reader has made sure of."""
        return next(item for item in self.workloads if item.name == name)

    def settings(self) -> list[Settings]:
        """All settings of all workloads and links."""
        links = [*self.programs, *(link for workload in self.workloads for link in workload.links)]
        found = [workload.settings for workload in self.workloads]
        return found + [settings for link in links for settings in (link.source_settings, link.target_settings)]

    def config_name(self, config: NamedConfig) -> str:
        """Its name on the lattice."""
        return config.name if config.properties is None else f"{self.name}-{config.name}"

    def secret_name(self, secret: SecretUse) -> str:
        """The name on the lattice of the configuration that refers to it."""
        parts = (self.name, secret.policy, secret.key, secret.field, secret.version, secret.name)
        return "SECRET_" + "-".join(re.sub(r"[^-\w]", "_", part) for part in parts if part)

    def config_names(self, settings: Settings) -> tuple[str, ...]:
        """The names on the lattice of all that is in `settings`."""
        return tuple(map(self.config_name, settings.config)) + tuple(map(self.secret_name, settings.secrets))


def workload_id(application: str, name: str) -> str:
    """The id that a workload has where the manifest gives none."""
    return "-".join(re.sub(r"[^a-z0-9]", "_", part.lower()) for part in (application, name))
