"""What a copy has seen to be equal on both sides, so that the next run need not read it again.

An entry holds what the listings of both sides told of an object when its content had been compared. It counts while they tell the same:
times are only ever compared with an earlier time of the same store, so that clocks may differ.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from provider_sdk import Unavailable
from providers.blobstore.backend import ObjectInfo
from providers.blobstore.contents import same_time
from providers.blobstore.place import Place, state_folder

VERSION = 1


class Journal:
    """Objects of one pair of places."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def note(self, container: str, source: ObjectInfo, target: ObjectInfo) -> None:
        """The two have been seen to be equal."""
        row = (container, source.name, source.size, source.modified, target.modified)
        self._database.execute("INSERT OR REPLACE INTO equal VALUES (?, ?, ?, ?, ?)", row)

    def forget(self, container: str, name: str) -> None:
        """They are not equal any more."""
        self._database.execute("DELETE FROM equal WHERE container = ? AND name = ?", (container, name))

    def equal(self, container: str, source: ObjectInfo, target: ObjectInfo) -> bool:
        """Whether both are as they were when they were seen to be equal."""
        row = self._row(container, source.name)
        return (
            row is not None
            and row[0] == source.size == target.size
            and same_time(row[1], source.modified)
            and same_time(row[2], target.modified)
        )

    def left(self, container: str, target: ObjectInfo) -> bool:
        """Whether the target's object is as a copy left it, whatever has become of the source's."""
        row = self._row(container, target.name)
        return row is not None and row[0] == target.size and same_time(row[2], target.modified)

    def _row(self, container: str, name: str) -> tuple[int, int | None, int | None] | None:
        found = self._database.execute("SELECT size, source, target FROM equal WHERE container = ? AND name = ?", (container, name))
        row: tuple[int, int | None, int | None] | None = found.fetchone()
        return row


def journal_file(source: Place, target: Place) -> Path:
    """Where the journal of such a copy is, in the user's state folder."""
    ends = repr([(*end.server, str(end.path)) for end in (source, target)])
    return state_folder() / f"{hashlib.sha256(ends.encode()).hexdigest()[:32]}.sqlite"


@contextmanager
def journal(path: Path | None) -> Iterator[Journal]:
    """The journal in that file, made if it is not there; None: one that is gone afterwards. Unavailable."""
    try:
        if path is not None:
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(":memory:" if path is None else path, isolation_level=None, timeout=30)) as database:
            _prepare(database)
            yield Journal(database)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"the journal {path}: {error}: name another file with --journal, or remove this one") from error


def _prepare(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise sqlite3.DatabaseError("a newer version of this program wrote it")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(
        "CREATE TABLE IF NOT EXISTS equal (container TEXT, name TEXT, size INTEGER, source INTEGER, target INTEGER, "
        "PRIMARY KEY (container, name)) WITHOUT ROWID"
    )
    database.execute(f"PRAGMA user_version = {VERSION}")
