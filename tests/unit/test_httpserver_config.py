"""Settings of the httpserver: the official names and forms, and which of several addresses counts."""

from __future__ import annotations

import base64
import json

import pytest

from provider_sdk import InvalidArgument, Layer
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
