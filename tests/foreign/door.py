"""A real httpserver with actors behind it, and raw connections to it: what is sent, and how cut, what is answered, what an actor saw."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse, HttpServer
from provider_sdk.testing import Provided, TestLattice, a_lattice
from tests.tiers import scale

PATIENT = 5.0
SOON = 0.3
BETWEEN_PIECES = 0.003
SIDE_BY_SIDE = 4
UNTIL_THE_END = 1 << 30

NEXT = b"GET /next HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
BARRIER = b"GET /barrier HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
OF_THE_CONNECTION = frozenset(("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"))
ADDED_BY_US = frozenset(("x-request-id",))

Pieces = Sequence[bytes]


@dataclass(frozen=True)
class Outcome:
    """What came of an input: the status of each answer, whether the server closed, every request that reached the actor."""

    pieces: Pieces
    statuses: tuple[int, ...]
    closed: bool
    seen: tuple[HttpRequest, ...]

    def __str__(self) -> str:
        """For a test that fails: what was sent, cut as it was, and what came of it."""
        sent = " | ".join(repr(piece)[1:] for piece in self.pieces)[:2000]
        return f"{sent} -> {self.statuses} {'closed' if self.closed else 'open'} {self.seen}"

    @property
    def refused(self) -> bool:
        """Whether nothing reached the actor, at most an error was answered, and the connection ended."""
        return not self.seen and self.closed and len(self.statuses) <= 1 and all(400 <= status <= 599 for status in self.statuses)

    @property
    def requests(self) -> tuple[HttpRequest, ...]:
        """What reached the actor, without the request that was sent behind the input, which has to come as it was sent."""
        if self.seen and self.seen[-1].path == "/next":
            assert self.seen[-1] == HttpRequest("GET", "/next", "", {"host": ["here"]}, b""), str(self)
            return self.seen[:-1]
        return self.seen


def each(outcomes: Iterable[Outcome], holds: Callable[[Outcome], bool]) -> None:
    """Fail with the first outcome for which `holds` is false."""
    wrong = [str(outcome) for outcome in outcomes if not holds(outcome)]
    assert not wrong, f"{len(wrong)} ways to send it go wrong; the first: {wrong[0]}"


def told(request: HttpRequest) -> str:
    """A request in a line: method, target, body."""
    target = request.path + (f"?{request.query_string}" if request.query_string else "")
    return f"{request.method} {target if len(target) < 80 else target[:3] + '…'} {request.body.decode('latin-1')}".rstrip(" ")


class Actor(HttpServer):
    """Answers 200 and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[HttpRequest] = []

    async def handle_request(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request)
        return HttpResponse(200, {}, b"seen")


@dataclass
class Door:
    """A port of the httpserver, with an actor of its own."""

    port: int
    actor: Actor

    async def exchange(self, pieces: Pieces, *, answers: int = 1, within: float = PATIENT, first: float = 0.0) -> Outcome:
        """Send `pieces`, wait for `answers`, or the end; then, if there is no end, send one more request, and wait for the end.

        Nothing is waited for longer than `within` seconds: SOON, where it is right too that nothing comes. `first` is as long as the
        first answer may take that has to come.
        """
        self.actor.asked.clear()
        async with contextlib.aclosing(await Connection.open(self.port)) as connection:
            await connection.send(pieces)
            statuses, closed = await connection.answers(answers, within, first)
            if len(statuses) == answers and not closed:
                await connection.send([NEXT])
                more, closed = await connection.answers(UNTIL_THE_END, within)
                statuses += more
        return Outcome(pieces, tuple(statuses), closed, await self._seen())

    async def _seen(self) -> tuple[HttpRequest, ...]:
        """All that reached the actor. A request on a connection of its own comes behind whatever was read before it."""
        async with contextlib.aclosing(await Connection.open(self.port)) as connection:
            await connection.send([BARRIER])
            assert await connection.answers(UNTIL_THE_END, PATIENT) == ([200], True)
        assert self.actor.asked[-1].path == "/barrier"
        return tuple(end_to_end(request) for request in self.actor.asked[:-1])


@dataclass
class Doors:
    """The doors of one provider: some alike, and some whose links have settings that answer early."""

    alike: list[Door]
    short: Door
    readonly: Door

    async def every_way(self, ways: Sequence[Pieces], *, answers: int = 1, within: float = PATIENT, first: float = 0.0) -> list[Outcome]:
        """The outcomes of one input that is sent in each of these ways."""
        remaining = iter(ways)

        async def through(door: Door) -> list[Outcome]:
            return [await door.exchange(pieces, answers=answers, within=within, first=first) for pieces in remaining]

        return [outcome for outcomes in await asyncio.gather(*map(through, self.alike)) for outcome in outcomes]


def end_to_end(request: HttpRequest) -> HttpRequest:
    """The request without what concerns the connection, which may or may not be handed on, and what the provider may add."""
    left_out = OF_THE_CONNECTION | ADDED_BY_US
    header = {name: values for name, values in request.header.items() if name not in left_out}
    return replace(request, header=header)


def ways(data: bytes, *behind: bytes) -> list[Pieces]:
    """`data` whole, byte by byte, and in two pieces: cut where a parser has to keep its state, and in front of `behind`."""
    head = data.find(b"\r\n\r\n")
    telling = {data.find(b"\r\n") + 1, head // 2, head + 1, head + 3, head + 4, (head + 4 + len(data)) // 2, len(data) - 1}
    cuts = telling | {data.find(mark) for mark in behind}
    step = max(1, len(data) // scale(test=1, ci=8, soak=1024))
    cuts |= set(range(step, len(data), step))
    two = [(data[:cut], data[cut:]) for cut in sorted(cuts) if 0 < cut < len(data)]
    each = [bytes([byte]) for byte in data[: scale(test=120, ci=400, soak=4000)]]
    return [(data,), (*each, data[len(each) :]), *two]


@dataclass
class Connection:
    """A raw connection that reads answers."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(reader, writer)

    async def send(self, pieces: Iterable[bytes]) -> None:
        """Send each piece on its own, as far as the server reads. Single bytes are not waited between: what is read together is chance."""
        with contextlib.suppress(ConnectionError):
            for number, piece in enumerate(pieces):
                if number and len(piece) > 1:
                    await asyncio.sleep(BETWEEN_PIECES)
                self.writer.write(piece)
                await self.writer.drain()

    async def answers(self, most: int, within: float, first: float = 0.0) -> tuple[list[int], bool]:
        """The statuses of the next answers, and whether the end came: at most `most`, each waited for no longer than `within` seconds,
        the first one `first`, if that is more.
        """
        statuses: list[int] = []
        with contextlib.suppress(TimeoutError):
            while len(statuses) < most:
                async with asyncio.timeout(within if statuses else max(within, first)):
                    status = await self._answer()
                if status is None:
                    return statuses, True
                if status >= 200:
                    statuses.append(status)
        return statuses, False

    async def _answer(self) -> int | None:
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head, re.IGNORECASE)
            await self.reader.readexactly(int(length[1]) if length else 0)
        except asyncio.IncompleteReadError as error:
            assert not error.partial, f"half an answer: {error.partial!r}"
            return None
        except ConnectionError:
            return None
        return int(head.split()[1])

    async def aclose(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def open_doors() -> AsyncIterator[Doors]:
    """An httpserver process with a link for each door."""
    async with a_lattice() as lattice:
        provider = await lattice.process("providers.httpserver", contract=HttpServer.__identity__.contract)
        alike = [await _door(lattice, provider) for _ in range(SIDE_BY_SIDE)]
        yield Doors(alike, await _door(lattice, provider, max_content_len="4"), await _door(lattice, provider, readonly_mode="true"))


async def _door(lattice: TestLattice, provider: Provided, **values: str) -> Door:
    actor = Actor()
    await lattice.link(provider, {"address": "127.0.0.1:0"} | values, actor=await lattice.actor(actor))
    async with asyncio.timeout(60):
        while True:
            for line in provider.output:
                told = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
                if told:
                    provider.output.remove(line)
                    return Door(int(told[1]), actor)
            await asyncio.sleep(0.01)
