"""K4: the Redis store, measured at the backend, against what redis-benchmark does with the same server and the same number of callers."""

from __future__ import annotations

import asyncio
import csv
import random
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.figures import Figure
from bench.processes import free_port, listening
from provider_sdk import Secret
from provider_sdk.errors import Unavailable
from provider_sdk.lattice.nats_server import GUARD
from providers.keyvalue.backend import Backend
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.stores import one_store

CALLERS = 32
KEYS = 1000
VALUE = b"x" * 100
PROGRAMS = {"redis-server": "redis-server", "redis-benchmark": "redis-tools"}


def missing_for_redis() -> str:
    """Which programs this machine has not, and where they come from; empty where it has all."""
    return ", ".join(f"no {name} found (Debian package {package})" for name, package in PROGRAMS.items() if shutil.which(name) is None)


async def measure_redis(row: Figure, folder: Path, seconds: float, rounds: int) -> None:
    """Fill the row, or say why not."""
    row.left_out = missing_for_redis()
    if row.left_out:
        return
    async with redis_server() as port, one_store(KeyValueConfig(url=Secret(f"redis://127.0.0.1:{port}")), folder) as store:
        backend = store.namespace("")
        await backend_rate(backend, 0.2)
        for _ in range(rounds):
            rates = {}
            for name in random.sample(["yardstick", "backend"], 2):
                rates[name] = await (yardstick_rate(port, seconds) if name == "yardstick" else backend_rate(backend, seconds))
            row.values.append(rates["backend"] / rates["yardstick"])


@asynccontextmanager
async def redis_server() -> AsyncIterator[int]:
    """A server that keeps nothing on disk; its port."""
    port = free_port()
    program = shutil.which("redis-server")
    assert program is not None
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    pipe = subprocess.PIPE
    guard = await asyncio.create_subprocess_exec(sys.executable, "-I", str(GUARD), program, *options, stdin=pipe, stdout=pipe)
    try:
        await listening(port, guard)
        yield port
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        await guard.communicate()


async def backend_rate(backend: Backend, seconds: float) -> float:
    """Operations a second of callers of which each sets a key and gets it, without a pause."""
    done, end = 0, time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            key = b"key:%d" % random.randrange(KEYS)
            await backend.set(key, VALUE, 0)
            await backend.get(key)
            done += 2

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / (time.perf_counter() - started)


async def yardstick_rate(port: int, seconds: float) -> float:
    """The same of redis-benchmark: as many sets as gets."""
    number = 2000
    while True:
        rates, took = await _redis_benchmark(port, number)
        if took >= seconds / 2 or number >= 5_000_000:
            return 2 / sum(1 / rate for rate in rates)
        number = int(number * min(20.0, 1.1 * seconds / took)) + 1


async def _redis_benchmark(port: int, number: int) -> tuple[list[float], float]:
    size = ["-c", str(CALLERS), "-n", str(number), "-d", str(len(VALUE)), "-r", str(KEYS)]
    words = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), *size, "-t", "set,get", "--csv"]
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out, _ = await process.communicate()
    rows = list(csv.reader(out.decode().splitlines()))
    rates = [float(row[1]) for row in rows if row and row[0] in {"SET", "GET"}]
    if process.returncode or len(rates) != 2:
        raise Unavailable(f"redis-benchmark ended with {process.returncode}")
    return rates, time.perf_counter() - started
