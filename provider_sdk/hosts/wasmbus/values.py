"""Arguments and results as bytes (wasmbus-0x.md §5), by codecs derived once from an interface's annotations.

Rules for `msg`: no argument and no result are no bytes. One parameter goes bare, several as a map by camelCase name.
Ordinary interfaces read msgpack, with or without the `c1` prefix. Those declared with `cbor=True` look at the first byte as §5.1 says
(`7f`: CBOR,
reserved bytes are refused) and answer in the form in which they were asked. Calls out are msgpack, but for those of such an interface
that are made on behalf of a call that came in CBOR. Bytes after the value are refused.
"""

from __future__ import annotations

import struct
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import msgpack

from provider_sdk.errors import Internal, InvalidArgument
from provider_sdk.hosts.wasmbus.value_annotations import kind_of
from provider_sdk.hosts.wasmbus.value_kinds import (
    Fault,
    Kind,
    Later,
    Maybe,
    Member,
    Nothing,
    Real,
    Row,
    Sequence,
    Single,
    Structure,
    Table,
    Variants,
)
from provider_sdk.interface import Operation, camel_case

_MSGPACK_PREFIX, _CBOR_PREFIX = 0xC1, 0x7F


class Form(Enum):
    """In which encoding a message came, and is to be answered."""

    MSGPACK = "msgpack"
    CBOR = "cbor"


_asked_in: ContextVar[Form] = ContextVar("provider_sdk.form", default=Form.MSGPACK)


class ValueCodec:
    """One kind of value to and from bytes. `root` is the path of the value itself in messages about faults."""

    def __init__(self, kind: Kind, root: str) -> None:
        self.kind = kind
        self.root = root
        self._pack = _pack_exactly if _has_single(kind, set()) else msgpack.packb

    def encode(self, value: Any, form: Form = Form.MSGPACK) -> bytes:
        """Bytes of a value; Internal for one that does not fit: the program's own fault."""
        try:
            if form is Form.CBOR:
                from provider_sdk.hosts.wasmbus.value_cbor import write

                out = bytearray([_CBOR_PREFIX])
                write(self.kind, value, out)
                return bytes(out)
            packed: bytes = self._pack(self.kind.write(value))
            return packed
        except Fault as fault:
            raise Internal(f"the value to send is wrong: {fault.describe(self.root)}") from None
        except (ValueError, TypeError, OverflowError, RecursionError, AttributeError) as error:
            raise Internal(f"the value to send is wrong: {self.root}: {error}") from error

    def decode(self, data: bytes, form: Form = Form.MSGPACK) -> Any:
        """The value; InvalidArgument names the path of the member that does not fit."""
        try:
            if form is Form.CBOR:
                from provider_sdk.hosts.wasmbus.value_cbor import Reader

                reader = Reader(data)
                value = reader.read(self.kind)
                reader.finish()
                return value
            return self.kind.read(_unpack(data))
        except Fault as fault:
            raise InvalidArgument(fault.describe(self.root)) from None
        except RecursionError:
            raise InvalidArgument(f"{self.root}: nested too deep") from None


def _unpack(data: bytes) -> Any:
    try:
        return msgpack.unpackb(data, unicode_errors="surrogateescape", strict_map_key=False)
    except msgpack.ExtraData:
        raise Fault("bytes follow the value") from None
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Fault(f"not msgpack: {str(error) or 'cut off or malformed'}") from None


def _has_single(kind: Kind, seen: set[int]) -> bool:
    if id(kind) in seen:
        return False
    seen.add(id(kind))
    if isinstance(kind, Real):
        return kind.single
    parts: list[Kind | None] = []
    if isinstance(kind, Maybe):
        parts = [kind.inner]
    elif isinstance(kind, Later):
        parts = [kind.kind]
    elif isinstance(kind, Sequence):
        parts = [kind.item]
    elif isinstance(kind, Row):
        parts = list(kind.items)
    elif isinstance(kind, Table):
        parts = [kind.key, kind.item]
    elif isinstance(kind, Structure):
        parts = [member.kind for member in kind.members]
    elif isinstance(kind, Variants):
        parts = [content for _, content in kind.cases.values()]
    return any(part is not None and _has_single(part, seen) for part in parts)


def _pack_exactly(value: Any) -> bytes:
    """msgpack with floats of both sizes in one message, which the library cannot mix."""
    if isinstance(value, Single):
        return b"\xca" + struct.pack(">f", value)
    packer = msgpack.Packer()
    if isinstance(value, dict):
        parts = [packer.pack_map_header(len(value))]
        for key, item in value.items():
            parts += [_pack_exactly(key), _pack_exactly(item)]
        return b"".join(parts)
    if isinstance(value, list):
        return b"".join([packer.pack_array_header(len(value)), *map(_pack_exactly, value)])
    packed: bytes = packer.pack(value)
    return packed


@cache
def codec(annotation: Any, root: str = "value") -> ValueCodec:
    """The codec of an annotation; TypeError for what cannot go over the wire."""
    return ValueCodec(kind_of(annotation), root)


def _tuple(*values: Any) -> tuple[Any, ...]:
    return values


@dataclass(frozen=True, slots=True)
class OperationCodec:
    """How one operation's arguments and result go over the wire; `arguments` or `result` is None where there is none."""

    arguments: ValueCodec | None
    result: ValueCodec | None
    several: bool
    cbor: bool

    def encode_arguments(self, arguments: tuple[Any, ...]) -> bytes:
        """The bytes of a call out; InvalidArgument where an argument does not fit."""
        if self.arguments is None:
            return b""
        form = _asked_in.get() if self.cbor else Form.MSGPACK
        try:
            return self.arguments.encode(arguments if self.several else arguments[0], form)
        except Internal as error:
            raise InvalidArgument(error.message) from None

    def decode_arguments(self, data: bytes) -> tuple[tuple[Any, ...], Form]:
        """The arguments of a call in, in declared order, and the form to answer in: that of calls out that this task makes, too."""
        data, form = self._form(data)
        if form is Form.CBOR:
            _asked_in.set(form)
        if self.arguments is None:
            return (), form
        if self.several:
            values: tuple[Any, ...] = self.arguments.decode(data, form)
            return values, form
        return (self.arguments.decode(data, form),), form

    def encode_result(self, value: Any, form: Form = Form.MSGPACK) -> bytes:
        """The bytes of an answer; Internal for a result of another type than declared."""
        if self.result is None:
            if value is not None:
                raise Internal(f"the value to send is wrong: result: expected nothing, got {type(value).__name__}")
            return b"\x7f\xf6" if form is Form.CBOR else b""
        return self.result.encode(value, form)

    def decode_result(self, data: bytes) -> Any:
        """The result of a call out; InvalidArgument where the other side sent something else."""
        data, form = self._form(data)
        return None if self.result is None else self.result.decode(data, form)

    def _form(self, data: bytes) -> tuple[bytes, Form]:
        if len(data) < 2:
            return data, Form.MSGPACK
        first = data[0]
        if first == _MSGPACK_PREFIX:
            return data[1:], Form.MSGPACK
        if self.cbor:
            if first == _CBOR_PREFIX:
                return data[1:], Form.CBOR
            if first < _CBOR_PREFIX or first == 0xC0:
                raise InvalidArgument(f"argument: invalid encoding: a message cannot begin with the reserved byte {first:02x}")
        elif first == _CBOR_PREFIX:
            raise InvalidArgument("argument: CBOR (7f) is not spoken by this interface: send msgpack")
        return data, Form.MSGPACK


@cache
def operation_codec(operation: Operation) -> OperationCodec:
    """The codec of an operation; TypeError names the parameter that cannot go over the wire."""
    cbor = operation.interface.__identity__.cbor
    members = []
    for parameter in operation.parameters:
        try:
            kind = kind_of(parameter.annotation)
        except TypeError as error:
            raise TypeError(f"{operation.interface.__name__}.{operation.method}, parameter {parameter.name}: {error}") from None
        default = None if parameter.required else (lambda value=parameter.default: value)
        members.append(Member(parameter.name, camel_case(parameter.name), kind, default))
    try:
        result = kind_of(operation.result)
    except TypeError as error:
        raise TypeError(f"{operation.interface.__name__}.{operation.method}, result: {error}") from None
    arguments: ValueCodec | None = None
    if len(members) == 1:
        arguments = ValueCodec(members[0].kind, "argument")
    elif members:
        arguments = ValueCodec(Structure(members, _tuple), "argument")
    return OperationCodec(arguments, None if isinstance(result, Nothing) else ValueCodec(result, "result"), len(members) > 1, cbor)
