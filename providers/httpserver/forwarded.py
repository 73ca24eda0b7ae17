"""Who the client is behind proxies: X-Forwarded-* and Forwarded (RFC 7239), believed only from the proxies that are named."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from multidict import MultiMapping

from providers.httpserver.config import HttpServerConfig

_PAIR = re.compile(r'[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^";,\s]*)[ \t]*')
_HOST = re.compile(r"[A-Za-z0-9._~-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", re.ASCII)
_BRACKETED = re.compile(r"\[([^\]]*)\](?::[0-9A-Za-z._-]+)?")
_OF_PROXIES = ("forwarded", "x-real-ip")
_OF_CERTIFICATES = ("client-cert", "client-cert-chain")
MOST_HOPS = 32
MOST_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the address, how it came (`http` or `https`), the host that it asked for, and the chain of addresses with the peer last."""

    address: str
    scheme: str
    host: str
    chain: tuple[str, ...] = ()
    asked_host: str = ""


class Proxies:
    """The proxies of one link that are believed."""

    def __init__(self, networks: list[str] | None, header: str, *, tls: bool = False, asks_clients: bool = False) -> None:
        self.configured = networks is not None
        self._networks = [ipaddress.ip_network(text, strict=False) for text in networks or ()]
        self._standard = header == "forwarded"
        self._tls, self._asks_clients = tls, asks_clients
        self._known: dict[str, bool] = {}

    @staticmethod
    def of(config: HttpServerConfig) -> Proxies:
        """Those of a link's settings."""
        tls = config.tls
        return Proxies(
            config.trusted_proxies,
            config.trusted_header,
            tls=tls.cert_file is not None,
            asks_clients=tls.client_certificates != "none",
        )

    def trusts(self, address: str) -> bool:
        """Whether `address` is one of the proxies."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            known = self._known[address] = _within(address, self._networks)
        return known

    def client(self, peer: str, scheme: str, header: MultiMapping[str]) -> Client:
        """The client of a request that came from `peer` over `scheme`: the first address from behind that is no proxy."""
        host = header.get("Host", "")
        if not self._networks or not self.trusts(peer):
            return Client(peer, scheme, host, (peer,))
        chain, proto, asked = self._standard_way(peer, header) if self._standard else self._usual_way(peer, header)
        proto = proto.lower() if proto.lower() in ("http", "https") else scheme
        asked = asked if _HOST.fullmatch(asked) else ""
        return Client(chain[0], proto, asked or host, tuple(chain), asked)

    def _usual_way(self, peer: str, header: MultiMapping[str]) -> tuple[list[str], str, str]:
        hops = [text for text in _list(header, "X-Forwarded-For") if text]
        # The nearest proxy's word: these are replaced rather than added to, so that their places do not match the addresses'.
        proto, asked = (_list(header, name)[-1:] or [""] for name in ("X-Forwarded-Proto", "X-Forwarded-Host"))
        return self._chain(peer, hops)[0], proto[0], asked[0]

    def _standard_way(self, peer: str, header: MultiMapping[str]) -> tuple[list[str], str, str]:
        elements = [element for line in header.getall("Forwarded", []) for element in _elements(line)]
        chain, believed = self._chain(peer, [element.get("for", "") for element in elements])
        first = elements[-believed] if believed else {}
        return chain, first.get("proto", ""), first.get("host", "")

    def _chain(self, peer: str, hops: list[str]) -> tuple[list[str], int]:
        """The addresses up to the first that is no proxy or unknown, and how many of the last hops a proxy wrote."""
        chain, believed = [peer], 0
        for hop in reversed(hops[-MOST_HOPS:]):
            if not self.trusts(chain[0]):
                break
            believed += 1
            address = _address(hop)
            if address is None:
                break
            chain.insert(0, address)
        return chain, believed

    def keeps_out(self, name: str, peer: str) -> bool:
        """Whether a request header, by its name in lower case, is one that `peer` may not write, or that `header` replaces.

        Names that an actor might take for one of those, since it writes `_` for `-`, count too.
        """
        if not self.configured and not self._tls:
            return False
        name = name.replace("_", "-")
        if name in _OF_CERTIFICATES:
            return self._asks_clients or not self.trusts(peer)
        return self.configured and (name.startswith("x-forwarded-") or name in _OF_PROXIES)

    def header(self, client: Client) -> dict[str, list[str]]:
        """What the actor is told instead of what the proxies wrote."""
        if not self.configured:
            return {}
        told = {"x-forwarded-for": [", ".join(client.chain)], "x-forwarded-proto": [client.scheme]}
        return told | ({"x-forwarded-host": [client.asked_host]} if client.asked_host else {})


def plain_address(address: str) -> str:
    """An IPv4 address that came in as IPv6 (`::ffff:192.0.2.1`) in its own form; no zone."""
    address = address.partition("%")[0]
    if not address.startswith("::ffff:"):
        return address
    mapped = ipaddress.IPv6Address(address).ipv4_mapped
    return str(mapped) if mapped else address


def _within(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed.version == network.version and parsed in network for network in networks)


def _address(hop: str) -> str | None:
    """The address of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`."""
    bracketed = _BRACKETED.fullmatch(hop)
    text = bracketed[1] if bracketed else hop.partition(":")[0] if hop.count(":") == 1 else hop
    try:
        return plain_address(str(ipaddress.ip_address(text)))
    except ValueError:
        return None


def _list(header: MultiMapping[str], name: str) -> list[str]:
    return [text.strip() for line in header.getall(name, []) for text in line.split(",")]


def _elements(line: str) -> list[dict[str, str]]:
    """The elements of one Forwarded line. Where it is not as RFC 7239 §4 has it, every comma parts two of them.

    A client may have sent a quote that it never closes, in front of what a proxy adds: that must not swallow the proxy's word.
    """
    elements: list[dict[str, str]] = [{}]
    at = 0
    while at <= len(line):
        match = _PAIR.match(line, at)
        if match is None:
            return [dict(_pairs(text)) for text in line.split(",")]
        elements[-1].setdefault(match[1].lower(), _unquoted(match[2]))
        at = match.end() + 1
        behind = line[at - 1 : at]
        if behind == ",":
            elements.append({})
        elif behind not in (";", ""):
            return [dict(_pairs(text)) for text in line.split(",")]
    return elements


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(";"):
        match = _PAIR.fullmatch(part)
        if match:
            yield match[1].lower(), _unquoted(match[2])


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
