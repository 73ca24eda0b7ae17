"""The line of a 1.x host: all fields, leniently, and one clear word where something is wrong (wrpc-1x.md §1.2, §1.3)."""

from __future__ import annotations

from typing import Any

import pytest

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.host import WrpcHost
from provider_sdk.hosts.wrpc.hostdata import HostData, parse_host_data
from provider_sdk.hosts.wrpc.links_wire import Ends, LinkDefinition
from provider_sdk.hosts.wrpc.otel import OtelConfig
from provider_sdk.nkeys import CurveKey, KeyPair, Prefix

HOST, OWN, USER = CurveKey.generate(), CurveKey.generate(), KeyPair.generate(Prefix.USER)
WHOLE: dict[str, Any] = {
    "host_id": "NHOST",
    "lattice_rpc_prefix": "lattice",
    "link_name": "default",
    "lattice_rpc_user_jwt": "e30.e30.sig",
    "lattice_rpc_user_seed": USER.seed,
    "lattice_rpc_url": "nats://10.0.0.1:4222",
    "provider_key": "our-provider",
    "env_values": {},
    "instance_id": "0b1d",
    "link_definitions": [
        {
            "source_id": "component",
            "target": "our-provider",
            "name": "default",
            "wit_namespace": "wasi",
            "wit_package": "keyvalue",
            "interfaces": ["store"],
            "source_config": {},
            "target_config": {"bucket": "b"},
            "source_secrets": None,
            "target_secrets": [1, 2, 255],
        }
    ],
    "cluster_issuers": [],
    "config": {"word": "hello"},
    "secrets": {"token": {"kind": "String", "value": "tøken"}, "raw": {"kind": "Bytes", "value": [255, 0]}},
    "host_xkey_public_key": HOST.public,
    "provider_xkey_private_key": OWN.seed,
    "default_rpc_timeout_ms": 1500,
    "structured_logging": True,
    "log_level": "critical",
    "otel_config": {"enable_observability": False, "protocol": "Http", "additional_ca_paths": [], "trace_level": "info"},
}
LEAST = {"lattice_rpc_prefix": "lattice", "provider_key": "our-provider"}


def test_each_field_that_has_a_use_is_read() -> None:
    assert parse_host_data(WHOLE) == HostData(
        host_id="NHOST",
        lattice_rpc_prefix="lattice",
        link_name="default",
        lattice_rpc_url="nats://10.0.0.1:4222",
        lattice_rpc_user_jwt="e30.e30.sig",
        lattice_rpc_user_seed=USER.seed,
        provider_key="our-provider",
        instance_id="0b1d",
        link_definitions=(
            LinkDefinition(
                Ends("component", "our-provider", "default", "wasi", "keyvalue", ("store",)),
                target_config={"bucket": "b"},
                target_secrets=b"\x01\x02\xff",
            ),
        ),
        config={"word": "hello"},
        secrets={"token": "tøken", "raw": b"\xff\x00"},
        host_xkey_public_key=HOST.public,
        provider_xkey_private_key=OWN.seed,
        default_rpc_timeout_ms=1500,
        structured_logging=True,
        log_level="critical",
        otel_config=OtelConfig(),
    )


def test_all_but_lattice_and_provider_may_be_missing_or_null_and_unknown_members_are_ignored() -> None:
    bare = parse_host_data(dict(LEAST))
    assert parse_host_data({**dict.fromkeys(WHOLE), **LEAST, "invented": [1]}) == bare
    assert (bare.link_definitions, bare.config, bare.secrets, bare.default_rpc_timeout_ms) == ((), {}, {}, None)
    assert bare.link_name == "default"
    assert bare.otel_config == OtelConfig()


def test_a_host_without_x_keys_is_one_of_the_first_era_and_keeps_no_secrets() -> None:
    assert parse_host_data(dict(LEAST)).era is Era.FIRST
    assert parse_host_data(WHOLE).era is Era.SECOND
    assert not WrpcHost(parse_host_data(dict(LEAST))).settings.keeps_secrets
    assert WrpcHost(parse_host_data({**LEAST, **{name: WHOLE[name] for name in WHOLE if "xkey" in name}})).settings.keeps_secrets


def test_what_the_host_prescribes() -> None:
    settings = WrpcHost(parse_host_data(WHOLE)).settings
    assert (settings.call_timeout, settings.shutdown_budget) == (1.5, 0.25)
    assert (settings.log_level, settings.structured_logging, settings.trace_endpoint) == ("critical", True, "")
    assert WrpcHost(parse_host_data(dict(LEAST))).settings.call_timeout == 2.0


def test_a_field_without_a_use_may_be_anything() -> None:
    assert parse_host_data({**WHOLE, "env_values": [], "cluster_issuers": 1, "more": {}}) == parse_host_data(WHOLE)


def test_no_secret_is_shown() -> None:
    shown = repr(parse_host_data(WHOLE)) + repr(WrpcHost(parse_host_data(WHOLE)).links)
    for secret in (USER.seed, OWN.seed, "tøken", "hello", "bucket", "e30.e30", "10.0.0.1"):
        assert secret not in shown


WRONG: list[tuple[str, Any, str]] = [
    ("lattice_rpc_prefix", None, "lattice_rpc_prefix"),
    ("lattice_rpc_prefix", "a b", "lattice_rpc_prefix"),
    ("lattice_rpc_prefix", 3, "lattice_rpc_prefix: expected a string, got a number"),
    ("provider_key", "", "provider_key"),
    ("provider_key", "a.>", "provider_key"),
    ("host_id", [], "host_id: expected a string, got a list"),
    ("lattice_rpc_user_seed", "", "lattice_rpc_user_seed: missing"),
    ("lattice_rpc_user_seed", "SUNK", "lattice_rpc_user_seed: not a seed"),
    ("link_definitions", {}, "link_definitions: expected a list, got an object"),
    ("link_definitions", ["x"], r"link_definitions\[0\]: expected an object"),
    ("link_definitions", [{"source_id": 1}], r"link_definitions\[0\].source_id: expected a string"),
    ("link_definitions", [{"interfaces": "store"}], r"link_definitions\[0\].interfaces"),
    ("link_definitions", [{"target_config": {"a": 1}}], r"link_definitions\[0\].target_config.a: expected a string"),
    ("link_definitions", [{"source_secrets": [256]}], r"link_definitions\[0\].source_secrets"),
    ("link_definitions", [{"source_secrets": "AA=="}], r"link_definitions\[0\].source_secrets"),
    ("otel_config", {"additional_ca_paths": [1]}, "otel_config.additional_ca_paths"),
    ("config", {"a": 1}, "config.a: expected a string"),
    ("config", {"a": "\udcff"}, "config.a: not UTF-8"),
    ("secrets", [], "secrets: expected an object"),
    ("secrets", {"a": "bare"}, "secrets.a: expected a secret"),
    ("secrets", {"a": {"kind": "Text", "value": "x"}}, "secrets.a: expected a secret"),
    ("secrets", {"a": {"kind": "String", "value": [1]}}, "secrets.a: expected a secret"),
    ("secrets", {"a": {"kind": "Bytes", "value": [True]}}, "secrets.a: expected a list of numbers"),
    ("host_xkey_public_key", OWN.seed, "host_xkey_public_key"),
    ("provider_xkey_private_key", USER.seed, "provider_xkey_private_key: not the seed of an X key"),
    ("default_rpc_timeout_ms", -1, "default_rpc_timeout_ms"),
    ("default_rpc_timeout_ms", 1 << 64, "default_rpc_timeout_ms"),
    ("structured_logging", "yes", "structured_logging"),
    ("log_level", "loud", "log_level"),
    ("otel_config", [], "otel_config: expected an object"),
    ("otel_config", {"enable_traces": "x"}, "otel_config.enable_traces"),
    ("otel_config", {"protocol": "smoke"}, "otel_config.protocol"),
    ("otel_config", {"additional_ca_paths": "x"}, "otel_config.additional_ca_paths"),
]


@pytest.mark.parametrize(("name", "value", "complaint"), WRONG, ids=[f"{name}={value}" for name, value, _ in WRONG])
def test_a_wrong_field_is_named(name: str, value: Any, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^host data: {complaint}") as refused:
        parse_host_data({**WHOLE, name: value})
    for secret in (OWN.seed, USER.seed, "bare", "SUNK", "AA=="):
        assert secret not in str(refused.value)


def otel(config: dict[str, str] | None = None, **members: Any) -> OtelConfig:
    return parse_host_data({**LEAST, "otel_config": members, "config": config or {}}).otel_config


@pytest.mark.parametrize(
    ("members", "endpoint"),
    [
        ({}, ""),
        ({"enable_observability": True}, "http://127.0.0.1:4318/v1/traces"),
        ({"enable_observability": True, "enable_traces": False}, ""),
        ({"enable_traces": True}, "http://127.0.0.1:4318/v1/traces"),
        ({"enable_traces": True, "observability_endpoint": "http://c:1"}, "http://c:1/v1/traces"),
        ({"enable_traces": True, "observability_endpoint": "http://c:1/"}, "http://c:1/v1/traces"),
        ({"enable_traces": True, "observability_endpoint": "http://c:1/in"}, "http://c:1/in"),
        ({"enable_traces": True, "observability_endpoint": "http://c:1", "traces_endpoint": "http://t:2"}, "http://t:2"),
        ({"enable_traces": True, "protocol": "Grpc"}, ""),
        ({"enable_traces": True, "protocol": "http"}, "http://127.0.0.1:4318/v1/traces"),
    ],
)
def test_where_traces_go(members: dict[str, Any], endpoint: str) -> None:
    assert otel(**members).trace_endpoint == endpoint


def test_the_providers_configuration_overrides_the_hosts_telemetry_settings_in_any_case() -> None:
    config = {"otel_exporter_otlp_traces_endpoint": "http://mine", "OTEL_BSP_MAX_QUEUE_SIZE": "7"}
    given = otel(config, enable_traces=True, traces_endpoint="x")
    assert (given.trace_endpoint, given.max_batch_queue_size) == ("http://mine", 7)
    for wrong in ("many", "9" * 5000):
        assert otel({"OTEL_BSP_MAX_QUEUE_SIZE": wrong}).max_batch_queue_size is None
    host = WrpcHost(parse_host_data({**LEAST, "config": {"Otel_Traces_Sampler": "always_on", "word": "w"}}))
    assert host.provider_values == {"word": "w"}


def test_what_our_telemetry_cannot_do_is_said_in_one_line() -> None:
    assert otel().beyond() == otel(enable_traces=True).beyond() == otel(protocol="Grpc").beyond() == ""
    assert "gRPC" in otel(enable_traces=True, protocol="grpc").beyond()
    everything = otel(enable_observability=True, traces_sampler="always_off", concurrent_exports=2).beyond()
    assert "\n" not in everything
    for word in ("metrics and logs", "traces_sampler", "concurrent_exports"):
        assert word in everything
