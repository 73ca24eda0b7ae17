"""Invocation and InvocationResponse as bytes (wasmbus-0x.md §4.1, §4.2): msgpack maps with string keys, read leniently, written exactly.

Limits come from the message itself: no length in it may exceed its size, so nothing is allocated beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack
import msgspec
from msgspec import UNSET, MsgspecError, Struct, UnsetType, field

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.line import is_utf8


class Entity(Struct, frozen=True, gc=False):
    """An actor (link name and contract empty) or a provider."""

    public_key: str
    link_name: str
    contract_id: str


class Invocation(Struct, gc=False):
    """A call. `msg` is empty and `content_length` tells the real size where the argument lies in the object store."""

    origin: Entity
    target: Entity
    operation: str
    msg: bytes
    id: str
    encoded_claims: str
    host_id: str
    content_length: int
    trace: dict[str, str] | UnsetType = field(name="traceContext", default=UNSET)


class InvocationResponse(NamedTuple):
    """An answer. `error` None means success; `content_length` is the size before chunking."""

    msg: bytes
    invocation_id: str
    error: str | None
    content_length: int


class _Success(Struct, gc=False):
    msg: bytes
    invocation_id: str
    content_length: int


class _Failure(Struct, gc=False):
    msg: bytes
    invocation_id: str
    error: str
    content_length: int


_ENTITY = ("public_key", "link_name", "contract_id")
_INVOCATION = ("origin", "target", "operation", "msg", "id", "encoded_claims", "host_id", "content_length", "traceContext")
_RESPONSE = ("msg", "invocation_id", "error", "content_length", "traceContext")
_usual = msgspec.msgpack.Decoder(Invocation)
_encode = msgspec.msgpack.Encoder().encode


def unpack(data: bytes) -> Any:
    """One msgpack value and nothing after it; strings that are not UTF-8 keep their bytes as surrogates. InvalidArgument `deser error:`."""
    try:
        return msgpack.unpackb(data, unicode_errors="surrogateescape", strict_map_key=False, raw=False)
    except msgpack.ExtraData:
        raise InvalidArgument("deser error: bytes follow the message") from None
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise InvalidArgument(f"deser error: not msgpack: {error or type(error).__name__}") from None


def as_map(value: Any, names: Sequence[str], what: str) -> dict[str, Any]:
    """A structure's members by name, from a map or from an array in declared order."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and len(value) <= len(names):
        return dict(zip(names, value, strict=False))
    raise InvalidArgument(f"deser error: {what}: expected a map, got {kind(value)}")


def text(members: dict[str, Any], name: str, what: str = "", default: str | None = None) -> str:
    """A string member; `default` where it may be missing."""
    value = members.get(name, default)
    if not isinstance(value, str):
        raise InvalidArgument(f"deser error: {what}{name}: expected a string, got {'nothing' if name not in members else kind(value)}")
    if not is_utf8(value):
        raise InvalidArgument(f"deser error: {what}{name}: not UTF-8")
    return value


def kind(value: Any) -> str:
    """What a decoded value is, in words."""
    if value is None:
        return "nil"
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", bytes: "bytes", list: "an array", dict: "a map"}
    return names.get(type(value), type(value).__name__)


def blob(value: Any, what: str) -> bytes:
    """Bytes however a sender packed them: bin, str (OTP, any bytes) or an array of small integers."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, list):
        try:
            return bytes(value)
        except (ValueError, TypeError):
            pass
    raise InvalidArgument(f"deser error: {what}: expected bytes, got {kind(value)}")


def _entity(value: Any, what: str) -> Entity:
    members = as_map(value, _ENTITY, what)
    prefix = f"{what}."
    return Entity(text(members, "public_key", prefix), text(members, "link_name", prefix, ""), text(members, "contract_id", prefix, ""))


def _length(members: dict[str, Any], default: int) -> int:
    value = members.get("content_length")
    if value is None:
        return default
    if type(value) is not int or value < 0:
        raise InvalidArgument("deser error: content_length: expected a whole number")
    return value


def _trace(value: Any) -> dict[str, str] | UnsetType:
    if not isinstance(value, dict):
        return UNSET
    return {key: item for key, item in value.items() if isinstance(key, str) and isinstance(item, str) and is_utf8(key + item)}


def decode_invocation(data: bytes) -> Invocation:
    """An invocation as any sender of §4.1 writes it; InvalidArgument `deser error: …`."""
    try:
        usual = _usual.decode(data)
        if usual.content_length >= 0:
            return usual
    except (MsgspecError, RecursionError, UnicodeDecodeError):
        pass  # another form, or none: the lenient reader tells
    return _any_invocation(unpack(data))


def _any_invocation(decoded: Any) -> Invocation:
    members = as_map(decoded, _INVOCATION, "invocation")
    msg = blob(members.get("msg"), "msg")
    return Invocation(
        _entity(members.get("origin"), "origin"),
        _entity(members.get("target"), "target"),
        text(members, "operation"),
        msg,
        text(members, "id"),
        text(members, "encoded_claims"),
        text(members, "host_id"),
        _length(members, len(msg)),
        _trace(members.get("traceContext")),
    )


def encode_invocation(invocation: Invocation) -> bytes:
    """The bytes of §4.1 in the order of the Rust hosts; no traceContext where there is none."""
    return _encode(invocation)


def decode_response(data: bytes) -> InvocationResponse:
    """An answer as hosts and providers write it (§4.2): missing, nil and empty-array `msg` are empty. InvalidArgument `deser error: …`."""
    members = as_map(unpack(data), _RESPONSE, "response")
    msg = blob(members.get("msg") or b"", "msg")
    error = members.get("error")
    if error is not None:
        error = blob(error, "error").decode("utf-8", "replace")
    identifier = members.get("invocation_id") or ""
    return InvocationResponse(msg, identifier if isinstance(identifier, str) else "", error, _length(members, len(msg)))


def encode_response(response: InvocationResponse) -> bytes:
    """The bytes of §4.2: `msg` as bin, `invocation_id` and `content_length` always, also beside an error."""
    msg, identifier, error, length = response
    return _encode(_Success(msg, identifier, length) if error is None else _Failure(msg, identifier, error, length))
