"""W1 to W6: calls of 1.x, beside a C responder that speaks the same messages (wrpcraw.c)."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.processes import HOST, LATTICE, Running, answered, compile_yardstick, load, yardstick
from provider_sdk.errors import Unavailable
from provider_sdk.nkeys import CurveKey, KeyPair, Prefix
from provider_sdk.transport.base import Transport

INSTANCE = "bench:flow/flow@0.1.0"
TEXT = b"x" * 240
PIECES, PIECE = 64, 256 << 10


@dataclass
class Wrpc:
    """The part of the bench that is about 1.x. `natsraw` is the yardstick for streams: the same bytes, sent and taken by C."""

    natsraw: Path
    port: int
    url: str
    transport: Transport
    folder: Path
    seconds: float
    rows: dict[str, Figure]

    async def measure(self, rounds: int) -> None:
        """All rows."""
        program = compile_yardstick(self.folder, "wrpcraw")
        async with self._provider() as running, self._echo(program) as echo:
            await answered(self.transport, f"wasmbus.rpc.{LATTICE}.{running.key}.health")
            for _ in range(rounds):
                await self._unary_round(program, {"provider": running, "echo": echo})
                await self._stream_round(program, running)

    async def _unary_round(self, program: Path, candidates: dict[str, Running]) -> None:
        text = self._file("text", bytes([len(TEXT) & 127 | 128, len(TEXT) >> 7]) + TEXT)
        single, many = {}, {}
        for name, candidate in candidates.items():
            subject = f"{candidate.subject}.echo"
            single[name] = await self._load(program, "load", candidate, subject, 1, text)
            many[name] = await self._load(program, "load", candidate, subject, 64, text)
        self.rows["W1"].values.append(single["provider"]["p50"] / single["echo"]["p50"])
        self.rows["W2"].values.append(single["provider"]["p99"] / single["echo"]["p99"])
        self.rows["W4"].values.append(many["provider"]["rate"] / many["echo"]["rate"])
        self.rows["W5"].values.append(many["provider"]["cpu_us"])

    async def _stream_round(self, program: Path, running: Running) -> None:
        """Bytes a second of streams in pieces of 256 KiB, over those of messages of that size between two C programs."""
        asked = self._file("down", _leb(PIECES) + _leb(PIECE))
        down = await self._load(program, "pull", running, f"{running.subject}.down", 4, asked)
        given = self._file("up", _leb(PIECES) + b"\x00")
        up = await self._load(program, "push", running, f"{running.subject}.up", 4, given, str(PIECES), str(PIECE))
        async with yardstick(self.natsraw, "ack", str(self.port), "bench.ack") as process:
            data = self._file("piece", bytes(PIECE))
            messages = await load(self.natsraw, self.port, Running(process, "bench.ack"), 16, self.seconds, data)
        self.rows["W6s"].values.append(down["rate"] * PIECES / messages["rate"])
        self.rows["W6r"].values.append(up["rate"] * PIECES / messages["rate"])

    async def _load(
        self, program: Path, mode: str, running: Running, subject: str, in_flight: int, payload: Path, *more: str
    ) -> dict[str, Any]:
        arguments = [mode, str(self.port), subject, str(in_flight), str(self.seconds), "0.3", f"@{payload}", *more]
        started = running.cpu_seconds()
        process = await asyncio.create_subprocess_exec(str(program), *arguments, stdout=subprocess.PIPE)
        out, _ = await process.communicate()
        if process.returncode:
            raise Unavailable(f"the load generator ended with {process.returncode} on {subject}")
        figures: dict[str, Any] = json.loads(out)
        figures["cpu_us"] = (running.cpu_seconds() - started) / (figures["n"] * (self.seconds + 0.3) / self.seconds) * 1e6
        return figures

    def _file(self, name: str, content: bytes) -> Path:
        path = self.folder / f"wrpc-{name}"
        path.write_bytes(content)
        return path

    @asynccontextmanager
    async def _echo(self, program: Path) -> AsyncIterator[Running]:
        subject = f"{LATTICE}.c.wrpc.0.0.1.{INSTANCE}"
        async with yardstick(program, "echo", str(self.port), f"{subject}.echo", f"{LATTICE}.c") as process:
            yield Running(process, subject)

    @asynccontextmanager
    async def _provider(self) -> AsyncIterator[Running]:
        key = KeyPair.generate(Prefix.PROVIDER).public
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.wrpc_provider",
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd=Path(__file__).parent.parent,
        )
        assert process.stdin is not None
        process.stdin.write(host_data(self.url, key))
        process.stdin.close()
        running = Running(process, f"{LATTICE}.{key}.wrpc.0.0.1.{INSTANCE}", key)
        try:
            yield running
        finally:
            await running.stop()


def host_data(url: str, key: str) -> bytes:
    """The line that a 1.x host writes, with one link from the component `comp`."""
    link = {"source_id": "comp", "target": key, "name": "default", "wit_namespace": "bench", "wit_package": "flow", "interfaces": ["flow"]}
    data = {
        "host_id": HOST.public,
        "lattice_rpc_prefix": LATTICE,
        "link_name": "default",
        "lattice_rpc_url": url,
        "provider_key": key,
        "env_values": {},
        "instance_id": "bench",
        "link_definitions": [{**link, "source_config": {}, "target_config": {}, "source_secrets": None, "target_secrets": None}],
        "config": {},
        "secrets": {},
        "host_xkey_public_key": CurveKey.generate().public,
        "provider_xkey_private_key": CurveKey.generate().seed,
        "default_rpc_timeout_ms": 2000,
    }
    return base64.b64encode(json.dumps(data).encode()) + b"\r\n"


def _leb(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))
