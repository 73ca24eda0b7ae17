"""A 1.x peer made by hand: it sends the bytes that a test says, and keeps what comes, message for message."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from provider_sdk.hosts.base import StreamLimits
from provider_sdk.hosts.wrpc.client import Client, WrpcTarget
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.inbox import Inbox
from provider_sdk.hosts.wrpc.server import Server, served
from provider_sdk.hosts.wrpc.spool import Budget
from provider_sdk.interface import Interface
from provider_sdk.lattice.answers import Answers
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.transport.base import Credentials, Message, Transport
from provider_sdk.transport.nats import NatsTransport, connect

HOST_HEADERS = {"source-id": "comp", "link-name": "default"}
Told = tuple[str, bytes]
"""What came: what follows the peer's own subject, and the payload."""


@asynccontextmanager
async def a_transport(server: NatsServer) -> AsyncIterator[NatsTransport]:
    transport = await connect(Credentials(server.url, name="peer"))
    try:
        yield transport
    finally:
        await transport.close()


class Caller:
    """One call as a host makes it, step by step; `reply` is that of a call that was made before."""

    def __init__(self, transport: Transport, reply: str = "") -> None:
        self._transport = transport
        self.reply = reply or f"_INBOX.{secrets.token_hex(8)}.{secrets.token_hex(8)}"
        self.callee = ""
        self.accepts = 0
        self.told: list[Told] = []
        self._news = asyncio.Event()

    async def call(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> None:
        """The first message."""
        await self.listen()
        await self._transport.publish(subject, payload, reply=self.reply, headers=HOST_HEADERS if headers is None else headers)

    async def listen(self) -> None:
        """Subscribe to what is the caller's."""
        await self._transport.subscribe(self.reply, self._accepted)
        await self._transport.subscribe(f"{self.reply}.>", self._received)
        await self._transport.flush()

    def _accepted(self, message: Message) -> None:
        self.accepts += 1
        self.callee = self.callee or message.reply
        self.told.append(("", message.data))
        self._news.set()

    def _received(self, message: Message) -> None:
        self.told.append((message.subject[len(self.reply) + 1 :], message.data))
        self._news.set()

    async def accepted(self) -> None:
        """Returns with the first accept."""
        await self.until(lambda: bool(self.callee))

    async def send(self, path: str, payload: bytes) -> None:
        """A message below the callee's subject."""
        await self._transport.publish(f"{self.callee}.{path}", payload)

    async def until(self, condition: Any, within: float = 20.0) -> None:
        """Returns when the condition holds."""
        async with asyncio.timeout(within):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def unary(self, subject: str, payload: bytes) -> list[Told]:
        """A call without streams to its end: what came behind the accept."""
        await self.call(subject, payload)
        await self.accepted()
        await self.send("params", b"")
        await self.until(lambda: ("results", b"") in self.told)
        return [item for item in self.told if item[0]]


class Callee:
    """A component that answers what a test says."""

    def __init__(self, transport: NatsTransport, subject: str) -> None:
        self._transport = transport
        self._subject = subject
        self._numbers = itertools.count()
        self.told: list[Told] = []
        self.headers: dict[str, str] = {}
        self.reply = ""
        self.inbox = f"_INBOX.{secrets.token_hex(8)}.{secrets.token_hex(8)}"
        self._news = asyncio.Event()

    async def listen(self) -> None:
        """Subscribe as a host does for a component."""
        await self._transport.subscribe(self._subject, self._called, queue="lattice.comp")
        await self._transport.subscribe(f"{self.inbox}.>", self._received)
        await self._transport.flush()

    def _called(self, message: Message) -> None:
        self.reply = message.reply
        self.headers = dict(message.headers or {})
        self.told.append(("", message.data))
        self._news.set()

    def _received(self, message: Message) -> None:
        self.told.append((message.subject[len(self.inbox) + 1 :], message.data))
        self._news.set()

    async def until(self, condition: Any, within: float = 20.0) -> None:
        """Returns when the condition holds."""
        async with asyncio.timeout(within):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def accept(self) -> None:
        """Await a call and accept it."""
        await self.until(lambda: bool(self.reply))
        await self._transport.publish(self.reply, b"", reply=self.inbox)

    async def send(self, path: str, payload: bytes) -> None:
        """A message below the caller's subject."""
        await self._transport.publish(f"{self.reply}.{path}", payload)


@asynccontextmanager
async def serving(
    server: NatsServer, *implementations: Interface, era: Era = Era.SECOND, limits: StreamLimits | None = None
) -> AsyncIterator[Server]:
    """`implementations` served as the provider `prov` of the lattice `lattice`."""
    async with a_transport(server) as transport:
        inbox = Inbox(transport)
        await inbox.open()
        answers = Answers(implementations)
        operations = served(tuple(type(item).__declaration__ for item in implementations), era)
        budget = Budget(limits or StreamLimits())
        found = Server(transport, inbox, answers, operations, subjects="lattice.prov.wrpc.0.0.1.", era=era, budget=budget)
        await transport.subscribe("lattice.prov.wrpc.>", found.receive, queue="lattice.prov")
        await transport.flush()
        try:
            yield found
        finally:
            await answers.close()


@asynccontextmanager
async def asking(
    server: NatsServer, identifier: str, *, era: Era = Era.SECOND, limits: StreamLimits | None = None
) -> AsyncIterator[WrpcTarget]:
    """A target that asks `identifier` in the name of `comp`."""
    async with a_transport(server) as transport:
        inbox = Inbox(transport)
        await inbox.open()
        budget = Budget(limits or StreamLimits())
        yield WrpcTarget(Client(transport, inbox, lattice="lattice", origin="comp", era=era, budget=budget), identifier)
