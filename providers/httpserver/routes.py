"""Who answers: links by host name and path prefix. The more precise host comes first, then the longer prefix."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from provider_sdk import AlreadyExists

ANY = ""
LONGEST_NAME = 255


class Owned(Protocol):
    """What a route leads to."""

    @property
    def owner(self) -> str:
        """The link that it belongs to."""

    @property
    def turn(self) -> str:
        """The name under which it waits while another link has its route; empty where it does not wait."""


S = TypeVar("S", bound=Owned)


class Routes(Generic[S]):
    """The routes of one address.

    A route may have several sites of one owner: the newest answers, the others are on their way out. Behind them may wait those of other
    owners, each until the ones before it are gone.
    """

    def __init__(self) -> None:
        self._hosts: dict[str, dict[str, list[S]]] = {}
        self._sorted: dict[str, list[tuple[str, S]]] = {}
        self._only: S | None = None

    def __iter__(self) -> Iterator[S]:
        seen = {id(site): site for prefixes in self._hosts.values() for sites in prefixes.values() for site in sites}
        return iter(seen.values())

    def add(self, hosts: list[str], prefix: str, site: S, address: str) -> None:
        """Have `site` answer; AlreadyExists, with a line that names the other, where another owner has one of the routes."""
        keys = [(host, prefix.rstrip("/")) for host in {plain_host(host): None for host in hosts} or [ANY]]
        for host, path in keys:
            there = [other for other in self._hosts.get(host, {}).get(path, ()) if other.owner != site.owner]
            if any(not site.turn or other.turn == site.turn for other in there):
                what = f"address {address}" if (host, path) == (ANY, "") else f"route {host or '*'}{path or '/'} of address {address}"
                raise AlreadyExists(
                    f"{what} is taken by the link {there[0].owner}: give this one other hosts, another path_prefix or another address"
                )
        for host, path in keys:
            _enqueue(self._hosts.setdefault(host, {}).setdefault(path, []), site)
        self._sort()

    def remove(self, site: S) -> None:
        """Take the site's routes away."""
        for host, prefixes in list(self._hosts.items()):
            for path, sites in list(prefixes.items()):
                if site in sites:
                    sites.remove(site)
                if not sites:
                    del prefixes[path]
            if not prefixes:
                del self._hosts[host]
        self._sort()

    def find(self, host: str, path: str) -> S | None:
        """The site for a request to `host` (as `plain_host` gives it) and `path` as it was sent."""
        if self._only is not None:
            return self._only
        for name in from_precise_to_any(host):
            for prefix, site in self._sorted.get(name, ()):
                if not prefix or (path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")):
                    return site
        return None

    def _sort(self) -> None:
        self._sorted = {
            host: [(path, _answering(prefixes[path])) for path in sorted(prefixes, key=len, reverse=True)]
            for host, prefixes in self._hosts.items()
        }
        only = self._sorted.get(ANY, []) if len(self._sorted) == 1 else []
        self._only = only[0][1] if len(only) == 1 and only[0][0] == "" else None


def _enqueue(sites: list[S], site: S) -> None:
    """Add a site behind those of its owner, or behind all."""
    owners = [other.owner for other in sites]
    at = len(owners) - owners[::-1].index(site.owner) if site.owner in owners else len(owners)
    sites.insert(at, site)


def _answering(sites: list[S]) -> S:
    """The newest site of the owner whose turn it is."""
    return [site for site in sites if site.owner == sites[0].owner][-1]


def plain_host(host: str) -> str:
    """A host in the one form that is compared: `Example.com.` as `example.com`, `[0:0::1]` as `::1`."""
    plain = host.strip("[]").rstrip(".").lower()
    if ":" in plain:
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv6Address(plain))
    return plain


def from_precise_to_any(host: str) -> Iterator[str]:
    """`a.b.c`, `*.b.c`, `*.c`, ANY: what a host may be listed as."""
    yield host
    rest = host if len(host) <= LONGEST_NAME else ""
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    yield ANY
