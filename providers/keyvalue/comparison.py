"""Whether two namespaces hold the same, in memory that does not grow with them: what the first holds is noted in a file without a name."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field

from providers.keyvalue.backend import Backend, Entry, Kind, shown
from providers.keyvalue.transfer import Tell

SAME_MOMENT = 1.0
"""Seconds by which expiry may differ: servers before Redis 7 tell only how long a key has left."""


@dataclass
class Comparison:
    """Entries that are equal, and those that are not; `lines` tells of the first `most` differences."""

    most: int
    equal: int = 0
    only_first: int = 0
    only_second: int = 0
    different: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether there is no difference."""
        return not (self.only_first or self.only_second or self.different)

    def tell(self, key: bytes, what: str) -> None:
        """Note a difference of `key`."""
        if len(self.lines) < self.most:
            self.lines.append(f"{shown(key)} {what}")


_Noted = tuple[str, bytes, float]


async def compare(first: Backend, second: Backend, most: int, tell: Tell) -> Comparison:
    """Compare kinds, values, the order of lists, and expiry to SAME_MOMENT. A key whose time ends meanwhile is no difference."""
    found = Comparison(most)
    with closing(sqlite3.connect("")) as notes:
        notes.execute("CREATE TABLE noted (key BLOB PRIMARY KEY, kind TEXT, digest BLOB, expires REAL) WITHOUT ROWID")
        async for entry in first.entries():
            notes.execute("INSERT OR REPLACE INTO noted VALUES (?, ?, ?, ?)", (entry.key, *_note(entry)))
            tell(1)
        async for entry in second.entries():
            noted: _Noted | None = notes.execute("SELECT kind, digest, expires FROM noted WHERE key = ?", (entry.key,)).fetchone()
            _judge(found, entry, noted)
            notes.execute("DELETE FROM noted WHERE key = ?", (entry.key,))
            tell(1)
        for key, expires in notes.execute("SELECT key, expires FROM noted"):
            if not _over(expires):
                found.only_first += 1
                found.tell(key, "is only in the first")
    return found


def _judge(found: Comparison, entry: Entry, noted: _Noted | None) -> None:
    if noted is None:
        if not _over(entry.expires):
            found.only_second += 1
            found.tell(entry.key, "is only in the second")
        return
    differences = _differences(noted, _note(entry))
    if differences:
        found.different += 1
        found.tell(entry.key, differences)
    else:
        found.equal += 1


def _differences(first: _Noted, second: _Noted) -> str:
    if first[0] != second[0]:
        return f"holds {first[0]} in the first and {second[0]} in the second"
    if first[1] != second[1]:
        return f"holds another {'value' if first[0] == Kind.TEXT else 'list' if first[0] == Kind.LIST else 'set'} in the second"
    if bool(first[2]) != bool(second[2]) or abs(first[2] - second[2]) > SAME_MOMENT:
        return f"expires {_moment(first[2])} in the first and {_moment(second[2])} in the second"
    return ""


def _note(entry: Entry) -> _Noted:
    digest = hashlib.sha256()
    for item in sorted(entry.items) if entry.kind is Kind.SET else entry.items:
        digest.update(len(item).to_bytes(8, "big") + item)
    return entry.kind.value, digest.digest(), entry.expires


def _over(expires: float) -> bool:
    return 0 < expires <= time.time() + SAME_MOMENT


def _moment(expires: float) -> str:
    return time.strftime("at %Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)) if expires else "never"
