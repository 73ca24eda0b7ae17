"""An httpserver under test: a process that a host started, actors in Python behind it, a plain client in front."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgpack

from provider_sdk import DeadlineExceeded
from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse, HttpServer
from provider_sdk.testing import Manner, Provided, TestLattice, WrpcProvided, a_lattice

CONTRACT = HttpServer.__identity__.contract

Handle = Callable[[HttpRequest], Awaitable[HttpResponse]]


@dataclass(frozen=True)
class Answer:
    status: int
    header: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for given, value in self.header if given.lower() == name]


class Actor(HttpServer):
    """Answers with `handle` and keeps what it was asked."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.asked: list[HttpRequest] = []
        self.key = ""

    async def handle_request(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request)
        return await self.handle(request)


class Heard:
    """An httpserver of either generation; `lines` is what it said."""

    provider: Provided | WrpcProvided

    @property
    def lines(self) -> list[str]:
        return self.provider.output

    async def said(self, pattern: str) -> re.Match[str]:
        """The first line that has `pattern`, which is taken out."""
        async with asyncio.timeout(60):
            while True:
                for line in self.lines:
                    found = re.search(pattern, line)
                    if found:
                        self.lines.remove(line)
                        return found
                await asyncio.sleep(0.01)


@dataclass
class Running(Heard):
    """A lattice with an httpserver that is ready."""

    lattice: TestLattice
    provider: Provided

    async def link(self, key: str, **values: str) -> None:
        await self.lattice.link(self.provider, values, actor=key)

    async def unlink(self, key: str) -> None:
        await self.lattice.host.delete_link(key, CONTRACT)

    async def listening(self) -> int:
        """The port of the next line that tells of one."""
        return int((await self.said(r"listening on https?://127\.0\.0\.1:(\d+)"))[1])

    async def actor(self, handle: Handle) -> Actor:
        actor = Actor(handle)
        actor.key = await self.lattice.actor(actor)
        return actor

    async def serve(self, handle: Handle, **values: str) -> tuple[Actor, int]:
        """An actor with a link, on a free port where `values` name none, and the port."""
        actor = await self.actor(handle)
        await self.link(actor.key, **{"address": "127.0.0.1:0"} | values)
        return actor, await self.listening()

    async def health(self, pattern: str) -> None:
        """Wait until the health's message has `pattern`."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(DeadlineExceeded):
                    if re.search(pattern, msgpack.unpackb(await self.lattice.health(self.provider)).get("message", "")):
                        return
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(manner: Manner = Manner.RUST, configuration: Mapping[str, object] | None = None) -> AsyncIterator[Running]:
    async with a_lattice(manner=manner) as lattice:
        yield Running(lattice, await lattice.process("providers.httpserver", contract=CONTRACT, configuration=configuration))


async def ask(port: int, request: str = "GET / HTTP/1.1") -> Answer:
    """Send a head, and after an empty line a body, with a Host and `Connection: close` added, and read until the end."""
    head, _, body = request.partition("\n\n")
    lines = [*head.split("\n"), "host: here", "connection: close", "", body]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write("\r\n".join(lines).encode("latin-1"))
        async with asyncio.timeout(25):  # less than the idle_timeout of a link that says nothing of it
            received = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    start, _, content = received.partition(b"\r\n\r\n")
    first, *fields = start.decode("latin-1").split("\r\n")
    header = [(name, value.strip()) for name, _, value in (line.partition(":") for line in fields)]
    answer = Answer(int(first.split()[1]), header, content)
    return Answer(answer.status, header, unchunked(content)) if answer.values("transfer-encoding") == ["chunked"] and content else answer


def unchunked(content: bytes) -> bytes:
    """A body that came in chunks; ValueError where it is cut off or more follows."""
    parts = []
    while True:
        size, _, content = content.partition(b"\r\n")
        length = int(size, 16)
        parts.append(content[:length])
        if content[length : length + 2] != b"\r\n":
            raise ValueError("the body is cut off")
        content = content[length + 2 :]
        if not length:
            if content:
                raise ValueError("something follows the last chunk")
            return b"".join(parts)


async def greet(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, {}, b"hello")


async def refused(port: int) -> None:
    """Returns when nobody listens on `port` any more."""
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            except ConnectionError:  # it closed between the handshake and being accepted
                continue
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            await asyncio.sleep(0.01)
