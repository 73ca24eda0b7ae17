"""A real NATS server for development and tests: found, started on a free loopback port, and gone when its owner is, however that ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from provider_sdk.errors import NotFound, Unavailable

GUARD = Path(__file__).with_name("guard.py")
READY_WITHIN = 10.0


def find_program() -> Path:
    """nats-server of the wheel beside this interpreter, else on PATH; NotFound."""
    beside = Path(sys.executable).with_name("nats-server")
    if beside.exists():
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise NotFound("no nats-server found: install provider-sdk[lattice], put nats-server on PATH, or set NATS_URL to a running server")
    return Path(found)


@dataclass(eq=False)
class NatsServer:
    """A server process under its guard, or (`guard` None) one that somebody else runs."""

    url: str
    port: int
    folder: Path | None = None
    arguments: tuple[str, ...] = ()
    pid: int = 0
    guard: asyncio.subprocess.Process | None = None

    @classmethod
    @asynccontextmanager
    async def start(
        cls, *, url: str | None = None, arguments: Sequence[str] = (), jetstream: bool = True, port: int = 0
    ) -> AsyncIterator[NatsServer]:
        """A running server. `url` (default: NATS_URL) names one that runs already; otherwise one is started, ended and cleaned up."""
        existing = os.environ.get("NATS_URL", "") if url is None else url
        if existing:
            yield cls(existing, int(existing.rpartition(":")[2]) if existing.rpartition(":")[2].isdigit() else 4222)
            return
        server = cls("", port or _free_port(), arguments=(*arguments, "-js") if jetstream else tuple(arguments))
        await server.launch()
        try:
            yield server
        finally:
            await server.stop()

    async def launch(self) -> None:
        """Start the process on its port and wait until it takes connections; Unavailable where it does not."""
        program = find_program()
        self.folder = Path(tempfile.mkdtemp(prefix="provider-nats-"))
        command = [sys.executable, "-I", str(GUARD), str(self.folder), str(program)]
        options = ["-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self.folder / "js"), "-l", str(self.folder / "log"), *self.arguments]
        self.guard = await asyncio.create_subprocess_exec(*command, *options, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        assert self.guard.stdout is not None
        self.pid = int(await self.guard.stdout.readline() or 0)
        self.url = f"nats://127.0.0.1:{self.port}"
        await self._until_ready()

    async def _until_ready(self) -> None:
        assert self.folder is not None
        assert self.guard is not None
        try:
            async with asyncio.timeout(READY_WITHIN):
                while True:
                    if self.guard.returncode is not None:
                        raise Unavailable(f"nats-server ended at once on port {self.port}")
                    with contextlib.suppress(OSError):
                        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        greeting = await reader.readline()
                        writer.close()
                        with contextlib.suppress(OSError):
                            await writer.wait_closed()
                        if greeting.startswith(b"INFO ") and json.loads(greeting[5:]):
                            return
                    await asyncio.sleep(0.01)
        except TimeoutError:
            await self.stop()
            raise Unavailable(f"nats-server took no connections on port {self.port} within {READY_WITHIN:g} s") from None

    async def stop(self) -> None:
        """End the process (SIGTERM, after two seconds SIGKILL) and remove its folder."""
        if self.guard is None:
            return
        assert self.guard.stdin is not None
        self.guard.stdin.close()
        await self.guard.wait()
        self.guard = None

    async def kill(self) -> None:
        """SIGKILL the server."""
        os.kill(self.pid, signal.SIGKILL)
        if self.guard is not None:
            await self.guard.wait()
            self.guard = None

    async def restart(self) -> None:
        """SIGKILL, if it runs, and start anew on the same port, without what it stored."""
        if self.guard is not None:
            await self.kill()
        await self.launch()

    def pause(self) -> None:
        """SIGSTOP: connections stay, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def lame_duck(self) -> None:
        """Have the server announce its end, close its connections one by one, and stop."""
        os.kill(self.pid, signal.SIGUSR2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
