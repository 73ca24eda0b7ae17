"""Links that other hosts of the lattice keep: hosts of one lattice know the same ones, whichever of them is asked (wasmbus-0x.md §6.2)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from provider_sdk.errors import ProviderError
from provider_sdk.hosts.wasmbus.links_wire import decode_link
from provider_sdk.lattice.core import HostCore, log
from provider_sdk.lattice.links import LinkDefinition
from provider_sdk.transport.base import Message

ASKING = 0.5


class ToldLinks:
    """Keeps one host's table of links like that of the others. What the host publishes itself is not news to it."""

    def __init__(self, core: HostCore) -> None:
        self._core = core
        self._own: Counter[tuple[str, bytes]] = Counter()

    async def begin(self) -> None:
        """Ask the hosts that are there, and listen from now on. Before this host answers such questions itself."""
        for verb in ("put", "del"):
            await self._core.transport.subscribe(f"wasmbus.rpc.{self._core.lattice}.*.*.linkdefs.{verb}", self._receive)
        try:
            answer = await self._core.transport.request(f"wasmbus.ctl.{self._core.lattice}.get.links", b"", timeout=ASKING)
            for members in json.loads(answer.data)["links"]:
                self._core.links.put(_link(members))
        except (ProviderError, ValueError, KeyError, TypeError):
            return  # nobody else is there, or it is no host that answers

    async def publish(self, subject: str, data: bytes) -> None:
        """Tell the provider, and with it the other hosts."""
        self._own[subject, data] += 1
        await self._core.transport.publish(subject, data)

    def _receive(self, message: Message) -> None:
        told = message.subject, message.data
        if self._own[told]:
            self._own[told] -= 1
            return
        del self._own[told]
        try:
            link = decode_link(message.data)
        except ProviderError as error:
            log.warning("%s: %s", message.subject, error)
            return
        if message.subject.endswith(".put"):
            self._core.links.put(_link(link.members()))
        else:
            self._core.links.take(link.actor_id, link.contract_id, link.link_name)


def _link(members: dict[str, Any]) -> LinkDefinition:
    names = ("actor_id", "provider_id", "contract_id", "link_name")
    return LinkDefinition(**{name: members[name] for name in names}, values=dict(members["values"]))
