"""Changes of a namespace as the file's own triggers note them while somebody watches, in whichever process they are made.

What is noted is swept away when everybody had time to see it, as are those who watched and did not say so again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from sqlite3 import Connection
from typing import NoReturn

from provider_sdk import Unavailable
from providers.keyvalue.backends.sqlite_statements import WATCHED_FOR
from providers.keyvalue.backends.sqlite_threads import Reader, Writer
from providers.keyvalue.changes import Change, Tell

LOOK_EVERY, RENEW_EVERY = 0.05, 2.0
PAGE = 1000


async def follow(space: bytes, reader: Reader, writer: Writer, tell: Tell, ready: Callable[[], None]) -> NoReturn:
    """Tell of changes as they are noted. Unavailable where they were not for some time, because nobody came to say that he watches."""
    owner = os.urandom(8)
    seen = await writer.run(begin, space, owner)
    ready()
    renewed = time.monotonic()
    while True:
        if time.monotonic() - renewed > RENEW_EVERY:
            renewed = time.monotonic()
            if not await writer.run(renew, owner):
                raise Unavailable(f"changes were not noted for a time: the disk or this process stood still for over {WATCHED_FOR:g} s")
        rows = await reader.run(noted, space, seen)
        for number, key, gone in rows:
            tell(Change.DELETE if gone else Change.SET, key)
            seen = number
        if len(rows) < PAGE:
            await asyncio.sleep(LOOK_EVERY)


def begin(db: Connection, space: bytes, owner: bytes) -> int:
    """Have changes of the namespace noted; the number of the last one that was noted before."""
    db.execute("INSERT INTO watch (owner, space, until) VALUES (?, ?, ?)", (owner, space, time.time() + WATCHED_FOR))
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM change").fetchone()
    return int(last)


def renew(db: Connection, owner: bytes) -> bool:
    """Have them noted for longer; whether they were noted until now."""
    now = time.time()
    return bool(db.execute("UPDATE watch SET until = ? WHERE owner = ? AND until > ?", (now + WATCHED_FOR, owner, now)).rowcount)


def noted(db: Connection, space: bytes, behind: int) -> list[tuple[int, bytes, int]]:
    """Changes that follow the one with the number `behind`: number, key, and whether it is gone."""
    statement = "SELECT id, key, gone FROM change WHERE space = ? AND id > ? ORDER BY id LIMIT ?"
    return db.execute(statement, (space, behind, PAGE)).fetchall()
