"""K6: the PostgreSQL store, measured at the backend, against what pgbench does with the same statements on the same server."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from bench.figures import Figure
from provider_sdk import Secret
from provider_sdk.errors import Unavailable
from providers.keyvalue.backend import Backend
from providers.keyvalue.backends.postgres.statements import Statements
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.stores import one_store
from tests.servers.postgres import PostgresServer, program

CALLERS, CONNECTIONS = 32, 10
KEYS = 1000
VALUE = b"x" * 100
PerSecond = Callable[[Callable[[int], Awaitable[object]], int, float], Coroutine[Any, Any, float]]


def missing_for_postgres() -> str:
    """Which programs this machine has not, and where they come from; empty where it has all."""
    return ", ".join(f"no {name} found (Debian package postgresql)" for name in ("initdb", "pgbench") if program(name) is None)


async def measure_postgres(rows: dict[str, Figure], per_second: PerSecond, folder: Path, seconds: float, rounds: int) -> None:
    """Fill both rows, or say why not."""
    for row in ("K6g", "K6s"):
        rows[row].left_out = missing_for_postgres()
    if rows["K6g"].left_out:
        return
    with PostgresServer.running() as server:
        config = KeyValueConfig(url=Secret(server.url()), connections=CONNECTIONS)
        async with one_store(config, folder) as store:
            backend = store.namespace("")
            operations, scripts = ours(backend), theirs(folder)
            for number in range(KEYS):
                await operations["K6s"](number)
            for name in random.sample(["K6g", "K6s"] * rounds, 2 * rounds):
                works = [
                    ("backend", per_second(operations[name], CALLERS, seconds)),
                    ("yardstick", pgbench(server, scripts[name], seconds)),
                ]
                rates = {who: await work for who, work in random.sample(works, 2)}
                rows[name].values.append(rates["backend"] / rates["yardstick"])


def ours(backend: Backend) -> dict[str, Callable[[int], Awaitable[object]]]:
    """The operation numbered n of each row."""
    return {
        "K6g": lambda number: backend.get(b"key %d" % (number % KEYS)),
        "K6s": lambda number: backend.set(b"key %d" % (number % KEYS), VALUE, 0),
    }


def theirs(folder: Path) -> dict[str, Path]:
    """The same as scripts of pgbench."""
    statements = Statements("keyvalue")
    arguments = {"$1": "''::bytea", "$2": "('key ' || :n)::bytea", "$3": "NULL::bytea", "$4": f"'{VALUE.decode()}'::bytea", "$5": "0"}
    files = {}
    for row, text in (("K6g", statements.get), ("K6s", statements.set)):
        line = re.sub(r"\$\d", lambda match: arguments[match[0]], " ".join(text.split()))
        files[row] = folder / f"{row}.sql"
        files[row].write_text(f"\\set n random(0, {KEYS - 1})\n{line};\n")
    return files


async def pgbench(server: PostgresServer, script: Path, seconds: float) -> float:
    """Statements a second of as many clients as we have connections, in one thread; Unavailable where it fails."""
    found = program("pgbench")
    assert found is not None
    load = ["-n", "-c", str(CONNECTIONS), "-j", "1", "-M", "prepared", "-T", str(max(1, round(seconds))), "-f", str(script)]
    process = await asyncio.create_subprocess_exec(found, *load, server.url(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, errors = await process.communicate()
    rates = [line.split()[2] for line in out.decode().splitlines() if line.startswith("tps = ")]
    if process.returncode or len(rates) != 1:
        raise Unavailable(f"pgbench ended with {process.returncode}: {errors.decode().strip()}")
    return float(rates[0])
