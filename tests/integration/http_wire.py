"""A client that writes bytes and reads answers, one connection at a time: what a library would not send, and when it would not."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.http_front import Answer, Heard

WITHIN = 60.0
CLOSED_WITHIN = 25.0
"""Less than the idle_timeout of a link that says nothing of it, which ends connections too."""
MANY = 6 << 20
"""Bytes of a body that are more than both systems' buffers take."""


@dataclass
class Wire:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *lines: str, body: bytes = b"") -> None:
        """A head of `lines`, with a Host unless they have one, and what follows it."""
        given = list(lines) if any(line.lower().startswith("host:") for line in lines) else [*lines, "host: here"]
        await self.write("\r\n".join([*given, "", ""]).encode("latin-1") + body)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """The next answer; one of 1xx counts."""
        async with asyncio.timeout(WITHIN):
            start = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *fields = start.rstrip("\r\n").split("\r\n")
            header = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
            answer = Answer(int(first.split()[1]), header, b"")
            if answer.values("transfer-encoding") == ["chunked"] and not bodiless:
                return Answer(answer.status, header, b"".join([chunk async for chunk in self.chunks()]))
            length = 0 if bodiless else int((answer.values("content-length") or ["0"])[0])
            return Answer(answer.status, header, await self.reader.readexactly(length))

    async def head(self) -> Answer:
        """The next answer without its body, which may be still to come."""
        return await self.answer(bodiless=True)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks of a body as they come; IncompleteReadError where it is cut off."""
        while True:
            length = int((await self.reader.readuntil(b"\r\n")), 16)
            chunk = await self.reader.readexactly(length + 2)
            if not length:
                return
            yield chunk[:-2]

    async def ask(self, *lines: str, body: bytes = b"") -> Answer:
        await self.send(*lines, body=body)
        return await self.answer(bodiless=lines[0].startswith("HEAD"))

    async def rest(self) -> bytes:
        """All until the server closes."""
        async with asyncio.timeout(CLOSED_WITHIN):
            return await self.reader.read()

    async def is_open(self) -> bool:
        """Whether the server keeps the connection: it says nothing and does not close for a moment."""
        try:
            async with asyncio.timeout(0.1):
                return bool(await self.reader.read(1))
        except TimeoutError:
            return True


@asynccontextmanager
async def connected(port: int, **tls: Any) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26, **tls)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def metric(port: int, name: str) -> float:
    """The value of a metric without labels, 0 where it is not there yet."""
    async with connected(port) as wire:
        await wire.send("GET /metrics HTTP/1.1", "connection: close")
        page = (await wire.rest()).decode()
    found = re.search(rf"^{name} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def comes_to(port: int, name: str, value: float, within: float = CLOSED_WITHIN) -> None:
    """Returns when a metric has the value."""
    async with asyncio.timeout(within):
        while await metric(port, name) != value:
            await asyncio.sleep(0.05)


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) << 10


def complaints(it: Heard) -> list[str]:
    """Lines of the provider that no client should be able to cause."""
    return [line for line in it.lines if re.search(r"ERROR|CRITICAL|Traceback|never retrieved|never awaited", line)]
