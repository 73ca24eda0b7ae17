"""Our encoders and decoders against every worked example of wasmbus-0x.md appendix A."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import msgpack
import pytest
from msgspec import UNSET

from provider_sdk.hosts.line import decode_line
from provider_sdk.hosts.wasmbus.actor_claims import ActorClaims, embed, module_hash, verify_actor
from provider_sdk.hosts.wasmbus.claims import Claims, decode_claims, entity_url, invocation_hash, sign_token, split_token, verify
from provider_sdk.hosts.wasmbus.claims import verify_signature as signed_by
from provider_sdk.hosts.wasmbus.envelope import (
    Entity,
    Invocation,
    InvocationResponse,
    decode_invocation,
    decode_response,
    encode_invocation,
    encode_response,
)
from provider_sdk.hosts.wasmbus.hostdata import HostData, parse_host_data
from provider_sdk.hosts.wasmbus.links_wire import LinkDefinition, decode_link, encode_health, encode_link
from provider_sdk.hosts.wasmbus.values import Form, codec
from provider_sdk.nkeys import KeyPair, decode_public, decode_seed, encode_public, encode_seed
from provider_sdk.types import F64, S32, U8, U32, U64, Case, Timestamp
from tests.unit import golden
from tests.unit.golden import ACCOUNT, ACTOR, CLUSTER, HOST, KEYS, PROVIDER, Key

CALLER = Entity(ACTOR.public, "", "")
KEYVALUE = Entity(PROVIDER.public, "default", "wasmcloud:keyvalue")
HTTPSERVER = Entity(PROVIDER.public, "default", "wasmcloud:httpserver")
LINK = LinkDefinition(ACTOR.public, PROVIDER.public, "default", "wasmcloud:keyvalue", {"URL": "redis://127.0.0.1:6379/"})
LONG_AGO = 1_700_000_000.0


@dataclass
class RangeLimit:
    min: S32
    max: S32


@dataclass
class IncrementRequest:
    key: str
    value: S32


@dataclass
class SetRequest:
    key: str
    value: str
    expires: U32 = 0


@dataclass
class GetResponse:
    value: str
    exists: bool


@dataclass
class GetObjectRequest:
    object_id: str
    container_id: str
    range_start: U64 | None = None
    range_end: U64 | None = None


@dataclass
class Chunk:
    object_id: str
    container_id: str
    bytes: bytes
    offset: U64
    is_last: bool


@dataclass
class PutObjectRequest:
    chunk: Chunk
    content_type: str | None = None
    content_encoding: str | None = None


@dataclass
class PutObjectResponse:
    stream_id: str | None = None


@dataclass
class ContainerMetadata:
    container_id: str
    created_at: Timestamp | None = None


@dataclass
class ItemResult:
    key: str
    success: bool
    error: str | None = None


@dataclass
class Statement:
    parameters: list[bytes]
    sql: str


@dataclass
class HttpRequest:
    method: str
    path: str
    query_string: str
    header: dict[str, list[str]]
    body: bytes


@dataclass
class HttpResponse:
    status_code: U32 = field(metadata={"name": "statusCode"})
    header: dict[str, list[str]]
    body: bytes


@dataclass
class Placeholder:
    placeholder: bool


@dataclass
class Healthy:
    healthy: bool


class Num(Case[U8]):
    pass


class Text(Case[str]):
    pass


LAST_CHUNK = Chunk("o", "c", b"hi", 0, is_last=True)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.prefix.name.lower())
def test_a1_a_key_and_its_seed_have_these_texts(key: Key) -> None:
    pair = KeyPair(key.prefix, key.raw)
    assert (pair.public, pair.seed) == (key.public, key.seed)
    assert KeyPair.from_seed(key.seed).public == key.public
    assert decode_seed(key.seed) == (key.prefix, key.raw)
    assert decode_public(key.public) == (key.prefix, pair.raw_public)
    assert (encode_seed(key.prefix, key.raw), encode_public(key.prefix, pair.raw_public)) == (key.seed, key.public)


def _line(text: str, end: bytes) -> bytes:
    return base64.b64encode(text.encode()) + end


def test_a2_the_lines_are_as_long_and_end_as_the_document_says() -> None:
    otp, rust = _line(golden.OTP_HOST_DATA, b"\n"), _line(golden.RUST_HOST_DATA, b"\r\n")
    assert (len(otp), len(rust)) == (golden.LINE_LENGTHS[golden.OTP_HOST_DATA], golden.LINE_LENGTHS[golden.RUST_HOST_DATA])
    assert otp.startswith(golden.OTP_LINE_ENDS[0].encode())
    assert otp.endswith(f"{golden.OTP_LINE_ENDS[1]}\n".encode())
    assert rust.endswith(f"{golden.RUST_LINE_END}\r\n".encode())


def _host_data(**different: Any) -> HostData:
    members: dict[str, Any] = {
        "host_id": HOST.public,
        "lattice_rpc_prefix": "default",
        "link_name": "default",
        "lattice_rpc_user_jwt": "",
        "lattice_rpc_user_seed": "",
        "lattice_rpc_tls": False,
        "provider_key": PROVIDER.public,
        "invocation_seed": CLUSTER.seed,
        "env_values": {},
        "link_definitions": (LINK,),
        "cluster_issuers": (CLUSTER.public,),
        "config_json": "",
        "default_rpc_timeout_ms": 2000,
        "structured_logging": False,
        "log_level": None,
        "js_domain": None,
        "otel_config": None,
    }
    return HostData(**members | different)


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        pytest.param(
            golden.OTP_HOST_DATA,
            b"\n",
            _host_data(lattice_rpc_url="127.0.0.1:4222", instance_id="6f1c1e0e-3c2a-4d55-9d53-0b8f3f0a1a11"),
            id="OTP",
        ),
        pytest.param(
            golden.RUST_HOST_DATA,
            b"\r\n",
            _host_data(lattice_rpc_url="nats://127.0.0.1:4222", instance_id="018c53a4-7d1b-9e64-3f0a-5b6c7d8e9fa0", otel_config={}),
            id="Rust",
        ),
    ],
)
def test_a2_host_data_is_read_member_by_member(text: str, end: bytes, expected: HostData) -> None:
    assert parse_host_data(decode_line(_line(text, end))) == expected


GET = Invocation(
    CALLER, KEYVALUE, "KeyValue.Get", golden.KEY_ARGUMENT, "2f3a9f1e-7c55-4c53-8d0a-0f8b1a2c3d4e", golden.GET_TOKEN, CLUSTER.public, 6
)
EXAMPLES = [
    pytest.param(golden.GET_INVOCATION, golden.GET_HASH, PROVIDER, 6, id="A.3 OTP, KeyValue.Get"),
    pytest.param(golden.SET_INVOCATION, golden.SET_HASH, PROVIDER, 28, id="A.4 Rust, KeyValue.Set"),
    pytest.param(golden.REQUEST_INVOCATION, golden.REQUEST_HASH, ACTOR, 89, id="A.5 HttpServer.HandleRequest"),
]


@pytest.mark.parametrize(("data", "expected", "receiver", "length"), EXAMPLES)
def test_an_invocation_is_read_and_verified(data: bytes, expected: str, receiver: Key, length: int) -> None:
    invocation = decode_invocation(data)
    assert invocation.content_length == len(invocation.msg) == length
    claims = decode_claims(invocation.encoded_claims)
    assert (claims.issuer, claims.subject, claims.hash) == (CLUSTER.public, invocation.id, expected)
    verify(invocation, invocation.msg, own_key=receiver.public, issuers={CLUSTER.public}, now=LONG_AGO)


def test_a3_an_otp_invocation_has_these_members() -> None:
    assert decode_invocation(golden.GET_INVOCATION) == GET
    for name, offset in golden.GET_OFFSETS.items():
        assert golden.GET_INVOCATION[offset:].startswith(msgpack.packb(name)), name


def test_a3_our_encoder_writes_the_same_members_in_the_rust_order() -> None:
    written, given = msgpack.unpackb(encode_invocation(GET)), msgpack.unpackb(golden.GET_INVOCATION)
    assert written == given
    assert len(encode_invocation(GET)) == len(golden.GET_INVOCATION) == 1155
    assert list(written["target"]) == ["public_key", "link_name", "contract_id"]


def test_a3_the_urls_and_the_hash_of_a_call() -> None:
    assert entity_url(CALLER) == golden.ACTOR_URL
    assert f"{entity_url(KEYVALUE)}/KeyValue.Get" == golden.GET_TARGET_URL
    assert invocation_hash(golden.ACTOR_URL, golden.GET_TARGET_URL, "KeyValue.Get", golden.KEY_ARGUMENT) == golden.GET_HASH


def test_a3_a_token_is_signed_to_the_byte_and_read_back() -> None:
    assert sign_token(KeyPair.from_seed(CLUSTER.seed), json.loads(golden.GET_CLAIMS)) == golden.GET_TOKEN
    content, signed, signature = split_token(golden.GET_TOKEN)
    assert content.decode() == golden.GET_CLAIMS
    assert signed_by(CLUSTER.public, signed, signature)
    assert not signed_by(HOST.public, signed, signature)
    assert decode_claims(golden.GET_TOKEN) == Claims(
        CLUSTER.public, GET.id, None, None, golden.GET_TARGET_URL, golden.ACTOR_URL, golden.GET_HASH, signed, signature
    )


RESPONSES = [
    pytest.param(InvocationResponse(golden.GET_RESULT, GET.id, None, 21), golden.GET_RESPONSE, id="A.3 success"),
    pytest.param(InvocationResponse(b"", GET.id, "method not handled KeyValue.Foo", 0), golden.ERROR_RESPONSE, id="A.3 error"),
    pytest.param(InvocationResponse(b"", "00112233445566778899aabbccddeeff", None, 1 << 20), golden.CHUNKED_RESPONSE, id="A.7 chunked"),
]


@pytest.mark.parametrize(("response", "data"), RESPONSES)
def test_a_response_is_these_bytes_both_ways(response: InvocationResponse, data: bytes) -> None:
    assert encode_response(response) == data
    assert decode_response(data) == response


def test_a3_a_response_with_a_trace_context_is_read_alike() -> None:
    traced = b"\x84" + golden.GET_RESPONSE[1:] + golden.TRACE_CONTEXT
    assert len(traced) == 110
    assert decode_response(traced) == decode_response(golden.GET_RESPONSE)


@pytest.mark.parametrize("data", [golden.SET_INVOCATION, golden.REQUEST_INVOCATION], ids=["A.4 Rust host", "A.5 provider to actor"])
def test_an_invocation_is_written_back_to_the_byte(data: bytes) -> None:
    assert encode_invocation(decode_invocation(data)) == data


def test_a4_a_rust_invocation_has_these_members() -> None:
    invocation = decode_invocation(golden.SET_INVOCATION)
    assert (invocation.origin, invocation.target, invocation.operation) == (CALLER, KEYVALUE, "KeyValue.Set")
    assert (invocation.msg, invocation.id, invocation.host_id) == (golden.SET_ARGUMENT, "018c53a4-7d1b-9e64-3f0a-5b6c7d8e9fa1", HOST.public)
    assert invocation.trace == {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


def test_a5_a_call_to_an_actor_has_these_members() -> None:
    invocation = decode_invocation(golden.REQUEST_INVOCATION)
    assert (invocation.origin, invocation.target, invocation.operation) == (HTTPSERVER, CALLER, "HttpServer.HandleRequest")
    assert (invocation.msg, invocation.host_id, invocation.trace) == (golden.REQUEST_ARGUMENT, HOST.public, UNSET)
    preimage = golden.REQUEST_PREIMAGE.encode() + golden.REQUEST_ARGUMENT
    origin_url, target_url = entity_url(HTTPSERVER), f"{entity_url(CALLER)}/HttpServer.HandleRequest"
    assert f"{origin_url}{target_url}HttpServer.HandleRequest".encode() + golden.REQUEST_ARGUMENT == preimage
    assert hashlib.sha256(preimage).hexdigest().upper() == golden.REQUEST_HASH
    assert invocation_hash(origin_url, target_url, "HttpServer.HandleRequest", golden.REQUEST_ARGUMENT) == golden.REQUEST_HASH


@pytest.mark.parametrize("data", [golden.OTP_REPLY, golden.RUST_REPLY], ids=["OTP: msg as str, not UTF-8", "Rust: msg as bin"])
def test_a5_an_actors_reply_is_read_from_either_host(data: bytes) -> None:
    response = decode_response(data)
    assert (response.invocation_id, response.error, response.content_length) == ("9b2f6c0d4e8a4f53b1c7d2e3f4a5b6c7", None, 57)
    assert codec(HttpResponse).decode(response.msg) == HttpResponse(200, {"content-type": ["text/plain"]}, b"\xffok")
    assert codec(HttpResponse).encode(HttpResponse(200, {"content-type": ["text/plain"]}, b"\xffok")) == response.msg


@pytest.mark.parametrize("data", [golden.OTP_LINK, golden.RUST_LINK], ids=["OTP", "Rust"])
def test_a6_a_link_definition_is_read_from_either_host(data: bytes) -> None:
    assert decode_link(data) == LINK


def test_a6_a_link_definition_is_written_as_a_rust_host_does() -> None:
    assert encode_link(LINK) == golden.RUST_LINK


def test_a7_a_chunked_invocation_says_its_size_and_hashes_the_whole_argument() -> None:
    argument = bytes(range(256)) * 4096
    hashed = invocation_hash(golden.ACTOR_URL, golden.GET_TARGET_URL, "KeyValue.Get", argument)
    wascap = {"target_url": golden.GET_TARGET_URL, "origin_url": golden.ACTOR_URL, "hash": hashed}
    token = sign_token(KeyPair.from_seed(CLUSTER.seed), json.loads(golden.GET_CLAIMS) | {"wascap": wascap})
    chunked = Invocation(CALLER, KEYVALUE, "KeyValue.Get", b"", GET.id, token, CLUSTER.public, len(argument))
    data = encode_invocation(chunked)
    assert bytes.fromhex("a36d7367c400") in data
    assert data.endswith(msgpack.packb("content_length") + bytes.fromhex("ce00100000"))
    assert decode_invocation(data) == chunked
    verify(chunked, argument, own_key=PROVIDER.public, issuers={CLUSTER.public}, now=LONG_AGO)


VALUES: list[tuple[Any, Any, str | None, str | None]] = [
    (Placeholder, Placeholder(True), "81ab706c616365686f6c646572c3", None),
    (Healthy, Healthy(True), "81a76865616c746879c3", None),
    (bool, True, "c3", "7ff5"),
    (None, None, "c0", "7ff6"),
    (U32, 300, "cd012c", "7f19012c"),
    (S32, -5, "fb", "7f24"),
    (list[str], ["a", "b"], "92a161a162", "7f8261616162"),
    (RangeLimit, RangeLimit(0, 4), "82a36d696e00a36d617804", None),
    (IncrementRequest, IncrementRequest("n", 25), "82a36b6579a16ea576616c756519", None),
    (
        GetObjectRequest,
        GetObjectRequest("o", "c", 0, 9),
        "84a86f626a6563744964a16fab636f6e7461696e65724964a163aa72616e6765537461727400a872616e6765456e6409",
        "7f84616f61630009",
    ),
    (GetObjectRequest, GetObjectRequest("o", "c"), "82a86f626a6563744964a16fab636f6e7461696e65724964a163", "7f84616f6163f6f6"),
    (
        Chunk,
        LAST_CHUNK,
        "85a86f626a6563744964a16fab636f6e7461696e65724964a163a56279746573c4026869a66f666673657400a669734c617374c3",
        "7f85616f616342686900f5",
    ),
    (PutObjectRequest, PutObjectRequest(LAST_CHUNK), None, "7f8385616f616342686900f5f6f6"),
    (PutObjectResponse, PutObjectResponse(), "80", "7f81f6"),
    (
        ContainerMetadata,
        ContainerMetadata("c", Timestamp(1_700_000_000)),
        "82ab636f6e7461696e65724964a163a963726561746564417482a3736563ce6553f100a46e73656300",
        "7f8261631a6553f10000",
    ),
    (list[ItemResult], [ItemResult("k", True)], "9182a36b6579a16ba773756363657373c3", "7f8183616bf5f6"),
    (Statement, Statement([b"\x01\xc8"], "select 1"), "82aa706172616d6574657273919201ccc8a373716ca873656c6563742031", None),
    (Num | Text, Num(7), "81a34e756d07", "7f820007"),
    (SetRequest, SetRequest("mykey", "v"), golden.SET_ARGUMENT.hex(), None),
    (GetResponse, GetResponse("hello", True), golden.GET_RESULT.hex(), None),
    (str, "mykey", golden.KEY_ARGUMENT.hex(), None),
    (
        HttpRequest,
        HttpRequest("GET", "/a%20b", "x=1&y=2", {"host": ["localhost:8080"], "x-a": ["1", "2"]}, b""),
        golden.REQUEST_ARGUMENT.hex(),
        None,
    ),
    (F64, 1.5, "cb3ff8000000000000", "7ffb3ff8000000000000"),
]
TABLE = [
    pytest.param(annotation, value, form, data, id=f"{form.value} {value!r}"[:70])
    for annotation, value, packed, cbor in VALUES
    for form, data in ((Form.MSGPACK, packed), (Form.CBOR, cbor))
    if data is not None
]


@pytest.mark.parametrize(("annotation", "value", "form", "data"), TABLE)
def test_a8_a_value_is_these_bytes_both_ways(annotation: Any, value: Any, form: Form, data: str) -> None:
    encoded = bytes.fromhex(data)
    assert codec(annotation).encode(value, form) == encoded
    assert codec(annotation).decode(encoded[1:] if form is Form.CBOR else encoded, form) == value


def test_a8_a_health_answer_is_these_bytes() -> None:
    assert encode_health(True, "").hex() == "81a76865616c746879c3"


def _embedded(module: bytes) -> bytes:
    given = json.loads(golden.ACTOR_CLAIMS)
    wascap = given["wascap"]
    claims = ActorClaims(
        given["sub"],
        given["iss"],
        wascap["name"],
        tuple(wascap["caps"]),
        version=wascap["ver"],
        revision=wascap["rev"],
        jti=given["jti"],
        issued_at=given["iat"],
    )
    return embed(module, claims, KeyPair.from_seed(ACCOUNT.seed))


def test_a9_the_hash_of_an_empty_module() -> None:
    assert module_hash(golden.EMPTY_MODULE) == golden.EMPTY_MODULE_HASH


def test_a9_claims_are_signed_to_the_byte() -> None:
    assert sign_token(KeyPair.from_seed(ACCOUNT.seed), json.loads(golden.ACTOR_CLAIMS)) == golden.ACTOR_TOKEN


def test_a9_claims_are_embedded_to_the_byte() -> None:
    start, length = golden.ACTOR_SECTIONS["wasmcloud_jwt"]
    assert _embedded(golden.EMPTY_MODULE) == golden.EMPTY_MODULE + start + golden.ACTOR_TOKEN.encode()
    assert len(_embedded(golden.EMPTY_MODULE)) == len(golden.EMPTY_MODULE) + length


@pytest.mark.parametrize("name", golden.ACTOR_SECTIONS)
def test_a9_claims_are_found_in_the_section_of_either_name(name: str) -> None:
    start, length = golden.ACTOR_SECTIONS[name]
    section = start + golden.ACTOR_TOKEN.encode()
    assert len(section) == length
    found = verify_actor(golden.EMPTY_MODULE + section, now=LONG_AGO)
    assert (found.subject, found.issuer, found.name) == (ACTOR.public, ACCOUNT.public, "test")
    assert found.capabilities == ("wasmcloud:keyvalue", "wasmcloud:httpserver")
    assert (found.revision, found.version, found.jti, found.issued_at) == (1, "0.1.0", "5kQvYfW0hZB9m7lZ0r6U1d", 1_700_000_000)
