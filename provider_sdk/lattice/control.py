"""The control interface of an emulated 0.x host (wasmbus-0x.md §3.5): JSON questions and commands on `wasmbus.ctl.L.…`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from provider_sdk.errors import InvalidArgument, ProviderError
from provider_sdk.lattice.command import read_body, read_text
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.report import describe, inventory
from provider_sdk.lattice.tasks import log
from provider_sdk.transport.base import Message

if TYPE_CHECKING:
    from provider_sdk.lattice.host import Host

Answer = dict[str, Any] | None
Handler = Callable[[Mapping[str, Any]], Awaitable[Answer]]

ACCEPTED = {"accepted": True, "error": ""}


class ControlInterface:
    """Answers for one host. An accepted start means that it was begun: the outcome comes as an event."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._core = host.core
        base, host_id = f"wasmbus.ctl.{host.core.lattice}", host.host_id
        self._base = base
        self._handlers: dict[str, Handler] = {
            f"{base}.ping.hosts": self._ping,
            f"{base}.get.claims": self._get_claims,
            f"{base}.get.links": self._get_links,
            f"{base}.get.{host_id}.inv": self._inventory,
            f"{base}.linkdefs.put": self._put_link,
            f"{base}.linkdefs.del": self._delete_link,
            f"{base}.registries.put": self._accept,
            f"{base}.auction.provider": self._auction_provider,
            f"{base}.auction.actor": self._auction_actor,
            f"{base}.labels.{host_id}.put": self._put_label,
            f"{base}.labels.{host_id}.del": self._delete_label,
        }
        commands = {
            "lp": self._start_provider,
            "sp": self._stop_provider,
            "la": self._scale,
            "scale": self._scale,
            "sa": self._stop_actor,
            "upd": self._update_actor,
            "stop": self._stop_host,
        }
        self._handlers |= {f"{base}.cmd.{host_id}.{name}": handler for name, handler in commands.items()}

    async def subscribe(self) -> None:
        """Listen; links and claims are answered by one host of the lattice, the rest by each."""
        base, host_id = self._base, self._host.host_id
        shared = {f"{base}.get.*": f"{base}.get", f"{base}.linkdefs.*": f"{base}.linkdefs"}
        own = ("ping.hosts", "registries.put", "auction.*", f"get.{host_id}.inv", f"cmd.{host_id}.*", f"labels.{host_id}.*")
        for subject in (*shared, *(f"{base}.{suffix}" for suffix in own)):
            await self._core.transport.subscribe(subject, self._receive, queue=shared.get(subject, ""))

    async def _receive(self, message: Message) -> None:
        handler = self._handlers.get(message.subject)
        if handler is not None:
            self._core.start(self._answer(handler, message))

    async def _answer(self, handler: Handler, message: Message) -> None:
        try:
            answer = await handler(read_body(message.data))
        except ProviderError as error:
            answer = {"accepted": False, "error": str(error)}
        if answer is not None and message.reply:
            await self._core.transport.publish(message.reply, json.dumps(answer).encode())

    async def _accept(self, body: Mapping[str, Any]) -> Answer:
        return ACCEPTED

    async def _ping(self, body: Mapping[str, Any]) -> Answer:
        return describe(self._host)

    async def _get_claims(self, body: Mapping[str, Any]) -> Answer:
        return {"claims": list(self._core.claims.values())}

    async def _get_links(self, body: Mapping[str, Any]) -> Answer:
        return {"links": [link.document(self._core.manner) for link in self._core.links]}

    async def _inventory(self, body: Mapping[str, Any]) -> Answer:
        return inventory(self._host)

    async def _put_link(self, body: Mapping[str, Any]) -> Answer:
        """OTP takes missing values for none, the Rust host refuses."""
        values = body.get("values", {} if self._core.manner is Manner.OTP else None)
        names = ("actor_id", "provider_id", "contract_id", "link_name")
        texts = [body.get(name) for name in names]
        if not isinstance(values, dict) or not all(isinstance(text, str) for text in (*texts, *values.values())):
            raise InvalidArgument("failed to deserialize link definition")
        await self._host.put_link(**{name: body[name] for name in names}, values=values)
        return ACCEPTED

    async def _delete_link(self, body: Mapping[str, Any]) -> Answer:
        await self._host.delete_link(read_text(body, "actor_id"), read_text(body, "contract_id"), read_text(body, "link_name"))
        return ACCEPTED

    async def _auction_provider(self, body: Mapping[str, Any]) -> Answer:
        """Silent where the constraints do not fit or the reference runs here under that link name."""
        reference, link_name = read_text(body, "provider_ref"), read_text(body, "link_name")
        runs = any(p.program.image_ref == reference and p.program.link_name == link_name for p in self._host.providers)
        if runs or not self._fits(body):
            return None
        return {
            "host_id": self._host.host_id,
            "provider_ref": reference,
            "link_name": link_name,
            "constraints": body.get("constraints") or {},
        }

    async def _auction_actor(self, body: Mapping[str, Any]) -> Answer:
        if not self._fits(body):
            return None
        return {"host_id": self._host.host_id, "actor_ref": read_text(body, "actor_ref"), "constraints": body.get("constraints") or {}}

    def _fits(self, body: Mapping[str, Any]) -> bool:
        constraints = body.get("constraints") or {}
        return isinstance(constraints, dict) and constraints.items() <= self._core.labels.items()

    async def _put_label(self, body: Mapping[str, Any]) -> Answer:
        self._core.labels[read_text(body, "key")] = read_text(body, "value")
        return ACCEPTED

    async def _delete_label(self, body: Mapping[str, Any]) -> Answer:
        self._core.labels.pop(read_text(body, "key"), None)
        return ACCEPTED

    async def _start_provider(self, body: Mapping[str, Any]) -> Answer:
        reference, link_name = read_text(body, "provider_ref"), str(body.get("link_name") or "default")
        configuration = body.get("configuration")
        self._core.start(self._launch(reference, link_name, None if configuration is None else str(configuration)))
        return ACCEPTED

    async def _launch(self, reference: str, link_name: str, configuration: str | None) -> None:
        try:
            await self._host.start_provider_ref(reference, link_name, configuration)
        except ProviderError as error:
            log.error("provider %s: %s", reference, error)

    async def _stop_provider(self, body: Mapping[str, Any]) -> Answer:
        """Accepted although nothing of that key runs, as on real hosts."""
        key, link_name = read_text(body, "provider_ref"), str(body.get("link_name") or "default")
        if any((p.program.key, p.program.link_name) == (key, link_name) for p in self._host.providers):
            await self._host.stop_provider(key, link_name)
        return ACCEPTED

    async def _scale(self, body: Mapping[str, Any]) -> Answer:
        """A missing count is 0 and 0 is stop: that is how the Rust host reads a request with `max_instances`."""
        reference, count = read_text(body, "actor_ref"), body.get("count", 0)
        if type(count) is not int or count < 0:
            raise InvalidArgument(f"count: expected a number from 0, got {count!r}")
        if count:
            self._core.start(self._scaled(reference, count))
            return ACCEPTED
        for actor in self._host.actors:
            if reference in (actor.image_ref, actor.id):
                await self._host.stop_actor(actor.id)
        return ACCEPTED

    async def _scaled(self, reference: str, count: int) -> None:
        try:
            await self._host.start_actor_ref(reference, count)
        except ProviderError as error:
            log.error("actor %s: %s", reference, error)
            name = "actors_start_failed" if self._core.manner is Manner.RUST else "actor_start_failed"
            await self._core.announce(name, {"actor_ref": reference, "error": str(error)})

    async def _stop_actor(self, body: Mapping[str, Any]) -> Answer:
        reference = read_text(body, "actor_ref")
        return await self._scale({"actor_ref": reference, "count": 0})

    async def _update_actor(self, body: Mapping[str, Any]) -> Answer:
        actor_id, reference = read_text(body, "actor_id"), read_text(body, "new_actor_ref")
        actor = next((actor for actor in self._host.actors if actor.id == actor_id), None)
        if actor is None:
            raise InvalidArgument(f"actor {actor_id} is not running on this host")
        self._core.start(self._scaled(reference, actor.instances))
        return ACCEPTED

    async def _stop_host(self, body: Mapping[str, Any]) -> Answer:
        self._host.request_stop()
        return ACCEPTED
