"""A store in a file of SQLite: durable, without a server, and shared by the processes of one machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from provider_sdk import InvalidArgument, ProviderError
from providers.keyvalue.backend import HIGHEST, LOWEST, Backend, Entry, Stats, Store
from providers.keyvalue.backends import sqlite_statements as sql
from providers.keyvalue.backends.sqlite_changes import follow
from providers.keyvalue.backends.sqlite_file import DatabaseFile
from providers.keyvalue.backends.sqlite_threads import Reader, Writer
from providers.keyvalue.changes import Interest, Tell
from providers.keyvalue.config import KeyValueConfig

LOOK_FOR, STUCK_AFTER = 0.4, 5.0


class SqliteStore(Store):
    """One file. What is read is what was acknowledged: a read begins after all writes that were answered before it was asked for."""

    def __init__(self, path: Path, *, full: bool) -> None:
        file = DatabaseFile(path, full=full)
        self.path = path
        self._reader, self._writer = Reader(file), Writer(file)
        self._look: asyncio.Task[None] | None = None

    def namespace(self, name: str) -> Backend:
        return SqliteBackend(name, self._reader, self._writer)

    async def trouble(self) -> str:
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._touch(), name=f"look at {self.path.name}")
        await asyncio.wait([self._look], timeout=LOOK_FOR)
        return self._writer.trouble or self._reader.trouble or self._stuck()

    async def _touch(self) -> None:
        try:
            await self._writer.run(self._writer.touch)
        except ProviderError:
            # The writer remembers it.
            return

    def _stuck(self) -> str:
        since = min((worker.busy_since for worker in (self._reader, self._writer) if worker.busy_since), default=0.0)
        seconds = time.monotonic() - since if since else 0.0
        return f"{self.path}: the disk has not answered for {seconds:.0f} s" if seconds > STUCK_AFTER else ""

    async def close(self) -> None:
        # The last connection that is closed leaves one file behind, and only the writer may do that.
        await self._reader.close()
        await self._writer.close()
        if self._look is not None:
            await asyncio.wait([self._look])


class SqliteBackend(Backend):
    """The rows of one namespace: each statement names it."""

    def __init__(self, name: str, reader: Reader, writer: Writer) -> None:
        self._space = name.encode("utf-8", "surrogatepass")
        self._reader, self._writer = reader, writer

    async def get(self, key: bytes) -> bytes | None:
        return await self._reader.run(sql.get, self._space, key)

    async def set(self, key: bytes, value: bytes, expires: int) -> None:
        await self._writer.run(sql.put_text, self._space, key, value, expires)

    async def delete(self, key: bytes) -> bool:
        return await self._writer.run(sql.delete, self._space, key)

    async def contains(self, key: bytes) -> bool:
        return await self._reader.run(sql.contains, self._space, key)

    async def increment(self, key: bytes, delta: int, lowest: int = LOWEST, highest: int = HIGHEST) -> int:
        return await self._writer.run(sql.increment, self._space, key, delta, lowest, highest)

    async def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return await self._reader.run(sql.get_many, self._space, keys)

    async def set_many(self, values: dict[bytes, bytes]) -> None:
        await self._writer.run(sql.set_many, self._space, values)

    async def delete_many(self, keys: list[bytes]) -> None:
        await self._writer.run(sql.delete_many, self._space, keys)

    async def keys(self, cursor: int, most: int) -> tuple[list[bytes], int | None]:
        return await self._reader.run(sql.keys, self._space, cursor, most)

    async def list_add(self, key: bytes, value: bytes, most: int) -> int:
        return await self._writer.run(sql.list_add, self._space, key, value, most)

    async def list_delete(self, key: bytes, value: bytes) -> bool:
        return await self._writer.run(sql.list_delete, self._space, key, value)

    async def list_range(self, key: bytes, start: int, stop: int) -> list[bytes]:
        return await self._reader.run(sql.list_range, self._space, key, start, stop)

    async def set_add(self, key: bytes, value: bytes, most: int) -> int:
        return await self._writer.run(sql.set_add, self._space, key, value, most)

    async def set_delete(self, key: bytes, value: bytes) -> int:
        return await self._writer.run(sql.set_delete, self._space, key, value)

    async def set_union(self, keys: list[bytes]) -> list[bytes]:
        return await self._reader.run(sql.set_union, self._space, keys)

    async def set_intersection(self, keys: list[bytes]) -> list[bytes]:
        return await self._reader.run(sql.set_intersection, self._space, keys)

    async def watch(self, interest: Interest, tell: Tell, ready: Callable[[], None]) -> NoReturn:
        await follow(self._space, self._reader, self._writer, tell, ready)

    async def entries(self) -> AsyncIterator[Entry]:
        behind: sql.Cursor | None = sql.BEFORE_ALL
        while behind is not None:
            entries, behind = await self._reader.run(sql.page, self._space, behind)
            for entry in entries:
                yield entry

    async def put(self, entry: Entry) -> None:
        await self._writer.run(sql.put, self._space, entry)

    async def stats(self) -> Stats:
        texts, lists, sets, expiring, size = 0, 0, 0, 0, 0
        behind: sql.Cursor | None = sql.BEFORE_ALL
        while behind is not None:
            part, behind = await self._reader.run(sql.count, self._space, behind)
            texts, lists, sets = texts + part.texts, lists + part.lists, sets + part.sets
            expiring, size = expiring + part.expiring, size + part.size
        return Stats(texts, lists, sets, expiring, size)


def open_store(config: KeyValueConfig, data_dir: Path) -> Store:
    """The file is opened at first use."""
    return SqliteStore(file_of(config, data_dir), full=config.durability == "full")


def store_key(config: KeyValueConfig, data_dir: Path) -> object:
    """The file, and how durable its writes are."""
    return file_of(config, data_dir), config.durability


def file_of(config: KeyValueConfig, data_dir: Path) -> Path:
    """The absolute path that the settings mean; a relative one begins in `data_dir`. InvalidArgument where the url means none."""
    named = "" if config.url is None else _path_in(config.url.reveal())
    if named and config.path is not None:
        raise InvalidArgument("path: the url names a file too")
    path = data_dir / (named or config.path or "keyvalue.db")
    if "\0" in str(path):
        raise InvalidArgument("a path has no zero bytes")
    return path.resolve()


def _path_in(url: str) -> str:
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise InvalidArgument("url: sqlite takes nothing behind the path; ? and # of a path itself are written %3F and %23")
    path = unquote(parts.netloc + parts.path)
    if path == ":memory:":
        raise InvalidArgument("url: a store in memory is memory://")
    return path
