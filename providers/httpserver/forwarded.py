"""Who the client is behind proxies: X-Forwarded-* and Forwarded (RFC 7239), believed only from the proxies that are named."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from multidict import MultiMapping

_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^";,\s]*)\s*')
_HOST = re.compile(r"[A-Za-z0-9._~-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", re.ASCII)
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

    def __init__(self, networks: list[str] | None, header: str) -> None:
        self.configured = networks is not None
        self._networks = [ipaddress.ip_network(text, strict=False) for text in networks or ()]
        self._standard = header == "forwarded"
        self._known: dict[str, bool] = {}

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
        hops, proto, asked = self._standard_hops(header) if self._standard else self._usual_hops(header)
        chain = [peer]
        for hop in reversed(hops[-MOST_HOPS:]):
            if not self.trusts(chain[0]):
                break
            address = _address(hop)
            if address is None:
                break
            chain.insert(0, address)
        proto = proto if proto in ("http", "https") else scheme
        asked = asked if _HOST.fullmatch(asked) else ""
        return Client(chain[0], proto, asked or host, tuple(chain), asked)

    def _usual_hops(self, header: MultiMapping[str]) -> tuple[list[str], str, str]:
        hops = [hop.strip() for line in header.getall("X-Forwarded-For", []) for hop in line.split(",")]
        return hops, _last(header, "X-Forwarded-Proto").lower(), _last(header, "X-Forwarded-Host")

    def _standard_hops(self, header: MultiMapping[str]) -> tuple[list[str], str, str]:
        elements = [_element(text) for line in header.getall("Forwarded", []) for text in _split(line)]
        last = elements[-1] if elements else {}
        return [element.get("for", "") for element in elements], last.get("proto", "").lower(), last.get("host", "")

    def says(self, name: str) -> bool:
        """Whether a request header, by its name in lower case, is one that only proxies may write here."""
        return self.configured and (name.startswith("x-forwarded-") or name in ("forwarded", "x-real-ip"))

    def header(self, client: Client) -> dict[str, list[str]]:
        """What the actor is told instead of what the proxies wrote."""
        if not self.configured:
            return {}
        told = {"x-forwarded-for": [", ".join(client.chain)], "x-forwarded-proto": [client.scheme]}
        return told | ({"x-forwarded-host": [client.asked_host]} if client.asked_host else {})


def plain_address(address: str) -> str:
    """An IPv4 address that came in as IPv6 (`::ffff:192.0.2.1`) in its own form; no zone."""
    address = address.partition("%")[0]
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def _within(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed.version == network.version and parsed in network for network in networks)


def _address(hop: str) -> str | None:
    """The address of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`."""
    text = hop[1 : hop.find("]")] if hop.startswith("[") else hop.partition(":")[0] if hop.count(":") == 1 else hop
    try:
        return plain_address(str(ipaddress.ip_address(text)))
    except ValueError:
        return None


def _last(header: MultiMapping[str], name: str) -> str:
    lines = header.getall(name, [])
    return lines[-1].rpartition(",")[2].strip() if lines else ""


def _split(line: str) -> list[str]:
    """Elements at commas that no quotes enclose."""
    return re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', line)


def _element(text: str) -> dict[str, str]:
    found = {}
    for part in re.findall(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+', text):
        match = _PAIR.fullmatch(part)
        if match:
            value = match[2]
            found[match[1].lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    return found
