"""The keyvalue rows, measured at the backend: the embedded store against the disk that it lies on (K1, K2)."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure
from bench.keyvalue_postgres import measure_postgres
from bench.keyvalue_redis import measure_redis
from provider_sdk.errors import Unavailable
from providers.keyvalue.backend import Backend
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.stores import one_store

CALLERS = 32
KEYS = 1000
# A page with the header that SQLite's log gives it, and how many of them lie in the log before it begins anew.
RECORD, RECORDS = 4096 + 24, 1000
IN_MEMORY = 100_000


@dataclass
class KeyValueStores:
    """The keyvalue part of one run. The folder for data is below `folder`, which has to be on a disk."""

    folder: Path
    seconds: float
    rows: dict[str, Figure]

    async def measure(self, rounds: int) -> None:
        """Every row for which this machine has the programs."""
        await self.embedded(rounds)
        with tempfile.TemporaryDirectory(prefix="keyvalue-") as name:
            await measure_redis(self.rows["K4"], Path(name), self.seconds, rounds)
        await self.postgres(rounds)

    async def postgres(self, rounds: int) -> None:
        """K6g, K6s."""
        with tempfile.TemporaryDirectory(prefix="keyvalue-") as name:
            await measure_postgres(self.rows, per_second, Path(name), self.seconds, rounds)

    async def embedded(self, rounds: int) -> None:
        """K1, K2: durable sets from many callers and from one, over the syncs that the same disk does in the same round."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="keyvalue-", dir=self.folder) as name:
            data = Path(name)
            async with a_backend(KeyValueConfig(backend="sqlite", durability="full"), data) as backend:
                works: dict[str, Callable[[], Awaitable[float]]] = {
                    "disk": lambda: asyncio.to_thread(syncs_per_second, data / "yardstick", self.seconds),
                    "K1": lambda: per_second(a_set(backend), CALLERS, self.seconds),
                    "K2": lambda: per_second(a_set(backend), 1, self.seconds),
                }
                # The log of the store grows to its size, and every key is there.
                await works["K1"]()
                for _ in range(rounds):
                    rates = {work: await works[work]() for work in random.sample(sorted(works), len(works))}
                    if rates["disk"] > IN_MEMORY:
                        raise Unavailable(f"{self.folder} is no disk: a sync costs nothing there")
                    for row in ("K1", "K2"):
                        self.rows[row].values.append(rates[row] / rates["disk"])


@asynccontextmanager
async def a_backend(config: KeyValueConfig, data: Path) -> AsyncIterator[Backend]:
    """The namespace without a name of the store that these settings mean."""
    async with one_store(config, data) as store:
        yield store.namespace("")


def a_set(backend: Backend) -> Callable[[int], Awaitable[None]]:
    """The operation numbered n: a hundred bytes under one of the keys, never those that are there, which SQLite would not write."""

    async def operation(number: int) -> None:
        await backend.set(b"key %d" % (number % KEYS), b"%0100d" % number, 0)

    return operation


async def per_second(operation: Callable[[int], Awaitable[object]], callers: int, seconds: float) -> float:
    """How often `operation` is done, by so many callers at once, each with its next number."""
    started, done = time.perf_counter(), 0
    first = random.randrange(1 << 60)

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() - started < seconds:
            done += 1
            await operation(first + done)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (time.perf_counter() - started)


def syncs_per_second(path: Path, seconds: float) -> float:
    """How often one record can be written to a file that does not grow, and be synced."""
    done, record = 0, bytes(RECORD)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, bytes(RECORD * RECORDS), 0)
        os.fsync(descriptor)
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            os.pwrite(descriptor, record, done % RECORDS * RECORD)
            os.fdatasync(descriptor)
            done += 1
        return done / (time.perf_counter() - started)
    finally:
        os.close(descriptor)
