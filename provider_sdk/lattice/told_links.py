"""Links that other hosts of the lattice keep, learned from their events: all hosts know the same ones (wasmbus-0x.md §3.4)."""

from __future__ import annotations

import json
import uuid
from typing import Any

from provider_sdk.errors import ProviderError
from provider_sdk.lattice.core import HostCore
from provider_sdk.lattice.links import LinkDefinition
from provider_sdk.lattice.tasks import log
from provider_sdk.transport.base import Message

ASKING = 2.0
SET, DELETED = (f"com.wasmcloud.lattice.linkdef_{word}" for word in ("set", "deleted"))


class ToldLinks:
    """Keeps one host's table of links like those of the others. What the host tells itself is no news to it."""

    def __init__(self, core: HostCore) -> None:
        self._core = core
        self._own: set[str] = set()
        self._asked_since: set[str] | None = set()

    async def begin(self) -> None:
        """Ask the hosts that are there, and listen from now on. Before this host answers such questions itself."""
        await self._core.transport.subscribe(f"wasmbus.evt.{self._core.lattice}", self._receive)
        try:
            answer = await self._core.transport.request(f"wasmbus.ctl.{self._core.lattice}.get.links", b"", timeout=ASKING)
            for link in map(_link, json.loads(answer.data)["links"]):
                if link.id not in (self._asked_since or ()):  # an event is younger than the answer
                    self._core.links.put(link)
        except (ProviderError, ValueError, KeyError, TypeError):
            return  # nobody else is there, or it is no host that answers
        finally:
            self._asked_since = None

    async def announce(self, event: str, link: LinkDefinition) -> None:
        """Tell the lattice, and with it the other hosts."""
        identifier = str(uuid.uuid4())
        self._own.add(identifier)
        await self._core.announce(event, link.document(self._core.manner, with_id=True), identifier)

    def _receive(self, message: Message) -> None:
        try:
            event = json.loads(message.data)
            if event["type"] not in (SET, DELETED) or event["id"] in self._own:
                self._own.discard(event["id"])
                return
            link = _link(event["data"])
        except (ValueError, KeyError, TypeError) as error:
            log.warning("an event cannot be read: %r", error)
            return
        if self._asked_since is not None:
            self._asked_since.add(link.id)
        if event["type"] == SET:
            self._core.links.put(link)
        else:
            self._core.links.take(link.actor_id, link.contract_id, link.link_name)


def _link(document: dict[str, Any]) -> LinkDefinition:
    names = ("actor_id", "provider_id", "contract_id", "link_name")
    return LinkDefinition(**{name: document[name] for name in names}, values=dict(document["values"]))
