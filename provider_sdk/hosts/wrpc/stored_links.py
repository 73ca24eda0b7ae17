"""The links of a lattice as it keeps them, for those whose message was lost (wrpc-1x.md §2.1): named configurations, references to secrets.

A host's control interface is asked first: it is one request, it needs no access to JetStream, and any host answers it. Where none does,
the buckets that hosts keep all of it in are read by plain JetStream requests: a lattice outlives its hosts.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provider_sdk.errors import InvalidArgument, ProviderError, Unavailable
from provider_sdk.hosts.line import is_token
from provider_sdk.hosts.wrpc.links_wire import Ends, read_names, read_texts
from provider_sdk.hosts.wrpc.secret_values import is_secret
from provider_sdk.link import Role
from provider_sdk.transport.base import Transport

log = logging.getLogger("provider.links")

TIMEOUT = 2.0
AT_ONCE = 16
_CONFIGS = ("source_config", "target_config")


@dataclass(frozen=True, slots=True)
class StoredLink:
    """A link in the store: its ends, and the names of both sides' configurations in the order in which they are merged."""

    ends: Ends
    source_config: tuple[str, ...] = ()
    target_config: tuple[str, ...] = ()

    @staticmethod
    def from_members(members: Any) -> StoredLink:
        """From decoded JSON; InvalidArgument."""
        return StoredLink(Ends.from_members(members, "link"), *(read_names(members, name, "link") for name in _CONFIGS))

    def configs(self, role: Role) -> tuple[str, ...]:
        """The names of one side's plain configurations."""
        return tuple(name for name in self._names(role) if not is_secret(name))

    def secrets(self, role: Role) -> tuple[str, ...]:
        """The names of one side's references to secrets."""
        return tuple(name for name in self._names(role) if is_secret(name))

    def _names(self, role: Role) -> tuple[str, ...]:
        return self.source_config if role is Role.SOURCE else self.target_config


class LinkStore:
    """Reads what a lattice keeps about links."""

    def __init__(self, transport: Transport, lattice: str) -> None:
        self._transport = transport
        self._lattice = lattice
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def links(self, provider_key: str) -> list[StoredLink] | None:
        """The links of one provider, None where nobody answers. Those of others may be as malformed as they like."""
        found = await self._control("link.get")
        try:
            if not isinstance(found, list):
                found = await self._components()
            own = [item for item in found if isinstance(item, dict) and provider_key in (item.get("source_id"), item.get("target"))]
            return [StoredLink.from_members(item) for item in own]
        except InvalidArgument as error:
            log.warning("the lattice's store of links cannot be read: %s", error)
        except Unavailable as error:
            log.debug("%s", error)
        return None

    async def config(self, name: str) -> Mapping[str, str] | None:
        """A named configuration; None where there is none, or nobody answers."""
        found = await self._control(f"config.get.{name}") if is_token(name) else None
        try:
            if not isinstance(found, dict):
                found = await self._entry(f"CONFIGDATA_{self._lattice}", name)
            return None if found is None else read_texts(found, f"configuration {name}")
        except (InvalidArgument, Unavailable) as error:
            log.warning("the configuration %s cannot be read: %s", name, error)
            return None

    async def _control(self, question: str) -> Any:
        """What a host's control interface answers; None where none does, or has nothing."""
        try:
            answer = await self._asked(f"wasmbus.ctl.v1.{self._lattice}.{question}", b"")
        except Unavailable as error:
            log.debug("%s", error)
            return None
        return answer.get("response") if answer.get("success") else None

    async def _components(self) -> list[Any]:
        """The links of all specifications in the bucket, each in that of its source: all of them, or Unavailable or InvalidArgument."""
        bucket = f"LATTICEDATA_{self._lattice}"
        names: dict[str, None] = {}
        while True:
            asked = {"subjects_filter": f"$KV.{bucket}.>", "offset": len(names)}
            answer = await self._asked(f"$JS.API.STREAM.INFO.KV_{bucket}", json.dumps(asked).encode())
            state = answer.get("state")
            if not isinstance(state, dict):
                raise Unavailable(f"there is no bucket {bucket}")
            page = state.get("subjects")
            known = len(names)
            names.update(dict.fromkeys(page) if isinstance(page, dict) else {})
            if len(names) == known:
                break
        keys = [name.removeprefix(f"$KV.{bucket}.") for name in names]
        found = await asyncio.gather(*(self._entry(bucket, key) for key in keys if key.startswith("COMPONENT_")))
        kept = [item.get("links") for item in found if isinstance(item, dict)]
        return [link for links in kept if isinstance(links, list) for link in links]

    async def _entry(self, bucket: str, key: str) -> Any:
        """The JSON under a key of a bucket; None where there is none. Unavailable, or InvalidArgument."""
        asked = json.dumps({"last_by_subj": f"$KV.{bucket}.{key}"}).encode()
        message = (await self._asked(f"$JS.API.STREAM.MSG.GET.KV_{bucket}", asked)).get("message")
        if not isinstance(message, dict):
            return None
        try:
            return json.loads(base64.b64decode(message["data"])) if message.get("data") else None
        except (ValueError, TypeError, binascii.Error, RecursionError):
            raise InvalidArgument(f"{key[:64]} of bucket {bucket} is not JSON") from None

    async def _asked(self, subject: str, question: bytes) -> dict[str, Any]:
        """The object that is answered; Unavailable."""
        try:
            async with self._at_once:
                answer = json.loads((await self._transport.request(subject, question, timeout=TIMEOUT)).data)
        except (ProviderError, ValueError, RecursionError) as error:
            raise Unavailable(f"{subject}: no answer that can be used: {error}") from None
        return answer if isinstance(answer, dict) else {}
