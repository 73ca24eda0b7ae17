"""Real Redis servers for tests: one, a cluster, one with a replica under a sentinel. On loopback, their data in a folder of the test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from provider_sdk.lattice.nats_server import GUARD
from tests.integration.certificates import Pair
from tests.servers.ports import free_port

STARTING = 120.0
BUS = 10_000
SLOTS = 16384
SERVICE = "main"


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """AssertionError with `what` where it does not come true."""
    end = time.monotonic() + STARTING
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class RedisServer:
    """One process, which may be ended and begun again on its port. `login` is for the commands that the test itself gives."""

    def __init__(self, folder: Path, *options: str, port: int = 0, tls: tuple[Pair, Path] | None = None, **login: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._folder = folder
        self._options = options
        self._tls = tls
        self._login = login
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid = 0

    @property
    def url(self) -> str:
        """Without a login."""
        return f"redis{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def start(self) -> RedisServer:
        """Begin, and wait until it answers."""
        found = shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"
        config = self._folder / "server.conf"
        if not config.exists():
            config.write_text(f'bind 127.0.0.1\ndir {self._folder}\nsave ""\n')
        words = [found, str(config), "--logfile", str(self._folder / "log"), *self._listening(), *self._options]
        # Under a guard, because a test run that is killed would leave it.
        self._guard = subprocess.Popen([sys.executable, "-I", str(GUARD), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._guard.stdout is not None
        self._pid = int(self._guard.stdout.readline().split()[0])
        wait_until(self._answers, f"redis-server does not answer; its log is in {self._folder}")
        return self

    def _listening(self) -> list[str]:
        if self._tls is None:
            return ["--port", str(self.port)]
        pair, authority = self._tls
        files = ("--tls-cert-file", str(pair.cert), "--tls-key-file", str(pair.key), "--tls-ca-cert-file", str(authority))
        return ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no", *files]

    def _answers(self) -> bool:
        assert self._guard is not None and self._guard.poll() is None, f"redis-server has ended; its log is in {self._folder}"
        try:
            self.command("PING")
        except redis.exceptions.ConnectionError:
            return False
        except redis.exceptions.ResponseError:
            return True
        return True

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
            self.kill()

    def command(self, *words: str | bytes | int) -> Any:
        """The reply to a command as any client gives it."""
        return self.commands(words)[0]

    def commands(self, *commands: Sequence[str | bytes | int]) -> list[Any]:
        """The replies to several, on one connection."""
        ca: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self._tls[1]), "ssl_check_hostname": False} if self._tls else {}
        with redis.Redis("127.0.0.1", self.port, protocol=2, retry=Retry(NoBackoff(), 0), **self._login, **ca) as client:  # type: ignore[arg-type]
            return [client.execute_command(*words) for words in commands]


@contextmanager
def running(folder: Path, *options: str, **more: Any) -> Iterator[RedisServer]:
    """One server for as long as the block lasts."""
    server = RedisServer(folder, *options, **more)
    try:
        yield server.start()
    finally:
        server.stop()


@contextmanager
def cluster(folder: Path, primaries: int = 3, replicas: int = 0) -> Iterator[list[RedisServer]]:
    """Primaries with equal shares of the slots, then replicas of the first of them."""
    with ExitStack() as stack:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
        ports = [free_port(BUS) for _ in range(primaries + replicas)]
        nodes = [stack.enter_context(running(folder / f"node{port}", *options, port=port)) for port in ports]
        bounds = [SLOTS * number // primaries for number in range(primaries + 1)]
        for node, first, behind in zip(nodes, bounds, bounds[1:], strict=False):
            node.command("CLUSTER", "ADDSLOTS", *range(first, behind))
        for number, node in enumerate(nodes):
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port)
        wait_until(lambda: all(_knows(node, len(nodes)) for node in nodes), "the nodes of the cluster do not find each other")
        for node in nodes[primaries:]:
            node.command("CLUSTER", "REPLICATE", nodes[0].command("CLUSTER", "MYID"))
            wait_until(lambda node=node: b"master_link_status:up" in _told(node, "INFO", "replication"), "the replica does not follow")  # type: ignore[misc]
        wait_until(lambda: all(b"cluster_state:ok" in _told(node, "CLUSTER", "INFO") for node in nodes), "the cluster does not get ready")
        yield nodes


def _told(node: RedisServer, *words: str) -> bytes:
    """The reply as it is on the wire, which the library would take apart."""
    with socket.create_connection(("127.0.0.1", node.port)) as connection, connection.makefile("rb") as replies:
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return replies.read(int(replies.readline()[1:]))


def _knows(node: RedisServer, number: int) -> bool:
    lines = _told(node, "CLUSTER", "NODES").splitlines()
    return len(lines) == number and not any(b"handshake" in line for line in lines)


def _follows(replicas: list[list[bytes]]) -> bool:
    return any(b"ok" in replica and b"slave" in replica for replica in replicas)


@contextmanager
def sentinels(folder: Path) -> Iterator[tuple[RedisServer, RedisServer, RedisServer]]:
    """A primary, its replica, and a sentinel that makes the replica the primary half a second after the primary is gone."""
    with ExitStack() as stack:
        primary = stack.enter_context(running(folder / "primary", "--repl-diskless-sync-delay", "0"))
        replica = stack.enter_context(running(folder / "replica", "--replicaof", "127.0.0.1", str(primary.port)))
        wait_until(lambda: b"master_link_status:up" in _told(replica, "INFO", "replication"), "the replica does not follow")
        watch = folder / "sentinel"
        watch.mkdir()
        rules = (f"monitor {SERVICE} 127.0.0.1 {primary.port} 1", f"down-after-milliseconds {SERVICE} 500")
        (watch / "server.conf").write_text("bind 127.0.0.1\n" + "".join(f"sentinel {rule}\n" for rule in rules))
        sentinel = stack.enter_context(running(watch, "--sentinel"))
        wait_until(lambda: _follows(sentinel.command("SENTINEL", "REPLICAS", SERVICE)), "the sentinel does not know the replica")
        yield primary, replica, sentinel
