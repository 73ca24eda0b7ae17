"""The control interface of an emulated 1.x host (packaging.md §5): JSON questions and commands on `wasmbus.ctl.v1.L.…`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from provider_sdk.errors import InvalidArgument, NotFound, ProviderError
from provider_sdk.lattice.command import read_body, read_text
from provider_sdk.lattice.tasks import log
from provider_sdk.lattice.wrpc.links import InterfaceLink
from provider_sdk.lattice.wrpc.report import describe, inventory
from provider_sdk.transport.base import Message

if TYPE_CHECKING:
    from provider_sdk.lattice.wrpc.host import WrpcLatticeHost

Answer = dict[str, Any]
Handler = Callable[[Mapping[str, Any]], Awaitable[Answer | None]]
NamedHandler = Callable[[str, Mapping[str, Any]], Awaitable[Answer]]


def answer(response: Any = None, message: str = "") -> Answer:
    """The envelope of what was done."""
    return {"success": True, "message": message} | ({} if response is None else {"response": response})


class WrpcControlInterface:
    """Answers for one host. Success of a start means that it was begun: the outcome comes as an event."""

    def __init__(self, host: WrpcLatticeHost) -> None:
        self._host = host
        self._core = host.core
        self._base = f"wasmbus.ctl.v1.{host.core.lattice}"
        own = {
            "host.get": self._inventory,
            "host.stop": self._stop_host,
            "provider.start": self._start_provider,
            "provider.stop": self._stop_provider,
            "component.scale": self._scale,
            "label.put": self._put_label,
            "label.del": self._delete_label,
        }
        self._handlers: dict[str, Handler] = {
            "host.ping": self._ping,
            "link.get": self._get_links,
            "link.put": self._put_link,
            "link.del": self._delete_link,
            "claims.get": self._get_claims,
            "provider.auction": self._auction_provider,
            "component.auction": self._auction_component,
            **{f"{name}.{host.host_id}": handler for name, handler in own.items()},
        }
        self._configs: dict[str, NamedHandler] = {
            "config.put": self._put_config,
            "config.get": self._get_config,
            "config.del": self._delete_config,
        }

    async def subscribe(self) -> None:
        """Listen; what concerns the lattice is answered by one of its hosts, the rest by each."""
        shared = ("link.*", "config.>", "claims.*")
        own = ("host.ping", "*.auction", *(name for name in self._handlers if name.endswith(self._host.host_id)))
        for suffix in (*shared, *own):
            queue = f"{self._base}.{suffix.partition('.')[0]}" if suffix in shared else ""
            await self._core.transport.subscribe(f"{self._base}.{suffix}", self._receive, queue=queue)

    def _receive(self, message: Message) -> None:
        suffix = message.subject.removeprefix(f"{self._base}.")
        handler = self._handlers.get(suffix)
        if handler is not None:
            self._core.start(self._answer(handler, message))
            return
        kind, _, name = suffix.removeprefix("config.").partition(".")
        named = self._configs.get(f"config.{kind}")
        if named is not None and name:
            self._core.start(self._answer(lambda body: named(name, body), message))

    async def _answer(self, handler: Handler, message: Message) -> None:
        try:
            reply = await handler(read_body(message.data))
        except ProviderError as error:
            reply = {"success": False, "message": str(error)}
        if reply is not None and message.reply:
            await self._core.transport.publish(message.reply, json.dumps(reply).encode())

    async def _ping(self, body: Mapping[str, Any]) -> Answer:
        return answer(describe(self._host))

    async def _inventory(self, body: Mapping[str, Any]) -> Answer:
        return answer(inventory(self._host))

    async def _get_claims(self, body: Mapping[str, Any]) -> Answer:
        return answer([])

    async def _get_links(self, body: Mapping[str, Any]) -> Answer:
        return answer([link.document() for link in self._host.links])

    async def _put_link(self, body: Mapping[str, Any]) -> Answer:
        await self._host.put_link(InterfaceLink.read(body))
        return answer(message="successfully set link")

    async def _delete_link(self, body: Mapping[str, Any]) -> Answer:
        source, namespace, package = (read_text(body, item) for item in ("source_id", "wit_namespace", "wit_package"))
        await self._host.delete_link(source, namespace, package, str(body.get("name") or "default"))
        return answer(message="successfully deleted link")

    async def _put_config(self, name: str, body: Mapping[str, Any]) -> Answer:
        if not all(isinstance(value, str) for value in body.values()):
            raise InvalidArgument("failed to deserialize configuration: the values are not all strings")
        await self._host.put_config(name, body)
        return answer(message="successfully put config")

    async def _get_config(self, name: str, body: Mapping[str, Any]) -> Answer:
        found = self._host.configs.get(name)
        return answer(message="Configuration not found") if found is None else answer(found)

    async def _delete_config(self, name: str, body: Mapping[str, Any]) -> Answer:
        await self._host.delete_config(name)
        return answer(message="successfully deleted config")

    async def _auction_provider(self, body: Mapping[str, Any]) -> Answer | None:
        """Silent where the constraints do not fit or a provider of that id runs here."""
        reference, identifier = read_text(body, "provider_ref"), read_text(body, "provider_id")
        if self._host.find_provider(identifier) is not None or not self._fits(body):
            return None
        return self._bid(body, {"provider_ref": reference, "provider_id": identifier})

    async def _auction_component(self, body: Mapping[str, Any]) -> Answer | None:
        if not self._fits(body):
            return None
        return self._bid(body, {name: read_text(body, name) for name in ("component_ref", "component_id")})

    def _bid(self, body: Mapping[str, Any], what: dict[str, str]) -> Answer:
        return answer({"host_id": self._host.host_id, **what, "constraints": body.get("constraints") or {}})

    def _fits(self, body: Mapping[str, Any]) -> bool:
        constraints = body.get("constraints") or {}
        return isinstance(constraints, dict) and constraints.items() <= self._core.labels.items()

    async def _put_label(self, body: Mapping[str, Any]) -> Answer:
        self._core.labels[read_text(body, "key")] = read_text(body, "value")
        return answer()

    async def _delete_label(self, body: Mapping[str, Any]) -> Answer:
        self._core.labels.pop(read_text(body, "key"), None)
        return answer()

    async def _start_provider(self, body: Mapping[str, Any]) -> Answer:
        reference, identifier = read_text(body, "provider_ref"), read_text(body, "provider_id")
        config, annotations = body.get("config") or [], body.get("annotations") or {}
        if not isinstance(config, list) or not isinstance(annotations, dict):
            raise InvalidArgument("config: expected a list, annotations: expected a map")
        if self._host.find_provider(identifier) is not None:
            return answer(message="provider is already running")
        self._core.start(
            self._begun(self._host.start_provider_ref(reference, identifier, tuple(map(str, config)), annotations), identifier)
        )
        return answer(message="successfully started provider")

    async def _begun(self, work: Awaitable[object], identifier: str) -> None:
        try:
            await work
        except ProviderError as error:
            log.error("%s: %s", identifier, error)

    async def _stop_provider(self, body: Mapping[str, Any]) -> Answer:
        identifier = read_text(body, "provider_id" if "provider_id" in body else "provider_ref")
        try:
            await self._host.stop_provider(identifier)
        except NotFound:
            return answer(message="provider with that ID is not running")
        return answer(message="successfully stopped provider")

    async def _scale(self, body: Mapping[str, Any]) -> Answer:
        reference, identifier, count = read_text(body, "component_ref"), read_text(body, "component_id"), body.get("count", 0)
        if type(count) is not int or count < 0:
            raise InvalidArgument(f"count: expected a number from 0, got {count!r}")
        config = body.get("config") or []
        if not isinstance(config, list):
            raise InvalidArgument("config: expected a list")
        names = tuple(map(str, config))
        self._core.start(self._begun(self._host.scale_component(reference, identifier, count, names), identifier))
        return answer(message="successfully scaled component")

    async def _stop_host(self, body: Mapping[str, Any]) -> Answer:
        self._host.request_stop()
        return answer(message="successfully handled stop host")
