"""What an operator sees: logs with their fields, traces that hang together, metrics in Prometheus text."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import json
import socket
import threading
import urllib.request
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgpack
import pytest

from provider_sdk import Config, Context, Interface, Link, NotFound, Provider
from provider_sdk.hosts.wasmbus.claims import sign_invocation_claims
from provider_sdk.hosts.wasmbus.client import LatticeTarget
from provider_sdk.hosts.wasmbus.envelope import Invocation, decode_response, encode_invocation
from provider_sdk.testing import TestLattice, a_lattice
from tests.faults.echo import Echo
from tests.servers.ports import free_port

PROGRAM = Path(__file__).parents[1] / "faults" / "echo.py"
T = TypeVar("T")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def scrape(port: int) -> str:
    def get() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            text: str = answer.read().decode()
            return text

    return await soon(get)


async def soon(get: Callable[[], T]) -> T:
    """What is read of the metrics address as soon as somebody listens there, which is later than the first answers."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await asyncio.to_thread(get)
            except OSError as error:
                if not isinstance(getattr(error, "reason", error), ConnectionRefusedError):
                    raise
                await asyncio.sleep(0.02)


async def test_metrics_count_calls_errors_and_links() -> None:
    port = free_port()
    async with a_lattice() as lattice:
        address = {"metrics_address": f"127.0.0.1:{port}"}
        provider = await lattice.process(PROGRAM, contract="test:echo", configuration=address)
        echo = Echo.at(await lattice.link(provider))
        for _ in range(3):
            await echo.echo("x")
        target = echo.target  # type: ignore[attr-defined]
        refused = await lattice.client.send(target.origin, target.entity, "Echo.Echo", b"\x07", timeout=10.0)
        assert refused.error is not None
        text = await scrape(port)
        assert 'provider_errors_total{code="invalid_argument"} 1.0' in text
        assert 'provider_calls_total{code="ok",operation="Echo.Echo"} 3.0' in text
        assert 'provider_links{state="up"} 1.0' in text
        assert 'provider_call_seconds_count{operation="Echo.Echo"} 3.0' in text
        assert "provider_reconnects 0.0" in text


async def test_healthz_says_what_a_host_is_told() -> None:
    port = free_port()
    async with a_lattice() as lattice:
        address = {"metrics_address": f"127.0.0.1:{port}"}
        provider = await lattice.process("providers.httpserver", contract="wasmcloud:httpserver", configuration=address)
        assert await healthz(port) == (200, {"healthy": True, "message": ""})
        await lattice.link(provider, {"address": "nowhere"})
        async with asyncio.timeout(20):
            while (answer := await healthz(port))[0] != 503:
                await asyncio.sleep(0.02)
        assert answer[1]["healthy"] is False
        assert "'nowhere' is not ip:port" in str(answer[1]["message"])


async def healthz(port: int) -> tuple[int, dict[str, object]]:
    """Status and content of /healthz."""

    def get() -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return await soon(get)


async def test_a_metrics_address_in_use_is_one_line_and_the_provider_serves() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with a_lattice() as lattice:
            provider = await lattice.process(PROGRAM, contract="test:echo", configuration={"metrics_address": address})
            echo = Echo.at(await lattice.link(provider))
            assert await echo.echo("x") == "x"
            async with asyncio.timeout(20):
                while not any(f"metrics_address {address}" in line for line in provider.output):
                    await asyncio.sleep(0.05)


class Relay(Interface, contract="test:relay"):
    @abstractmethod
    async def relay(self) -> str: ...


class RelayProvider(Provider[Config], serves=(Relay,)):
    """Asks its linked actor and tells which trace the actor saw."""

    @asynccontextmanager
    async def link(self, link: Link[Config]) -> AsyncIterator[Relay]:
        yield _Relaying(Relay.at(link.peer))


class _Relaying(Relay):
    def __init__(self, peer: Relay) -> None:
        self.peer = peer

    async def relay(self) -> str:
        return await self.peer.relay()


class _TellingTrace(Relay):
    async def relay(self) -> str:
        trace = Context.current().trace
        return trace.traceparent if trace else "none"


async def test_a_trace_goes_through_a_provider_to_the_actor_that_it_asks() -> None:
    async with a_lattice() as lattice:
        actor = await lattice.actor(_TellingTrace())
        provider = await lattice.in_process(RelayProvider, contract="test:relay")
        target = await lattice.link(provider, actor=actor)
        assert await Relay.at(target).relay() == "none"
        assert isinstance(target, LatticeTarget)
        carried = {"traceparent": PARENT, "tracestate": "a=b"}
        raw = await lattice.client.invoke(target.origin, target.entity, "Relay.Relay", b"", trace=carried)
        assert PARENT.encode() in raw
        assert await _told(lattice, target, carried, headers={"other": "header"}) == PARENT
        assert await _told(lattice, target, {"traceparent": "00-no-trace"}, headers=None) == "none"


async def _told(lattice: TestLattice, target: LatticeTarget, trace: dict[str, str], headers: dict[str, str] | None) -> str:
    """What the relay says to an invocation that carries its trace inside."""
    claims = sign_invocation_claims(lattice.host.core.cluster, "1", target.origin, target.entity, "Relay.Relay", b"")
    invocation = Invocation(target.origin, target.entity, "Relay.Relay", b"", "1", claims, lattice.host.core.host_id, 0, trace)
    subject = lattice.client.subject(target.entity)
    answer = await lattice.transport.request(subject, encode_invocation(invocation), timeout=2.0, headers=headers)
    text: str = msgpack.unpackb(decode_response(answer.data).msg)
    return text


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    received: list[bytes] = []

    class Collecting(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


async def test_spans_are_exported_when_the_host_asks_for_traces(
    collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, received = collector
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    async with a_lattice() as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo")
        target = await lattice.link(provider)
        assert isinstance(target, LatticeTarget)
        async with asyncio.timeout(20):
            while not any(bytes.fromhex(PARENT.split("-")[1]) in body for body in received):
                await lattice.client.invoke(target.origin, target.entity, "Echo.Echo", b"\xa1x", trace={"traceparent": PARENT})
                await asyncio.sleep(0.3)
        assert any(b"Echo.Echo" in body for body in received)


async def test_logs_are_json_where_the_host_asks_and_carry_link_caller_and_call() -> None:
    class Failing(Relay):
        async def relay(self) -> str:
            Context.current().log.warning("it goes wrong")
            raise NotFound("nothing here", detail="the shelf was empty")

    from provider_sdk.runtime.logs import JsonFormatter

    lines: list[dict[str, str]] = []

    class Catching(Provider[Config], serves=(Relay,)):
        @asynccontextmanager
        async def link(self, link: Link[Config]) -> AsyncIterator[Relay]:
            yield Failing()

    import logging

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonFormatter().format(record)))

    handler = Keeping()
    logging.getLogger("provider").addHandler(handler)
    try:
        async with a_lattice() as lattice:
            provider = await lattice.in_process(Catching, contract="test:relay")
            target = await lattice.link(provider)
            with pytest.raises(NotFound) as caught:
                await Relay.at(target).relay()
            assert "shelf" not in str(caught.value)
    finally:
        logging.getLogger("provider").removeHandler(handler)
    said = next(item for item in lines if item["message"] == "it goes wrong")
    assert said["level"] == "WARNING"
    assert said["operation"] == "Relay.Relay"
    assert said["caller"] in said["link"]
    assert said["call_id"]
    assert any("the shelf was empty" in item["message"] for item in lines)
