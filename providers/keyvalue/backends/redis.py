"""Redis or Valkey: one server, a cluster, or one under sentinels. Keys without a namespace are as the official provider has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NoReturn

from hiredis import ReplyError

from provider_sdk import PreconditionFailed, ProviderError, ResourceExhausted
from providers.keyvalue.backend import HIGHEST, LOWEST, Backend, Entry, Kind, Stats, Store, beyond, full, no_number, shown, wrong_kind
from providers.keyvalue.backends.redis_changes import escaped, follow
from providers.keyvalue.backends.redis_errors import NO_NUMBER, NO_SCRIPT, OVERFLOW, WRONG_KIND, refusal
from providers.keyvalue.backends.redis_lanes import Node, Reply, pack
from providers.keyvalue.backends.redis_routes import Route, route
from providers.keyvalue.backends.redis_scripts import ENTRY, INCREMENT, LIST_ADD, PUT, SET_ADD, WEIGHT, Script
from providers.keyvalue.backends.redis_target import Target, target
from providers.keyvalue.changes import Interest, Tell
from providers.keyvalue.config import KeyValueConfig

KINDS = {b"string": Kind.TEXT, b"list": Kind.LIST, b"set": Kind.SET}
WRITERS = {Kind.TEXT: "SET", Kind.LIST: "RPUSH", Kind.SET: "SADD"}
MOST_PUT = 1_000_000
SCANNED = 500
AT_ONCE = 16
MOST_SCANS = 100
CURSOR_BITS = 54
_log = logging.getLogger("provider")


class RedisStore(Store):
    """The databases of one server or of those that belong together."""

    def __init__(self, to: Target) -> None:
        self._route = route(to)
        self._name = to.name
        self._database = to.database

    def namespace(self, name: str) -> Backend:
        return RedisBackend(self._route, self._name, prefix_of(name), self._database)

    async def trouble(self) -> str:
        return await self._route.trouble()

    async def close(self) -> None:
        await self._route.close()


def prefix_of(namespace: str) -> bytes:
    """What keys of a namespace begin with: nothing without a name, so that they are those of the official provider.

    The colon ends the name and is escaped in it, so that no two namespaces have a key in common.
    """
    return namespace.replace("%", "%25").replace(":", "%3A").encode() + b":" if namespace else b""


class RedisBackend(Backend):
    """The keys with one prefix. What Redis does in one command is that command; the rest is a script."""

    def __init__(self, way: Route, name: str, prefix: bytes, database: int) -> None:
        self._database = database
        self._route = way
        self._name = name
        self._prefix = prefix

    async def _ask(self, key: bytes, kind: Kind, payload: bytes, again: bool = False) -> Reply:
        reply = await self._route.ask(self._prefix + key, payload, again)
        if isinstance(reply, ReplyError):
            raise await self._refused(key, kind, reply)
        return reply

    async def _run(self, script: Script, key: bytes, kind: Kind, *parts: bytes | str | int, again: bool = False) -> Reply:
        full_key = self._prefix + key
        reply = await self._route.ask(full_key, pack("EVALSHA", script.sha, 1, full_key, *parts), again)
        if isinstance(reply, ReplyError) and str(reply).startswith(NO_SCRIPT):
            reply = await self._route.ask(full_key, pack("EVAL", script.text, 1, full_key, *parts), again)
        if isinstance(reply, ReplyError):
            raise await self._refused(key, kind, reply)
        return reply

    async def _refused(self, key: bytes, wanted: Kind, reply: ReplyError) -> ProviderError:
        text = str(reply)
        if text.startswith(WRONG_KIND):
            error: ProviderError = await self._wrong_kind(key, wanted)
        elif text.startswith(NO_NUMBER):
            error = no_number(key)
        else:
            return refusal(self._name, reply)
        error.__cause__ = reply
        return error

    async def _wrong_kind(self, key: bytes, wanted: Kind) -> PreconditionFailed:
        full_key = self._prefix + key
        held = await self._route.ask(full_key, pack("TYPE", full_key), again=True)
        if held in KINDS and KINDS[held] is not wanted:
            return wrong_kind(key, KINDS[held], wanted)
        what = f"a Redis {held.decode()}" if isinstance(held, bytes) and held not in {b"none", *KINDS} else "another kind of value"
        return PreconditionFailed(f"the key {shown(key)} holds {what}, and the operation is for {wanted}")

    async def get(self, key: bytes) -> bytes | None:
        value: bytes | None = await self._ask(key, Kind.TEXT, pack("GET", self._prefix + key), again=True)
        return value

    async def set(self, key: bytes, value: bytes, expires: int) -> None:
        life = ("EX", expires) if expires else ()
        await self._ask(key, Kind.TEXT, pack("SET", self._prefix + key, value, *life))

    async def delete(self, key: bytes) -> bool:
        return bool(await self._ask(key, Kind.TEXT, pack("DEL", self._prefix + key)))

    async def contains(self, key: bytes) -> bool:
        return bool(await self._ask(key, Kind.TEXT, pack("EXISTS", self._prefix + key), again=True))

    async def increment(self, key: bytes, delta: int, lowest: int = LOWEST, highest: int = HIGHEST) -> int:
        try:
            return int(await self._run(INCREMENT, key, Kind.TEXT, delta, lowest, highest))
        except ProviderError as error:
            if isinstance(error.__cause__, ReplyError) and str(error.__cause__).startswith(OVERFLOW):
                raise beyond(key, delta, lowest, highest) from error.__cause__
            raise

    async def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        full_keys = [self._prefix + key for key in keys]
        values: list[bytes | None] = await self._each_server("MGET", keys, full_keys, again=True)
        return values

    async def set_many(self, values: dict[bytes, bytes]) -> None:
        await self._each_server("MSET", list(values), [part for key, value in values.items() for part in (self._prefix + key, value)])

    async def delete_many(self, keys: list[bytes]) -> None:
        await self._each_server("DEL", keys, [self._prefix + key for key in keys])

    async def _each_server(self, command: str, keys: list[bytes], parts: list[bytes], again: bool = False) -> list[Reply]:
        """The replies to one command about all keys, or where they are on several servers, to one about each; `parts` are its words."""
        if self._route.together([self._prefix + key for key in keys]):
            reply = await self._ask(keys[0], Kind.TEXT, pack(command, *parts), again)
            return reply if isinstance(reply, list) else [reply]
        each = len(parts) // len(keys)
        words = (parts[start : start + each] for start in range(0, len(parts), each))
        asked = (self._ask(key, Kind.TEXT, pack(command, *some), again) for key, some in zip(keys, words, strict=True))
        replies = await asyncio.gather(*asked)
        return [reply[0] if isinstance(reply, list) else reply for reply in replies]

    async def keys(self, cursor: int, most: int) -> tuple[list[bytes], int | None]:
        """SCAN's own cursor, and above it the number of the server in a cluster, whose keys follow those of the one before."""
        nodes = sorted(await self._route.nodes(), key=lambda node: node.name)
        number, inner = divmod(cursor, 1 << CURSOR_BITS) if len(nodes) > 1 else (0, cursor)
        found: dict[bytes, None] = {}
        for _ in range(MOST_SCANS):
            if number >= len(nodes) or len(found) >= most:
                break
            inner, keys = await self._scanned(nodes[number], inner)
            found.update(dict.fromkeys(keys))
            number += inner == 0
        following = number << CURSOR_BITS | inner if number < len(nodes) else None
        return list(found), following

    async def list_add(self, key: bytes, value: bytes, most: int) -> int:
        length: int = await self._run(LIST_ADD, key, Kind.LIST, value, most)
        if length < 0:
            raise full(key, Kind.LIST, most)
        return length

    async def list_delete(self, key: bytes, value: bytes) -> bool:
        return bool(await self._ask(key, Kind.LIST, pack("LREM", self._prefix + key, 1, value)))

    async def list_range(self, key: bytes, start: int, stop: int) -> list[bytes]:
        items: list[bytes] = await self._ask(key, Kind.LIST, pack("LRANGE", self._prefix + key, start, stop), again=True)
        return items

    async def set_add(self, key: bytes, value: bytes, most: int) -> int:
        added: int = await self._run(SET_ADD, key, Kind.SET, value, most)
        if added < 0:
            raise full(key, Kind.SET, most)
        return added

    async def set_delete(self, key: bytes, value: bytes) -> int:
        removed: int = await self._ask(key, Kind.SET, pack("SREM", self._prefix + key, value))
        return removed

    async def set_union(self, keys: list[bytes]) -> list[bytes]:
        members = await self._sets("SUNION", keys)
        return list(dict.fromkeys(member for one in members for member in one))

    async def set_intersection(self, keys: list[bytes]) -> list[bytes]:
        members = await self._sets("SINTER", keys)
        others = [frozenset(one) for one in members[1:]]
        return [member for member in members[0] if all(member in other for other in others)] if members else []

    async def _sets(self, command: str, keys: list[bytes]) -> list[list[bytes]]:
        """What the server made of all of them; where they are on several, each of them as it is, which then are of different moments."""
        full_keys = [self._prefix + key for key in keys]
        if not keys:
            return []
        if len(keys) == 1 or not self._route.together(full_keys):
            return await asyncio.gather(*(self._ask(key, Kind.SET, pack("SMEMBERS", self._prefix + key), again=True) for key in keys))
        reply = await self._route.ask(full_keys[0], pack(command, *full_keys), again=True)
        if isinstance(reply, ReplyError):
            raise await self._refused(await self._no_set(keys), Kind.SET, reply)
        return [reply]

    async def _no_set(self, keys: list[bytes]) -> bytes:
        """The first key that holds something else."""
        asked = [(self._prefix + key, pack("TYPE", self._prefix + key)) for key in keys]
        kinds = await asyncio.gather(*(self._route.ask(key, payload, again=True) for key, payload in asked))
        return next((key for key, held in zip(keys, kinds, strict=True) if held not in {b"set", b"none"}), keys[0])

    async def watch(self, interest: Interest, tell: Tell, ready: Callable[[], None]) -> NoReturn:
        await follow(self._route, self._database, self._prefix, interest, tell, ready)

    async def entries(self) -> AsyncIterator[Entry]:
        others = 0
        async for key, (held, expires, items) in self._each(ENTRY):
            if held in KINDS:
                yield Entry(key, KINDS[held], tuple(items), int(expires) / 1000)
            others += held not in {*KINDS, b"none"}
        if others:
            _log.warning("redis at %s: %d keys hold other kinds of values than text, lists and sets, and are left out", self._name, others)

    async def put(self, entry: Entry) -> None:
        if len(entry.items) > MOST_PUT:
            raise ResourceExhausted(f"the key {shown(entry.key)}: at most {MOST_PUT} members are put at once", retryable=False)
        await self._run(PUT, entry.key, entry.kind, WRITERS[entry.kind], round(entry.expires * 1000), *entry.items)

    async def stats(self) -> Stats:
        kinds, expiring, size = dict.fromkeys(KINDS, 0), 0, 0
        async for key, (held, expires, weight) in self._each(WEIGHT):
            if held in kinds:
                kinds[held] += 1
                expiring += expires
                size += len(key) + weight
        return Stats(kinds[b"string"], kinds[b"list"], kinds[b"set"], expiring, size)

    async def _each(self, script: Script) -> AsyncIterator[tuple[bytes, Reply]]:
        """Each key, without the prefix, and what the script says of it."""
        seen: set[bytes] = set()
        for node in await self._route.nodes():
            async for keys in self._scan(node):
                fresh = [key for key in dict.fromkeys(keys) if key not in seen]
                seen.update(fresh)
                for start in range(0, len(fresh), AT_ONCE):
                    some = fresh[start : start + AT_ONCE]
                    replies = await asyncio.gather(*(self._run(script, key, Kind.TEXT, again=True) for key in some))
                    for pair in zip(some, replies, strict=True):
                        yield pair

    async def _scan(self, node: Node) -> AsyncIterator[list[bytes]]:
        cursor, keys = await self._scanned(node, 0)
        yield keys
        while cursor:
            cursor, keys = await self._scanned(node, cursor)
            yield keys

    async def _scanned(self, node: Node, cursor: int) -> tuple[int, list[bytes]]:
        """The cursor of what follows, 0 for nothing, and keys without the prefix."""
        reply = await node.ask(pack("SCAN", cursor, "MATCH", escaped(self._prefix) + b"*", "COUNT", SCANNED), again=True)
        if isinstance(reply, ReplyError):
            raise refusal(node.name, reply)
        return int(reply[0]), [key[len(self._prefix) :] for key in reply[1]]


def open_store(config: KeyValueConfig, data_dir: Path) -> Store:
    """The servers that the settings name. InvalidArgument where they cannot be meant."""
    return RedisStore(target(config))


def store_key(config: KeyValueConfig, data_dir: Path) -> object:
    """The same servers, the same login, the same bounds."""
    return target(config)
