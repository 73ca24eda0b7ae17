"""What the bench starts and reads: the C yardstick, providers as a host would start them, their CPU and memory."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from provider_sdk.errors import ProviderError, Unavailable
from provider_sdk.hosts.wasmbus.claims import sign_invocation_claims
from provider_sdk.hosts.wasmbus.envelope import Entity, Invocation, encode_invocation
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import Transport

LATTICE = "bench"
CLUSTER = KeyPair.generate(Prefix.CLUSTER)
HOST = KeyPair.generate(Prefix.SERVER)
ACTOR = KeyPair.generate(Prefix.MODULE)
ANY_PORT: Mapping[str, str] = MappingProxyType({"port": "0"})
TICK = os.sysconf("SC_CLK_TCK")


def compile_yardstick(folder: Path, name: str = "natsraw") -> Path:
    """A C program of this folder, built with gcc -O2 into `folder`; Unavailable without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler found: the yardstick is a C program, install gcc")
    program = folder / name
    subprocess.run([compiler, "-O2", "-w", "-o", str(program), str(Path(__file__).with_name(f"{name}.c"))], check=True)
    return program


@dataclass
class Running:
    """A process under load."""

    process: asyncio.subprocess.Process
    subject: str
    key: str = ""

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss_mb(self) -> float:
        """Resident memory."""
        return memory_mb(self.process.pid, "VmRSS")

    async def stop(self) -> None:
        """End it."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


def memory_mb(pid: int, what: str) -> float:
    """VmRSS (resident now) or VmHWM (the most it ever was) of a process in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise Unavailable(f"process {pid} has no {what} line: it has ended")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def listening(port: int, process: asyncio.subprocess.Process | None = None, *, within: float = 10.0) -> None:
    """Wait until somebody takes connections at `port`; Unavailable after `within` seconds, or as soon as `process` has ended."""
    limit = time.perf_counter() + within
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            ended = process is not None and process.returncode is not None
            if ended or time.perf_counter() > limit:
                raise Unavailable(f"nobody listens on port {port}" + (": the process has ended" if ended else "")) from None
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return


def host_data(url: str, key: str, contract: str, values: Mapping[str, str]) -> bytes:
    """The line that a Rust host writes."""
    link = {"actor_id": ACTOR.public, "provider_id": key, "link_name": "default", "contract_id": contract, "values": dict(values)}
    data = {
        "host_id": HOST.public,
        "lattice_rpc_prefix": LATTICE,
        "link_name": "default",
        "lattice_rpc_user_jwt": "",
        "lattice_rpc_user_seed": "",
        "lattice_rpc_url": url,
        "provider_key": key,
        "invocation_seed": CLUSTER.seed,
        "env_values": {},
        "instance_id": "bench",
        "link_definitions": [link],
        "cluster_issuers": [CLUSTER.public],
        "default_rpc_timeout_ms": 2000,
        "structured_logging": False,
        "otel_config": {"traces_exporter": None, "exporter_otlp_endpoint": None},
    }
    return base64.b64encode(json.dumps(data).encode()) + b"\r\n"


async def start_provider(url: str, program: str | Path, contract: str, values: Mapping[str, str] = ANY_PORT, **environment: str) -> Running:
    """Spawn `python -m program`, or the program of a path, as a Rust host would, with one link of these values; not yet waited for."""
    key = KeyPair.generate(Prefix.PROVIDER).public
    command = [str(program)] if isinstance(program, Path) else [sys.executable, "-m", program]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=Path(__file__).parent.parent
    )
    assert process.stdin is not None
    process.stdin.write(host_data(url, key, contract, values))
    process.stdin.close()
    return Running(process, f"wasmbus.rpc.{LATTICE}.{key}.default", key)


async def answered(transport: Transport, subject: str, payload: bytes = b"", *, within: float = 10.0) -> float:
    """Ask until somebody answers; the moment of that, perf_counter seconds."""
    limit = time.perf_counter() + within
    while True:
        try:
            await transport.request(subject, payload, timeout=2.0)
            return time.perf_counter()
        except ProviderError:
            if time.perf_counter() > limit:
                raise
            await asyncio.sleep(0.001)


def invocation(key: str, argument: bytes, operation: str = "Echo.Echo", contract: str = "bench:echo") -> bytes:
    """A signed Invocation, of about 1.4 KB with the bench's argument."""
    origin, target = Entity(ACTOR.public, "", ""), Entity(key, "default", contract)
    identifier = "0189f7a0-4b5c-4d7e-8c1d-2f3a4b5c6d7e"
    claims = sign_invocation_claims(CLUSTER, identifier, origin, target, operation, argument)
    return encode_invocation(Invocation(origin, target, operation, argument, identifier, claims, HOST.public, len(argument)))


@asynccontextmanager
async def yardstick(program: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A C program that is ready; Unavailable where it ends instead."""
    process = await asyncio.create_subprocess_exec(str(program), *arguments, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if await process.stdout.readline() != b"READY\n":
            raise Unavailable(f"{program.name} ended at once")
        yield process
    finally:
        await Running(process, "").stop()


@asynccontextmanager
async def echo_yardstick(program: Path, port: int) -> AsyncIterator[Running]:
    """The C responder."""
    async with yardstick(program, "echo", str(port), "bench.echo") as process:
        yield Running(process, "bench.echo")


async def load(
    program: Path, port: int, running: Running, in_flight: int, seconds: float, payload: Path, *, numbers: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Load one responder; natsraw's figures and the CPU µs that the responder spent on each message.

    `numbers`: the file has a payload for each in flight, and at which byte of them is a number that grows by how much.
    """
    arguments = [str(program), "load", str(port), running.subject, str(in_flight), str(seconds), "0.3", f"@{payload}"]
    arguments += map(str, numbers or ())
    started = running.cpu_seconds()
    process = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        raise Unavailable(f"the load generator ended with {process.returncode} on {running.subject}")
    figures: dict[str, Any] = json.loads(out)
    # The CPU clock ran during the warm-up as well.
    messages = figures["n"] * (seconds + 0.3) / seconds
    figures["responder_cpu_us"] = (running.cpu_seconds() - started) / messages * 1e6
    return figures
