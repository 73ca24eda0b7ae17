"""What holds for every value: it comes back as it went, and msgpack and cbor2 read our bytes as we read theirs."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import cbor2
import msgpack
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from provider_sdk.errors import ProviderError
from provider_sdk.hosts.line import decode_line
from provider_sdk.hosts.wasmbus.claims import decode_claims, entity_url, invocation_hash, sign_invocation_claims, verify
from provider_sdk.hosts.wasmbus.envelope import (
    Entity,
    Invocation,
    InvocationResponse,
    decode_invocation,
    decode_response,
    encode_invocation,
    encode_response,
)
from provider_sdk.hosts.wasmbus.hostdata import parse_host_data
from provider_sdk.hosts.wasmbus.links_wire import LinkDefinition, decode_link, encode_link
from provider_sdk.hosts.wasmbus.values import Form, codec
from provider_sdk.nkeys import KeyPair, Prefix, decode_public, decode_seed, encode_public, encode_seed
from provider_sdk.types import F32, F64, S8, S64, U8, U64, Case, Timestamp
from tests.unit import golden
from tests.unit.golden import CLUSTER

FORMS = pytest.mark.parametrize("form", list(Form))
CLUSTER_KEY = KeyPair.from_seed(CLUSTER.seed)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Num(Case[S64]):
    pass


@dataclass(frozen=True)
class Empty:
    pass


@dataclass(frozen=True)
class Pair:
    left: S8
    right: U64


@dataclass
class Everything:
    text: str
    flag: bool
    number: S64
    ratio: F64
    small: F32
    data: bytes
    blobs: list[bytes]
    maybe: str | None
    colour: Colour
    shapes: list[Num | Empty | Pair]
    by_name: dict[str, Pair]
    by_number: dict[U8, bytes]
    row: tuple[U8, str]
    names: frozenset[str]
    made: Timestamp
    changed: Timestamp | None
    children: list[Everything]
    count: U8 = 5


def whole(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else st.integers(0, (1 << bits) - 1)


doubles = st.floats(allow_nan=False)
singles = st.floats(width=32, allow_nan=False)
moments = st.builds(Timestamp, whole(64, signed=True), st.integers(0, 999_999_999))
pairs = st.builds(Pair, whole(8, signed=True), whole(64, signed=False))
shapes = st.one_of(st.builds(Num, whole(64, signed=True)), st.builds(Empty), pairs)


def everything(children: st.SearchStrategy[list[Everything]]) -> st.SearchStrategy[Everything]:
    return st.builds(
        Everything,
        text=st.text(),
        flag=st.booleans(),
        number=whole(64, signed=True),
        ratio=doubles,
        small=singles,
        data=st.binary(),
        blobs=st.lists(st.binary(max_size=8), max_size=3),
        maybe=st.none() | st.text(),
        colour=st.sampled_from(Colour),
        shapes=st.lists(shapes, max_size=3),
        by_name=st.dictionaries(st.text(), pairs, max_size=3),
        by_number=st.dictionaries(whole(8, signed=False), st.binary(max_size=8), max_size=3),
        row=st.tuples(whole(8, signed=False), st.text()),
        names=st.frozensets(st.text(), max_size=3),
        made=moments,
        changed=st.none() | moments,
        children=children,
        count=whole(8, signed=False),
    )


leaves = everything(st.just([]))
trees = everything(st.lists(leaves, max_size=2))
atoms = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | doubles | st.text() | st.binary()
keys = st.text() | st.integers(-(1 << 63), (1 << 64) - 1) | st.binary()
documents = st.recursive(atoms, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12)


def decode(annotation: Any, data: bytes, form: Form) -> Any:
    return codec(annotation).decode(data[1:] if form is Form.CBOR else data, form)


@FORMS
@given(value=trees)
def test_a_value_comes_back_as_it_went(form: Form, value: Everything) -> None:
    assert decode(Everything, codec(Everything).encode(value, form), form) == value


@dataclass
class Judged:
    """What a library can judge: no timestamp, which in CBOR is no item."""

    text: str
    number: S64
    ratio: F64
    data: bytes
    maybe: str | None
    rows: list[tuple[U8, str]]
    by_name: dict[str, list[bytes]]
    inner: list[Judged] = field(default_factory=list)


def judged(inner: st.SearchStrategy[list[Judged]]) -> st.SearchStrategy[Judged]:
    return st.builds(
        Judged,
        text=st.text(),
        number=whole(64, signed=True),
        ratio=doubles,
        data=st.binary(),
        maybe=st.none() | st.text(),
        rows=st.lists(st.tuples(whole(8, signed=False), st.text()), max_size=3),
        by_name=st.dictionaries(st.text(), st.lists(st.binary(max_size=4), max_size=3), max_size=3),
        inner=inner,
    )


def as_map(value: Judged) -> dict[str, Any]:
    """What msgpack has of it, written out by hand."""
    members: dict[str, Any] = {"text": value.text, "number": value.number, "ratio": value.ratio, "data": value.data}
    if value.maybe is not None:
        members["maybe"] = value.maybe
    members["rows"] = [list(row) for row in value.rows]
    members["byName"] = {name: [list(blob) for blob in blobs] for name, blobs in value.by_name.items()}
    return members | {"inner": [as_map(item) for item in value.inner]}


def as_array(value: Judged) -> list[Any]:
    """What CBOR has of it, written out by hand."""
    rows = [list(row) for row in value.rows]
    return [value.text, value.number, value.ratio, value.data, value.maybe, rows, value.by_name, [as_array(item) for item in value.inner]]


@given(value=judged(st.lists(judged(st.just([])), max_size=2)))
def test_msgpack_writes_the_same_bytes(value: Judged) -> None:
    packed = msgpack.packb(as_map(value))
    assert codec(Judged).encode(value) == packed
    assert codec(Judged).decode(packed) == value


@given(value=judged(st.lists(judged(st.just([])), max_size=2)))
def test_cbor2_reads_our_bytes_and_we_read_its(value: Judged) -> None:
    assert cbor2.loads(codec(Judged).encode(value, Form.CBOR)[1:]) == as_array(value)
    assert decode(Judged, b"\x7f" + cbor2.dumps(as_array(value)), Form.CBOR) == value
    assert decode(Judged, b"\x7f" + cbor2.dumps(as_array(value), canonical=True), Form.CBOR) == value


@given(value=documents)
def test_a_free_value_is_to_msgpack_what_it_is_to_us(value: Any) -> None:
    packed = msgpack.packb(value)
    assert codec(Any).encode(value) == packed
    assert codec(Any).decode(packed) == msgpack.unpackb(packed, strict_map_key=False) == value


@given(value=documents)
def test_a_free_value_is_to_cbor2_what_it_is_to_us(value: Any) -> None:
    written = codec(Any).encode(value, Form.CBOR)[1:]
    assert cbor2.loads(written) == value
    assert codec(Any).decode(cbor2.dumps(value), Form.CBOR) == value
    assert codec(Any).decode(written, Form.CBOR) == value


@given(data=st.binary(max_size=64))
def test_msgpack_and_we_refuse_the_same_bytes(data: bytes) -> None:
    try:
        expected = msgpack.unpackb(data, strict_map_key=False, unicode_errors="surrogateescape")
    except (ValueError, TypeError, msgpack.UnpackException):
        with pytest.raises(ProviderError):
            codec(Any).decode(data)
    else:
        assert repr(codec(Any).decode(data)) == repr(expected)


@given(data=st.binary(min_size=1, max_size=64))
def test_what_we_read_as_cbor_cbor2_reads_alike(data: bytes) -> None:
    try:
        value = codec(Any).decode(data, Form.CBOR)
    except ProviderError:
        return
    tagged = any(0xC0 <= byte < 0xE0 or byte == 0xF7 for byte in data)
    assume(not tagged)
    assert repr(cbor2.loads(data)) == repr(value)


@given(number=singles)
def test_a_single_keeps_its_value_in_32_bits(number: float) -> None:
    assert len(codec(F32).encode(number)) == 5
    assert codec(F32).decode(codec(F32).encode(number)) == number
    assert decode(F32, codec(F32).encode(number, Form.CBOR), Form.CBOR) == number


@FORMS
@given(number=doubles)
def test_a_double_that_no_single_can_hold_is_refused_and_never_made_infinite(form: Form, number: float) -> None:
    try:
        written = decode(F32, codec(F32).encode(number, form), form)
    except ProviderError as error:
        assert "is out of range for F32" in str(error)
        assert abs(number) > 3.4e38
    else:
        assert math.isinf(written) == math.isinf(number)


texts = st.text(max_size=12)
entities = st.builds(Entity, texts, texts, texts)
traces = st.just(UNSET) | st.dictionaries(texts, texts, max_size=2)
invocations = st.builds(Invocation, entities, entities, texts, st.binary(), texts, texts, texts, whole(64, signed=False), traces)
ORDER = ("origin", "target", "operation", "msg", "id", "encoded_claims", "host_id", "content_length", "traceContext")


@given(invocation=invocations)
def test_an_invocation_comes_back_as_it_went_and_msgpack_reads_it(invocation: Invocation) -> None:
    data = encode_invocation(invocation)
    assert decode_invocation(data) == invocation
    assert msgpack.packb(msgpack.unpackb(data)) == data


@given(invocation=invocations, order=st.permutations(ORDER), as_string=st.booleans())
def test_an_invocation_is_the_same_in_every_form(invocation: Invocation, order: list[str], as_string: bool) -> None:
    members = msgpack.unpackb(encode_invocation(invocation))
    assert decode_invocation(msgpack.packb({name: members[name] for name in order if name in members})) == invocation
    assert decode_invocation(msgpack.packb(list(members.values()))) == invocation
    assert decode_invocation(msgpack.packb(members, use_bin_type=not as_string)) == invocation


responses = st.builds(InvocationResponse, st.binary(), texts, st.none() | texts, whole(64, signed=False))


@given(response=responses)
def test_a_response_comes_back_as_it_went_and_msgpack_reads_it(response: InvocationResponse) -> None:
    data = encode_response(response)
    assert decode_response(data) == response
    assert msgpack.packb(msgpack.unpackb(data)) == data
    assert decode_response(msgpack.packb(msgpack.unpackb(data), use_bin_type=False)) == response


links = st.builds(LinkDefinition, texts, texts, texts, texts, st.dictionaries(texts, texts, max_size=3))


@given(link=links)
def test_a_link_definition_comes_back_as_it_went_in_msgpack_and_json(link: LinkDefinition) -> None:
    assert decode_link(encode_link(link)) == link
    assert encode_link(link) == msgpack.packb(link.members())
    assert decode_link(json.dumps(link.members()).encode()) == link


HOST_DATA: dict[str, Any] = json.loads(golden.RUST_HOST_DATA)
tokens = st.text(st.characters(exclude_characters=" .*>", exclude_categories=("C", "Z")), min_size=1, max_size=12)


@given(
    members=st.fixed_dictionaries(
        {
            "lattice_rpc_prefix": tokens,
            "link_name": tokens,
            "config_json": texts,
            "env_values": st.dictionaries(texts, texts, max_size=3),
            "cluster_issuers": st.lists(texts, max_size=3),
            "link_definitions": st.lists(links.map(LinkDefinition.members), max_size=3),
            "default_rpc_timeout_ms": st.none() | whole(32, signed=False),
            "structured_logging": st.booleans(),
        }
    ),
    end=st.sampled_from([b"", b"\n", b"\r\n"]),
    padded=st.booleans(),
)
def test_host_data_is_read_member_by_member_whatever_they_say(members: dict[str, Any], end: bytes, padded: bool) -> None:
    line = base64.b64encode(json.dumps(HOST_DATA | members).encode())
    found = parse_host_data(decode_line((line if padded else line.rstrip(b"=")) + end))
    links_found = [link.members() for link in found.link_definitions]
    assert {name: getattr(found, name) for name in members} | {
        "link_definitions": links_found,
        "cluster_issuers": list(found.cluster_issuers),
    } == members


@given(origin=entities, target=entities, operation=texts, payload=st.binary(), identifier=st.text(min_size=1, max_size=12))
def test_what_is_signed_is_verified_and_any_other_argument_is_not(
    origin: Entity, target: Entity, operation: str, payload: bytes, identifier: str
) -> None:
    token = sign_invocation_claims(CLUSTER_KEY, identifier, origin, target, operation, payload)
    invocation = Invocation(origin, target, operation, payload, identifier, token, "N", len(payload))
    facts: dict[str, Any] = {"own_key": target.public_key, "issuers": {CLUSTER.public}, "now": 0.0}
    verify(invocation, payload, **facts)
    claims = decode_claims(token)
    assert (claims.issuer, claims.subject, claims.origin_url) == (CLUSTER.public, identifier, entity_url(origin))
    assert claims.hash == invocation_hash(claims.origin_url, claims.target_url, operation, payload)
    with pytest.raises(ProviderError, match="Invocation hash does not match"):
        verify(invocation, payload + b"x", **facts)
    with pytest.raises(ProviderError, match="Invocation hash does not match"):
        verify(replace(invocation, operation=f"{operation}x"), payload, **facts)


@given(prefix=st.sampled_from(Prefix), raw=st.binary(min_size=32, max_size=32))
def test_a_key_comes_back_from_its_text(prefix: Prefix, raw: bytes) -> None:
    assert decode_public(encode_public(prefix, raw)) == (prefix, raw)
    assert decode_seed(encode_seed(prefix, raw)) == (prefix, raw)
