"""Cross-origin requests in a real browser: what the cors settings of a link allow goes through, and the rest does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import pytest

from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse, HttpServer
from provider_sdk.testing import a_lattice
from tests.integration.browser import a_tab
from tests.integration.test_demo_page import listening

pytestmark = pytest.mark.needs("chromium")

OUTCOME = "fetch('http://127.0.0.1:{}/', {}).then((answer) => answer.text(), (error) => error.name)"
PUT = "{method: 'PUT', headers: {'content-type': 'application/json'}, body: '{}'}"


class Actor(HttpServer):
    """Answers with the method, and keeps the method and the origin of each request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def handle_request(self, request: HttpRequest) -> HttpResponse:
        self.asked.append((request.method, request.header["origin"][0]))
        return HttpResponse(200, {}, request.method.encode())


@dataclass
class Served:
    port: int
    actor: Actor = field(default_factory=Actor)

    def status(self, origin: str) -> tuple[int, str | None]:
        """Status and `access-control-allow-origin` of a request as a browser sends it from `origin`."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/", headers={"origin": origin})
            answer = connection.getresponse()
            return answer.status, answer.getheader("access-control-allow-origin")
        finally:
            connection.close()


@asynccontextmanager
async def an_origin() -> AsyncIterator[str]:
    """A web site of one empty page."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A browser also opens connections on which it asks nothing.
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<!doctype html>")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def serving(allowed: str) -> AsyncIterator[Served]:
    """An actor behind an httpserver that lets pages of `allowed` ask."""
    async with a_lattice() as lattice:
        actor = Actor()
        provider = await lattice.process("providers.httpserver", contract="wasmcloud:httpserver")
        settings = {"address": "127.0.0.1:0", "cors": {"allowed_origins": [allowed]}}
        await lattice.link(provider, {"config_json": json.dumps(settings)}, actor=await lattice.actor(actor))
        yield Served(await listening(provider.output), actor)


async def test_a_page_of_an_allowed_origin_gets_its_answers(tmp_path: Path) -> None:
    async with an_origin() as friend, serving(friend) as served, a_tab(tmp_path) as tab:
        await tab.load(f"{friend}/")
        assert await tab.js(OUTCOME.format(served.port, "{}")) == "GET"
        assert await tab.js(OUTCOME.format(served.port, PUT)) == "PUT"
        assert served.actor.asked == [("GET", friend), ("PUT", friend)]
        assert await asyncio.to_thread(served.status, friend) == (200, friend)


async def test_a_page_of_another_origin_is_refused_and_the_actor_is_not_asked(tmp_path: Path) -> None:
    async with an_origin() as friend, an_origin() as stranger, serving(friend) as served, a_tab(tmp_path) as tab:
        await tab.load(f"{stranger}/")
        assert await tab.js(OUTCOME.format(served.port, "{}")) == "TypeError"
        assert await tab.js(OUTCOME.format(served.port, PUT)) == "TypeError"
        assert await asyncio.to_thread(served.status, stranger) == (403, None)
        assert served.actor.asked == []


async def test_a_method_that_is_not_allowed_is_refused_to_a_page_of_an_allowed_origin(tmp_path: Path) -> None:
    async with an_origin() as friend, serving(friend) as served, a_tab(tmp_path) as tab:
        await tab.load(f"{friend}/")
        assert await tab.js(OUTCOME.format(served.port, "{method: 'PATCH'}")) == "TypeError"
        assert served.actor.asked == []
