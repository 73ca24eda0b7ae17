"""What the HTTP rows need of others: wrk, which loads, and nginx, the yardstick. Both are Debian packages."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import free_port, listening
from provider_sdk.errors import Unavailable
from provider_sdk.lattice.nats_server import GUARD

CONNECTIONS = 32
PACKAGES = {"wrk": "wrk", "nginx": "nginx-light"}
NGINX = """\
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  # The default closes a connection after 1000 requests.
  keepalive_requests 1000000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200; }}
  }}
}}
"""


def missing(*names: str) -> str:
    """Which of these programs this machine has not, and where they come from; empty where it has all."""
    return ", ".join(f"no {name} found (Debian package {PACKAGES[name]})" for name in names if _find(name) is None)


def _find(name: str) -> str | None:
    # Daemons lie in a folder that only the administrator has on PATH.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


@asynccontextmanager
async def nginx(folder: Path) -> AsyncIterator[int]:
    """nginx with one worker, which answers 200 to everything; the port. Unavailable where it does not start."""
    port, program = free_port(), _find("nginx")
    assert program is not None
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(port=port))
    options = ["-p", str(folder), "-e", "error.log", "-c", str(configuration), "-g", "daemon off;"]
    # Under a guard, because its worker would outlive a process that is killed.
    pipe = subprocess.PIPE
    guard = await asyncio.create_subprocess_exec(sys.executable, "-I", str(GUARD), program, *options, stdin=pipe, stdout=pipe)
    try:
        await listening(port, guard)
        yield port
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        await guard.communicate()


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: requests that were answered, their rate and the 99th percentile of their latency, µs."""

    requests: int
    rate: float
    p99: float


async def wrk(port: int, seconds: float, *, method: str = "GET", refused: bool = False) -> Load:
    """Load 127.0.0.1:port from 32 connections in one thread; `refused` where every answer is to be an error's, otherwise none may be."""
    program = _find("wrk")
    assert program is not None
    script, duration = str(Path(__file__).with_name("wrk.lua")), max(1, round(seconds))
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{duration}s", "-s", script, f"http://127.0.0.1:{port}/rpc", "--", method]
    process = await asyncio.create_subprocess_exec(program, *options, stdout=subprocess.PIPE)
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise Unavailable(f"wrk ended with {process.returncode}")
    figures: dict[str, int] = json.loads(out.splitlines()[-1])
    requests = figures["n"]
    if not requests or figures["broken"] or figures["refused"] != (requests if refused else 0):
        raise Unavailable(f"wrk on port {port}: {figures['broken']} broken, {figures['refused']} refused of {requests} requests")
    return Load(requests, requests / figures["duration"] * 1e6, figures["p99"])
