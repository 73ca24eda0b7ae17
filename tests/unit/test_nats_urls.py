"""Addresses of a NATS server as users write them: what is made of each, and the one line for what cannot be used."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk.errors import InvalidArgument
from provider_sdk.transport.nats_options import urls


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NATS://Host:1", "nats://Host:1"),
        ("TLS://host:1", "tls://host:1"),
        ("nats://host:1/", "nats://host:1"),
        ("host:", "nats://host:"),
        ("nats://user:pass@host:1", "nats://user:pass@host:1"),
        ("user:p%40ss@host", "nats://user:p%40ss@host"),
        ("tls://[::1]:4222", "tls://[::1]:4222"),
        ("my_host.internal:65535", "nats://my_host.internal:65535"),
    ],
)
def test_what_is_meant_is_understood(text: str, expected: str) -> None:
    assert urls(text) == [expected]


@pytest.mark.parametrize("text", [",", " , ,", "\t"])
def test_nothing_but_separators_means_the_default(text: str) -> None:
    assert urls(text) == ["nats://127.0.0.1:4222"]


@pytest.mark.parametrize(
    "text",
    [
        "a\nb:1",
        "a\tb:1",
        "nats:/host:1",
        "nats//host:1",
        "nats://host:1/path",
        "nats://host:1?tls=yes",
        "nats://host:1#x",
        "nats://user@",
        "tls:host:1",
        "::1:4222",
        "nats://[::1",
        "host:0",
        "host:-1",
        "wss://host:443",
        "a:1,http://b:2",
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line_that_names_it(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^NATS address '.*': expected host:port, nats://host:port or tls://host:port$") as caught:
        urls(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"(nats://|tls://)?[a-z:@\[\].0-9/]{0,20}", fullmatch=True))
def test_every_text_is_an_address_or_a_refusal(text: str) -> None:
    try:
        found = urls(text)
    except InvalidArgument:
        return
    for url in found:
        parts = urlsplit(url)
        assert parts.scheme in ("nats", "tls")
        assert parts.hostname
        assert parts.port != 0
