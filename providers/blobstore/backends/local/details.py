"""What an object carries beside its bytes: a hidden file next to its own, `.NAME.meta`, where there is anything to keep.

A file in it says for which version of the object it holds, by time and size. While one takes another's place, both are in it, so that after
a crash the version that is there decides.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, NamedTuple

from providers.blobstore.backend import NO_DETAILS, Details
from providers.blobstore.backends.local.files import content
from providers.blobstore.backends.local.names import LONGEST_FILE

_LARGEST = 1 << 20
_HASHED = "%~"
_SECOND = 1_000_000_000


class Version(NamedTuple):
    """What tells versions of one object apart: nanoseconds since 1970, bytes."""

    modified: int
    size: int


Records = dict[Version, Details]


def version(found: os.stat_result) -> Version:
    """The version that a file is."""
    return Version(found.st_mtime_ns, found.st_size)


def beside(name: str) -> str:
    """The file for what the object of that file carries."""
    plain = f".{name}.meta"
    if len(os.fsencode(plain)) <= LONGEST_FILE and not name.startswith(_HASHED):
        return plain
    return f".{_HASHED}{hashlib.sha256(os.fsencode(name)).hexdigest()}.meta"


def read(folder: int, name: str) -> Records | None:
    """What is kept beside an object; None where no file is, nothing where it is not ours."""
    data = content(folder, beside(name), _LARGEST)
    return None if data is None else _records(data)


def of(records: Records | None, wanted: Version) -> Details:
    """What holds for a version; a copy of the files may have lost the fractions of its second."""
    exact = (records or {}).get(wanted)
    if exact is not None:
        return exact
    like = [
        details
        for other, details in (records or {}).items()
        if other.size == wanted.size and other.modified // _SECOND == wanted.modified // _SECOND
    ]
    return like[0] if len(like) == 1 else NO_DETAILS


def encoded(records: Records) -> bytes:
    """What is written into the file."""
    versions = [
        {"modified": kept.modified, "size": kept.size, "type": details.content_type, "encoding": details.content_encoding}
        for kept, details in records.items()
    ]
    return json.dumps({"versions": versions}).encode()


def _records(data: bytes) -> Records:
    try:
        return dict(map(_record, json.loads(data)["versions"]))
    except (ValueError, KeyError, TypeError):
        return {}


def _record(entry: Any) -> tuple[Version, Details]:
    kept = Version(entry["modified"], entry["size"])
    details = Details(entry["type"], entry["encoding"])
    good = all(type(number) is int for number in kept) and all(
        text is None or isinstance(text, str) for text in (details.content_type, details.content_encoding)
    )
    if not good:
        raise ValueError(entry)
    return kept, details
