"""An httpserver under test on a 1.x host: a process that the host started, components in Python behind it, a plain client in front."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from provider_sdk import DeadlineExceeded
from provider_sdk.contracts.wasi_http import Fields, IncomingHandler, NoTrailers, Request, Response
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.testing import WrpcProvided, WrpcTestLattice, a_wrpc_lattice
from tests.integration.http_front import Heard
from tests.integration.http_wire import comes_to, complaints
from tests.servers.ports import free_port

Handle = Callable[[Request], Awaitable[Response]]


class Component(IncomingHandler):
    """Answers with `respond` and keeps what it was asked."""

    def __init__(self, respond: Handle) -> None:
        self.respond = respond
        self.asked: list[Request] = []
        self.id = ""

    async def handle(self, request: Request) -> Response:
        self.asked.append(request)
        return await self.respond(request)


@dataclass
class Running(Heard):
    """A 1.x lattice with an httpserver that is ready."""

    lattice: WrpcTestLattice
    provider: WrpcProvided

    async def component(self, respond: Handle) -> Component:
        component = Component(respond)
        component.id = await self.lattice.component(component)
        return component

    async def link(self, component: Component, name: str = "default", **values: str) -> None:
        await self.lattice.link_to(self.provider, component.id, (IncomingHandler,), values, name=name)

    async def unlink(self, component: Component, name: str = "default") -> None:
        await self.lattice.unlink_from(self.provider, component.id, name=name)

    async def serve(self, respond: Handle, name: str = "default", **values: str) -> tuple[Component, int]:
        """A component with a link of its own, on a free port, and the port."""
        component, port = await self.component(respond), free_port()
        await self.link(component, name, **{"address": f"127.0.0.1:{port}"} | values)
        await self.said(f"listening on https?://127.0.0.1:{port}")
        return component, port

    async def health(self, pattern: str) -> None:
        """Wait until the health's message has `pattern`."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(DeadlineExceeded):
                    if re.search(pattern, json.loads(await self.lattice.health(self.provider)).get("message", "")):
                        return
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(configuration: Mapping[str, str] | None = None, *, era: Era = Era.SECOND) -> AsyncIterator[Running]:
    async with a_wrpc_lattice(era=era) as lattice:
        provider = await lattice.process("providers.httpserver", configuration=configuration)
        try:
            yield Running(lattice, provider)
        except BaseException:
            print("\n".join(provider.output))  # what pytest shows with a failure
            raise


@asynccontextmanager
async def measured() -> AsyncIterator[tuple[Running, int]]:
    """A running httpserver and the port of its metrics; in the end nothing may be left of any request."""
    metrics = free_port()
    async with running({"metrics_address": f"127.0.0.1:{metrics}"}) as it:
        yield it, metrics
        for name in ("http_connections", "http_requests_in_progress", "http_body_bytes"):
            await comes_to(metrics, name, 0)
        assert complaints(it) == []


def answer(status: int = 200, headers: Fields | None = None, *parts: bytes) -> Response:
    """A response whose body is at hand."""
    return Response(at_once(parts), NoTrailers(), status, headers or [])


async def at_once(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def streamed(*steps: bytes | asyncio.Event, length: int | None = None, fault: Exception | None = None) -> Response:
    """A response whose body waits at each event, and fails in the end."""

    async def body() -> AsyncIterator[bytes]:
        for step in steps:
            if isinstance(step, bytes):
                yield step
            else:
                await step.wait()
        if fault is not None:
            raise fault

    return Response(body(), NoTrailers(), 200, [] if length is None else [("content-length", [b"%d" % length])])


async def whole(body: AsyncIterator[bytes]) -> bytes:
    """All of a body."""
    return b"".join([part async for part in body])


async def greet(request: Request) -> Response:
    return answer(200, [], b"hello")


async def echo(request: Request) -> Response:
    """The request's body as it comes."""
    return Response(request.body, NoTrailers(), 200, [])
