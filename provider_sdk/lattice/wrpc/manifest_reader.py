"""Reads wadm manifests of 1.x lattices, with every problem by its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provider_sdk.lattice.manifest_text import ManifestText, Where
from provider_sdk.lattice.wrpc.manifest import POLICY, NamedConfig, SecretUse, Settings, Workload, WrpcLink, WrpcManifest, workload_id

SCALERS = ("spreadscaler", "daemonscaler")
OF_0X = {"contract": "links name namespace, package and interfaces", "link_name": "a link has a name"}
PROPERTIES = frozenset({"image", "id", "config", "secrets"})
LINK = frozenset({"target", "namespace", "package", "interfaces", "name", "source", "source_config", "target_config"})
SIDES = {"source": frozenset({"config", "secrets"}), "target": frozenset({"name", "config", "secrets"})}
NAMED = frozenset({"name", "properties"})
SECRET = frozenset({"policy", "key", "field", "version"})


def read_wrpc_manifest(path: Path) -> WrpcManifest:
    """The manifest in `path`; NotFound, or InvalidArgument with a line `FILE:LINE: …` for each problem."""
    return _Reader(path).manifest()


class _Reader(ManifestText):
    _application = ""

    def manifest(self) -> WrpcManifest:
        self._application = self.name()
        spec = self.document.get("spec")
        policies = self._policies(spec)
        workloads = list(self._workloads(spec))
        manifest = WrpcManifest(self._application, tuple(workloads), self.path.resolve().parent, str(self.path), policies)
        self._check(manifest)
        self.raise_problems()
        return WrpcManifest(manifest.name, manifest.workloads, manifest.base, manifest.source, policies, self.warnings)

    def _policies(self, spec: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for where, item in self.items(spec.get("policies") if isinstance(spec, dict) else None, ("spec", "policies"), "policies"):
            name = self.text(item, where, "name")
            if item.get("type") != POLICY:
                self.warn((*where, "type"), f"policy {name}: type {item.get('type')!r} is not known: ignored")
                continue
            found[name] = self.text(item.get("properties"), (*where, "properties"), "backend")
        return found

    def _workloads(self, spec: Any) -> Iterator[Workload]:
        if not isinstance(spec, dict) or not spec.get("components"):
            self.problem(("spec",), "spec.components: missing: name a component and what it is linked to")
            return
        for where, item in self.items(spec["components"], ("spec", "components"), "components"):
            name, kind = self.text(item, where, "name"), item.get("type")
            if kind not in ("component", "capability"):
                self.problem((*where, "type"), f"{name}: type: expected component or capability, got {kind!r}")
                continue
            yield self._workload(item, where, name, kind == "capability")

    def _workload(self, item: dict[str, Any], where: Where, name: str, provider: bool) -> Workload:
        properties, inside = item.get("properties"), (*where, "properties")
        given = properties if isinstance(properties, dict) else {}
        if "application" in given:
            self.problem(
                (*inside, "application"), f"{name}: application: workloads of other applications are not shared here: give an image"
            )
        self._check_keys(given, PROPERTIES | {"application"}, inside, name)
        image = self.text(properties, inside, "image") if "application" not in given else ""
        identifier = self.text(given, inside, "id", workload_id(self._application, name))
        settings, instances, links = self._settings(given, inside, name), 1, []
        for trait_at, trait in self.items(item.get("traits"), (*where, "traits"), "traits"):
            if trait.get("type") == "link":
                links.append(self._link(trait.get("properties"), (*trait_at, "properties"), name))
            elif trait.get("type") in SCALERS:
                instances = self._instances(trait, trait_at, name)
            else:
                hint = ": 1.x manifests link with a link trait (target, namespace, package, interfaces)" * (trait.get("type") == "linkdef")
                self.problem(trait_at, f"{name}: trait {trait.get('type')!r} is not supported{hint}")
        return Workload(name, identifier, image, provider, settings, instances, tuple(links), self.line(where))

    def _check_keys(self, given: Any, known: frozenset[str], where: Where, name: str) -> None:
        for key in sorted(set(map(str, given)) - known) if isinstance(given, dict) else ():
            hint = f": that is of 0.x, on 1.x {OF_0X[key]}" if key in OF_0X else ""
            self.problem((*where, key), f"{name}: {key} is not known{hint}")

    def _settings(self, holder: Any, where: Where, name: str, key: str = "config") -> Settings:
        given = holder if isinstance(holder, dict) else {}
        config = tuple(self._config(item, at, name) for at, item in self.items(given.get(key), (*where, key), f"{name}: {key}"))
        secrets = self.items(given.get("secrets"), (*where, "secrets"), f"{name}: secrets")
        return Settings(config, tuple(self._secret(item, at) for at, item in secrets))

    def _config(self, item: dict[str, Any], where: Where, name: str) -> NamedConfig:
        config, properties = self.text(item, where, "name"), item.get("properties")
        self._check_keys(item, NAMED, where, config or name)
        if properties is None:
            return NamedConfig(config, None, self.line(where))
        if not isinstance(properties, dict):
            self.problem((*where, "properties"), f"{config}: properties: expected a map of text")
            properties = {}
        for key, value in properties.items():
            if not isinstance(value, str):
                hint = f"put {json.dumps(value, default=str)} in quotes"
                self.problem((*where, "properties", key), f"{name}: {config}.{key}: expected text: {hint}")
        lines = self.key_lines(properties, (*where, "properties"))
        return NamedConfig(config, {str(key): value for key, value in properties.items()}, self.line(where), lines)

    def _secret(self, item: dict[str, Any], where: Where) -> SecretUse:
        name, properties, inside = self.text(item, where, "name"), item.get("properties"), (*where, "properties")
        self._check_keys(item, NAMED, where, name)
        self._check_keys(properties, SECRET, inside, name)
        key, policy = self.text(properties, inside, "key"), self.text(properties, inside, "policy")
        parts = (self.text(properties, inside, "field", ""), self.text(properties, inside, "version", ""))
        return SecretUse(name, key, policy, *parts, line=self.line(where))

    def _link(self, properties: Any, where: Where, name: str) -> WrpcLink:
        """Both spellings: of wadm 0.13 and later, and the older one with the target's name and two lists of configurations."""
        given = properties if isinstance(properties, dict) else {}
        interfaces = given.get("interfaces")
        self._check_keys(given, LINK, where, name)
        for key, known in SIDES.items():
            self._check_keys(given.get(key), known, (*where, key), name)
        if not isinstance(interfaces, list) or not interfaces or not all(isinstance(item, str) for item in interfaces):
            self.problem((*where, "interfaces"), f"{name}: interfaces: expected a list of names, such as [store]")
            interfaces = []
        target = given.get("target")
        return WrpcLink(
            self.text({"name": target} if isinstance(target, str) else target, (*where, "target"), "name"),
            self.text(properties, where, "namespace"),
            self.text(properties, where, "package"),
            tuple(interfaces),
            self.text(given, where, "name", "default"),
            self._side(given, where, name, "source"),
            self._side(given, where, name, "target"),
            self.line(where),
        )

    def _side(self, given: dict[str, Any], where: Where, name: str, side: str) -> Settings:
        older, newer = self._settings(given, where, name, f"{side}_config"), self._settings(given.get(side), (*where, side), name)
        return Settings(older.config + newer.config, newer.secrets)

    def _instances(self, trait: dict[str, Any], where: Where, name: str) -> int:
        properties = trait.get("properties") or {}
        given = properties if isinstance(properties, dict) else {}
        if trait.get("type") == "daemonscaler" or given.get("spread"):
            self.warn(where, f"{name}: there is one host here: {trait.get('type')} is read as a number of instances only")
        instances = given.get("instances", given.get("replicas", 1))
        if type(instances) is not int or instances < 1:
            self.problem((*where, "properties", "instances"), f"{name}: instances: expected a number from 1")
            return 1
        return instances

    def _check(self, manifest: WrpcManifest) -> None:
        for what in ("name", "id"):
            seen: set[str] = set()
            for workload in manifest.workloads:
                value = getattr(workload, what)
                if value and value in seen:
                    self.problem_at(workload.line, f"{value}: the {what} is given twice")
                seen.add(value)
        for workload in manifest.workloads:
            self._check_links(workload, manifest)
        self._check_settings(manifest)

    def _check_links(self, workload: Workload, manifest: WrpcManifest) -> None:
        kinds = {item.name: item.provider for item in manifest.workloads}
        taken: set[tuple[str, ...]] = set()
        for link in workload.links:
            if link.target and link.target not in kinds:
                self.problem_at(link.line, f"{workload.name}: linked to {link.target!r}, which is not in this manifest")
            elif workload.provider and kinds.get(link.target):
                self.problem_at(link.line, f"{workload.name}: a provider cannot be linked to the provider {link.target}")
            for interface in link.interfaces:
                call = (link.name, link.namespace, link.package, interface)
                if call in taken:
                    self.problem_at(
                        link.line, f"{workload.name}: two links named {link.name} for {link.namespace}:{link.package}/{interface}"
                    )
                taken.add(call)

    def _check_settings(self, manifest: WrpcManifest) -> None:
        given: dict[str, NamedConfig] = {}
        for settings in manifest.settings():
            for config in settings.config:
                if config.properties is not None and given.setdefault(config.name, config).properties != config.properties:
                    self.problem_at(
                        config.line, f"config {config.name}: given before with other properties (line {given[config.name].line})"
                    )
            for secret in settings.secrets:
                if secret.policy and secret.policy not in manifest.policies:
                    self.problem_at(secret.line, f"secret {secret.name}: there is no policy {secret.policy!r} of type {POLICY}")
