"""Values in CBOR as 0.x "protocol 2" interfaces have them (wasmbus-0x.md §5.3).

Not on a CBOR library: a Timestamp is two items in a row that its parent's length counts as one, which no library reads or writes.
Definite lengths only, as on the other side.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from provider_sdk.hosts.wasmbus.value_kinds import (
    DEEPEST,
    Blob,
    Choice,
    Document,
    Fault,
    Flag,
    Kind,
    Later,
    Maybe,
    Nothing,
    Real,
    Row,
    Sequence,
    Single,
    Structure,
    Table,
    Text,
    Variants,
    Whole,
)
from provider_sdk.types import Case, Timestamp

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_NULL = b"\xf6"
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}


def head(major: int, count: int) -> bytes:
    """The shortest head of an item."""
    if count < 24:
        return bytes([major << 5 | count])
    for code, form, limit in ((24, ">B", 1 << 8), (25, ">H", 1 << 16), (26, ">I", 1 << 32), (27, ">Q", 1 << 64)):
        if count < limit:
            return bytes([major << 5 | code]) + struct.pack(form, count)
    raise Fault(f"{count} is too large for CBOR")


def write(kind: Kind, value: Any, out: bytearray) -> None:
    """Append `value`; Fault where it does not fit its kind."""
    if isinstance(kind, Later):
        return write(kind.kind, value, out)
    if isinstance(kind, Maybe) and value is not None:
        return write(kind.inner, value, out)
    if isinstance(kind, Structure):
        return _write_structure(kind, value, out)
    if isinstance(kind, Variants):
        return _write_variant(kind, value, out)
    if isinstance(kind, Blob):
        data = kind.write_member(value)
        out += head(_BYTES, len(data)) + data
        return None
    if isinstance(kind, Sequence | Row):
        checked = kind.accept(value) if isinstance(kind, Sequence) else kind.write(value)
        items = [kind.item] * len(checked) if isinstance(kind, Sequence) else kind.items
        out += head(_ARRAY, len(items))
        for index, (item_kind, item) in enumerate(zip(items, value, strict=True)):
            _step(item_kind, item, out, f"[{index}]")
        return None
    if isinstance(kind, Table):
        if not isinstance(value, Mapping):
            raise kind.wrong(value)
        out += head(_MAP, len(value))
        for key, item in value.items():
            write(kind.key, key, out)
            _step(kind.item, item, out, f".{key}")
        return None
    _write_plain(kind.write(value), out)
    return None


def _step(kind: Kind, value: Any, out: bytearray, step: str) -> None:
    try:
        write(kind, value, out)
    except Fault as fault:
        raise fault.within(step) from None


def _write_structure(kind: Structure, value: Any, out: bytearray) -> None:
    if kind.type is Timestamp:
        _write_plain(kind.members[0].kind.write(value.sec), out)
        _write_plain(kind.members[1].kind.write(value.nsec), out)
        return
    if kind.type is not None and not isinstance(value, kind.type):
        raise Fault(f"expected {kind.type.__name__}, got {type(value).__name__}")
    out += head(_ARRAY, len(kind.members))
    for index, member in enumerate(kind.members):
        item = getattr(value, member.name) if kind.type is not None else value[index]
        _step(member.kind, item, out, f".{member.wire}")


def _write_variant(kind: Variants, value: Any, out: bytearray) -> None:
    if type(value) not in kind.by_type:
        raise Fault(f"expected {kind.name}, got {type(value).__name__}")
    name, content = kind.by_type[type(value)]
    out += head(_ARRAY, 2) + head(_UNSIGNED, list(kind.cases).index(name))
    if content is None:
        out += _NULL
    else:
        _step(content, value.value if isinstance(value, Case) else value, out, f".{name}")


def _write_plain(value: Any, out: bytearray) -> None:
    if value is None:
        out += _NULL
    elif value is True or value is False:
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        out += head(_UNSIGNED, value) if value >= 0 else head(_NEGATIVE, -1 - value)
    elif isinstance(value, Single):
        out += b"\xfa" + struct.pack(">f", value)
    elif isinstance(value, float):
        out += b"\xfb" + struct.pack(">d", value)
    elif isinstance(value, str):
        data = value.encode()
        out += head(_TEXT, len(data)) + data
    elif isinstance(value, bytes):
        out += head(_BYTES, len(value)) + value
    elif isinstance(value, list | tuple):
        out += head(_ARRAY, len(value))
        for item in value:
            _write_plain(item, out)
    elif isinstance(value, dict):
        out += head(_MAP, len(value))
        for key, item in value.items():
            _write_plain(key, out)
            _write_plain(item, out)
    else:
        raise Fault(f"{type(value).__name__} cannot be written as CBOR")


class Reader:
    """Reads items from `data` in turn; every length is checked against what is left."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def finish(self) -> None:
        """Fault where bytes are left."""
        if self._at != len(self._data):
            raise Fault("bytes follow the value")

    def read(self, kind: Kind, depth: int = 0) -> Any:
        """The next item as `kind`."""
        if depth > DEEPEST:
            raise Fault(f"nested more than {DEEPEST} deep")
        if isinstance(kind, Later):
            return self.read(kind.kind, depth)
        if isinstance(kind, Maybe):
            return None if self._null() else self.read(kind.inner, depth)
        if isinstance(kind, Structure):
            return self._structure(kind, depth)
        if isinstance(kind, Variants):
            return self._variant(kind, depth)
        if isinstance(kind, Sequence):
            return kind.gather([self._item(kind.item, f"[{index}]", depth) for index in range(self._head(_ARRAY, kind))])
        if isinstance(kind, Row):
            if self._head(_ARRAY, kind) != len(kind.items):
                raise Fault(f"expected {kind.name}")
            return tuple(self._item(item, f"[{index}]", depth) for index, item in enumerate(kind.items))
        if isinstance(kind, Table):
            return dict(self._entry(kind, depth) for _ in range(self._head(_MAP, kind)))
        if isinstance(kind, Text | Flag | Whole | Real | Blob | Nothing | Choice | Document):
            return kind.read(self._plain(depth))
        raise Fault("cannot be read from CBOR")

    def _item(self, kind: Kind, step: str, depth: int) -> Any:
        try:
            return self.read(kind, depth + 1)
        except Fault as fault:
            raise fault.within(step) from None

    def _entry(self, kind: Table, depth: int) -> tuple[Any, Any]:
        key = self.read(kind.key, depth + 1)
        try:
            hash(key)
        except TypeError:
            raise Fault("an array or a map cannot be a key") from None
        return key, self._item(kind.item, f".{key}"[:80], depth)

    def _structure(self, kind: Structure, depth: int) -> Any:
        if kind.type is Timestamp:
            return Timestamp(*(self.read(member.kind, depth + 1) for member in kind.members))
        major, count = self._any_head()
        values: dict[str, Any] = {}
        if major == _ARRAY:
            for index in range(count):
                self._member(kind.members[index] if index < len(kind.members) else None, values, depth)
        elif major == _MAP:
            by_wire = {member.wire: member for member in kind.members}
            for _ in range(count):
                name = self._plain(depth)
                self._member(by_wire.get(name) if isinstance(name, str) else None, values, depth)
        else:
            raise Fault(f"expected {kind.name}")
        return kind.make(*(values[member.wire] if member.wire in values else member.missing() for member in kind.members))

    def _member(self, member: Any, values: dict[str, Any], depth: int) -> None:
        if member is None:
            self._plain(depth)
        elif not self._null():
            values[member.wire] = self._item(member.kind, f".{member.wire}", depth)

    def _variant(self, kind: Variants, depth: int) -> Any:
        if self._head(_ARRAY, kind) != 2:
            raise Fault(f"expected {kind.name} as an array of two")
        number = self._plain(depth)
        if type(number) is not int or not 0 <= number < len(kind.cases):
            raise Fault(f"expected the number of {kind.name}")
        name = list(kind.cases)[number]
        type_, content = kind.cases[name]
        if content is None:
            if not self._null():
                raise Fault("expected null").within(f".{name}")
            return type_()
        value = self._item(content, f".{name}", depth)
        return type_(value) if issubclass(type_, Case) else value

    def _null(self) -> bool:
        if self._data[self._at : self._at + 1] != _NULL:
            return False
        self._at += 1
        return True

    def _take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise Fault("the message is cut off")
        self._at += count
        return piece

    def _any_head(self) -> tuple[int, int]:
        first = self._take(1)[0]
        major, code = first >> 5, first & 31
        if code < 24:
            return major, code
        if code > 27:
            raise Fault("only definite lengths are read")
        count = int.from_bytes(self._take(1 << (code - 24)), "big")
        if major in (_BYTES, _TEXT, _ARRAY, _MAP) and count > len(self._data) - self._at:
            raise Fault("a length is longer than the message")
        return major, count

    def _head(self, major: int, kind: Kind) -> int:
        found, count = self._any_head()
        if found != major:
            raise Fault(f"expected {kind.name}")
        return count

    def _plain(self, depth: int) -> Any:
        """The next item as plain data, whatever it is."""
        if depth > DEEPEST:
            raise Fault(f"nested more than {DEEPEST} deep")
        first = self._data[self._at : self._at + 1]
        if first and first[0] >> 5 == _SIMPLE:
            return self._simple()
        major, count = self._any_head()
        if major == _UNSIGNED:
            return count
        if major == _NEGATIVE:
            return -1 - count
        if major == _BYTES:
            return self._take(count)
        if major == _TEXT:
            try:
                return self._take(count).decode()
            except UnicodeDecodeError:
                raise Fault("a string is not UTF-8") from None
        if major == _ARRAY:
            return [self._plain(depth + 1) for _ in range(count)]
        if major == _MAP:
            return dict(self._pair(depth) for _ in range(count))
        return self._plain(depth + 1)  # what a tag marks

    def _pair(self, depth: int) -> tuple[Any, Any]:
        key = self._plain(depth + 1)
        if isinstance(key, list | dict):
            raise Fault("a key is an array or a map")
        return key, self._plain(depth + 1)

    def _simple(self) -> Any:
        code = self._take(1)[0] & 31
        if code in (20, 21):
            return code == 21
        if code in (22, 23):
            return None
        if code in _FLOATS:
            (number,) = struct.unpack(_FLOATS[code], self._take(struct.calcsize(_FLOATS[code])))
            return number
        raise Fault("an unknown simple value")
