"""The HTTP rows: the httpserver alone (H1), with a C program for an actor (H2, H4, H5), and with large bodies (M3)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import msgpack

from bench.figures import Figure
from bench.processes import ACTOR, LATTICE, Running, compile_yardstick, free_port, listening, memory_mb, start_provider, yardstick
from bench.web import Load, missing, nginx, wrk
from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse, HttpServer
from provider_sdk.errors import Unavailable
from provider_sdk.hosts.wasmbus.envelope import InvocationResponse, decode_invocation, encode_response
from provider_sdk.testing import a_lattice
from provider_sdk.transport.base import Message, Transport

CONTRACT = HttpServer.__identity__.contract
SUBJECT = f"wasmbus.rpc.{LATTICE}.{ACTOR.public}"
BODY = b"x" * 240
LARGE, AT_ONCE, LARGE_EACH = 16 << 20, 4, 16
PATIENCE = 60.0


@dataclass
class Site:
    """An httpserver that listens."""

    running: Running
    port: int


@dataclass
class Http:
    """The HTTP part of one run; `natsraw` is the compiled responder."""

    natsraw: Path
    nats_port: int
    url: str
    transport: Transport
    folder: Path
    seconds: float
    rows: dict[str, Figure]

    async def measure(self, rounds: int) -> None:
        """Every row for which this machine has the programs."""
        if self._possible(("H1",), "wrk", "nginx"):
            await self.at_once(rounds)
        if self._possible(("H2", "H4", "H5"), "wrk"):
            await self.through(rounds)
        await self.bodies()

    def _possible(self, rows: tuple[str, ...], *programs: str) -> bool:
        reason = missing(*programs)
        for row in rows:
            self.rows[row].left_out = reason
        return not reason

    async def at_once(self, rounds: int) -> None:
        """H1: what the httpserver refuses by itself against what nginx answers by itself."""
        async with nginx(self.folder) as yardstick_port, self._site("providers.httpserver", readonly_mode="true") as site:
            for _ in range(rounds):
                rates = {}
                for port in random.sample([yardstick_port, site.port], 2):
                    rates[port] = (await wrk(port, self.seconds, method="POST", refused=port == site.port)).rate
                self.rows["H1"].values.append(rates[site.port] / rates[yardstick_port])

    async def through(self, rounds: int) -> None:
        """H2, H4, H5: from HTTP to NATS, where a C program answers for the actor, and back."""
        answer, program = self.folder / "answer", compile_yardstick(self.folder, "httpnats")
        answer.write_bytes(an_answer())
        async with self._site("bench.unsigned_httpserver") as unsigned, self._site("providers.httpserver") as signed:
            size = await self._size_of_a_call(unsigned, signed)
            port = free_port()
            responder = yardstick(self.natsraw, "answer", str(self.nats_port), SUBJECT, SUBJECT, f"@{answer}")
            async with responder, yardstick(program, str(port), str(self.nats_port), SUBJECT, str(size)):
                await asyncio.to_thread(ask, port, an_answer())
                ports = {"httpnats": port, "unsigned": unsigned.port, "signed": signed.port}
                for number in range(rounds + 1):
                    loads, cpu = {}, signed.running.cpu_seconds()
                    for name in random.sample(sorted(ports), 3):
                        loads[name] = await wrk(ports[name], self.seconds)
                    if number:
                        self._note(loads, signed.running.cpu_seconds() - cpu)

    def _note(self, loads: dict[str, Load], cpu_seconds: float) -> None:
        self.rows["H2"].values.append(loads["unsigned"].rate / loads["httpnats"].rate)
        self.rows["H4"].values.append(loads["unsigned"].p99 / loads["httpnats"].p99)
        self.rows["H5"].values.append(cpu_seconds / loads["signed"].requests * 1e6)

    async def _size_of_a_call(self, unsigned: Site, signed: Site) -> int:
        """The length of what the httpserver sends for one of wrk's requests; Unavailable where the wrong one of the two signs."""
        calls: list[bytes] = []

        async def answer(message: Message) -> None:
            calls.append(message.data)
            await self.transport.publish(message.reply, an_answer())

        subscription = await self.transport.subscribe(SUBJECT, answer, queue=SUBJECT)
        await self.transport.flush()
        for site in (unsigned, unsigned, signed, signed):
            await asyncio.to_thread(ask, site.port)
        await subscription.unsubscribe()
        await self.transport.flush()
        first, again, one, other = (decode_invocation(call).encoded_claims for call in calls)
        if first != again or one == other:
            raise Unavailable("bench/unsigned_httpserver.py no longer replaces what signs the calls of the httpserver")
        return len(calls[0])

    async def bodies(self) -> None:
        """M3: 1 GiB to an actor in Python, beside the messages, since each body is larger than one may be."""
        async with a_lattice(rpc_timeout=PATIENCE) as lattice:
            provider = await lattice.process("providers.httpserver", contract=CONTRACT)
            port = free_port()
            values = {"address": f"127.0.0.1:{port}", "timeout_ms": str(round(PATIENCE * 1000))}
            await lattice.link(provider, values, actor=await lattice.actor(Length()))
            await listening(port)
            await asyncio.sleep(1.0)
            at_rest = memory_mb(provider.pid, "VmRSS")
            await asyncio.gather(*(asyncio.to_thread(post, port) for _ in range(AT_ONCE)))
            self.rows["M3"].values.append(memory_mb(provider.pid, "VmHWM") - at_rest)

    @asynccontextmanager
    async def _site(self, module: str, **values: str) -> AsyncIterator[Site]:
        port = free_port()
        running = await start_provider(self.url, module, CONTRACT, values={"address": f"127.0.0.1:{port}", **values})
        try:
            await listening(port, running.process)
            yield Site(running, port)
        finally:
            await running.stop()


class Length(HttpServer):
    """An actor that answers with the length of the body."""

    async def handle_request(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {}, str(len(request.body)).encode())


def an_answer() -> bytes:
    """The InvocationResponse of an actor that says 200."""
    response = msgpack.packb({"statusCode": 200, "header": {"content-type": ["text/plain"]}, "body": BODY})
    return encode_response(InvocationResponse(response, "0189f7a0-4b5c-4d7e-8c1d-2f3a4b5c6d7e", None, len(response)))


def ask(port: int, answer: bytes = BODY) -> None:
    """One request as wrk makes it; Unavailable where another answer comes."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.putrequest("GET", "/rpc", skip_accept_encoding=True)
    connection.endheaders()
    expect(connection, answer)
    connection.close()


def post(port: int) -> None:
    """A connection's share of the large bodies, one after the other."""
    body = bytes(LARGE)
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for _ in range(LARGE_EACH):
        connection.request("POST", "/", body)
        expect(connection, str(LARGE).encode())
    connection.close()


def expect(connection: HTTPConnection, body: bytes) -> None:
    """Read the answer; Unavailable where it is another one."""
    response = connection.getresponse()
    if (response.status, answered := response.read()) != (200, body):
        raise Unavailable(f"port {connection.port} answered {response.status} with {len(answered)} bytes, not 200 with {len(body)}")
