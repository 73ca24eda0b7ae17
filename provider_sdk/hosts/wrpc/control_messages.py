"""What a host says to its provider while it runs (wrpc-1x.md §2.1): links, configuration, health, shutdown.

All handlers are plain functions, so that they are called in the order in which messages come, whatever their subjects.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from provider_sdk.errors import InvalidArgument, ProviderError
from provider_sdk.hosts.base import Control, LinkSpec
from provider_sdk.hosts.wrpc.link_book import LinkBook
from provider_sdk.hosts.wrpc.links_wire import decode_json, decode_link, read_texts
from provider_sdk.hosts.wrpc.names import contract_of
from provider_sdk.hosts.wrpc.otel import is_otel_key
from provider_sdk.interface import Interface
from provider_sdk.link import Role
from provider_sdk.metrics import Metrics
from provider_sdk.transport.base import Message, Transport

log = logging.getLogger("provider.host")


class ControlMessages:
    """Handlers of the control subjects. `shutdown_replies` is where the host awaits that all is done: SIGKILL follows the answer (§1.4)."""

    def __init__(
        self, transport: Transport, control: Control, book: LinkBook, serves: Iterable[type[Interface]], host_id: str, metrics: Metrics
    ) -> None:
        self._transport = transport
        self._control = control
        self._instances = tuple(dict.fromkeys(item.__identity__.wit for item in serves if item.__identity__.wit))
        self._useless: set[tuple[str, tuple[str, ...]]] = set()
        self._book = book
        self._host_id = host_id
        self._malformed = metrics.counter("provider_control_malformed_total", "Control messages that could not be read.")
        self._tasks: set[asyncio.Task[None]] = set()
        self.shutdown_replies: list[str] = []

    async def subscribe(self, lattice: str, provider_key: str, x_key: str) -> None:
        """Subscribe to all but health; `x_key` is the provider's own, empty under hosts of v1.0."""
        base = f"wasmbus.rpc.{lattice}"
        own = f"{base}.{provider_key}"
        if x_key:
            await self._transport.subscribe(f"{base}.{x_key}.linkdefs.put", self._reading(self._put))
        await self._transport.subscribe(f"{own}.linkdefs.put", self._reading(self._put_copy))
        await self._transport.subscribe(f"{own}.linkdefs.del", self._reading(self._delete))
        await self._transport.subscribe(f"{own}.config.update", self._reading(self._update))
        await self._transport.subscribe(f"{own}.default.shutdown", self._shut_down)

    async def subscribe_configs(self, lattice: str, of_a_link: Callable[[str], bool]) -> None:
        """Follow the links' named configurations: hosts push a provider's own alone (§2.1), and announce all (packaging.md §5)."""

        def announced(payload: bytes) -> None:
            event = decode_json(payload, "event")
            data = event.get("data") if isinstance(event, dict) else None
            name = data.get("config_name") if isinstance(data, dict) else None
            if isinstance(name, str) and of_a_link(name):
                self._control.look_again()

        await self._transport.subscribe(f"wasmbus.evt.{lattice}.config_set", self._reading(announced))

    async def subscribe_health(self, lattice: str, provider_key: str) -> None:
        """Subscribe to health requests: the last of all, for who gets an answer takes the provider for ready."""
        await self._transport.subscribe(f"wasmbus.rpc.{lattice}.{provider_key}.health", self._health)

    def _reading(self, handle: Callable[[bytes], None]) -> Callable[[Message], None]:
        def handler(message: Message) -> None:
            try:
                handle(message.data)
            except InvalidArgument as error:
                self._malformed.add()
                log.error("%s: dropped: %s", message.subject, error)

        return handler

    def _put(self, payload: bytes) -> None:
        self._take(self._book.put(decode_link(payload)))

    def _put_copy(self, payload: bytes) -> None:
        self._take(self._book.put(decode_link(payload), with_secrets=False))

    def _take(self, spec: LinkSpec) -> None:
        self.check(spec)
        self._control.put_link(spec)

    def check(self, spec: LinkSpec) -> None:
        """One warning for a link to this provider that names nothing of what it serves: a slip in a manifest, which no host sees."""
        key, told = spec.key, (str(spec.key), spec.interfaces)
        if key.role is Role.SOURCE or not spec.interfaces or told in self._useless:
            return
        served = {f"{contract_of(item)}/{item.rpartition('/')[2].partition('@')[0]}" for item in self._instances}
        if served.isdisjoint(f"{key.contract}/{name}" for name in spec.interfaces):
            self._useless.add(told)
            ours = ", ".join(sorted(served)) or "nothing"
            log.warning("link %s: it is for %s/%s, and this provider serves %s", key, key.contract, ",".join(spec.interfaces), ours)

    def _delete(self, payload: bytes) -> None:
        self._control.delete_link(self._book.delete(decode_link(payload)))

    def _update(self, payload: bytes) -> None:
        self._control.update_config(own_settings(read_texts(decode_json(payload, "configuration"), "configuration")))

    def _health(self, message: Message) -> None:
        if message.reply:
            task = asyncio.create_task(self._answer_health(message.reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(self._control.fault)

    async def _answer_health(self, reply: str) -> None:
        state = await self._control.health()
        members: dict[str, Any] = {"healthy": state.healthy}
        if state.message:
            members["message"] = state.message.encode("utf-8", "backslashreplace").decode()
        try:
            await self._transport.publish(reply, json.dumps(members, ensure_ascii=False).encode())
        except ProviderError as error:
            log.warning("a health request could not be answered: %s", error)

    def _shut_down(self, message: Message) -> None:
        """Begin to stop, if it is this host that asks: the subject is that of all hosts which run this provider."""
        try:
            asked = decode_json(message.data, "shutdown request")
        except InvalidArgument:
            asked = None
        host_id = asked.get("host_id") if isinstance(asked, dict) else None
        if not message.reply or host_id != self._host_id:
            log.debug("a shutdown request for the provider of another host: %s", host_id)
            return
        self.shutdown_replies.append(message.reply)
        self._control.shut_down()


def own_settings(config: Mapping[str, str]) -> dict[str, str]:
    """A provider's configuration without the keys that override the host's telemetry settings."""
    return {name: value for name, value in config.items() if not is_otel_key(name)}
