"""The file of the embedded store: how it is made, recognised, brought up to date and opened, and what its errors mean."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from provider_sdk import Internal, PreconditionFailed, ProviderError, ResourceExhausted, Unavailable

LOCK_WAIT = 5.0
"""Seconds for which another process may hold the file."""
APPLICATION = 0x776B7673
"""What `PRAGMA application_id` says of a file of ours: wkvs."""

_UNCHANGING = "mode=ro&immutable=1"

SCHEMA: tuple[tuple[str, ...], ...] = (
    (
        # A list or set that is removed loses its key at once, and its members in the background.
        """CREATE TABLE entry (
            id INTEGER PRIMARY KEY, space BLOB NOT NULL, key BLOB, kind INTEGER NOT NULL, expires REAL NOT NULL,
            members INTEGER NOT NULL, bytes INTEGER NOT NULL, value BLOB, UNIQUE (space, key))""",
        "CREATE INDEX expiring ON entry (expires) WHERE expires > 0",
        "CREATE INDEX dropped ON entry (id) WHERE key IS NULL",
        "CREATE TABLE list_item (id INTEGER PRIMARY KEY, entry INTEGER NOT NULL, value BLOB NOT NULL)",
        "CREATE INDEX list_order ON list_item (entry)",
        "CREATE TABLE set_member (entry INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (entry, value)) WITHOUT ROWID",
    ),
    (
        "CREATE INDEX listing ON entry (space) WHERE key IS NOT NULL",
        # Changes are noted, by whichever process makes them, as long as somebody watches.
        "CREATE TABLE watch (owner BLOB PRIMARY KEY, space BLOB NOT NULL, until REAL NOT NULL)",
        """CREATE TABLE change (
            id INTEGER PRIMARY KEY AUTOINCREMENT, space BLOB NOT NULL, key BLOB NOT NULL, gone INTEGER NOT NULL, moment REAL NOT NULL)""",
        *(
            f"""CREATE TRIGGER {name} AFTER {event} ON entry
            WHEN {condition} AND EXISTS (SELECT 1 FROM watch WHERE space = {row}.space)
            BEGIN INSERT INTO change (space, key, gone, moment) VALUES ({row}.space, {row}.key, {gone}, strftime('%s', 'now') + 0); END"""
            for name, event, condition, row, gone in (
                ("text_made", "INSERT", "NEW.kind = 0", "NEW", 0),
                ("text_changed", "UPDATE OF value", "NEW.kind = 0", "NEW", 0),
                ("key_removed", "DELETE", "OLD.key IS NOT NULL", "OLD", 1),
                ("key_dropped", "UPDATE OF key", "NEW.key IS NULL AND OLD.key IS NOT NULL", "OLD", 1),
            )
        ),
    ),
)
"""The statements that lead from each version of the file to the next; `PRAGMA user_version` says which one it has."""


class DatabaseFile:
    """Opens connections; `full` where each commit is to survive a power cut."""

    def __init__(self, path: Path, *, full: bool) -> None:
        self.path = path
        self.full = full

    def open(self) -> sqlite3.Connection:
        """A connection for this thread to the file, which is made or brought up to date where needed."""
        until = time.monotonic() + LOCK_WAIT
        while True:
            try:
                make(self.path)
                return self._connect("mode=rw")
            except sqlite3.Error as error:
                if not busy(error) or time.monotonic() > until:
                    raise
                time.sleep(0.005)

    def open_for_writing(self) -> sqlite3.Connection:
        """As `open`; PreconditionFailed where that is not permitted: SQLite would make a log that may not be written either."""
        if self.read_only:
            raise self._not_permitted() from PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.path))
        return self.open()

    def open_for_reading(self) -> tuple[sqlite3.Connection, bool]:
        """As `open`, and whether the connection sees changes: one that leaves no trace does not, for a file that nobody writes to."""
        if self.read_only and not self._log.exists():
            return self._connect(_UNCHANGING), False
        return self.open(), True

    @property
    def read_only(self) -> bool:
        """Whether the file is there, and this process is not permitted to write to it or beside it."""
        return self.path.exists() and not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK))

    def _not_permitted(self) -> PreconditionFailed:
        return PreconditionFailed(f"{self.path} may only be read: permit the provider to write to it and to its folder")

    def _connect(self, how: str) -> sqlite3.Connection:
        uri = f"file:{quote(os.fsencode(self.path))}?{how}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=LOCK_WAIT)
        try:
            prepare(db, self.path)
            if how != _UNCHANGING:
                self._tune(db)
        except BaseException:
            db.close()
            raise
        return db

    def _tune(self, db: sqlite3.Connection) -> None:
        if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise PreconditionFailed(f"{self.path} lies on a file system without shared memory, a network share perhaps: use a local disk")
        for pragma in (
            f"synchronous = {'FULL' if self.full else 'NORMAL'}",
            f"fullfsync = {int(self.full)}",
            f"checkpoint_fullfsync = {int(self.full)}",
            "secure_delete = ON",
            "cache_size = -8192",
            f"journal_size_limit = {64 << 20}",
        ):
            db.execute(f"PRAGMA {pragma}").fetchall()

    @property
    def _log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def identity(self) -> tuple[int, int] | None:
        """Which file lies at the path now."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def error(self, error: Exception) -> Exception:
        """What a failure of SQLite means to a caller; another exception as it is."""
        if not isinstance(error, sqlite3.Error):
            return error
        made = self._explained(error)
        made.__cause__ = error
        return made

    def _explained(self, error: sqlite3.Error) -> ProviderError:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        match _code(error):
            case sqlite3.SQLITE_FULL:
                return self._full()
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return Unavailable(f"{self.path} is locked by another process for more than {LOCK_WAIT:g} s: find out what holds it")
            case sqlite3.SQLITE_READONLY:
                return self._not_permitted()
            case sqlite3.SQLITE_CORRUPT:
                return PreconditionFailed(
                    f"{self.path} is damaged and was left as it is: put a backup in its place and restart the provider"
                )
            case sqlite3.SQLITE_NOTADB:
                return PreconditionFailed(f"{self.path} is no SQLite database and was left as it is: name another file")
            case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return Unavailable(f"{self.path} cannot be opened: permit the provider to read and write it and its folder")
            case sqlite3.SQLITE_TOOBIG:
                return ResourceExhausted(f"{self.path} takes no value of this size: lower max_value_size", retryable=False)
            case sqlite3.SQLITE_NOMEM:
                return ResourceExhausted(f"{self.path}: the memory is full")
            case sqlite3.SQLITE_IOERR:
                return self._full() if self._no_room() else Unavailable(f"{self.path}: the disk fails ({name}): look at the system's log")
        return Internal(f"{self.path}: an operation fails ({name})", detail=str(error))

    def _full(self) -> ProviderError:
        return ResourceExhausted(f"{self.path} cannot grow, nothing was written: make room on the disk, or raise the quota or ulimit -f")

    def _no_room(self) -> bool:
        """Whether a write at the end of the file fails for lack of room: SQLite tells a quota and a limit from no other failure."""
        try:
            end = max(path.stat().st_size for path in (self.path, self._log) if path.exists())
            with tempfile.TemporaryFile(dir=self.path.parent) as probe:
                room = os.pwrite(probe.fileno(), bytes(64 << 10), end)
        except OSError as error:
            return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        except ValueError:
            return False
        return room < 64 << 10


def busy(error: sqlite3.Error) -> bool:
    """Whether somebody else has the lock."""
    return _code(error) == sqlite3.SQLITE_BUSY


def fatal(error: sqlite3.Error) -> bool:
    """Whether the connection is to be made anew after this."""
    codes = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
    return _code(error) in codes


def damaged(error: sqlite3.Error) -> bool:
    """Whether the file is broken, which no later success makes good."""
    return _code(error) == sqlite3.SQLITE_CORRUPT


def _code(error: sqlite3.Error) -> int:
    """The primary result code; an extended one has more in its upper bits."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF


def make(path: Path) -> None:
    """The file, empty and for its owner alone, and the folders above it, where they do not exist."""
    try:
        _make_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        # Opening a file that is there, and closing it, would let go of the locks that SQLite has on it.
        return
    except OSError as error:
        if not path.exists():
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            kind = ResourceExhausted if full else PreconditionFailed
            raise kind(f"{path} cannot be made: {(error.strerror or str(error)).lower()}") from error


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    above = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(above)
    finally:
        os.close(above)


def prepare(db: sqlite3.Connection, path: Path, steps: Sequence[Sequence[str]] = SCHEMA) -> None:
    """Bring the file to the version that has all of `steps`; PreconditionFailed where it is newer, or not ours."""
    with _transaction(db, "BEGIN"):
        version = _version(db, path, len(steps))
    if version == len(steps):
        return
    if not version:
        # Both are facts of the file that cannot be set once it has tables.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL").fetchall()
    with _transaction(db, "BEGIN IMMEDIATE"):
        # Another process may have been faster.
        for step in steps[_version(db, path, len(steps)) :]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute(f"PRAGMA user_version = {len(steps)}")


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        roll_back(db)
        raise


def roll_back(db: sqlite3.Connection) -> None:
    """Take back what SQLite has not taken back already."""
    with contextlib.suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")


def _version(db: sqlite3.Connection, path: Path, known: int) -> int:
    """The version of the file, 0 for an empty one."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION:
        if version > known:
            raise PreconditionFailed(f"{path} has version {version}, and this provider knows up to {known}: use a newer provider")
        return int(version)
    if application or version or db.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise PreconditionFailed(f"{path} is a database of another program and was left as it is: name another file")
    return 0
