"""A real PostgreSQL for tests: found where Debian puts it, on a free loopback port, with no trace left when its owner is gone."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provider_sdk.lattice.nats_server import GUARD
from tests.integration.http_front import free_port

READY_WITHIN = 30.0
# A killed process leaves what it wrote to the system, so that the disk need not be waited for.
OPTIONS = {"listen_addresses": "127.0.0.1", "fsync": "off", "unix_socket_directories": "", "max_connections": "120", "autovacuum": "on"}


def program(name: str) -> str | None:
    """One of PostgreSQL's programs: on PATH, else the newest of those that Debian keeps beside it."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return shutil.which(name) or (str(beside[-1]) if beside else None)


def as_somebody() -> list[str]:
    """What goes before a command of PostgreSQL, which refuses to be run by root."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []


@contextmanager
def cluster() -> Iterator[Path]:
    """The folder of a new, empty server, whose administrator is `postgres`, with the password `postgres`."""
    with tempfile.TemporaryDirectory(prefix="kv-pg-") as name:
        folder = Path(name)
        password = folder / "password"
        password.write_text("postgres\n")
        if as_somebody():
            os.chown(folder, 65534, 65534)
            os.chown(password, 65534, 65534)
        how = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8", "--locale=C", "--no-sync"]
        initdb = program("initdb")
        assert initdb is not None
        subprocess.run([*as_somebody(), initdb, "-D", str(folder / "data"), *how], check=True, capture_output=True, cwd=folder)
        yield folder / "data"


@dataclass
class PostgresServer:
    """A server process under its guard; it may be stopped, killed and launched again on the same data and port."""

    data: Path
    port: int
    options: dict[str, str] = field(default_factory=dict)
    pid: int = 0
    guard: asyncio.subprocess.Process | None = None

    @classmethod
    @asynccontextmanager
    async def start(cls, **options: str) -> AsyncIterator[PostgresServer]:
        """A running server; `options` are lines of its configuration."""
        with cluster() as data:
            server = cls(data, free_port(), options)
            await server.launch()
            try:
                yield server
            finally:
                await server.end(signal.SIGQUIT)

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "postgres", more: str = "") -> str:
        """For the setting `url`."""
        return f"postgres://{user}:{password}@127.0.0.1:{self.port}/{database}?sslmode=disable{more}"

    async def launch(self) -> None:
        """Start the process, and wait until it takes connections; RuntimeError with its last line where it ends instead."""
        settings = [f"-c{name}={value}" for name, value in {**OPTIONS, "port": str(self.port), **self.options}.items()]
        postgres = program("postgres")
        assert postgres is not None
        command = [sys.executable, "-I", str(GUARD), *as_somebody(), postgres, "-D", str(self.data), *settings]
        pipe = asyncio.subprocess.PIPE
        self.guard = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True)
        assert self.guard.stdout is not None
        self.pid = int((await self.guard.stdout.readline()).split()[0])
        ended = asyncio.ensure_future(self.guard.stdout.readline())
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not await self._ready():
                    if ended.done():
                        raise RuntimeError(f"postgres ended at once: {ended.result().decode()}")
                    await asyncio.wait([ended], timeout=0.02)
        except BaseException:
            await self.end(signal.SIGKILL)
            raise
        finally:
            ended.cancel()

    async def _ready(self) -> bool:
        file = self.data / "postmaster.pid"
        # Its eighth line is the state, padded with blanks.
        lines = await asyncio.to_thread(lambda: file.read_text().splitlines() if file.exists() else [])
        return len(lines) > 7 and int(lines[0]) == self.pid and lines[7].strip() == "ready"

    async def end(self, how: signal.Signals) -> None:
        """SIGINT: a fast stop, SIGQUIT: at once, SIGKILL: as if the machine had failed; awaits that its sessions are gone too."""
        guard, pid, self.guard, self.pid = self.guard, self.pid, None, 0
        if guard is None:
            return
        # It ends its sessions, but for a stopped one, which has to go on first.
        for number in (signal.SIGCONT, how):
            if guard.returncode is None and pid:
                _signal(pid, number)
        assert guard.stdin is not None
        await asyncio.wait_for(guard.stdout.read() if guard.stdout else guard.wait(), READY_WITHIN)
        guard.stdin.close()
        await guard.wait()

    def freeze(self) -> None:
        """Stop the process and its sessions without closing anything, as a network does that is gone."""
        for pid in (self.pid, *self._sessions()):
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for pid in (*self._sessions(), self.pid):
            _signal(pid, signal.SIGCONT)

    def _sessions(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
