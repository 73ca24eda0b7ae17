"""Kinds of values without parts: integers, floats, text, bytes, handles, enums, flags (wrpc-1x.md §4.1).

A Kind checks while it converts. A fault is raised as `Fault` and gathers its path on the way out: the good case pays nothing for it.
"""

from __future__ import annotations

import struct
from enum import Enum, Flag
from typing import Any

from provider_sdk.hosts.wrpc.value_bytes import BYTES, Fault, Incomplete, Reader, Writer, signed_leb, unsigned_leb
from provider_sdk.types import Handle, Integer


class Kind:
    """One kind of value.

    `smallest` is the fewest bytes one takes; `deferred`: it holds streams or futures; `hashable`: a set may hold it.
    """

    name: str
    smallest = 1
    deferred = False
    hashable = True

    def read(self, reader: Reader) -> Any:
        """The value that begins at the reader's place; Fault, or Incomplete where bytes are missing."""
        raise NotImplementedError

    def write(self, writer: Writer, value: Any) -> None:
        """Append the value's bytes; Fault for one that does not fit."""
        raise NotImplementedError

    def paths(self) -> tuple[str, ...]:
        """The index paths on which its streams and futures go, from its own place on; those in lists and streams cannot be told."""
        return ()

    def wrong(self, value: Any) -> Fault:
        """The fault of another type."""
        return Fault(f"expected {self.name}, got {type(value).__name__}")


class Nothing(Kind):
    """None: a payload that is not there."""

    name = "nothing"
    smallest = 0

    def read(self, reader: Reader) -> Any:
        return None

    def write(self, writer: Writer, value: Any) -> None:
        if value is not None:
            raise self.wrong(value)


class Boolean(Kind):
    """bool."""

    name = "a boolean"

    def read(self, reader: Reader) -> Any:
        return reader.choice()

    def write(self, writer: Writer, value: Any) -> None:
        if value is True:
            writer.append(b"\x01")
        elif value is False:
            writer.append(b"\x00")
        else:
            raise self.wrong(value)


class Whole(Kind):
    """int of a size: what 8-bit, signed and unsigned ones share."""

    name = "an integer"

    def __init__(self, size: Integer) -> None:
        self.bits, self.lowest, self.highest = size.bits, size.lowest, size.highest
        self.label = f"{'s' if size.signed else 'u'}{size.bits}"

    def checked(self, value: Any) -> int:
        """A value that fits."""
        if type(value) is not int:
            raise self.wrong(value)
        if not self.lowest <= value <= self.highest:
            raise Fault(f"{value} is out of range for {self.label} ({self.lowest} to {self.highest})")
        return value


class Octet(Whole):
    """U8 and S8: one byte, two's complement."""

    def read(self, reader: Reader) -> Any:
        value = reader.byte()
        return value if value <= self.highest else value - 256

    def write(self, writer: Writer, value: Any) -> None:
        writer.append(BYTES[self.checked(value) & 0xFF])


class Unsigned(Whole):
    """U16, U32, U64: unsigned LEB128."""

    def read(self, reader: Reader) -> Any:
        return reader.unsigned(self.bits)

    def write(self, writer: Writer, value: Any) -> None:
        if type(value) is int and 0 <= value < 0x80:
            writer.append(BYTES[value])
        else:
            writer.append(unsigned_leb(self.checked(value)))


class Signed(Whole):
    """S16, S32, S64: signed LEB128."""

    def read(self, reader: Reader) -> Any:
        return reader.signed(self.bits)

    def write(self, writer: Writer, value: Any) -> None:
        writer.append(signed_leb(self.checked(value)))


class Real(Kind):
    """float: IEEE 754, little-endian; whole numbers are taken."""

    name = "a number"

    def __init__(self, bits: int) -> None:
        self.label = f"f{bits}"
        self.form = struct.Struct("<f" if bits == 32 else "<d")
        self.smallest = self.form.size

    def read(self, reader: Reader) -> Any:
        return self.form.unpack(reader.take(self.form.size))[0]

    def write(self, writer: Writer, value: Any) -> None:
        if type(value) is not float and type(value) is not int:
            raise self.wrong(value)
        try:
            writer.append(self.form.pack(value))
        except (OverflowError, struct.error):
            raise Fault(f"{value} is out of range for {self.label}") from None


class Character(Kind):
    """Char as its UTF-8 bytes."""

    name = "a character"

    def read(self, reader: Reader) -> Any:
        first = reader.byte()
        if first < 0x80:
            return chr(first)
        try:
            more = (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)
            return (BYTES[first] + reader.take(more)).decode()
        except UnicodeDecodeError:
            raise Fault("expected a character, got bytes that are not UTF-8") from None

    def write(self, writer: Writer, value: Any) -> None:
        writer.append(self.checked(value).encode())

    def checked(self, value: Any) -> str:
        """One scalar value."""
        if not isinstance(value, str):
            raise self.wrong(value)
        if len(value) != 1:
            raise Fault(f"expected a character, got {len(value)}")
        if "\ud800" <= value <= "\udfff":
            raise Fault("expected a character, got half of a surrogate pair")
        return value


class NumberedCharacter(Character):
    """Char as v1.0 has it: the LEB128 of its number."""

    def read(self, reader: Reader) -> Any:
        number = reader.unsigned(32)
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise Fault(f"expected a character, got the number {number:#x}")
        return chr(number)

    def write(self, writer: Writer, value: Any) -> None:
        writer.append(unsigned_leb(ord(self.checked(value))))


class Text(Kind):
    """str: its length in bytes, then UTF-8."""

    name = "a string"

    def read(self, reader: Reader) -> Any:
        data, start = reader.data, reader.at + 1
        if start > len(data):
            raise Incomplete(1)
        length = data[start - 1]
        if length >= 0x80:
            length = reader.unsigned(32)
            start = reader.at
        end = start + length
        if end > len(data):
            raise Incomplete(end - len(data))
        reader.at = end
        try:
            return data[start:end].decode()
        except UnicodeDecodeError:
            raise Fault("expected a string, got bytes that are not UTF-8") from None

    def write(self, writer: Writer, value: Any) -> None:
        if not isinstance(value, str):
            raise self.wrong(value)
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise Fault("expected a string, got one that is not UTF-8") from None
        writer.append(unsigned_leb(len(data)))
        writer.append(data)


class Blob(Kind):
    """bytes: list<u8>."""

    name = "bytes"

    def read(self, reader: Reader) -> Any:
        return reader.take(reader.unsigned(32))

    def write(self, writer: Writer, value: Any) -> None:
        if type(value) is not bytes:
            value = octets(value)
        writer.append(unsigned_leb(len(value)))
        writer.append(value)


def octets(value: Any) -> bytes:
    """The bytes of anything that holds bytes; Fault for other values."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise Fault(f"expected bytes, got {type(value).__name__}")


class Resource(Kind):
    """A Handle, owned or borrowed: list<u8>."""

    def __init__(self, type_: type[Handle]) -> None:
        self.type = type_
        self.name = f"a handle {type_.__name__}"

    def read(self, reader: Reader) -> Any:
        return self.type(reader.take(reader.unsigned(32)))

    def write(self, writer: Writer, value: Any) -> None:
        if not isinstance(value, self.type):
            raise self.wrong(value)
        writer.append(unsigned_leb(len(value)))
        writer.append(value)


class Choice(Kind):
    """Enum: the number of its member."""

    def __init__(self, enum: type[Enum]) -> None:
        self.enum, self.members = enum, tuple(enum)
        self.codes = {member: unsigned_leb(number) for number, member in enumerate(self.members)}
        self.name = f"one of {', '.join(str(member.value) for member in self.members)}"

    def read(self, reader: Reader) -> Any:
        number = reader.unsigned(32)
        if number >= len(self.members):
            raise Fault(f"expected {self.name}, got number {number}")
        return self.members[number]

    def write(self, writer: Writer, value: Any) -> None:
        if not isinstance(value, self.enum):
            raise self.wrong(value)
        writer.append(self.codes[value])


class Flags(Kind):
    """enum.Flag: a bit for each member in declared order, the first the lowest, in as few bytes as hold them."""

    def __init__(self, flag: type[Flag]) -> None:
        self.flag = flag
        self.name = f"flags {flag.__name__}"
        self.values = [member.value for member in flag]
        self.known = sum(self.values)
        self.smallest = (len(self.values) + 7) // 8

    def read(self, reader: Reader) -> Any:
        return self._flags(int.from_bytes(reader.take(self.smallest), "little"))

    def write(self, writer: Writer, value: Any) -> None:
        writer.append(self._bits(value).to_bytes(self.smallest, "little"))

    def _flags(self, bits: int) -> Flag:
        if bits >> len(self.values):
            raise Fault(f"expected {self.name}, got one beyond the {len(self.values)} there are")
        return self.flag(sum(value for number, value in enumerate(self.values) if bits >> number & 1))

    def _bits(self, value: Any) -> int:
        if not isinstance(value, self.flag):
            raise self.wrong(value)
        if value.value & ~self.known:
            raise Fault(f"expected {self.name}, got the value {value.value:#x}")
        return sum(1 << number for number, one in enumerate(self.values) if value.value & one)


class NumberedFlags(Flags):
    """Flags as v1.0 has them: the LEB128 of their bits."""

    def __init__(self, flag: type[Flag]) -> None:
        super().__init__(flag)
        self.smallest = 1

    def read(self, reader: Reader) -> Any:
        return self._flags(reader.unsigned(max(len(self.values), 1)))

    def write(self, writer: Writer, value: Any) -> None:
        writer.append(unsigned_leb(self._bits(value)))
