"""Who the client is behind proxies: what X-Forwarded-* and Forwarded (RFC 7239) say counts from named proxies only."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from multidict import CIMultiDict

from provider_sdk import InvalidArgument
from providers.httpserver.config import HttpServerConfig
from providers.httpserver.forwarded import Client, Proxies, plain_address

PROXY, INNER = "10.0.0.1", "10.0.0.2"
VISITOR = "192.0.2.7"


def usual(*networks: str) -> Proxies:
    return Proxies(list(networks), "x-forwarded-for")


def standard(*networks: str) -> Proxies:
    return Proxies(list(networks), "forwarded")


def client(proxies: Proxies, *lines: tuple[str, str], peer: str = PROXY, scheme: str = "http") -> Client:
    return proxies.client(peer, scheme, CIMultiDict([("Host", "inside:8080"), *lines]))


def xff(value: str) -> tuple[str, str]:
    return "X-Forwarded-For", value


def forwarded(value: str) -> tuple[str, str]:
    return "Forwarded", value


# Whom to believe


def test_a_named_proxy_says_who_the_client_is() -> None:
    found = client(usual("10.0.0.0/8"), xff(VISITOR), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "www.example.com"))
    assert found == Client(VISITOR, "https", "www.example.com", (VISITOR, PROXY), "www.example.com")


@pytest.mark.parametrize("networks", [(), ("10.9.0.0/16",), ("2001:db8::/32",)])
def test_nobody_else_does(networks: tuple[str, ...]) -> None:
    spoofed = [xff(VISITOR), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "bank.example"), forwarded(f"for={VISITOR}")]
    for proxies in (usual(*networks), standard(*networks)):
        assert client(proxies, *spoofed) == Client(PROXY, "http", "inside:8080", (PROXY,))


@pytest.mark.parametrize("network", ["10.0.0.1", "10.0.0.0/24", "10.0.0.9/8", "10.0.0.1/32"])
def test_a_proxy_is_named_by_address_or_network(network: str) -> None:
    assert client(usual(network), xff(VISITOR)).address == VISITOR


@pytest.mark.parametrize("network", ["proxy.example", "10.0.0.0/33", "10.0.0.256", "", "all"])
def test_what_is_no_address_or_network_is_refused_by_name(network: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"trusted_proxies: '{network}' is no address or network"):
        HttpServerConfig(trusted_proxies=[network])


def test_only_the_header_that_the_proxies_write_counts() -> None:
    both = [xff("192.0.2.1"), forwarded("for=192.0.2.2")]
    assert client(usual(PROXY), *both).address == "192.0.2.1"
    assert client(standard(PROXY), *both).address == "192.0.2.2"


# Chains


@pytest.mark.parametrize(
    ("said", "chain"),
    [
        (f"{VISITOR}, {INNER}", (VISITOR, INNER, PROXY)),
        (f"203.0.113.9, {VISITOR}, {INNER}", (VISITOR, INNER, PROXY)),
        (f"127.0.0.1, {INNER}, {VISITOR}", (VISITOR, PROXY)),
        (f"10.1.1.1, {INNER}", ("10.1.1.1", INNER, PROXY)),
        ("", (PROXY,)),
        (f"{VISITOR}, ,", (VISITOR, PROXY)),
        (f"{VISITOR}, unknown", (PROXY,)),
        ("unknown", (PROXY,)),
        (f"{VISITOR}, {INNER}, <script>", (PROXY,)),
    ],
)
def test_the_client_is_the_first_address_from_behind_that_is_no_proxy(said: str, chain: tuple[str, ...]) -> None:
    as_elements = (
        ", ".join(f"for={hop.strip() or '_'}" for hop in said.split(",")) if "<" not in said and ", ," not in said and said else ""
    )
    assert client(usual("10.0.0.0/8"), xff(said)).chain == chain
    if as_elements:
        assert client(standard("10.0.0.0/8"), forwarded(as_elements)).chain == chain


def test_several_lines_are_one_list() -> None:
    assert client(usual("10.0.0.0/8"), xff("203.0.113.1"), xff(VISITOR), xff(INNER)).chain == (VISITOR, INNER, PROXY)
    lines = (forwarded("for=203.0.113.1"), forwarded(f"for={VISITOR}, for={INNER}"))
    assert client(standard("10.0.0.0/8"), *lines).chain == (VISITOR, INNER, PROXY)


def test_an_endless_chain_is_read_from_behind_to_a_bound() -> None:
    found = client(usual("10.0.0.0/8"), xff(", ".join([VISITOR] + ["10.3.3.3"] * 1000)))
    assert (found.address, len(found.chain)) == ("10.3.3.3", 33)


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:80", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%\x1b[31m", "fe80::1"),
    ],
)
def test_addresses_come_with_ports_in_brackets_and_as_ipv6_forms_of_ipv4(hop: str, address: str) -> None:
    assert client(usual(PROXY), xff(hop)).address == address
    assert client(standard(PROXY), forwarded(f'for="{hop}"')).address == address


@pytest.mark.parametrize("hop", ["_hidden", "unknown", "[2001:db8::1", "192.0.2", "192.0.2.1:1:1", "1", "0x7f.1", "localhost", "[]", "%"])
def test_what_is_no_address_leaves_the_proxy_as_the_client(hop: str) -> None:
    assert client(usual(PROXY), xff(hop)).address == PROXY
    assert client(standard(PROXY), forwarded(f'for="{hop}"')).address == PROXY


@pytest.mark.parametrize("address", ["::ffff:127.0.0.1", "::ffff:7f00:1", "127.0.0.1"])
def test_a_peer_that_came_in_as_ipv6_is_known_by_its_ipv4_address(address: str) -> None:
    assert plain_address(address) == "127.0.0.1"


def test_a_proxy_may_be_known_by_an_ipv6_network() -> None:
    assert client(usual("2001:db8::/32"), xff("2001:db9::5, 2001:db8::2"), peer="2001:db8::1").address == "2001:db9::5"


# Scheme and host


@pytest.mark.parametrize(("proto", "scheme"), [("https", "https"), ("HTTPS", "https"), ("http", "http"), ("ftp", "http"), ("", "http")])
def test_the_scheme_is_http_or_https(proto: str, scheme: str) -> None:
    assert client(usual(PROXY), xff(VISITOR), ("X-Forwarded-Proto", proto)).scheme == scheme
    assert client(standard(PROXY), forwarded(f'for={VISITOR};proto="{proto}"')).scheme == scheme


def test_of_several_usual_words_the_nearest_proxys_counts() -> None:
    lines = [
        xff(VISITOR),
        ("X-Forwarded-Proto", "https, http"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Host", "a.example, b.example"),
    ]
    found = client(usual(PROXY), *lines)
    assert (found.scheme, found.asked_host) == ("http", "b.example")


def test_scheme_and_host_of_a_standard_chain_are_those_that_the_first_proxy_saw() -> None:
    line = (
        f"for=203.0.113.9;proto=ftp;host=evil.example, for={VISITOR};proto=https;host=www.example.com, for={INNER};proto=http;host=inside"
    )
    found = client(standard("10.0.0.0/8"), forwarded(line))
    assert (found.address, found.scheme, found.asked_host) == (VISITOR, "https", "www.example.com")


def test_a_proxy_that_hides_the_client_is_believed_about_the_rest() -> None:
    found = client(standard("10.0.0.0/8"), forwarded(f"for=203.0.113.9;proto=http, for=_hidden;proto=https, for={INNER};proto=http"))
    assert (found.address, found.scheme) == (INNER, "https")


@pytest.mark.parametrize("host", ["a b", "a/b", "user@a", "a,b", "<x>", "[::1", "a:123456", 'a"'])
def test_a_host_that_is_none_is_passed_over(host: str) -> None:
    found = client(usual(PROXY), xff(VISITOR), ("X-Forwarded-Host", host.replace(",", "/")))
    assert (found.host, found.asked_host) == ("inside:8080", "")


# RFC 7239's own forms


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ('For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
        ('by=203.0.113.43;FOR="192.0.2.60" ; Proto=https', "192.0.2.60"),
        (r'for="\1\9\2.0.2.60"', "192.0.2.60"),
        ('secret="a,b;c=\\"d\\"";for=192.0.2.60', "192.0.2.60"),
        (",for=192.0.2.60", "192.0.2.60"),
    ],
)
def test_quotes_escapes_case_and_further_parameters_are_read(line: str, address: str) -> None:
    assert client(standard(PROXY), forwarded(line)).address == address


@pytest.mark.parametrize(
    "sent", ['for="evil', 'for="x\\', 'for="', '"', 'a="b"c', 'for=evil"', "for", "=;=", 'for="a";for="b', ";;;", 'x="\\"']
)
def test_what_a_client_sent_before_cannot_swallow_what_the_proxy_adds(sent: str) -> None:
    for added in (f"for={VISITOR}", f'for="{VISITOR}:80";proto=https', f'proto=https;for="{VISITOR}"'):
        assert client(standard(PROXY), forwarded(f"{sent}, {added}")).address == VISITOR


@pytest.mark.parametrize("unit", ['"', '\\"', 'a="', 'a="\\', "a=b;", ",", ";", "for=1,", '"",'])
def test_the_longest_line_is_read_in_no_time_to_speak_of(unit: str) -> None:
    short, long = (_seconds(unit * (size // len(unit))) for size in (2_000, 32_000))
    assert long < max(short, 0.002) * 16 * 8


def _seconds(line: str) -> float:
    best = float("inf")
    for _ in range(3):
        since = time.perf_counter()
        client(standard(PROXY), forwarded(line), xff(line))
        best = min(best, time.perf_counter() - since)
    return best


# What the actor is told


def test_without_the_setting_headers_go_to_the_actor_as_they_came() -> None:
    proxies = Proxies(None, "x-forwarded-for")
    assert not any(proxies.keeps_out(name, PROXY) for name in ("x-forwarded-for", "forwarded", "x-real-ip", "client-cert"))
    assert proxies.header(client(proxies, xff(VISITOR))) == {}


@pytest.mark.parametrize("networks", [(), (PROXY,)])
@pytest.mark.parametrize("peer", [PROXY, VISITOR])
def test_with_it_what_others_wrote_is_replaced(networks: tuple[str, ...], peer: str) -> None:
    for proxies in (usual(*networks), standard(*networks)):
        for name in (
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-port",
            "forwarded",
            "x-real-ip",
            "x_forwarded_for",
        ):
            assert proxies.keeps_out(name, peer)
        assert not proxies.keeps_out("x-forward", peer)


def test_the_actor_is_told_the_whole_chain_with_the_peer_last() -> None:
    proxies = usual("10.0.0.0/8")
    lines = (xff(f"203.0.113.9, {VISITOR}, {INNER}"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "www.example.com"))
    assert proxies.header(client(proxies, *lines)) == {
        "x-forwarded-for": [f"{VISITOR}, {INNER}, {PROXY}"],
        "x-forwarded-proto": ["https"],
        "x-forwarded-host": ["www.example.com"],
    }


def test_with_nobody_named_the_actor_is_told_the_peer() -> None:
    proxies = usual()
    assert proxies.header(client(proxies, xff(VISITOR), peer=VISITOR, scheme="https")) == {
        "x-forwarded-for": [VISITOR],
        "x-forwarded-proto": ["https"],
    }


@pytest.mark.parametrize("name", ["client-cert", "client-cert-chain", "client_cert"])
def test_a_client_certificate_header_comes_from_a_named_proxy_or_from_the_server_itself(name: str) -> None:
    """RFC 9440 §4: whoever ends TLS removes what the client sent under these names."""
    assert Proxies(None, "forwarded", tls=True).keeps_out(name, VISITOR)
    assert usual(PROXY).keeps_out(name, VISITOR)
    assert not usual(PROXY).keeps_out(name, PROXY)
    assert Proxies([PROXY], "forwarded", tls=True, asks_clients=True).keeps_out(name, PROXY)


def test_a_stream_of_addresses_does_not_grow_the_memory_of_them() -> None:
    proxies = usual("10.0.0.0/8")
    tracemalloc.start()
    try:
        for number in range(20_000):
            proxies.trusts(f"no address, number {number}")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_500_000
