"""`python -m bench [--rounds N] [--seconds S] [--only PART] [--json FILE]`: prints a table of ratios, each with its goal.

All candidates are started once, then loaded in turn in shuffled order, round by round; a ratio is taken within its round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
from nacl import bindings

from bench.blobstore import Blobs
from bench.blobstore_s3 import a_server
from bench.figures import Figure, figures
from bench.http import Http
from bench.keyvalue import KeyValueStores
from bench.processes import ANY_PORT, Running, answered, compile_yardstick, echo_yardstick, invocation, load, start_provider
from bench.wrpc import Wrpc
from provider_sdk.errors import ProviderError
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.transport.base import Credentials, Transport
from provider_sdk.transport.nats import connect
from tests.frozen import frozen

PARTS = ("rpc", "wrpc", "requests", "http", "keyvalue", "blobstore", "starts", "memory")
ARGUMENT: bytes = msgpack.packb("x" * 240)


@dataclass(frozen=True)
class Started:
    """A provider, by its module or the path of a program, and its one link."""

    program: str | Path
    contract: str
    values: Mapping[str, str]


@dataclass
class Bench:
    """One run."""

    program: Path
    port: int
    url: str
    transport: Transport
    folder: Path
    seconds: float
    rows: dict[str, Figure]

    async def rpc(self, rounds: int) -> None:
        """R1, R2, R4, R5, R6: three responders under the same load."""
        async with echo_yardstick(self.program, self.port) as echo:
            unsigned = await start_provider(self.url, "bench.echo_provider", "bench:echo", BENCH_UNSIGNED="1")
            signed = await start_provider(self.url, "bench.echo_provider", "bench:echo")
            try:
                payloads = {}
                for name, running in (("unsigned", unsigned), ("signed", signed)):
                    payloads[name] = self.folder / name
                    payloads[name].write_bytes(invocation(running.key, ARGUMENT))
                    await answered(self.transport, running.subject, payloads[name].read_bytes())
                payloads["echo"] = payloads["unsigned"]
                candidates = {"echo": echo, "unsigned": unsigned, "signed": signed}
                for _ in range(rounds):
                    await self._rpc_round(candidates, payloads)
            finally:
                await unsigned.stop()
                await signed.stop()
        await self._gets(rounds)

    async def _gets(self, rounds: int) -> None:
        """K7: a whole provider that looks a key up in memory."""
        running = await start_provider(self.url, "providers.keyvalue", "wasmcloud:keyvalue", values={"url": "memory://"})
        try:
            payload = self.folder / "get"
            payload.write_bytes(invocation(running.key, msgpack.packb("key"), "KeyValue.Get", "wasmcloud:keyvalue"))
            await answered(self.transport, running.subject, payload.read_bytes())
            for _ in range(rounds):
                figures = await load(self.program, self.port, running, 32, self.seconds, payload)
                self.rows["K7"].values.append(figures["responder_cpu_us"])
        finally:
            await running.stop()

    async def _rpc_round(self, candidates: dict[str, Running], payloads: dict[str, Path]) -> None:
        single, many = {}, {}
        for name in random.sample(["echo", "unsigned"], 2):
            single[name] = await load(self.program, self.port, candidates[name], 1, self.seconds, payloads[name])
        for name in random.sample(sorted(candidates), 3):
            many[name] = await load(self.program, self.port, candidates[name], 64, self.seconds, payloads[name])
        self.rows["R1"].values.append(single["unsigned"]["p50"] / single["echo"]["p50"])
        self.rows["R2"].values.append(single["unsigned"]["p99"] / single["echo"]["p99"])
        self.rows["R4"].values.append(many["unsigned"]["rate"] / many["echo"]["rate"])
        self.rows["R5"].values.append(many["unsigned"]["responder_cpu_us"])
        self.rows["R6"].values.append(many["signed"]["rate"] * verify_seconds())

    async def requests(self, rounds: int) -> None:
        """R7: this process asks the C responder, 32 at a time."""
        async with echo_yardstick(self.program, self.port) as echo:
            payload = b"x" * 1400

            async def ask(until: float) -> int:
                count = 0
                while time.perf_counter() < until:
                    await self.transport.request(echo.subject, payload, timeout=2.0)
                    count += 1
                return count

            for _ in range(rounds):
                cpu, until = time.process_time(), time.perf_counter() + self.seconds
                counts = await asyncio.gather(*(ask(until) for _ in range(32)))
                self.rows["R7"].values.append((time.process_time() - cpu) / sum(counts) * 1e6)

    async def starts(self, rounds: int) -> None:
        """S1, S2: from spawn to the first health answer and to the subscription, over a bare interpreter, warm."""
        numbergen = Started("providers.numbergen", "wasmcloud:numbergen", ANY_PORT)
        in_one_file = Started(frozen("numbergen"), "wasmcloud:numbergen", ANY_PORT)
        httpserver = Started("providers.httpserver", "wasmcloud:httpserver", ANY_PORT)
        with a_server(self.folder / "s3") as server:
            blobstore = Started("providers.blobstore", "wasmcloud:blobstore", server.settings)
            for number in range(rounds + 1):
                bare = await timed(bare_python)
                taken = {
                    "S1": await self._start(numbergen, ".health", b""),
                    "S1s": await self._start(numbergen, "", b"\xc0"),
                    "S1f": await self._start(in_one_file, ".health", b""),
                    "S2h": await self._start(httpserver, ".health", b""),
                    "S2b": await self._start(blobstore, ".health", b""),
                }
                for row, seconds in taken.items():
                    if number:
                        self.rows[row].values.append((seconds - bare) * 1e3)

    async def _start(self, what: Started, suffix: str, payload: bytes) -> float:
        started = time.perf_counter()
        running = await start_provider(self.url, what.program, what.contract, what.values)
        try:
            return await answered(self.transport, running.subject + suffix, payload) - started
        finally:
            await running.stop()

    async def memory(self, rounds: int) -> None:
        """M1: resident memory a second after the first health answer."""
        for row, module, contract in (
            ("M1", "providers.numbergen", "wasmcloud:numbergen"),
            ("M1h", "providers.httpserver", "wasmcloud:httpserver"),
        ):
            running = await start_provider(self.url, module, contract)
            try:
                await answered(self.transport, running.subject + ".health")
                await asyncio.sleep(1.0)
                self.rows[row].values.append(running.rss_mb())
            finally:
                await running.stop()


async def timed(work: Callable[[], Awaitable[None]]) -> float:
    """Wall seconds of `work`."""
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def bare_python() -> None:
    """`python -c pass`."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass", stdin=subprocess.DEVNULL)
    await process.wait()


def verify_seconds() -> float:
    """libsodium's time for one Ed25519 verification of a message of the usual size, now on this machine."""
    message = b"x" * 700
    public, secret = bindings.crypto_sign_seed_keypair(b"\1" * 32)
    signed = bindings.crypto_sign(message, secret)
    started = time.process_time()
    for _ in range(1000):
        bindings.crypto_sign_open(signed, public)
    return (time.process_time() - started) / 1000


async def run(options: argparse.Namespace) -> dict[str, Figure]:
    """The whole bench."""
    rows = figures()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        program = compile_yardstick(folder)
        async with NatsServer.start() as server:
            transport = await connect(Credentials(server.url, name="bench"))
            try:
                bench = Bench(program, server.port, server.url, transport, folder, options.seconds, rows)
                http = Http(program, server.port, server.url, transport, folder, options.seconds, rows)
                stores = KeyValueStores(options.json.parent, options.seconds, rows)
                blobs = Blobs(program, server.port, server.url, transport, folder, options.json.parent, options.seconds, rows)
                wrpc = Wrpc(program, server.port, server.url, transport, folder, options.seconds, rows)
                measures = (
                    bench.rpc,
                    wrpc.measure,
                    bench.requests,
                    http.measure,
                    stores.measure,
                    blobs.measure,
                    bench.starts,
                    bench.memory,
                )
                parts = dict(zip(PARTS, measures, strict=True))
                for part in options.only or PARTS:
                    await parts[part](options.rounds)
            finally:
                await transport.close()
    return rows


def main() -> int:
    """Parse, run, print; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", action="append", choices=PARTS, help="may be given several times")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args()
    try:
        rows = asyncio.run(run(options))
    except ProviderError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(f"{'':4} {'':52} {'median':>8} {'':4} {'range':>15}   goal")
    for row in rows.values():
        if row.values or row.left_out:
            print(row.row())
    measured = [row for row in rows.values() if row.values]
    result: dict[str, Any] = {
        row.id: {"what": row.what, "unit": row.unit, "median": row.median, "values": row.values, "met": row.met} for row in measured
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return 0 if all(row.met for row in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
