"""Link definitions as a 0.x host keeps and spells them (wasmbus-0x.md §6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from provider_sdk.lattice.manner import Manner

_RUST_ORDER = ("actor_id", "provider_id", "link_name", "contract_id", "values")


@dataclass(frozen=True, slots=True)
class LinkDefinition:
    """An actor's link to a provider; one (actor, contract, link name) has one provider."""

    actor_id: str
    provider_id: str
    contract_id: str
    link_name: str
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The hash that names the link in the lattice's store (§6.4)."""
        return hashlib.sha256(f"{self.actor_id}{self.contract_id}{self.link_name}".encode()).hexdigest().upper()

    def document(self, manner: Manner, *, with_id: bool | None = None) -> dict[str, Any]:
        """The definition as a map in the host's order; the id goes along in the OTP manner, or as `with_id` says."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in _RUST_ORDER}
        fields["values"] = dict(self.values)
        if with_id if with_id is not None else manner is Manner.OTP:
            fields["id"] = self.id
        return dict(sorted(fields.items())) if manner is Manner.OTP else fields

    def packed(self, manner: Manner) -> bytes:
        """The payload of `linkdefs.put` and `linkdefs.del`."""
        data: bytes = msgpack.packb(self.document(manner))
        return data


class LinkTable:
    """The links that a host knows, in the order of their first put."""

    def __init__(self) -> None:
        self._links: dict[tuple[str, str, str], LinkDefinition] = {}

    def put(self, link: LinkDefinition) -> None:
        """Keep `link`, in place of one for the same actor, contract and link name."""
        self._links[link.actor_id, link.contract_id, link.link_name] = link

    def take(self, actor_id: str, contract_id: str, link_name: str) -> LinkDefinition | None:
        """Remove and return a link; None if there is none."""
        return self._links.pop((actor_id, contract_id, link_name), None)

    def find(self, actor_id: str, contract_id: str, link_name: str) -> LinkDefinition | None:
        """The link that a call of `actor_id` takes; None if there is none."""
        return self._links.get((actor_id, contract_id, link_name))

    def of_provider(self, provider_id: str, link_name: str) -> list[LinkDefinition]:
        """What a provider that starts now is told."""
        return [link for link in self._links.values() if link.provider_id == provider_id and link.link_name == link_name]

    def __iter__(self) -> Iterator[LinkDefinition]:
        return iter(list(self._links.values()))
