"""The file of an export: JSON lines, the first with the format and its version, the last with the count and a checksum.

    {"format":"provider-keyvalue","version":1}
    {"key":"visits","kind":"text","value":"42"}
    {"key":"queue","kind":"list","items":["first",{"base64":"/wA="}],"expires":1767225600}
    {"end":{"entries":2,"sha256":"…"}}

A key, value or item is a string where it is UTF-8, else an object with its base64. The checksum is of all bytes before its line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Annotated, BinaryIO, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from provider_sdk import InvalidArgument, Unsupported
from providers.keyvalue.backend import Entry, Kind

FORMAT, VERSION = "provider-keyvalue", 1
LONGEST_FIRST = 4096
END = b'{"end":'
KINDS: dict[Literal["text", "list", "set"], Kind] = {"text": Kind.TEXT, "list": Kind.LIST, "set": Kind.SET}
WORDS = {kind: word for word, kind in KINDS.items()}


class _First(Struct):
    format: str
    version: int


class _Bytes(Struct, forbid_unknown_fields=True):
    base64: bytes


class _Line(Struct, forbid_unknown_fields=True, omit_defaults=True):
    key: str | _Bytes
    kind: Literal["text", "list", "set"]
    value: str | _Bytes | UnsetType = UNSET
    items: list[str | _Bytes] | UnsetType = UNSET
    expires: Annotated[float, msgspec.Meta(ge=0, le=1e12)] = 0


class _End(Struct, forbid_unknown_fields=True):
    entries: int
    sha256: str


class _Last(Struct, forbid_unknown_fields=True):
    end: _End


_encode = msgspec.json.Encoder().encode
_first = msgspec.json.Decoder(_First).decode
_line = msgspec.json.Decoder(_Line).decode
_last = msgspec.json.Decoder(_Last).decode


class DumpWriter:
    """Hands the lines of a dump to `write`, one entry at a time."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._sum = hashlib.sha256()
        self.entries = 0
        self._put(_encode(_First(FORMAT, VERSION)))

    def add(self, entry: Entry) -> None:
        """The next entry."""
        line = _Line(_shown(entry.key), WORDS[entry.kind], expires=_whole(entry.expires))
        if entry.kind is Kind.TEXT:
            line.value = _shown(entry.items[0])
        else:
            line.items = [_shown(item) for item in entry.items]
        self._put(_encode(line))
        self.entries += 1

    def finish(self) -> None:
        """The last line."""
        self._put(_encode(_Last(_End(self.entries, self._sum.hexdigest()))))

    def _put(self, line: bytes) -> None:
        line += b"\n"
        self._sum.update(line)
        self._write(line)


def read_dump(file: BinaryIO, name: str) -> Iterator[Entry]:
    """The entries of a dump. InvalidArgument, with `name` and the line, for what is none, was cut short or altered, as soon as that shows;
    Unsupported for a newer version."""
    line = file.readline(LONGEST_FIRST)
    _check_first(line, name)
    checksum, entries, number = hashlib.sha256(line), 0, 1
    while line := file.readline():
        number += 1
        if line.startswith(END):
            _check_last(line, entries, checksum.hexdigest(), name)
            if file.readline(1):
                raise InvalidArgument(f"{name} goes on behind its last line, {number}")
            return
        checksum.update(line)
        try:
            entry = _entry(_line(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            cut = "" if line.endswith(b"\n") else "; it was cut short"
            raise InvalidArgument(f"{name}: line {number} is no entry of an export: {error}{cut}") from error
        yield entry
        entries += 1
    raise InvalidArgument(f"{name} was cut short: it ends after {entries} entries without the last line of an export")


def _check_first(line: bytes, name: str) -> None:
    try:
        first = _first(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        first = _First("", 0)
    if first.format != FORMAT or first.version < 1:
        raise InvalidArgument(f'{name} is no export of a keyvalue: its first line is not {{"format":"{FORMAT}","version":{VERSION}}}')
    if first.version > VERSION:
        raise Unsupported(f"{name} is an export of version {first.version}, and this program reads up to {VERSION}: use a newer one")


def _check_last(line: bytes, entries: int, checksum: str, name: str) -> None:
    try:
        last = _last(line).end
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"{name}: the last line is none of an export, it may be cut short: {error}") from error
    if last.entries != entries:
        raise InvalidArgument(f"{name} has {entries} entries, and its last line says {last.entries}")
    if last.sha256 != checksum:
        raise InvalidArgument(f"{name} was altered after the export: the checksum of its last line does not fit")


def _entry(line: _Line) -> Entry:
    kind = KINDS[line.kind]
    if kind is Kind.TEXT:
        if line.value is UNSET or line.items is not UNSET:
            raise msgspec.ValidationError("text has a `value`, and no `items`")
        items: tuple[bytes, ...] = (_bytes(line.value),)
    else:
        if line.items is UNSET or line.value is not UNSET or not line.items:
            raise msgspec.ValidationError(f"a {line.kind} has `items`, one or more, and no `value`")
        items = tuple(map(_bytes, line.items))
        if kind is Kind.SET and len(set(items)) < len(items):
            raise msgspec.ValidationError("a member of the set is there twice")
    return Entry(_bytes(line.key), kind, items, line.expires)


def _shown(value: bytes) -> str | _Bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _Bytes(value)


def _bytes(value: str | _Bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value.base64


def _whole(moment: float) -> float:
    return int(moment) if moment == int(moment) else moment
