"""The operations of one namespace in SQL. Each runs inside a transaction, and raises what it raises before it changes anything."""

from __future__ import annotations

import time
from sqlite3 import Connection

from providers.keyvalue.backend import LARGEST, Entry, Kind, Stats, clamp, full, summed, wrong_kind

KINDS = (Kind.TEXT, Kind.LIST, Kind.SET)
TEXT, LIST, SET = range(3)

_HERE = "space = ? AND key = ?"
_LIVE = "(expires = 0 OR expires > ?)"
_PAGE_KEYS, _PAGE_BYTES, _COUNTED_KEYS = 500, 1 << 20, 20_000
_SWEPT_ROWS, _SWEPT_BYTES, _SPARE_PAGES, _FREED_PAGES = 500, 8 << 20, 256, 256

WATCHED_FOR = 10.0
"""Seconds for which changes are noted for somebody who watches, and kept."""
BEFORE_ALL = ""
"""Sorts before every key: SQLite orders text before bytes."""
Cursor = bytes | str


def get(db: Connection, space: bytes, key: bytes) -> bytes | None:
    """The text."""
    row = db.execute(f"SELECT kind, value FROM entry WHERE {_HERE} AND {_LIVE}", (space, key, time.time())).fetchone()
    if row is None:
        return None
    _expect(key, row[0], TEXT)
    return row[1]  # type: ignore[no-any-return]  # rows are untyped


def contains(db: Connection, space: bytes, key: bytes) -> bool:
    """Whether the key exists."""
    return _find(db, space, key) is not None


def put_text(db: Connection, space: bytes, key: bytes, value: bytes, seconds: float) -> None:
    """Put text in place of whatever is there; it expires after `seconds`, 0 for never."""
    _put_text(db, space, key, value, time.time() + seconds if seconds else 0.0)


def _put_text(db: Connection, space: bytes, key: bytes, value: bytes, expires: float) -> None:
    statement = (
        "INSERT INTO entry (space, key, kind, expires, members, bytes, value) VALUES (?, ?, 0, ?, 1, ?, ?) ON CONFLICT (space, key) "
        "DO UPDATE SET expires = excluded.expires, bytes = excluded.bytes, value = excluded.value WHERE kind = 0"
    )
    values = (space, key, expires, len(value), value)
    if not db.execute(statement, values).rowcount:
        _drop(db, space, key)
        db.execute(statement, values)


def delete(db: Connection, space: bytes, key: bytes) -> bool:
    """Remove the key; whether it existed."""
    if not contains(db, space, key):
        return False
    _drop(db, space, key)
    return True


def get_many(db: Connection, space: bytes, keys: list[bytes]) -> list[bytes | None]:
    """The texts; None for what holds none."""
    now = time.time()
    statement = f"SELECT value FROM entry WHERE {_HERE} AND {_LIVE} AND kind = 0"
    rows = [db.execute(statement, (space, key, now)).fetchone() for key in keys]
    return [row[0] if row else None for row in rows]


def set_many(db: Connection, space: bytes, values: dict[bytes, bytes]) -> None:
    """Put text under each key."""
    for key, value in values.items():
        _put_text(db, space, key, value, 0.0)


def delete_many(db: Connection, space: bytes, keys: list[bytes]) -> None:
    """Remove the keys."""
    for key in keys:
        _drop(db, space, key)


def keys(db: Connection, space: bytes, behind: int, most: int) -> tuple[list[bytes], int | None]:
    """The keys whose ids follow `behind`, and the last id, None where nothing is left: a key keeps its id until it holds another kind."""
    rows = db.execute(
        f"SELECT id, key FROM entry INDEXED BY listing WHERE space = ? AND key IS NOT NULL AND id > ? AND {_LIVE} ORDER BY id LIMIT ?",
        (space, min(behind, LARGEST), time.time(), most + 1),
    ).fetchall()
    return [key for _, key in rows[:most]], rows[most - 1][0] if len(rows) > most else None


def increment(db: Connection, space: bytes, key: bytes, delta: int, lowest: int, highest: int) -> int:
    """Add to the counter."""
    text = get(db, space, key)
    total = summed(key, text, delta, lowest, highest)
    value = b"%d" % total
    if text is None:
        _put_text(db, space, key, value, 0.0)
    else:
        db.execute(f"UPDATE entry SET value = ?, bytes = ? WHERE {_HERE}", (value, len(value), space, key))
    return total


def list_add(db: Connection, space: bytes, key: bytes, value: bytes, most: int) -> int:
    """Append."""
    identifier, members = _collection(db, space, key, LIST)
    if members >= most:
        raise full(key, Kind.LIST, most)
    identifier = _grown(db, space, key, LIST, identifier, len(value))
    db.execute("INSERT INTO list_item (entry, value) VALUES (?, ?)", (identifier, value))
    return members + 1


def list_delete(db: Connection, space: bytes, key: bytes, value: bytes) -> bool:
    """Remove the first equal item."""
    identifier, members = _collection(db, space, key, LIST)
    row = db.execute("SELECT id FROM list_item WHERE entry = ? AND value = ? ORDER BY id LIMIT 1", (identifier, value)).fetchone()
    if row is None:
        return False
    db.execute("DELETE FROM list_item WHERE id = ?", row)
    _shrunk(db, identifier, members, len(value))
    return True


def list_range(db: Connection, space: bytes, key: bytes, start: int, stop: int) -> list[bytes]:
    """Items from start to stop."""
    identifier, members = _collection(db, space, key, LIST)
    first, behind = clamp(start, stop, members)
    # Items are passed over one by one: begin at the end that is nearer.
    backwards = members - behind < first
    order, skipped = ("DESC", members - behind) if backwards else ("ASC", first)
    statement = f"SELECT value FROM list_item WHERE entry = ? ORDER BY id {order} LIMIT ? OFFSET ?"
    items = _column(db, statement, identifier, behind - first, max(0, skipped))
    return items[::-1] if backwards else items


def set_add(db: Connection, space: bytes, key: bytes, value: bytes, most: int) -> int:
    """Add a member."""
    identifier, members = _collection(db, space, key, SET)
    if _is_member(db, identifier, value):
        return 0
    if members >= most:
        raise full(key, Kind.SET, most)
    identifier = _grown(db, space, key, SET, identifier, len(value))
    db.execute("INSERT INTO set_member (entry, value) VALUES (?, ?)", (identifier, value))
    return 1


def set_delete(db: Connection, space: bytes, key: bytes, value: bytes) -> int:
    """Remove a member."""
    identifier, members = _collection(db, space, key, SET)
    if not db.execute("DELETE FROM set_member WHERE entry = ? AND value = ?", (identifier, value)).rowcount:
        return 0
    _shrunk(db, identifier, members, len(value))
    return 1


def set_union(db: Connection, space: bytes, keys: list[bytes]) -> list[bytes]:
    """What is in any of the sets."""
    found: dict[bytes, None] = {}
    for identifier in [_collection(db, space, key, SET)[0] for key in dict.fromkeys(keys)]:
        found.update(dict.fromkeys(_members(db, identifier)))
    return list(found)


def set_intersection(db: Connection, space: bytes, keys: list[bytes]) -> list[bytes]:
    """What is in all of the sets: the smallest one's members, sought in the others."""
    sets = sorted((_collection(db, space, key, SET) for key in dict.fromkeys(keys)), key=lambda found: found[1])
    if not sets:
        return []
    found = _members(db, sets[0][0])
    for identifier, _ in sets[1:]:
        found = [value for value in found if _is_member(db, identifier, value)]
    return found


def put(db: Connection, space: bytes, entry: Entry) -> None:
    """Put an entry in place of whatever is there; one without items removes it."""
    if entry.kind is Kind.TEXT:
        _put_text(db, space, entry.key, entry.items[0], entry.expires)
        return
    _drop(db, space, entry.key)
    kind = KINDS.index(entry.kind)
    items = entry.items if kind == LIST else tuple(dict.fromkeys(entry.items))
    if items:
        identifier = _insert(db, space, entry.key, kind, entry.expires, len(items), sum(map(len, items)))
        table = "list_item" if kind == LIST else "set_member"
        db.executemany(f"INSERT INTO {table} (entry, value) VALUES (?, ?)", ((identifier, item) for item in items))


def page(db: Connection, space: bytes, behind: Cursor) -> tuple[list[Entry], Cursor | None]:
    """The entries that follow the key `behind`, and the last key looked at, None where nothing is left."""
    rows = db.execute(
        f"SELECT id, key, kind, expires, bytes FROM entry WHERE space = ? AND key > ? AND {_LIVE} ORDER BY key LIMIT ?",
        (space, behind, time.time(), _PAGE_KEYS),
    ).fetchall()
    entries: list[Entry] = []
    room = _PAGE_BYTES
    for identifier, key, kind, expires, size in rows:
        if entries and size > room:
            break
        room -= size
        entries.append(Entry(key, KINDS[kind], tuple(_items(db, identifier, kind)), expires))
    return entries, entries[-1].key if entries else None


def count(db: Connection, space: bytes, behind: Cursor) -> tuple[Stats, Cursor | None]:
    """As `page`, but counted."""
    kinds, expiring, size, last = [0, 0, 0], 0, 0, None
    for kind, number, timed, total, key in db.execute(
        "SELECT kind, count(*), sum(expires > 0), sum(length(key) + bytes), max(key) FROM (SELECT kind, expires, key, bytes FROM entry "
        f"WHERE space = ? AND key > ? AND {_LIVE} ORDER BY key LIMIT {_COUNTED_KEYS}) GROUP BY kind",
        (space, behind, time.time()),
    ):
        kinds[kind] = number
        expiring, size, last = expiring + timed, size + total, key if last is None else max(last, key)
    return Stats(kinds[TEXT], kinds[LIST], kinds[SET], expiring, size), last


def sweep(db: Connection) -> None:
    """Remove a bounded share of what has expired or was dropped."""
    rows = db.execute(
        "SELECT id, kind, bytes FROM entry WHERE expires > 0 AND expires <= ? ORDER BY expires LIMIT ?", (time.time(), _SWEPT_ROWS)
    ).fetchall()
    room = _SWEPT_BYTES
    for identifier, kind, size in rows:
        if room < 0:
            break
        if kind == TEXT:
            room -= size
            db.execute("DELETE FROM entry WHERE id = ?", (identifier,))
        else:
            db.execute("UPDATE entry SET key = NULL, expires = 0 WHERE id = ?", (identifier,))
    _sweep_dropped(db)
    db.execute("DELETE FROM watch WHERE until <= ?", (time.time(),))
    old = "SELECT id FROM change WHERE moment <= ? ORDER BY id LIMIT ?"
    db.execute(f"DELETE FROM change WHERE id IN ({old})", (time.time() - WATCHED_FOR, _SWEPT_ROWS))


def shrink(db: Connection) -> None:
    """Give a bounded share of unused pages back, outside of a transaction."""
    excess = _excess_pages(db)
    if excess > 0:
        # It takes a step for each page, and only a script is stepped through to its end.
        db.executescript(f"PRAGMA incremental_vacuum({min(excess, _FREED_PAGES)})")


def to_sweep(db: Connection) -> bool:
    """Whether there is anything to remove."""
    now = time.time()
    (found,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM entry WHERE expires > 0 AND expires <= ?) OR EXISTS (SELECT 1 FROM entry WHERE key IS NULL) "
        "OR EXISTS (SELECT 1 FROM watch WHERE until <= ?) OR coalesce((SELECT moment FROM change ORDER BY id LIMIT 1) <= ?, 0)",
        (now, now, now - WATCHED_FOR),
    ).fetchone()
    return bool(found) or _excess_pages(db) > 0


def _sweep_dropped(db: Connection) -> None:
    row = db.execute("SELECT id, kind, members, bytes FROM entry WHERE key IS NULL LIMIT 1").fetchone()
    if row is None:
        return
    identifier, kind, members, size = row
    most = max(1, min(_SWEPT_ROWS, _SWEPT_BYTES * members // max(size, 1)))
    table, column = ("list_item", "id") if kind == LIST else ("set_member", "value")
    some = f"SELECT {column} FROM {table} WHERE entry = ? LIMIT ?"
    if db.execute(f"DELETE FROM {table} WHERE entry = ? AND {column} IN ({some})", (identifier, identifier, most)).rowcount < most:
        db.execute("DELETE FROM entry WHERE id = ?", (identifier,))


def _excess_pages(db: Connection) -> int:
    """Unused pages beyond a quarter of the file, which is kept for what comes next."""
    (free,), (pages,) = db.execute("PRAGMA freelist_count").fetchone(), db.execute("PRAGMA page_count").fetchone()
    return int(free - max(_SPARE_PAGES, (pages - free) // 4))


def _find(db: Connection, space: bytes, key: bytes) -> tuple[int, int, int] | None:
    """The id, kind and number of members of what the key holds."""
    return db.execute(f"SELECT id, kind, members FROM entry WHERE {_HERE} AND {_LIVE}", (space, key, time.time())).fetchone()  # type: ignore[no-any-return]  # rows are untyped


def _collection(db: Connection, space: bytes, key: bytes, wanted: int) -> tuple[int, int]:
    """The id and number of members of a list or set; (0, 0), which has none, where the key does not exist."""
    row = _find(db, space, key)
    if row is None:
        return 0, 0
    _expect(key, row[1], wanted)
    return row[0], row[2]


def _expect(key: bytes, kind: int, wanted: int) -> None:
    if kind != wanted:
        raise wrong_kind(key, KINDS[kind], KINDS[wanted])


def _grown(db: Connection, space: bytes, key: bytes, kind: int, identifier: int, size: int) -> int:
    """Count a member more, of a list or set that is made where `identifier` is 0; its id."""
    if identifier:
        db.execute("UPDATE entry SET members = members + 1, bytes = bytes + ? WHERE id = ?", (size, identifier))
        return identifier
    # What has expired may still be there.
    _drop(db, space, key)
    return _insert(db, space, key, kind, 0.0, 1, size)


def _shrunk(db: Connection, identifier: int, members: int, size: int) -> None:
    if members == 1:
        db.execute("DELETE FROM entry WHERE id = ?", (identifier,))
    else:
        db.execute("UPDATE entry SET members = members - 1, bytes = bytes - ? WHERE id = ?", (size, identifier))


def _insert(db: Connection, space: bytes, key: bytes, kind: int, expires: float, members: int, size: int) -> int:
    statement = "INSERT INTO entry (space, key, kind, expires, members, bytes) VALUES (?, ?, ?, ?, ?, ?)"
    return int(db.execute(statement, (space, key, kind, expires, members, size)).lastrowid or 0)


def _drop(db: Connection, space: bytes, key: bytes) -> None:
    """Remove whatever is under the key, expired or not."""
    if not db.execute(f"DELETE FROM entry WHERE {_HERE} AND kind = 0", (space, key)).rowcount:
        db.execute(f"UPDATE entry SET key = NULL, expires = 0 WHERE {_HERE}", (space, key))


def _items(db: Connection, identifier: int, kind: int) -> list[bytes]:
    if kind == LIST:
        return _column(db, "SELECT value FROM list_item WHERE entry = ? ORDER BY id", identifier)
    return _members(db, identifier) if kind == SET else _column(db, "SELECT value FROM entry WHERE id = ?", identifier)


def _members(db: Connection, identifier: int) -> list[bytes]:
    return _column(db, "SELECT value FROM set_member WHERE entry = ?", identifier)


def _is_member(db: Connection, identifier: int, value: bytes) -> bool:
    return db.execute("SELECT 1 FROM set_member WHERE entry = ? AND value = ?", (identifier, value)).fetchone() is not None


def _column(db: Connection, statement: str, *values: int) -> list[bytes]:
    return [row[0] for row in db.execute(statement, values)]
