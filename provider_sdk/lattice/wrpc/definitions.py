"""Links as a provider is told them: both sides' configuration resolved, both sides' secrets sealed for it (wrpc-1x.md §1.2, §2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.lattice.wrpc.core import WrpcCore
from provider_sdk.lattice.wrpc.links import InterfaceLink
from provider_sdk.lattice.wrpc.settings import NamedConfigs, Secret, secret_bytes


class Definitions:
    """Spells links for the providers of one host."""

    def __init__(self, core: WrpcCore, configs: NamedConfigs) -> None:
        self._core = core
        self._configs = configs

    def sealed(self, link: InterfaceLink, for_xkey: str) -> dict[str, Any]:
        """The definition for the provider with that X key; NotFound for a configuration or secret that is not there."""
        source, target = self._configs.resolve(link.source_config), self._configs.resolve(link.target_config)
        document = {**link.identity(), "source_config": source.values, "target_config": target.values}
        if self._core.era is Era.SECOND:
            document["source_secrets"] = self._seal(source.secrets, for_xkey)
            document["target_secrets"] = self._seal(target.secrets, for_xkey)
        return document

    def plain(self, link: InterfaceLink) -> dict[str, Any]:
        """The definition without secrets, as anybody on the lattice may read it."""
        values = {"source_config": self._configs.plain(link.source_config), "target_config": self._configs.plain(link.target_config)}
        return {**link.identity(), **values, **self._no_secrets()}

    def deleted(self, link: InterfaceLink) -> dict[str, Any]:
        """What `linkdefs.del` says: the link without configuration."""
        return {**link.identity(), "source_config": {}, "target_config": {}, **self._no_secrets()}

    def _no_secrets(self) -> dict[str, None]:
        return {"source_secrets": None, "target_secrets": None} if self._core.era is Era.SECOND else {}

    def _seal(self, secrets: Mapping[str, Secret], for_xkey: str) -> list[int] | None:
        return list(self._core.curve.seal(secret_bytes(secrets), for_xkey)) if secrets else None
