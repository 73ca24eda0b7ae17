"""Invocations and replies as the 0.x hosts themselves write and read them (wasmbus-0x.md §4.1, §4.2).

Written apart from hosts/wasmbus/envelope.py on purpose: the provider's side is held against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from provider_sdk.hosts.wasmbus.envelope import Entity, Invocation
from provider_sdk.lattice.manner import Manner

RUST_CHUNKS_OVER = 921_600
_MISSING = object()


class Unreadable(Exception):
    """A message that the host cannot decode; the text is what it says about it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider or actor answered; `error` None for success; `chunked` where the result lies in the object store."""

    msg: bytes
    invocation_id: str
    error: str | None
    chunked: bool


def pack_invocation(manner: Manner, invocation: Invocation) -> bytes:
    """An invocation's bytes, members in the host's order; only the Rust host adds a trace context, empty without an exporter."""
    fields: dict[str, Any] = {
        "origin": _entity(manner, invocation.origin),
        "target": _entity(manner, invocation.target),
        "operation": invocation.operation,
        "msg": invocation.msg,
        "id": invocation.id,
        "encoded_claims": invocation.encoded_claims,
        "host_id": invocation.host_id,
        "content_length": invocation.content_length,
    }
    return _pack(fields if manner is Manner.OTP else fields | {"traceContext": {}})


def read_invocation(manner: Manner, data: bytes) -> Invocation:
    """Decode an invocation for an actor; the Rust host insists on `content_length` (§11 row 7). Unreadable."""
    fields = _map(data)
    msg = _bytes(fields, "msg")
    default = _MISSING if manner is Manner.RUST else len(msg)
    return Invocation(
        origin=_read_entity(fields, "origin"),
        target=_read_entity(fields, "target"),
        operation=_text(fields, "operation"),
        msg=msg,
        id=_text(fields, "id"),
        encoded_claims=_text(fields, "encoded_claims"),
        host_id=_text(fields, "host_id"),
        content_length=_count(fields, "content_length", default),
    )


def read_reply(manner: Manner, data: bytes, identifier: str) -> Reply:
    """Decode a reply and check it by the consumer rules of §4.2: the Rust host's come before it looks at `error`. Unreadable."""
    if manner is Manner.OTP:
        return _read_otp_reply(data, identifier)
    try:
        fields = _map(data)
        msg, answered = _bytes(fields, "msg"), _text(fields, "invocation_id")
        length = _count(fields, "content_length", _MISSING)
        error = _text(fields, "error") if fields.get(b"error") is not None else None
    except Unreadable as reason:
        raise Unreadable(f"failed to decode invocation response: {reason}") from None
    if answered != identifier:
        raise Unreadable("invocation ID mismatch")
    chunked = length > RUST_CHUNKS_OVER
    if not chunked and length != len(msg):
        raise Unreadable("message size mismatch")
    return Reply(msg, answered, error, chunked)


def _read_otp_reply(data: bytes, identifier: str) -> Reply:
    fields = _map(data)
    msg = _bytes(fields, "msg") if fields.get(b"msg") is not None else b""
    length = _count(fields, "content_length", len(msg))
    error = _text(fields, "error") if fields.get(b"error") is not None else None
    answered = _text(fields, "invocation_id") if b"invocation_id" in fields else identifier
    return Reply(msg, answered, error, length > len(msg))


def pack_result(manner: Manner, invocation_id: str, instance_id: str, msg: bytes, length: int) -> bytes:
    """A running actor's result; `msg` empty and `length` the real size where it was chunked."""
    if manner is Manner.OTP:
        return _pack({"content_length": length, "instance_id": instance_id, "invocation_id": invocation_id, "msg": _elixir(msg)})
    return _pack({"msg": msg, "invocation_id": invocation_id, "content_length": length, "traceContext": {}})


def pack_failure(manner: Manner, invocation_id: str, instance_id: str, error: str) -> bytes:
    """A refused or failed call of an actor; OTP's has no `content_length`."""
    if manner is Manner.OTP:
        return _pack({"error": error, "instance_id": instance_id, "invocation_id": invocation_id, "msg": ""})
    return _pack({"msg": b"", "invocation_id": invocation_id, "error": error, "content_length": 0, "traceContext": {}})


def _elixir(data: bytes) -> str:
    """Msgpax packs every binary as a str, whatever the bytes."""
    return data.decode(errors="surrogateescape")


def _pack(fields: Mapping[str, Any]) -> bytes:
    data: bytes = msgpack.packb(fields, unicode_errors="surrogateescape")
    return data


def _entity(manner: Manner, entity: Entity) -> dict[str, str]:
    link, contract = {"link_name": entity.link_name}, {"contract_id": entity.contract_id}
    return {"public_key": entity.public_key} | (contract | link if manner is Manner.OTP else link | contract)


def _map(data: bytes) -> dict[bytes, Any]:
    try:
        value = msgpack.unpackb(data, raw=True, strict_map_key=False)
    except Exception as error:
        raise Unreadable(f"not msgpack: {error}") from None
    if not isinstance(value, dict):
        raise Unreadable("not a map")
    return value


def _member(fields: Mapping[bytes, Any], name: str) -> Any:
    value = fields.get(name.encode(), _MISSING)
    if value is _MISSING:
        raise Unreadable(f"missing field `{name}`")
    return value


def _text(fields: Mapping[bytes, Any], name: str) -> str:
    value = _member(fields, name)
    if not isinstance(value, bytes):
        raise Unreadable(f"invalid type for `{name}`, expected a string")
    return value.decode(errors="replace")


def _bytes(fields: Mapping[bytes, Any], name: str) -> bytes:
    value = _member(fields, name)
    if isinstance(value, bytes):
        return value
    try:
        return bytes(value if isinstance(value, list) else None)  # type: ignore[arg-type]  # None is the refusal
    except (TypeError, ValueError):
        raise Unreadable(f"invalid type for `{name}`, expected byte array") from None


def _count(fields: Mapping[bytes, Any], name: str, default: Any) -> int:
    value = fields.get(name.encode(), default)
    if value is _MISSING:
        raise Unreadable(f"missing field `{name}`")
    if type(value) is not int or value < 0:
        raise Unreadable(f"invalid type for `{name}`, expected u64")
    return value


def _read_entity(fields: Mapping[bytes, Any], name: str) -> Entity:
    value = _member(fields, name)
    if not isinstance(value, dict):
        raise Unreadable(f"invalid type for `{name}`, expected an entity")
    return Entity(_text(value, "public_key"), _text(value, "link_name"), _text(value, "contract_id"))
