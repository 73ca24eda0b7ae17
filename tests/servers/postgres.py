"""A real PostgreSQL for tests: found where Debian puts it, on a free loopback port, and gone when its owner is, however that ends."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it has no annotations

from provider_sdk.lattice.nats_server import GUARD
from tests.servers.ports import free_port

STARTING = 120.0
NOBODY = 65534
# What a killed process has written is the system's: only a power cut would need syncs.
OPTIONS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": "150"}


def program(name: str) -> str | None:
    """One of PostgreSQL's programs: on PATH, else the newest of those that Debian keeps outside of it."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return shutil.which(name) or (str(beside[-1]) if beside else None)


class PostgresServer:
    """One process on one folder of data, which may be ended and begun again on its port. The administrator is postgres:postgres."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._options = options
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._give(folder)
        (folder / "password").write_text("postgres\n")
        how = (
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "--pwfile",
            self._give(folder / "password"),
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        )
        subprocess.run([*_command("initdb"), "-D", folder / "data", *how], check=True, capture_output=True, cwd=folder)

    @classmethod
    @contextmanager
    def running(cls, **options: str) -> Iterator[PostgresServer]:
        """A server for as long as the context lasts; `options` are lines of its configuration."""
        with tempfile.TemporaryDirectory(prefix="kv-pg-") as name:
            server = cls(Path(name), **options)
            server.start()
            try:
                yield server
            finally:
                server.end(signal.SIGQUIT)

    def url(self, database: str = "postgres", login: str = "postgres:postgres", more: str = "sslmode=disable") -> str:
        """For the setting `url`."""
        return f"postgres://{login}@127.0.0.1:{self.port}/{database}?{more}"

    def file(self, source: Path) -> Path:
        """A copy of a file that the server may read, and nobody else."""
        copy = Path(shutil.copy(source, self._folder))
        copy.chmod(0o600)
        return self._give(copy)

    def start(self) -> None:
        """Begin the process, and wait until it takes connections; AssertionError with its last line where it ends instead."""
        options = [f"-c{name}={value}" for name, value in {**OPTIONS, "port": str(self.port), **self._options}.items()]
        command: Sequence[str | Path] = [sys.executable, "-I", GUARD, *_command("postgres"), "-D", self._folder / "data", *options]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self._guard.stdout is not None
        self._pid = int(self._guard.stdout.readline().split()[0])
        limit = time.monotonic() + STARTING
        while not self._ready():
            ended = bool(select.select([self._guard.stdout], [], [], 0.02)[0])
            assert not ended, f"postgres ended at once: {self._guard.stdout.readline().decode()}"
            assert time.monotonic() < limit, "postgres takes no connections"

    def _ready(self) -> bool:
        file = self._folder / "data" / "postmaster.pid"
        lines = file.read_text().splitlines() if file.exists() else []
        # After a SIGKILL the file is still the last one's; the eighth line is the state, padded with blanks.
        return len(lines) > 7 and int(lines[0]) == self._pid and lines[7].strip() == "ready"

    def end(self, how: signal.Signals) -> None:
        """SIGINT: a fast stop, SIGQUIT: without a checkpoint, SIGKILL: as if the machine failed; waits for its sessions too."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        sessions = self._sessions()
        os.kill(self._pid, how)
        guard.communicate()
        limit = time.monotonic() + STARTING
        while any(Path(f"/proc/{pid}").exists() for pid in sessions):
            assert time.monotonic() < limit, "sessions outlive the server"
            time.sleep(0.01)

    def freeze(self) -> None:
        """Stop it and its sessions without closing anything, as a network that is gone."""
        for pid in (self._pid, *self._sessions()):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for pid in (self._pid, *self._sessions()):
            os.kill(pid, signal.SIGCONT)

    async def execute(self, text: str, database: str = "postgres", login: str = "postgres:postgres") -> list[tuple[object, ...]]:
        """A statement of the test's own; the rows of its answer."""
        connection = await asyncpg.connect(self.url(database, login))
        try:
            return [tuple(row) for row in await connection.fetch(text)]
        finally:
            await connection.close()

    def _sessions(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()]

    @staticmethod
    def _give(path: Path) -> Path:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        return path


def _command(name: str) -> list[str]:
    """A program of PostgreSQL, which refuses to be run by root."""
    found = program(name)
    assert found is not None, f"there is no {name}"
    return [*(("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") if os.geteuid() == 0 else ()), found]
