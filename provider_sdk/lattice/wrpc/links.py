"""Links as a 1.x lattice keeps and spells them (wrpc-1x.md §1.2, §2.1): configuration by name, secrets by reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provider_sdk.errors import AlreadyExists, InvalidArgument
from provider_sdk.hosts.wrpc.names import contract, contract_of
from provider_sdk.hosts.wrpc.secret_values import is_secret
from provider_sdk.lattice.command import read_text

LinkId = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class InterfaceLink:
    """A link from the caller `source_id` to the called `target`; its sides' configuration is that of the named ones, in order."""

    source_id: str
    target: str
    wit_namespace: str
    wit_package: str
    interfaces: tuple[str, ...]
    name: str = "default"
    source_config: tuple[str, ...] = ()
    target_config: tuple[str, ...] = ()

    @property
    def id(self) -> LinkId:
        """The five parts by which links are told apart."""
        return (self.source_id, self.target, self.wit_namespace, self.wit_package, self.name)

    @property
    def has_secrets(self) -> bool:
        """Whether either side's configuration names a secret: then nothing of it goes over subjects that anybody reads."""
        return any(map(is_secret, (*self.source_config, *self.target_config)))

    def document(self) -> dict[str, Any]:
        """The link as the control interface spells it: names of configurations, not their values."""
        return {**self.identity(), "source_config": list(self.source_config), "target_config": list(self.target_config)}

    def identity(self) -> dict[str, Any]:
        """The members that all spellings share, in the host's order."""
        return {
            "source_id": self.source_id,
            "target": self.target,
            "name": self.name,
            "wit_namespace": self.wit_namespace,
            "wit_package": self.wit_package,
            "interfaces": list(self.interfaces),
        }

    @staticmethod
    def read(body: Mapping[str, Any]) -> InterfaceLink:
        """The link in a request of the control interface; InvalidArgument."""
        source_id, target, namespace, package = (read_text(body, name) for name in ("source_id", "target", "wit_namespace", "wit_package"))
        interfaces, source, called = (_names(body, name) for name in ("interfaces", "source_config", "target_config"))
        name = read_text({"name": "default", **body}, "name")
        return InterfaceLink(source_id, target, namespace, package, interfaces, name, source, called)


def _names(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidArgument(f"{name}: expected a list of strings")
    return tuple(value)


class InterfaceLinks:
    """The links of a lattice, in the order of their first put."""

    def __init__(self) -> None:
        self._links: dict[LinkId, InterfaceLink] = {}

    def __iter__(self) -> Iterator[InterfaceLink]:
        return iter(list(self._links.values()))

    def check(self, link: InterfaceLink) -> None:
        """AlreadyExists where the caller is linked to another target for one of the interfaces under that name."""
        for other in self._links.values():
            shared = set(other.interfaces) & set(link.interfaces)
            if _caller_side(other) == _caller_side(link) and other.target != link.target and shared:
                package = f"{link.wit_namespace}:{link.wit_package}"
                raise AlreadyExists(f"{link.source_id} is linked to {other.target} for {package}/{min(shared)} as {link.name} already")

    def put(self, link: InterfaceLink) -> bool:
        """Keep `link` in place of the one of the same parts; whether that changes anything."""
        before, self._links[link.id] = self._links.get(link.id), link
        return before != link

    def take(self, source_id: str, wit_namespace: str, wit_package: str, name: str, target: str = "") -> InterfaceLink | None:
        """Remove and return the first that a caller has under these, to `target` or to any; None if there is none."""
        for link in self:
            if _caller_side(link) == (source_id, wit_namespace, wit_package, name) and target in ("", link.target):
                return self._links.pop(link.id)
        return None

    def of(self, id: str) -> list[InterfaceLink]:
        """Those of which `id` is a side: what a provider that starts now is told."""
        return [link for link in self if id in (link.source_id, link.target)]

    def find(self, source_id: str, namespace: str, package: str, interface: str, name: str) -> InterfaceLink | None:
        """The link that a call of `source_id` takes (§6, target choice); None if there is none."""
        wanted = contract(namespace, package)
        for link in self.of(source_id):
            found = contract(link.wit_namespace, link.wit_package), link.source_id, link.name
            if found == (wanted, source_id, name) and interface in link.interfaces:
                return link
        return None


def _caller_side(link: InterfaceLink) -> tuple[str, str, str, str]:
    return (link.source_id, link.wit_namespace, link.wit_package, link.name)


def parts_of(instance: str) -> tuple[str, str, str]:
    """Namespace, package and interface of `wrpc:keyvalue/store@0.2.0-draft`, as links name them; InvalidArgument."""
    interface = instance.partition("@")[0].partition("/")[2]
    namespace, _, package = contract_of(instance).partition(":")
    if not (namespace and package and interface):
        raise InvalidArgument(f"{instance!r} is not NAMESPACE:PACKAGE/INTERFACE")
    return namespace, package, interface
