"""wadm manifests of 0.x lattices: read with every problem by its line, and written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provider_sdk.lattice.manifest_text import ManifestText, Where


@dataclass(frozen=True, slots=True)
class ManifestLink:
    """An actor's link to a provider component. `line` is where it stands, `lines` where its values do."""

    target: str
    values: Mapping[str, str] = field(default_factory=dict)
    line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActorComponent:
    """An actor, with its links."""

    name: str
    image: str
    replicas: int = 1
    links: tuple[ManifestLink, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class ProviderComponent:
    """A provider; `config` is the text that becomes its `config_json`, `lines` where its members stand, as far as they have lines."""

    name: str
    image: str
    contract: str
    link_name: str = "default"
    config: str | None = None
    line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """An application. References in it are relative to `base`; `warnings` are lines about what is not supported.

    `programs` are links of the programs that call from outside, `provider dev call` among them; no manifest file has such.
    """

    name: str
    actors: tuple[ActorComponent, ...]
    providers: tuple[ProviderComponent, ...]
    base: Path
    source: str = ""
    warnings: tuple[str, ...] = ()
    programs: tuple[ManifestLink, ...] = ()

    def provider(self, name: str) -> ProviderComponent:
        """The provider component of that name, which the reader has made sure of."""
        return next(item for item in self.providers if item.name == name)


def read_manifest(path: Path) -> Manifest:
    """The manifest in `path`; InvalidArgument with a line `FILE:LINE: …` for each problem."""
    return _Reader(path).manifest()


class _Reader(ManifestText):
    def manifest(self) -> Manifest:
        name = self.name()
        actors, providers = self._components(self.document.get("spec"))
        self._check_links(actors, providers)
        self.raise_problems()
        base = self.path.resolve().parent
        return Manifest(name, tuple(actors), tuple(providers), base, str(self.path), self.warnings)

    def _components(self, spec: Any) -> tuple[list[ActorComponent], list[ProviderComponent]]:
        actors: list[ActorComponent] = []
        providers: list[ProviderComponent] = []
        if not isinstance(spec, dict) or not spec.get("components"):
            self.problem(("spec",), "spec.components: missing: name an actor and what it is linked to")
            return actors, providers
        seen: set[str] = set()
        for where, item in self.items(spec["components"], ("spec", "components"), "components"):
            name = self.text(item, where, "name")
            if name in seen:
                self.problem((*where, "name"), f"{name}: the name is given twice")
            seen.add(name)
            self._component(item, where, name, actors, providers)
        return actors, providers

    def _component(
        self, item: dict[str, Any], where: Where, name: str, actors: list[ActorComponent], providers: list[ProviderComponent]
    ) -> None:
        kind, properties, inside = item.get("type"), item.get("properties"), (*where, "properties")
        if kind not in ("actor", "component", "capability"):
            self.problem((*where, "type"), f"{name}: type: expected actor or capability, got {kind!r}")
            return
        image = self.text(properties, inside, "image")
        if kind == "capability":
            for trait_at, trait in self.items(item.get("traits"), (*where, "traits"), "traits"):
                if trait.get("type") not in ("spreadscaler", "daemonscaler"):
                    self.warn(trait_at, f"{name}: trait {trait.get('type')!r} of a provider is ignored: links stand on the actor (linkdef)")
            contract, link_name = self.text(properties, inside, "contract"), self.text(properties, inside, "link_name", "default")
            config, lines = self._config(properties, (*inside, "config"), name)
            providers.append(ProviderComponent(name, image, contract, link_name, config, self.line(where), lines))
            return
        replicas, links = 1, []
        for trait_at, trait in self.items(item.get("traits"), (*where, "traits"), "traits"):
            if trait.get("type") == "linkdef":
                links.append(self._link(trait, trait_at, name))
            elif trait.get("type") in ("spreadscaler", "daemonscaler"):
                replicas = self._replicas(trait, trait_at, name)
            else:
                hint = ": 0.x manifests link with a linkdef trait (target, values)" if trait.get("type") == "link" else ""
                self.problem(trait_at, f"{name}: trait {trait.get('type')!r} is not supported{hint}")
        actors.append(ActorComponent(name, image, replicas, tuple(links), self.line(where)))

    def _config(self, properties: Any, where: Where, name: str) -> tuple[str | None, dict[str, int]]:
        config = properties.get("config") if isinstance(properties, dict) else None
        if config is None or isinstance(config, str):
            return config, {}
        if isinstance(config, dict):
            return json.dumps(config), self.key_lines(config, where)
        self.problem(where, f"{name}: config: expected text or a map; lists of named configurations are of 1.x")
        return None, {}

    def _link(self, trait: dict[str, Any], where: Where, name: str) -> ManifestLink:
        properties, inside = trait.get("properties"), (*where, "properties")
        target = self.text(properties, inside, "target")
        values = (properties.get("values") if isinstance(properties, dict) else None) or {}
        if not isinstance(values, dict):
            self.problem((*inside, "values"), f"{name}: values: expected a map of text")
            return ManifestLink(target, {}, self.line(where))
        for key, value in values.items():
            if not isinstance(value, str):
                self.problem(
                    (*inside, "values", key), f"{name}: values.{key}: expected text: put {json.dumps(value, default=str)} in quotes"
                )
        lines = self.key_lines(values, (*inside, "values"))
        return ManifestLink(target, {str(key): value for key, value in values.items()}, self.line(inside), lines)

    def _replicas(self, trait: dict[str, Any], where: Where, name: str) -> int:
        properties = trait.get("properties") or {}
        if trait.get("type") == "daemonscaler" or (isinstance(properties, dict) and properties.get("spread")):
            self.warn(where, f"{name}: there is one host here: {trait.get('type')} is read as a number of replicas only")
        replicas = properties.get("replicas", properties.get("instances", 1)) if isinstance(properties, dict) else None
        if type(replicas) is not int or replicas < 1:
            self.problem((*where, "properties", "replicas"), f"{name}: replicas: expected a number from 1")
            return 1
        return replicas

    def _check_links(self, actors: list[ActorComponent], providers: list[ProviderComponent]) -> None:
        names = {item.name: item for item in providers}
        for actor in actors:
            targets = [link.target for link in actor.links]
            taken: dict[tuple[str, str], str] = {}
            for link in actor.links:
                if link.target and link.target not in names:
                    self.problem_at(link.line, f"{actor.name}: linked to {link.target!r}, which is no provider of this manifest")
                if targets.count(link.target) > 1:
                    self.problem_at(link.line, f"{actor.name}: more than one link to {link.target}")
                if (provider := names.get(link.target)) and provider.contract:
                    first = taken.setdefault((provider.contract, provider.link_name), link.target)
                    if first != link.target:
                        told = (
                            f"{provider.contract} is linked to {first} as {provider.link_name} already: give one of them another link_name"
                        )
                        self.problem_at(link.line, f"{actor.name}: {told}")
        images: dict[tuple[str, str], str] = {}
        for provider in providers:
            first = images.setdefault((provider.image, provider.link_name), provider.name)
            if first != provider.name:
                text = f"{provider.name}: the same image with the same link name as {first}: give it another link_name"
                self.problem_at(provider.line, text)


def write_manifest(manifest: Manifest, description: str) -> str:
    """The manifest as YAML that this module and wadm read."""
    import yaml

    components: list[dict[str, Any]] = []
    for actor in manifest.actors:
        traits: list[dict[str, Any]] = [{"type": "spreadscaler", "properties": {"replicas": actor.replicas}}]
        for link in actor.links:
            properties: dict[str, Any] = {"target": link.target}
            if link.values:
                properties["values"] = dict(link.values)
            traits.append({"type": "linkdef", "properties": properties})
        components.append({"name": actor.name, "type": "actor", "properties": {"image": actor.image}, "traits": traits})
    for provider in manifest.providers:
        given: dict[str, Any] = {"image": provider.image, "contract": provider.contract, "link_name": provider.link_name}
        if provider.config is not None:
            given["config"] = json.loads(provider.config)
        components.append({"name": provider.name, "type": "capability", "properties": given})
    metadata = {"name": manifest.name, "annotations": {"version": "v0.1.0", "description": description}}
    document = {"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": metadata, "spec": {"components": components}}
    text: str = yaml.safe_dump(document, sort_keys=False, width=120)
    return text
