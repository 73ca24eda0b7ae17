"""The store and its namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NoReturn

from provider_sdk import Context, ProviderError
from providers.keyvalue.backend import HIGHEST, LARGEST, LOWEST, Backend, Entry, Kind, Stats, Store, full, summed, wrong_kind
from providers.keyvalue.backends.postgres.address import Address, address_of
from providers.keyvalue.backends.postgres.changes import follow
from providers.keyvalue.backends.postgres.connection import Connection
from providers.keyvalue.backends.postgres.pool import Pool, Row
from providers.keyvalue.backends.postgres.schema import FULL, LIST, LONGEST_ID, SET, TEXT
from providers.keyvalue.backends.postgres.statements import Statements
from providers.keyvalue.changes import Interest, Tell
from providers.keyvalue.config import KeyValueConfig

PURGE_EVERY, PURGE_PAUSE, PURGE_MOST = 5.0, 0.05, 2000
FRESH = 1.0
PROBE = 0.4
BATCH = 1 << 20

KINDS = {TEXT: Kind.TEXT, LIST: Kind.LIST, SET: Kind.SET}
NUMBERS = {kind: number for number, kind in KINDS.items()}
Follow = Callable[[bytes, Tell, Callable[[], None]], Awaitable[NoReturn]]
log = logging.getLogger("provider.keyvalue")


class PostgresStore(Store):
    """One schema of one database."""

    def __init__(self, address: Address, connections: int, connect_timeout: float) -> None:
        self._pool = Pool(lambda: Connection.open(address, connect_timeout), connections, str(address))
        self._statements = Statements(address.schema)
        self._follow = partial(follow, address, connect_timeout, self._statements)
        self._purging: asyncio.Task[None] | None = None

    def namespace(self, name: str) -> Backend:
        if self._purging is None:
            self._purging = asyncio.get_running_loop().create_task(self._purge(), name="purging the keyvalue")
        return PostgresBackend(self._pool, self._statements, name, self._follow)

    async def trouble(self) -> str:
        pool = self._pool
        if pool.down or asyncio.get_running_loop().time() - pool.answered < FRESH:
            return pool.down
        try:
            await pool.run(self._statements.ping, again=True, within=PROBE)
        except ProviderError as error:
            # A first connection over a long way takes its time.
            return error.message if pool.tried else ""
        return ""

    async def _purge(self) -> None:
        """Remove what is over and what nobody can see any more, a piece at a time."""
        Context.detach()
        done = 0
        while True:
            await asyncio.sleep(PURGE_PAUSE if done >= PURGE_MOST else PURGE_EVERY)
            done = 0
            if self._pool.connected:
                try:
                    done = (await self._pool.run(self._statements.purge, PURGE_MOST))[0][0]
                except ProviderError as error:
                    log.debug("purging the keyvalue: %s", error)

    async def close(self) -> None:
        if self._purging is not None:
            self._purging.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._purging
        await self._pool.close()


class PostgresBackend(Backend):
    """One namespace: each operation is one statement, which the server carries out whole or not at all."""

    def __init__(self, pool: Pool, statements: Statements, name: str, follow: Follow) -> None:
        self._run = pool.run
        self._follow = follow
        self._text = statements
        self._name = name.encode()

    async def get(self, key: bytes) -> bytes | None:
        rows = await self._run(self._text.get, self._name, _id(key), again=True, together=self._text.get_several)
        return _only(key, rows, TEXT)[0] if rows else None

    async def set(self, key: bytes, value: bytes, expires: int) -> None:
        await self._run(self._text.set, self._name, _id(key), _whole(key), value, expires, together=self._text.set_several)

    async def delete(self, key: bytes) -> bool:
        rows = await self._run(self._text.delete, self._name, _id(key))
        return bool(rows and rows[0][0])

    async def contains(self, key: bytes) -> bool:
        return bool(await self._run(self._text.contains, self._name, _id(key), again=True))

    async def increment(self, key: bytes, delta: int, lowest: int = LOWEST, highest: int = HIGHEST) -> int:
        while True:
            rows = await self._run(self._text.increment, self._name, _id(key), _whole(key), delta, lowest, highest)
            if rows:
                return int(rows[0][0])
            # Why it was refused; unless that has changed since, this raises.
            summed(key, await self.get(key), delta, lowest, highest)

    async def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        rows = await self._run(self._text.get_several, [self._name] * len(keys), list(map(_id, keys)), again=True)
        values: list[bytes | None] = [None] * len(keys)
        for number, kind, value in rows:
            values[number - 1] = value if kind == TEXT else None
        return values

    async def set_many(self, values: dict[bytes, bytes]) -> None:
        columns = [self._name] * len(values), list(map(_id, values)), list(map(_whole, values)), list(values.values()), [0] * len(values)
        await self._run(self._text.set_several, *columns)

    async def delete_many(self, keys: list[bytes]) -> None:
        await self._run(self._text.delete_several, self._name, list(map(_id, keys)))

    async def keys(self, cursor: int, most: int) -> tuple[list[bytes], int | None]:
        rows = await self._run(self._text.listing, self._name, min(cursor, LARGEST), most + 1, again=True)
        return [row[1] for row in rows[:most]], rows[most - 1][0] if len(rows) > most else None

    async def list_add(self, key: bytes, value: bytes, most: int) -> int:
        rows = await self._run(self._text.list_add, self._name, _id(key), _whole(key), value, most)
        return _count(key, rows, LIST, most)

    async def list_delete(self, key: bytes, value: bytes) -> bool:
        return _count(key, await self._run(self._text.take, self._name, _id(key), value, LIST), LIST) > 0

    async def list_range(self, key: bytes, start: int, stop: int) -> list[bytes]:
        rows = await self._run(self._text.list_range, self._name, _id(key), start, stop, again=True)
        return [value for value in _only(key, rows, LIST) if value is not None]

    async def set_add(self, key: bytes, value: bytes, most: int) -> int:
        rows = await self._run(self._text.set_add, self._name, _id(key), _whole(key), value, most)
        return _count(key, rows, SET, most)

    async def set_delete(self, key: bytes, value: bytes) -> int:
        return _count(key, await self._run(self._text.take, self._name, _id(key), value, SET), SET)

    async def set_union(self, keys: list[bytes]) -> list[bytes]:
        return await self._sets(self._text.union, keys)

    async def set_intersection(self, keys: list[bytes]) -> list[bytes]:
        return await self._sets(self._text.intersection, keys)

    async def _sets(self, text: str, keys: list[bytes]) -> list[bytes]:
        named = {_id(key): key for key in keys}
        if not named:
            return []
        rows = await self._run(text, self._name, list(named), again=True)
        for row in rows:
            if row["kind"] != SET:
                raise wrong_kind(named[row["key"]], KINDS[row["kind"]], Kind.SET)
        return [row["value"] for row in rows]

    async def watch(self, interest: Interest, tell: Tell, ready: Callable[[], None]) -> NoReturn:
        await self._follow(self._name, tell, ready)

    async def entries(self) -> AsyncIterator[Entry]:
        after = b""
        while page := await self._run(self._text.page, self._name, after, again=True):
            for ids in _batches(page):
                rows = await self._run(self._text.read, self._name, ids, again=True)
                for _, group in itertools.groupby(rows, key=lambda row: row["key"]):
                    yield _entry(list(group))
            after = page[-1]["key"] + b"\0"

    async def put(self, entry: Entry) -> None:
        items = list(dict.fromkeys(entry.items)) if entry.kind is Kind.SET else list(entry.items)
        kind = NUMBERS[entry.kind]
        await self._run(self._text.put, self._name, _id(entry.key), _whole(entry.key), kind, items, float(entry.expires))

    async def stats(self) -> Stats:
        row = (await self._run(self._text.stats, self._name, again=True))[0]
        return Stats(row["texts"], row["lists"], row["sets"], row["expiring"], row["size"])


def _id(key: bytes) -> bytes:
    """What the index holds of a key. Those of long keys are all longer than a short key, so that none is another's."""
    return key if len(key) <= LONGEST_ID else key[:LONGEST_ID] + hashlib.sha256(key).digest()


def _whole(key: bytes) -> bytes | None:
    return None if len(key) <= LONGEST_ID else key


def _only(key: bytes, rows: list[Row], wanted: int) -> list[bytes]:
    """The values of rows (kind, value) of one key."""
    if rows and rows[0][0] != wanted:
        raise wrong_kind(key, KINDS[rows[0][0]], KINDS[wanted])
    return [row[1] for row in rows]


def _count(key: bytes, rows: list[Row], wanted: int, most: int = 0) -> int:
    """What a function of the schema answered."""
    number: int = rows[0][0]
    if number == FULL:
        raise full(key, KINDS[wanted], most)
    if number < 0:
        raise wrong_kind(key, KINDS[-number], KINDS[wanted])
    return number


def _batches(page: list[Row]) -> Iterable[list[bytes]]:
    """Ids of a page's keys, so many at once that their texts are about a megabyte; a list or set, whose size is not known, alone."""
    batch: list[bytes] = []
    size = 0
    for row in page:
        more = row["size"] if row["kind"] == TEXT else BATCH
        if batch and size + more > BATCH:
            yield batch
            batch, size = [], 0
        batch.append(row["key"])
        size += more
    if batch:
        yield batch


def _entry(rows: list[Row]) -> Entry:
    first = rows[0]
    return Entry(first["whole"] or first["key"], KINDS[first["kind"]], tuple(row["value"] for row in rows), first["expires"])


def open_store(config: KeyValueConfig, data_dir: Path) -> Store:
    """Not connected yet."""
    return PostgresStore(address_of(config), config.connections, config.connect_timeout)


def store_key(config: KeyValueConfig, data_dir: Path) -> object:
    """All that makes a difference to the connections."""
    return address_of(config), config.connections, config.connect_timeout
