"""A server for tests as a process on loopback, under a guard that ends it with the test run."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from provider_sdk.lattice.nats_server import GUARD

STARTING = 120.0


@dataclass(eq=False, kw_only=True)
class ServerProcess:
    """One process that serves HTTP, which may be ended and begun again on its port.

    `authority` is the PEM file of whoever signed its certificate.
    """

    path: ClassVar[str] = "/"
    """What is asked for to see whether it answers."""

    folder: Path
    port: int
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    authority: Path | None = None
    _guard: subprocess.Popen[bytes] | None = None
    _pid: int = 0

    @property
    def host(self) -> str:
        """Host and port. Certificates are for names."""
        return f"{'localhost' if self.authority else '127.0.0.1'}:{self.port}"

    def start(self) -> Self:
        """Begin, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Under a guard, because a test run that is killed would leave it.
        words = [sys.executable, "-I", str(GUARD), *self.command]
        log = self.folder / "log"
        with log.open("ab") as file:
            self._guard = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, env={**os.environ, **self.environment}
            )
        assert self._guard.stdout is not None
        self._pid = int(self._guard.stdout.readline().split()[0])
        end = time.monotonic() + STARTING
        while not self._answers():
            assert self._guard.poll() is None, f"{self.command[0]} has ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"{self.command[0]} does not answer"
            time.sleep(0.02)
        return self

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.authority)) if self.authority else None
        tls = http.client.HTTPSConnection(self.host, timeout=2.0, context=context) if context else None
        connection = tls or http.client.HTTPConnection(self.host, timeout=2.0)
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """End it as a crash does."""
        os.kill(self._pid, signal.SIGKILL)
        assert self._guard is not None
        self._guard.communicate()

    def pause(self) -> None:
        """Let it hang."""
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it where it runs."""
        if self._guard is not None and self._guard.poll() is None:
            with suppress(ProcessLookupError):
                self.kill()


Server = TypeVar("Server", bound=ServerProcess)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server, started, and ended with the block."""
    try:
        yield server.start()
    finally:
        server.stop()
