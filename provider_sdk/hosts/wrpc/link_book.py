"""What the host has said about each link, so that a form of it without secrets never takes the place of the one that has them.

Only link messages on the provider's X key, and the host data, carry secrets (wrpc-1x.md §2.1). The copies on the provider's own id are told
without, and the lattice's store has references that nobody but a host can resolve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.base import LinkSpec
from provider_sdk.hosts.wrpc.links_wire import LinkDefinition
from provider_sdk.hosts.wrpc.secret_values import SecretBox
from provider_sdk.hosts.wrpc.stored_links import StoredLink
from provider_sdk.link import LinkKey

_UNTOLD = (
    "the host did not tell its secrets, and the lattice's store has none: put the link with another configuration, or restart the provider"
)
_CHANGED = "the lattice has it with secrets now that the host did not tell: it serves as it was told"


class LinkBook:
    """The links of one provider as its host told them last."""

    def __init__(self, provider_key: str, box: SecretBox) -> None:
        self._provider_key = provider_key
        self._box = box
        self._told: dict[LinkKey, LinkSpec] = {}

    def put(self, link: LinkDefinition, *, with_secrets: bool = True) -> LinkSpec:
        """A link was told; `with_secrets` false where this form of it never has any. InvalidArgument where it is another provider's.

        Secrets that cannot be opened are the link's fault, which it is refused for.
        """
        key = link.ends.key(self._provider_key)
        told = self._told.get(key)
        if with_secrets or told is None:
            secrets, fault = self._opened(link.sealed(key.role))
        else:
            secrets, fault = told.secrets, told.fault
        spec = LinkSpec(key, link.config(key.role), secrets, link.ends.interfaces, fault=fault)
        self._told[key] = spec
        return spec

    def delete(self, link: LinkDefinition) -> LinkKey:
        """A link was deleted; InvalidArgument where it is another provider's."""
        key = link.ends.key(self._provider_key)
        self._told.pop(key, None)
        return key

    def recovered(self, stored: StoredLink, configs: Mapping[str, Mapping[str, str] | None]) -> LinkSpec:
        """A link as the store has it; `configs` are the configurations by name, None those that could not be had. Later ones win."""
        key = stored.ends.key(self._provider_key)
        values: dict[str, str] = {}
        for name in stored.configs(key.role):
            values.update(configs[name] or {})
        missing = [name for name in stored.configs(key.role) if configs[name] is None]
        told, has_secrets = self._told.get(key), bool(stored.secrets(key.role))
        if told is None:
            fault = f"its configuration could not be had: {', '.join(missing)}" if missing else ""
            return LinkSpec(key, values, {}, stored.ends.interfaces, note=_UNTOLD if has_secrets else "", fault=fault)
        if missing:
            return told
        if has_secrets and not told.secrets and not told.fault:
            return replace(told, note=_CHANGED)
        secrets, fault = (told.secrets, told.fault) if has_secrets else ({}, "")
        return LinkSpec(key, values, secrets, stored.ends.interfaces, fault=fault)

    def _opened(self, sealed: bytes) -> tuple[Mapping[str, str | bytes], str]:
        try:
            return self._box.open(sealed), ""
        except InvalidArgument as error:
            return {}, f"its secrets cannot be opened: {error.message}"
