"""Settings of the httpserver: the official names and forms, and which of several addresses counts."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from provider_sdk import InvalidArgument, Layer, Role
from providers.httpserver.config import HttpServerConfig


def load(values: dict[str, object], own: dict[str, object] | None = None) -> HttpServerConfig:
    return HttpServerConfig.load(Layer("provider configuration", own or {}), Layer("link values", values)).config


def test_nothing_given_listens_on_the_official_default() -> None:
    config = load({})
    assert config.bind == ("127.0.0.1", 8000)
    assert (config.readonly_mode, config.cache_control, config.timeout_ms, config.max_content_len) == (False, None, None, 100 * 1024**2)


@pytest.mark.parametrize(
    ("address", "bind"),
    [
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:8080", ("::1", 8080)),
        (" 127.0.0.1:1 ", ("127.0.0.1", 1)),
    ],
)
def test_an_address_is_an_ip_and_a_port(address: str, bind: tuple[str, int]) -> None:
    assert load({"address": address}).bind == bind


@pytest.mark.parametrize(
    "address",
    ["", "8080", "127.0.0.1", ":8080", "example.com:80", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:\u0661", "1:2:3", "[127.0.0.1:1"],
)
def test_anything_else_is_refused_and_shown(address: str) -> None:
    with pytest.raises(InvalidArgument, match="is not ip:port, such as") as caught:
        load({"address": address})
    assert repr(address) in str(caught.value)


@pytest.mark.parametrize("key", ["Address", "ADDRESS", "address"])
def test_names_match_in_any_case(key: str) -> None:
    assert load({key: "127.0.0.1:9000"}).bind == ("127.0.0.1", 9000)


def test_a_port_beside_an_address_wins() -> None:
    assert load({"address": "0.0.0.0:9000", "PORT": "9001"}).bind == ("127.0.0.1", 9001)


def test_an_address_of_the_link_wins_over_a_port_of_the_provider() -> None:
    assert load({"address": "0.0.0.0:9000"}, {"port": 9001}).bind == ("0.0.0.0", 9000)
    assert load({"readonly_mode": "true"}, {"port": 9001}).bind == ("127.0.0.1", 9001)


@pytest.mark.parametrize("padding", [True, False])
def test_json_in_base64_comes_before_json_and_that_before_single_values(padding: bool) -> None:
    encoded = base64.b64encode(json.dumps({"address": "127.0.0.1:1", "cache_control": "a", "max_content_len": "1M"}).encode()).decode()
    values: dict[str, object] = {
        "config_b64": encoded if padding else encoded.rstrip("="),
        "config_json": '{"address": "127.0.0.1:2", "cache_control": "b"}',
        "address": "127.0.0.1:3",
    }
    config = load(values)
    assert (config.bind, config.cache_control, config.max_content_len) == (("127.0.0.1", 3), "b", 1024**2)


@pytest.mark.parametrize("text", ["2G", "-1", "lots"])
def test_a_content_length_beyond_one_gigabyte_or_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="max_content_len"):
        load({"max_content_len": text})


# Files


def test_a_file_of_settings_comes_before_all_others_and_counts_as_if_it_stood_there(tmp_path: Path) -> None:
    settings = {
        "address": "127.0.0.1:1",
        "cache_control": "file",
        "cors": {"allowed_origins": ["https://a.example"]},
        "max_content_len": "1M",
    }
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    encoded = base64.b64encode(json.dumps({"cache_control": "b64", "timeout_ms": 5}).encode()).decode()
    values: dict[str, object] = {"config_file": str(file), "config_b64": encoded, "config_json": '{"timeout_ms": 6}', "port": "7"}
    config = load(values)
    assert (config.bind, config.cache_control, config.timeout_ms, config.max_content_len) == (("127.0.0.1", 7), "b64", 6, 1024**2)
    assert config.cors.allowed_origins == ["https://a.example"]


@pytest.mark.parametrize("name", ["settings.toml", "SETTINGS.TOML"])
def test_a_file_may_be_toml(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text('address = "127.0.0.1:1"\nreadonly_mode = true\nlog = { level = "debug" }\n[cors]\nallowed_methods = ["GET"]\n[tls]\n')
    config = load({"config_file": str(file)})
    assert (config.bind, config.readonly_mode, config.cors.allowed_methods) == (("127.0.0.1", 1), True, ["GET"])


@pytest.mark.parametrize("key", ["config_file", "CONFIG_FILE", "config-file", "configFile"])
def test_a_files_key_is_read_in_every_spelling(tmp_path: Path, key: str) -> None:
    file = tmp_path / "settings"
    file.write_text('{"cache_control": "file"}')
    assert load({key: str(file)}).cache_control == "file"
    assert load({key: ""}).cache_control is None


def test_a_file_of_the_providers_own_configuration_counts_less_than_the_link(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"cache_control": "file", "gzip": true}')
    config = load({"cache_control": "link"}, {"config_file": str(file)})
    assert (config.cache_control, config.gzip) == ("link", True)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing.json", None, "cannot be read: No such file or directory"),
        ("bad.json", "{", "is not JSON: Expecting property name"),
        ("bad.toml", "a = ", "is not TOML: Invalid value"),
        ("list.json", "[]", "does not hold a JSON object"),
        ("bytes.toml", "\udcff", "is not TOML: 'utf-8' codec can't decode"),
        ("deep.json", "[" * 100_000, "is not JSON: "),
        ("long.json", " " * (1 << 20) + "{}", "has more than 1048576 bytes"),
        ("folder", "", "is not a file"),
        ("pipe", "", "is not a file"),
    ],
)
def test_a_file_that_holds_no_settings_is_told_in_one_line(tmp_path: Path, name: str, content: str | None, told: str) -> None:
    file = tmp_path / name
    if name == "folder":
        file.mkdir()
    elif name == "pipe":
        os.mkfifo(file)
    elif content is not None:
        file.write_bytes(content.encode(errors="surrogateescape"))
    line = fault({"config_file": str(file)})
    assert line.startswith(f"link values: config_file: {file} {told}")


def test_two_files_are_one_too_many() -> None:
    assert fault({"config_file": "/a", "Config_File": "/b"}) == (
        "link values: config_file and Config_File name the same setting: give only one of them"
    )


# Every setting of our own: what it takes, and what it does not


def fault(values: dict[str, object]) -> str:
    """The one line about values that are wrong."""
    with pytest.raises(InvalidArgument) as caught:
        load(values)
    assert "\n" not in caught.value.message
    return caught.value.message


TAKEN: list[tuple[str, str, object]] = [
    ("hosts", "", []),
    ("hosts", "www.example.com, *.example.com,[::1],127.0.0.1", ["www.example.com", "*.example.com", "[::1]", "127.0.0.1"]),
    ("hosts", '["A.example"]', ["A.example"]),
    ("path_prefix", "/shop/cart", "/shop/cart"),
    ("timeout_status", "503", 503),
    ("max_requests", "1", 1),
    ("max_body_memory", "64M", 64 << 20),
    ("gzip", "true", True),
    ("gzip_min_size", "0", 0),
    ("request_id_header", "", ""),
    ("request_id_header", "X-Correlation-ID", "X-Correlation-ID"),
    ("trusted_proxies", "", None),
    ("trusted_proxies", "[]", []),
    ("trusted_proxies", "10.0.0.0/8, ::1", ["10.0.0.0/8", "::1"]),
    ("trusted_header", "forwarded", "forwarded"),
    ("access_log", "json", "json"),
    ("header_timeout", "1500ms", 1.5),
    ("body_timeout", "2", 2.0),
    ("send_timeout", "1m", 60.0),
    ("min_rate", "1k", 1024),
    ("idle_timeout", "0.5", 0.5),
    ("max_uri", "64", 64),
    ("max_header", "64k", 64 << 10),
    ("max_header_line", "16k", 16 << 10),
    ("max_header_count", "10000", 10_000),
    ("max_connections", "1", 1),
    ("max_connections_per_client", "1", 1),
    ("timeout_ms", "2s", 2000),
    ("readonly_mode", "yes", True),
]


@pytest.mark.parametrize(("name", "text", "value"), TAKEN)
def test_text_is_read_as_the_setting_means_it(name: str, text: str, value: object) -> None:
    assert getattr(load({name: text}), name) == value


WRONG: list[tuple[str, str, str]] = [
    (
        "hosts",
        "www.example.com:80",
        "hosts: 'www.example.com:80' is not a host name, such as www.example.com or *.example.com, without a port",
    ),
    ("hosts", "*", "hosts: '*' is not a host name"),
    ("hosts", "a..b", "hosts: 'a..b' is not a host name"),
    ("hosts", "www.*.example", "hosts: 'www.*.example' is not a host name"),
    ("hosts", "https://a.example", "hosts: 'https://a.example' is not a host name"),
    ("path_prefix", "shop", "path_prefix: 'shop' is not a path, such as /shop"),
    ("path_prefix", "/a?b", "path_prefix: '/a?b' is not a path"),
    ("path_prefix", "/a b", "path_prefix: '/a b' is not a path"),
    ("path_prefix", "/\u00e9", "path_prefix: '/\u00e9' is not a path"),
    ("timeout_status", "500", 'link values: timeout_status: "500" is not one of 408, 503, 504'),
    ("max_requests", "0", 'link values: max_requests: "0" is not a whole number of at least 1'),
    ("max_body_memory", "1k", 'link values: max_body_memory: "1k" is not a size in bytes'),
    ("gzip", "perhaps", 'link values: gzip: "perhaps" is not true or false'),
    ("gzip_min_size", "-1", 'link values: gzip_min_size: "-1" is not a size in bytes'),
    ("request_id_header", "x id", "request_id_header: 'x id' is not a name that HTTP allows"),
    ("request_id_header", "Content-Length", "request_id_header: 'Content-Length' means something else in HTTP"),
    ("request_id_header", "transfer-encoding", "request_id_header: 'transfer-encoding' means something else in HTTP"),
    ("request_id_header", "set-cookie", "request_id_header: 'set-cookie' means something else in HTTP"),
    ("trusted_proxies", "proxy.example", "trusted_proxies: 'proxy.example' is no address or network, such as 10.0.0.0/8"),
    ("trusted_header", "via", 'link values: trusted_header: "via" is not one of "x-forwarded-for", "forwarded"'),
    ("access_log", "apache", 'link values: access_log: "apache" is not one of "none", "common", "combined", "json"'),
    ("access_log_file", "/tmp/a", "access_log_file: say with access_log in which form lines are written there"),
    ("header_timeout", "0", 'link values: header_timeout: "0" is not a time in seconds'),
    ("body_timeout", "soon", 'link values: body_timeout: "soon" is not a time in seconds'),
    ("send_timeout", "-1", 'link values: send_timeout: "-1" is not a time in seconds'),
    ("min_rate", "0", 'link values: min_rate: "0" is not a size in bytes'),
    ("idle_timeout", "1d", 'link values: idle_timeout: "1d" is not a time in seconds'),
    ("max_uri", "63", 'link values: max_uri: "63" is not a size in bytes'),
    ("max_header", "2M", 'link values: max_header: "2M" is not a size in bytes'),
    ("max_header_line", "1", 'link values: max_header_line: "1" is not a size in bytes'),
    ("max_header_count", "10001", 'link values: max_header_count: "10001" is not a whole number from 1 to 10000'),
    ("max_connections", "many", 'link values: max_connections: "many" is not a whole number of at least 1'),
    ("max_connections_per_client", "0", 'link values: max_connections_per_client: "0" is not a whole number of at least 1'),
    ("port", "65536", 'link values: port: "65536" is not a whole number from 0 to 65535'),
    ("timeout_ms", "0", 'link values: timeout_ms: "0" is not a time in whole milliseconds'),
    ("readonly_mode", "maybe", 'link values: readonly_mode: "maybe" is not true or false'),
    ("cache_control", "a\nset-cookie: b", "cache_control: a header is of visible ASCII"),
    ("config_json", "{", "link values: config_json: the value is not a JSON object"),
    ("config_b64", "???", "link values: config_b64: the value is not base64 of a JSON object"),
    ("tls", "on", "link values: tls: <secret> is not a JSON object"),
    ("cors", "[]", 'link values: cors: "[]" is not a JSON object'),
]


@pytest.mark.parametrize(("name", "text", "told"), WRONG)
def test_a_wrong_value_is_told_in_one_line_that_names_it(name: str, text: str, told: str) -> None:
    assert fault({name: text}).startswith(told)


def test_a_name_that_no_setting_has_is_warned_about_with_the_nearest_one() -> None:
    warnings = HttpServerConfig.load(Layer("link values", {"acess_log": "json", "log": "debug"})).warnings
    assert warnings == ['link values: unknown setting "acess_log" is ignored: did you mean "access_log"?']


# TLS and CORS

FILES: dict[str, object] = {"cert_file": "/c.pem", "priv_key_file": "/k.pem"}
ALONE = "tls: cert_file and priv_key_file are missing: "


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        ({"cert_file": "/c.pem"}, "tls: cert_file and priv_key_file belong together, and one of them is missing"),
        ({"priv_key_file": "/k.pem"}, "tls: cert_file and priv_key_file belong together, and one of them is missing"),
        ({"min_version": "1.3"}, f"{ALONE}without them this is plain HTTP"),
        ({"key_password": "secret"}, f"{ALONE}without them this is plain HTTP"),
        ({"certificates": {"a.test": "/a.pem"}}, f"{ALONE}clients that name no server get that certificate"),
        ({"client_certificates": "required", "client_ca_file": "/ca.pem"}, f"{ALONE}clients that name no server get that certificate"),
        (FILES | {"client_certificates": "required"}, "tls: client_certificates and client_ca_file belong together"),
        (FILES | {"client_ca_file": "/ca.pem"}, "tls: client_certificates and client_ca_file belong together"),
        (
            FILES | {"client_certificates": "yes"},
            'link values: tls: client_certificates: "yes" is not one of "none", "optional", "required"',
        ),
        (FILES | {"min_version": "1.1"}, 'link values: tls: min_version: "1.1" is not one of "1.2", "1.3"'),
        (
            FILES | {"certificates": {"a b": "/a.pem"}},
            "tls: certificates: 'a b' is not a host name, such as www.example.com or *.example.com",
        ),
        (FILES | {"certificates": {"a.test": ""}}, "link values: tls: certificates:"),
        (FILES | {"certificates": ["a.test"]}, "link values: tls: certificates:"),
    ],
)
def test_tls_settings_that_do_not_go_together_are_told_in_one_line(tls: dict[str, object], told: str) -> None:
    line = fault({"tls": json.dumps(tls)})
    assert line.startswith(told)
    assert "secret" not in line


def test_a_password_is_never_shown() -> None:
    config = load({"tls": json.dumps(FILES | {"key_password": "open sesame"})})
    assert "sesame" not in repr(config)
    assert config.tls.key_password is not None
    assert config.tls.key_password.reveal() == "open sesame"


@pytest.mark.parametrize("tls", ["{}", '{"cert_file": null, "priv_key_file": null}', '{"cert_file": "", "priv_key_file": ""}'])
def test_tls_without_files_is_none(tls: str) -> None:
    assert load({"tls": tls}).tls.cert_file is None


@pytest.mark.parametrize(
    ("cors", "told"),
    [
        (
            {"allowed_origins": ["https://a.example/x"]},
            "cors: allowed_origins: 'https://a.example/x' is not http(s)://host[:port] without a path",
        ),
        ({"allowed_origins": ["*"]}, "cors: allowed_origins: '*' is not http(s)://host[:port]"),
        ({"allowed_origins": ["a.example"]}, "cors: allowed_origins: 'a.example' is not http(s)://host[:port]"),
        ({"allowed_origins": ["https://a.example\r\nx: y"]}, "cors: allowed_origins: 'https://a.example\\r\\nx: y' is not"),
        ({"allowed_headers": ["x y"]}, "cors: allowed_headers: 'x y' is not a name that HTTP allows"),
        ({"allowed_methods": ["GET\r\n"]}, "cors: allowed_methods: 'GET\\r\\n' is not a name that HTTP allows"),
        ({"exposed_headers": [""]}, "cors: exposed_headers: '' is not a name that HTTP allows"),
        ({"max_age_secs": -1}, "link values: cors: max_age_secs: -1 is not a whole number of at least 0"),
        ({"allow_credentials": True}, "cors: allow_credentials: name the allowed_origins"),
        ({"mode": "strict"}, 'link values: cors: mode: "strict" is not one of "official", "fetch", "off"'),
    ],
)
def test_wrong_cors_settings_are_told_in_one_line(cors: dict[str, object], told: str) -> None:
    assert fault({"cors": json.dumps(cors)}).startswith(told)


def test_nested_settings_are_put_together_from_all_places() -> None:
    config = load({"cors": '{"max_age_secs": 7}'}, {"cors": {"allowed_origins": ["https://a.example"], "max_age_secs": 5}})
    assert (config.cors.allowed_origins, config.cors.max_age_secs) == (["https://a.example"], 7)


# 1.x


def test_on_1_x_the_default_is_the_official_one_and_a_port_by_itself_has_no_effect() -> None:
    assert load({"port": "9000"}).bind_for(Role.SOURCE) == ("0.0.0.0", 8000)
    assert load({"port": "9000"}).bind_for(Role.TARGET) == ("127.0.0.1", 9000)
    assert load({"address": "127.0.0.1:9001", "port": "9000"}).bind_for(Role.SOURCE) == ("127.0.0.1", 9001)


def test_a_link_without_an_address_listens_at_the_providers_default_address() -> None:
    own: dict[str, object] = {"DEFAULT_ADDRESS": "127.0.0.1:7000"}
    assert [load({}, own).bind_for(role) for role in Role] == [("127.0.0.1", 7000)] * 2
    assert load({"address": "127.0.0.1:7001"}, own).bind_for(Role.SOURCE) == ("127.0.0.1", 7001)
    with pytest.raises(InvalidArgument, match="address: 'here:80' is not ip:port"):
        load({}, {"default_address": "here:80"})


def test_single_settings_of_tls_and_cors_are_read_under_their_1_x_names(tmp_path: Path) -> None:
    values: dict[str, object] = {
        "TLS_CERT_FILE": str(tmp_path / "cert"),
        "tls_priv_key_file": str(tmp_path / "key"),
        "cors_allowed_origins": '["https://a.example/", "http://b.example:81"]',
        "cors_allowed_methods": '["GET"]',
        "cors_max_age_secs": "5",
        "disable_keepalive": "false",
    }
    config = load(values)
    assert (config.tls.cert_file, config.tls.priv_key_file) == (tmp_path / "cert", tmp_path / "key")
    assert (config.cors.allowed_origins, config.cors.allowed_methods) == (["https://a.example/", "http://b.example:81"], ["GET"])
    assert config.cors.max_age_secs == 5


def test_the_same_names_are_read_in_json_and_one_by_one_they_may_come_from_several_places() -> None:
    config = load({"config_json": '{"cors_max_age_secs": 7, "cors_allowed_headers": ["a"]}', "cors_max_age_secs": "8"})
    assert (config.cors.max_age_secs, config.cors.allowed_headers) == (8, ["a"])


def test_a_setting_that_is_given_under_both_kinds_of_names_in_one_place_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="cors and cors_max_age_secs name the same settings"):
        load({"cors_max_age_secs": "5", "cors": '{"max_age_secs": 6}'})


@pytest.mark.parametrize(
    ("name", "value"), [("routing_mode", "random"), ("header", "no header"), ("readonly_mode", "perhaps"), ("timeout_ms", "soon")]
)
def test_what_the_official_provider_passes_over_is_told(name: str, value: str) -> None:
    with pytest.raises(InvalidArgument, match=name):
        load({name: value})
