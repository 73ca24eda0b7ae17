"""B3, B4: objects on an S3 server, measured at the backend: large ones against curl, small ones against the AWS library in threads."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.blobstore_local import CONTAINER, NAME, SIZE, read, write
from bench.figures import Figure
from provider_sdk import Layer
from provider_sdk.errors import Unavailable
from providers.blobstore.backend import NO_DETAILS, Backend
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.stores import one_store
from tests.servers import built, s3

PIECE = 1 << 20
SMALL, CALLERS, OBJECTS = bytes(4096), 32, 200


@contextmanager
def a_server(folder: Path) -> Iterator[s3.S3Server]:
    """The first of the S3 servers that this machine has; moto, which is Python itself, where there is no other."""
    name = next((name for name in s3.BUILT if built.found(name)), "moto")
    with s3.SERVERS[name](folder) as server:
        yield server


@asynccontextmanager
async def a_backend(server: s3.S3Server, folder: Path) -> AsyncIterator[Backend]:
    """The store of a link with that server, each container a bucket."""
    config = BlobstoreConfig.load(Layer("bench", server.settings)).config
    async with one_store(config, folder) as store:
        backend = store.view("")
        await backend.create_container(CONTAINER)
        yield backend


async def measure_s3(rows: dict[str, Figure], folder: Path, seconds: float, rounds: int) -> None:
    """Fill the rows, or say why not."""
    with a_server(folder / "server") as server:
        async with a_backend(server, folder) as backend:
            await Small(backend, server, seconds).measure(rows["B4"], rounds)
            if shutil.which("curl") is None:
                for row in ("B3u", "B3d"):
                    rows[row].left_out = "no curl found (Debian package curl)"
                return
            await large(backend, Curl(server, folder / "file"), rows, rounds)


@dataclass
class Curl:
    """The yardstick: the same object in one request."""

    server: s3.S3Server
    file: Path

    async def put(self) -> None:
        await self._run("--upload-file", str(self.file))

    async def get(self) -> None:
        await self._run("--output", "/dev/null")

    async def _run(self, *words: str) -> None:
        url = f"{self.server.endpoint}/{CONTAINER}/{NAME} of curl".replace(" ", "%20")
        login = ["--aws-sigv4", f"aws:amz:{self.server.region}:s3", "--user", f"{self.server.access_key}:{self.server.secret_key}"]
        process = await asyncio.create_subprocess_exec(
            "curl", "--silent", "--show-error", "--fail", *login, *words, url, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        _, errors = await process.communicate()
        if process.returncode:
            raise Unavailable(f"curl ended with {process.returncode}: {errors.decode().strip()}")


async def large(backend: Backend, curl: Curl, rows: dict[str, Figure], rounds: int) -> None:
    """B3: up, then down."""
    curl.file.write_bytes(bytes(SIZE))
    works: dict[str, dict[str, Callable[[], Awaitable[None]]]] = {
        "B3u": {"ours": lambda: write(backend, PIECE), "curl": curl.put},
        "B3d": {"ours": lambda: read(backend, PIECE), "curl": curl.get},
    }
    for _ in range(rounds):
        for row, work in works.items():
            taken = {}
            for who in random.sample(sorted(work), 2):
                started = time.perf_counter()
                await work[who]()
                taken[who] = time.perf_counter() - started
            rows[row].values.append(taken["curl"] / taken["ours"])


@dataclass
class Small:
    """Callers who put small objects and get them; what counts is the CPU time of this process for each."""

    backend: Backend
    server: s3.S3Server
    seconds: float

    async def measure(self, row: Figure, rounds: int) -> None:
        """B4."""
        from botocore.config import Config

        checksums: Any = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
        client = self.server.client(config=Config(s3={"addressing_style": "path"}, max_pool_connections=CALLERS, **checksums))
        works: dict[str, Callable[[], Awaitable[float]]] = {"ours": self._ours, "boto3": lambda: self._boto3(client)}
        for number in range(rounds + 1):
            cpu = {who: await works[who]() for who in random.sample(sorted(works), 2)}
            if number:
                row.values.append(cpu["ours"] / cpu["boto3"])

    async def _ours(self) -> float:
        end, cpu = time.perf_counter() + self.seconds, time.process_time()

        async def caller() -> int:
            done = 0
            while time.perf_counter() < end:
                name = f"small {random.randrange(OBJECTS)}"
                await self.backend.put(CONTAINER, name, SMALL, NO_DETAILS)
                reading = await self.backend.open(CONTAINER, name, 0, None, lambda length: length)
                await reading.close()
                if reading.first != SMALL:
                    raise Unavailable(f"{len(reading.first)} bytes came back of {len(SMALL)}")
                done += 1
            return done

        done = sum(await asyncio.gather(*(caller() for _ in range(CALLERS))))
        return (time.process_time() - cpu) / done

    async def _boto3(self, client: Any) -> float:
        end, cpu = time.perf_counter() + self.seconds, time.process_time()

        def caller() -> int:
            done = 0
            while time.perf_counter() < end:
                key = f"small {random.randrange(OBJECTS)}"
                client.put_object(Bucket=CONTAINER, Key=key, Body=SMALL)
                got: bytes = client.get_object(Bucket=CONTAINER, Key=key)["Body"].read()
                if got != SMALL:
                    raise Unavailable("other bytes came back")
                done += 1
            return done

        with ThreadPoolExecutor(CALLERS) as pool:
            loop = asyncio.get_running_loop()
            done = sum(await asyncio.gather(*(loop.run_in_executor(pool, caller) for _ in range(CALLERS))))
        return (time.process_time() - cpu) / done
