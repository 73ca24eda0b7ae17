"""What values travel in, from any sender and hostile ones: the host's line (§1.2, §1.3), invocations and responses (§4.1, §4.2)."""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import Any

import msgpack
import pytest
from msgspec import UNSET

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.line import decode_line
from provider_sdk.hosts.wasmbus.envelope import Entity, InvocationResponse, decode_invocation, decode_response, encode_response
from provider_sdk.hosts.wasmbus.hostdata import HostData, parse_host_data
from provider_sdk.hosts.wasmbus.links_wire import decode_link
from tests.unit import golden
from tests.unit.golden import ACTOR, CLUSTER, PROVIDER

OTP: dict[str, Any] = json.loads(golden.OTP_HOST_DATA)
RUST: dict[str, Any] = json.loads(golden.RUST_HOST_DATA)
NEEDED = ("lattice_rpc_prefix", "link_name", "provider_key", "invocation_seed", "env_values", "link_definitions", "cluster_issuers")
LEAST = {name: RUST[name] for name in NEEDED}
USER_SEED = "SUAM" + "A" * 54
LINK = RUST["link_definitions"][0]
MEGABYTE = 1 << 20


def without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}


@pytest.mark.parametrize("given", [OTP, RUST], ids=["OTP", "Rust"])
@pytest.mark.parametrize("padding", [True, False], ids=["padded", "unpadded"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b" \r\n"])
@pytest.mark.parametrize("spaces", range(3))
def test_a_line_is_read_however_it_is_padded_and_ended(given: dict[str, Any], padding: bool, end: bytes, spaces: int) -> None:
    line = base64.b64encode(json.dumps(given).encode() + b" " * spaces)
    assert decode_line((line if padding else line.rstrip(b"=")) + end) == given


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", "stdin is empty - expecting host data configuration"),
        (b" \r\n", "stdin is empty - expecting host data configuration"),
        (b"\xff\xfe\n", "host data: not base64"),
        (b"{}\n", "host data: not base64"),
        (b"e30-\n", "host data: not base64"),
        (b"A\n", "host data: not base64"),
        (base64.b64encode(b"{"), "host data: not JSON"),
        (base64.b64encode(b"\xff\xff{}"), "host data: not JSON"),
        (base64.b64encode(b"[" * 100_000), "host data: not JSON"),
        (base64.b64encode(b"9" * 5000), "host data: not JSON"),
        (base64.b64encode(b"[]"), "host data: expected a JSON object, got a list"),
        (base64.b64encode(b"null"), "host data: expected a JSON object, got null"),
        (base64.b64encode(b'""'), "host data: expected a JSON object, got an empty string"),
    ],
)
def test_a_line_that_is_no_host_data_says_why(line: bytes, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        decode_line(line)
    assert str(refused.value).startswith(text)


def test_what_no_host_needs_to_send_has_a_default() -> None:
    found = parse_host_data(LEAST)
    assert (found.host_id, found.instance_id, found.lattice_rpc_url, found.config_json) == ("", "", "", "")
    assert (found.lattice_rpc_user_jwt, found.lattice_rpc_user_seed, found.lattice_rpc_tls) == ("", "", False)
    assert (found.default_rpc_timeout_ms, found.log_level, found.js_domain, found.otel_config) == (None, None, None, None)
    assert found.structured_logging is False


@pytest.mark.parametrize(
    ("name", "given", "attribute", "expected"),
    [
        ("host_id", "_TEST_", "host_id", "_TEST_"),
        ("host_id", None, "host_id", ""),
        ("lattice_rpc_prefix", "a.b-c_1", "lattice_rpc_prefix", "a.b-c_1"),
        ("lattice_rpc_url", " tls://[::1]:4222\n", "lattice_rpc_url", "tls://[::1]:4222"),
        ("lattice_rpc_url", "0.0.0.0:4222", "lattice_rpc_url", "0.0.0.0:4222"),
        ("lattice_rpc_tls", 0, "lattice_rpc_tls", False),
        ("lattice_rpc_tls", 1, "lattice_rpc_tls", True),
        ("lattice_rpc_tls", None, "lattice_rpc_tls", False),
        ("env_values", {"A": "1"}, "env_values", {"A": "1"}),
        ("link_definitions", [], "link_definitions", ()),
        ("cluster_issuers", [CLUSTER.public, "CX"], "cluster_issuers", (CLUSTER.public, "CX")),
        ("cluster_issuers", [], "cluster_issuers", ()),
        ("config_json", '{"a":1}', "config_json", '{"a":1}'),
        ("config_json", None, "config_json", ""),
        ("default_rpc_timeout_ms", 1500, "default_rpc_timeout_ms", 1500),
        ("default_rpc_timeout_ms", None, "default_rpc_timeout_ms", None),
        ("structured_logging", True, "structured_logging", True),
        ("structured_logging_enabled", True, "structured_logging", True),
        ("enable_structured_logging", True, "structured_logging", True),
        ("enable_structured_logging", False, "structured_logging", False),
        ("log_level", "WARN", "log_level", "warn"),
        ("log_level", None, "log_level", None),
        ("js_domain", "hub", "js_domain", "hub"),
        ("js_domain", "", "js_domain", None),
        ("otel_config", {"traces_exporter": None, "exporter_otlp_endpoint": None}, "otel_config", {}),
        ("otel_config", {"traces_exporter": "otlp"}, "otel_config", {"traces_exporter": "otlp"}),
        ("a_member_of_tomorrow", [1], "host_id", ""),
    ],
)
def test_a_member_of_host_data_is_read(name: str, given: Any, attribute: str, expected: Any) -> None:
    assert getattr(parse_host_data(LEAST | {name: given}), attribute) == expected


@pytest.mark.parametrize("name", NEEDED)
def test_a_member_that_every_host_sends_is_missed_by_name(name: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^host data: {name}: expected .*, got nothing$"):
        parse_host_data(without(LEAST, name))


TEXTS = (
    *("host_id", "lattice_rpc_prefix", "link_name", "lattice_rpc_url", "lattice_rpc_user_jwt", "lattice_rpc_user_seed"),
    *("provider_key", "invocation_seed", "instance_id", "config_json", "log_level", "js_domain"),
)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(("value", "got"), [(7, "a number"), (1.5, "a number"), (True, "a boolean"), ([], "a list"), ({}, "an object")])
def test_a_text_of_another_type_is_refused_by_name(name: str, value: object, got: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_host_data(RUST | {name: value})
    assert str(refused.value) == f"host data: {name}: expected a string, got {got}"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("lattice_rpc_prefix", "", "lattice_rpc_prefix: expected a string that is not empty, got an empty string"),
        ("lattice_rpc_prefix", "a b", "lattice_rpc_prefix: 'a b' cannot be part of a NATS subject"),
        ("lattice_rpc_prefix", "a..b", "lattice_rpc_prefix: 'a..b' cannot be part of a NATS subject"),
        ("lattice_rpc_prefix", "a.>", "lattice_rpc_prefix: 'a.>' cannot be part of a NATS subject"),
        ("link_name", "", "link_name: expected a string that is not empty"),
        ("link_name", "\ud800", "link_name: not UTF-8"),
        ("link_name", "a.b", "link_name: 'a.b' cannot be part of a NATS subject"),
        ("link_name", "*", "link_name: '*' cannot be part of a NATS subject"),
        ("link_name", "a\r\nPUB x", r"link_name: 'a\r\nPUB x' cannot be part of a NATS subject"),
        ("provider_key", "V\0", r"provider_key: 'V\x00' cannot be part of a NATS subject"),
        ("invocation_seed", None, "invocation_seed: expected a string that is not empty, got null"),
        ("invocation_seed", "", "invocation_seed: expected a string that is not empty"),
        ("invocation_seed", CLUSTER.seed[:-1] + "A", "invocation_seed: not a seed in nkeys form"),
        ("invocation_seed", CLUSTER.public, "invocation_seed: not a seed in nkeys form"),
        ("invocation_seed", "\u017f" + CLUSTER.seed[1:], "invocation_seed: not a seed in nkeys form"),
        ("lattice_rpc_user_jwt", "eyJ", "lattice_rpc_user_seed: missing, and belongs to lattice_rpc_user_jwt"),
        ("lattice_rpc_user_seed", CLUSTER.seed, "lattice_rpc_user_jwt: missing, and belongs to lattice_rpc_user_seed"),
        ("lattice_rpc_tls", 2, "lattice_rpc_tls: expected true or false, got a number"),
        ("lattice_rpc_tls", "1", "lattice_rpc_tls: expected true or false, got a string"),
        ("structured_logging", "yes", "structured_logging: expected true or false, got a string"),
        ("structured_logging_enabled", [], "structured_logging_enabled: expected true or false, got a list"),
        ("enable_structured_logging", {}, "enable_structured_logging: expected true or false, got an object"),
        ("env_values", None, "env_values: expected an object of strings, got null"),
        ("env_values", [], "env_values: expected an object of strings, got a list"),
        ("env_values", {"A": 1}, "env_values: expected an object of strings, got an object"),
        ("otel_config", "x", "otel_config: expected an object of strings, got a string"),
        ("otel_config", {"traces_exporter": 1}, "otel_config: expected an object of strings, got an object"),
        ("cluster_issuers", None, "cluster_issuers: expected a list of strings, got null"),
        ("cluster_issuers", CLUSTER.public, "cluster_issuers: expected a list of strings, got a string"),
        ("cluster_issuers", [1], "cluster_issuers: expected a list of strings, got a list"),
        ("default_rpc_timeout_ms", -1, "default_rpc_timeout_ms: expected a whole number below 2^32, got a number"),
        ("default_rpc_timeout_ms", 1 << 32, "default_rpc_timeout_ms: expected a whole number below 2^32, got a number"),
        ("default_rpc_timeout_ms", 1.5, "default_rpc_timeout_ms: expected a whole number below 2^32, got a number"),
        ("default_rpc_timeout_ms", True, "default_rpc_timeout_ms: expected a whole number below 2^32, got a boolean"),
        ("default_rpc_timeout_ms", "2000", "default_rpc_timeout_ms: expected a whole number below 2^32, got a string"),
        ("log_level", "loud", "log_level: expected one of trace, debug, info, warn, error, got 'loud'"),
        ("link_definitions", {}, "link_definitions: expected a list, got an object"),
        ("link_definitions", None, "link_definitions: expected a list, got null"),
        ("link_definitions", [LINK, 7], "link_definitions[1]: expected a map, got an integer"),
        ("link_definitions", [LINK | {"actor_id": 5}], "link_definitions[0].actor_id: expected a string, got an integer"),
        ("link_definitions", [LINK | {"link_name": None}], "link_definitions[0].link_name: expected a string, got nil"),
        ("link_definitions", [LINK | {"contract_id": "\udcff"}], "link_definitions[0].contract_id: not UTF-8"),
        ("link_definitions", [LINK | {"values": {"URL": "\udcff"}}], "link_definitions[0].values: not UTF-8 at 'URL'"),
        ("link_definitions", [without(LINK, "values")], "link_definitions[0].values: expected an object of strings, got nothing"),
        ("link_definitions", [LINK | {"values": None}], "link_definitions[0].values: expected a map of strings, got nil"),
        (
            "link_definitions",
            [LINK | {"values": {"URL": 1}}],
            "link_definitions[0].values: expected a map of strings, got an integer for 'URL'",
        ),
    ],
)
def test_a_malformed_member_is_refused_by_name(name: str, value: object, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_host_data(LEAST | {name: value})
    assert str(refused.value).startswith(f"host data: {text}")


def test_a_bad_user_seed_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match=r"^host data: lattice_rpc_user_seed: not a seed in nkeys form"):
        parse_host_data(RUST | {"lattice_rpc_user_jwt": "eyJ", "lattice_rpc_user_seed": USER_SEED})


def test_user_credentials_are_taken_without_the_space_around_them() -> None:
    found = parse_host_data(RUST | {"lattice_rpc_user_jwt": " eyJ\n", "lattice_rpc_user_seed": f"{CLUSTER.seed}\n"})
    assert (found.lattice_rpc_user_jwt, found.lattice_rpc_user_seed) == ("eyJ", CLUSTER.seed)


@pytest.mark.parametrize("name", ["invocation_seed", "lattice_rpc_user_seed"])
def test_no_message_and_no_representation_shows_a_seed(name: str) -> None:
    broken = CLUSTER.seed[:-1] + "A"
    with pytest.raises(InvalidArgument) as refused:
        parse_host_data(RUST | {"lattice_rpc_user_jwt": "eyJ", "lattice_rpc_user_seed": CLUSTER.seed} | {name: broken})
    assert CLUSTER.seed[:20] not in str(refused.value)
    assert CLUSTER.seed[:20] not in repr(parse_host_data(RUST))
    assert "redis" not in repr(parse_host_data(RUST))


@pytest.mark.parametrize(
    ("config", "environment", "endpoint"),
    [
        (None, {}, ""),
        ({"traces_exporter": None, "exporter_otlp_endpoint": None}, {}, ""),
        ({"traces_exporter": "otlp"}, {}, "http://localhost:55681/v1/traces"),
        ({"traces_exporter": "OTLP", "exporter_otlp_endpoint": "http://c:4318"}, {}, "http://c:4318/v1/traces"),
        ({"traces_exporter": "otlp", "exporter_otlp_endpoint": "http://c:4318/v1/traces"}, {}, "http://c:4318/v1/traces"),
        ({"traces_exporter": "zipkin"}, {}, ""),
        (None, {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://e:1/"}, "http://e:1/v1/traces"),
        (None, {"OTEL_TRACES_EXPORTER": "", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}, ""),
    ],
)
def test_traces_go_where_host_data_or_the_environment_say(
    config: object, environment: dict[str, str], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found: HostData = parse_host_data(RUST | {"otel_config": config})
    assert found.trace_endpoint == endpoint


GET: dict[str, Any] = msgpack.unpackb(golden.GET_INVOCATION)
ACTOR_MAP, PROVIDER_MAP = GET["origin"], GET["target"]
READ = decode_invocation(golden.GET_INVOCATION)
RUST_ORDER = ("origin", "target", "operation", "msg", "id", "encoded_claims", "host_id", "content_length")


def packed_twice(name: str, first: object) -> bytes:
    """The golden invocation with a member more at its beginning, of the same name as a later one."""
    return b"\x89" + msgpack.packb(name) + msgpack.packb(first) + golden.GET_INVOCATION[1:]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(msgpack.packb(without(GET, "content_length")), id="OTP up to 0.53: no content_length"),
        pytest.param(msgpack.packb(GET | {"content_length": None}), id="content_length nil"),
        pytest.param(msgpack.packb(GET | {"msg": "\xa5mykey".encode("latin-1")}, use_bin_type=False), id="msg as str, not UTF-8"),
        pytest.param(msgpack.packb(GET | {"msg": list(GET["msg"])}), id="msg as array of integers"),
        pytest.param(msgpack.packb({name: GET[name] for name in RUST_ORDER}), id="Rust order"),
        pytest.param(msgpack.packb(dict(reversed(GET.items()))), id="backwards"),
        pytest.param(msgpack.packb([GET[name] for name in RUST_ORDER]), id="positional array"),
        pytest.param(msgpack.packb(GET | {"origin": [ACTOR.public, "", ""]}), id="origin as positional array"),
        pytest.param(msgpack.packb(GET | {"origin": {"public_key": ACTOR.public}}), id="an actor without link name and contract"),
        pytest.param(msgpack.packb(GET | {"traceContext": None}), id="traceContext nil"),
        pytest.param(msgpack.packb(GET | {"tomorrow": {"a": [1, None, {}]}}), id="unknown member"),
        pytest.param(packed_twice("operation", "Other.Op"), id="a member twice: the last counts"),
        pytest.param(packed_twice("msg", None), id="a member twice, first of another type"),
    ],
)
def test_an_invocation_is_read_from_every_sender(data: bytes) -> None:
    assert decode_invocation(data) == READ


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"traceparent": "00-1"}, {"traceparent": "00-1"}),
        ({"a": 1, "b": "2", "c": "\udcff"}, {"b": "2"}),
        ([], UNSET),
        (7, UNSET),
    ],
)
def test_a_trace_context_never_costs_the_call(given: object, expected: object) -> None:
    assert decode_invocation(msgpack.packb(GET | {"traceContext": given}, unicode_errors="surrogateescape")).trace == expected


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("origin", None, "origin: expected a map, got nil"),
        ("origin", "M", "origin: expected a map, got a string"),
        ("origin", {}, "origin.public_key: expected a string, got nothing"),
        ("origin", {"public_key": 1}, "origin.public_key: expected a string, got an integer"),
        ("target", ["V", "a", "b", "c"], "target: expected a map, got an array"),
        ("target", PROVIDER_MAP | {"link_name": None}, "target.link_name: expected a string, got nil"),
        ("target", PROVIDER_MAP | {"contract_id": b"x"}, "target.contract_id: expected a string, got bytes"),
        ("operation", None, "operation: expected a string, got nil"),
        ("operation", b"KeyValue.Get", "operation: expected a string, got bytes"),
        ("msg", None, "msg: expected bytes, got nil"),
        ("msg", 5, "msg: expected bytes, got an integer"),
        ("msg", [256], "msg: expected bytes, got an array"),
        ("msg", [-1], "msg: expected bytes, got an array"),
        ("msg", [1.0], "msg: expected bytes, got an array"),
        ("msg", {}, "msg: expected bytes, got a map"),
        ("msg", msgpack.ExtType(5, b"x"), "msg: expected bytes, got ExtType"),
        ("id", 7, "id: expected a string, got an integer"),
        ("encoded_claims", [], "encoded_claims: expected a string, got an array"),
        ("host_id", True, "host_id: expected a string, got a boolean"),
        ("content_length", -1, "content_length: expected a whole number"),
        ("content_length", 6.5, "content_length: expected a whole number"),
        ("content_length", "6", "content_length: expected a whole number"),
        ("content_length", True, "content_length: expected a whole number"),
    ],
)
def test_a_malformed_member_of_an_invocation_is_refused_by_name(name: str, value: object, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        decode_invocation(msgpack.packb(GET | {name: value}))
    assert str(refused.value) == f"deser error: {text}"


@pytest.mark.parametrize("name", ["origin", "target", "operation", "msg", "id", "encoded_claims", "host_id"])
def test_a_missing_member_of_an_invocation_is_missed_by_name(name: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^deser error: {name}: expected .*, got (nothing|nil)$"):
        decode_invocation(msgpack.packb(without(GET, name)))


@pytest.mark.parametrize("name", ["operation", "id", "host_id", "encoded_claims"])
def test_a_text_that_is_not_utf8_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^deser error: {name}: not UTF-8$"):
        decode_invocation(msgpack.packb(GET | {name: "a\udcff"}, unicode_errors="surrogateescape"))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("link_name", "a\udcff", "link definition.link_name: not UTF-8"),
        ("actor_id", 5, "link definition.actor_id: expected a string, got an integer"),
        ("values", None, "link definition.values: expected a map of strings, got nil"),
        ("values", {"k": "\udcff"}, "link definition.values: not UTF-8 at 'k'"),
        ("values", {"k": b"v"}, "link definition.values: expected a map of strings, got bytes for 'k'"),
        ("values", {7: "v"}, "link definition.values: expected a map of strings, got a string for '7'"),
    ],
)
def test_a_malformed_member_of_a_link_definition_is_refused_by_name(name: str, value: object, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        decode_link(msgpack.packb(LINK | {name: value}, unicode_errors="surrogateescape"))
    assert str(refused.value) == text


DECODERS = pytest.mark.parametrize("decode", [decode_invocation, decode_response, decode_link], ids=lambda item: str(item.__name__))
HUGE = {name: bytes.fromhex(head) for name, head in {"str": "db", "bin": "c6", "array": "dd", "map": "df", "ext": "c9"}.items()}


@DECODERS
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xc1", id="the byte that msgpack never uses"),
        pytest.param(b"\x81\x90\x01", id="an array as key"),
        pytest.param(b"\x81\x80\x01", id="a map as key"),
        pytest.param(b"\x91" * 100_000, id="arrays 100,000 deep"),
        pytest.param(b"\x81\xa1a" * 100_000, id="maps 100,000 deep"),
        pytest.param(b"\x81\xa6origin" * 100_000, id="origins 100,000 deep"),
        pytest.param(b"\xc7\x03\xff\0\0\0", id="a timestamp of three bytes"),
        pytest.param(b"\xd6\xff\0\0\0\0", id="a timestamp instead of a map"),
        pytest.param(msgpack.packb(msgpack.ExtType(42, b"x")), id="an extension type instead of a map"),
        *(pytest.param(head + b"\xff" * 4, id=f"{name} of 4 GiB") for name, head in HUGE.items()),
        *(pytest.param(b"\x81\xa3msg" + head + b"\xff" * 4, id=f"msg is a {name} of 4 GiB") for name, head in HUGE.items()),
        pytest.param((HUGE["array"] + MEGABYTE.to_bytes(4, "big")) * 200, id="arrays of a million, 200 deep"),
    ],
)
def test_hostile_bytes_are_refused_with_little_memory(decode: Any, data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidArgument) as refused:
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 8 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert str(refused.value).startswith(("deser error: ", "link definition: "))


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        pytest.param(decode_invocation, golden.GET_INVOCATION, id="OTP invocation"),
        pytest.param(decode_invocation, golden.SET_INVOCATION, id="Rust invocation"),
        pytest.param(decode_response, golden.GET_RESPONSE, id="response"),
        pytest.param(decode_response, golden.ERROR_RESPONSE, id="error response"),
        pytest.param(decode_response, golden.OTP_REPLY, id="OTP reply"),
        pytest.param(decode_link, golden.OTP_LINK, id="link definition"),
    ],
)
def test_a_message_cut_off_anywhere_or_with_a_byte_more_is_refused(decode: Any, data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(InvalidArgument):
            decode(data[:end])
    with pytest.raises(InvalidArgument, match="bytes follow the message"):
        decode(data + b"\xc0")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"msg": b"r", "invocation_id": "i"}, (b"r", "i", None, 1), id="no content_length: that of msg"),
        pytest.param({"msg": b"", "invocation_id": "i", "content_length": 9}, (b"", "i", None, 9), id="chunked"),
        pytest.param({"msg": b"r", "invocation_id": "i", "error": None, "content_length": 1}, (b"r", "i", None, 1), id="error nil"),
        pytest.param({"msg": b"", "invocation_id": "i", "error": "", "content_length": 0}, (b"", "i", "", 0), id="an empty error is one"),
        pytest.param({"msg": "", "invocation_id": "i", "error": "no", "instance_id": "x"}, (b"", "i", "no", 0), id="OTP: refused"),
        pytest.param({"msg": [], "error": "not running"}, (b"", "", "not running", 0), id="OTP: actor not running"),
        pytest.param({"msg": "", "invocation_id": "", "error": "crash", "instance_id": ""}, (b"", "", "crash", 0), id="OTP: crashed"),
        pytest.param({"msg": None, "invocation_id": "i", "error": "e"}, (b"", "i", "e", 0), id="OTP up to 0.59: msg nil"),
        pytest.param({"error": "e"}, (b"", "", "e", 0), id="an error alone"),
        pytest.param({"msg": [1, 255], "invocation_id": "i", "content_length": 2}, (b"\x01\xff", "i", None, 2), id="msg as integers"),
        pytest.param([b"r", "i", None, 1], (b"r", "i", None, 1), id="positional array"),
    ],
)
def test_a_response_is_read_from_every_sender(given: object, expected: tuple[object, ...]) -> None:
    assert tuple(decode_response(msgpack.packb(given))) == expected


def test_an_error_text_that_is_not_utf8_is_still_an_error() -> None:
    data = msgpack.packb({"msg": b"", "invocation_id": "i", "error": "no \udcff", "content_length": 0}, unicode_errors="surrogateescape")
    assert decode_response(data).error == "no \ufffd"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "response: expected a map, got nil"),
        ([1, 2, 3, 4, 5, 6], "response: expected a map, got an array"),
        ({"msg": 5}, "msg: expected bytes, got an integer"),
        ({"msg": [300]}, "msg: expected bytes, got an array"),
        ({"msg": b"", "error": 5}, "error: expected bytes, got an integer"),
        ({"msg": b"", "content_length": -1}, "content_length: expected a whole number"),
        ({"msg": b"", "content_length": "1"}, "content_length: expected a whole number"),
    ],
)
def test_a_malformed_response_is_refused_by_name(given: object, text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        decode_response(msgpack.packb(given))
    assert str(refused.value) == f"deser error: {text}"


@pytest.mark.parametrize("error", [None, "", "no"])
def test_a_response_always_carries_the_three_members_that_a_rust_host_needs(error: str | None) -> None:
    members = msgpack.unpackb(encode_response(InvocationResponse(b"", "i", error, 0)))
    assert {name: members[name] for name in ("msg", "invocation_id", "content_length")} == {
        "msg": b"",
        "invocation_id": "i",
        "content_length": 0,
    }
    assert members.get("error") == error


def test_an_entity_is_told_by_its_three_members() -> None:
    assert READ.target == Entity(PROVIDER.public, "default", "wasmcloud:keyvalue")
