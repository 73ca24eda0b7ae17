"""What lies between one client and its NATS server: it can be stopped up, cut and mended, while others reach the server as before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.transport.base import Transport

PIECE = 1 << 16


class Cable:
    """Connections to `end` lead to the server."""

    def __init__(self, server: NatsServer) -> None:
        self._to = urlsplit(server.url)
        self._listening: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self.end = NatsServer("", 0)

    async def mend(self) -> None:
        """Take connections, at the same place as before, and let everything pass."""
        self.go_on()
        self._listening = await asyncio.start_server(self._connected, "127.0.0.1", self.end.port)
        self.end.port = self._listening.sockets[0].getsockname()[1]
        self.end.url = f"nats://127.0.0.1:{self.end.port}"

    def stop_up(self) -> None:
        """Nothing more of the client reaches the server; what comes from there passes."""
        self._passes.clear()

    def go_on(self) -> None:
        """As before."""
        self._passes.set()

    async def cut(self) -> None:
        """End all connections with a reset, and take none."""
        if self._listening is not None:
            self._listening.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._to.hostname, self._to.port)
        for work in (self._pass_on(reader, back, self._passes), self._pass_on(there, writer)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event | None = None) -> None:
        try:
            while data := await reader.read(PIECE):
                if passes is not None:
                    await passes.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def a_cable(server: NatsServer) -> AsyncIterator[Cable]:
    """A cable to the server, whole."""
    cable = Cable(server)
    await cable.mend()
    try:
        yield cable
    finally:
        await cable.cut()


async def fill(transport: Transport) -> asyncio.Task[None]:
    """Send until something has to wait in line, which is what is given."""
    while True:
        sending = asyncio.create_task(transport.publish("bulk", bytes(1 << 20), within=20))
        await asyncio.sleep(0.02)
        if not sending.done():
            return sending
