"""Ports that the manifest listens on, and servers that it names."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from provider_sdk.cli.doctor.project import MANIFEST
from provider_sdk.errors import NotFound, ProviderError
from provider_sdk.findings import Finding, right, warning, wrong
from provider_sdk.lattice.deploy import cannot_listen, http_address, http_links
from provider_sdk.lattice.state import FOLDER, read_state
from provider_sdk.lattice.wadm import Manifest, read_manifest

PREFERRED = 8080
WITHIN = 2.0
AT_ONCE = 16
_PORTS = {
    "redis": 6379,
    "rediss": 6379,
    "valkey": 6379,
    "postgres": 5432,
    "postgresql": 5432,
    "nats": 4222,
    "tls": 4222,
    "http": 80,
    "https": 443,
}
_URL = re.compile(rf"({'|'.join(_PORTS)})://\S+", re.IGNORECASE)


def checks(folder: Path) -> Iterable[Finding]:
    """Ports are free, servers take connections."""
    path = folder / MANIFEST
    try:
        manifest = read_manifest(path)
    except (ProviderError, ImportError):
        manifest = None
    yield from _ports(manifest, folder)
    yield from _servers(manifest) if manifest else ()


def _ports(manifest: Manifest | None, folder: Path) -> Iterator[Finding]:
    ours: list[str] = []
    with suppress(NotFound):
        ours = read_state(folder / FOLDER).addresses
    wanted = {http_address(link.values): link.line for _, link in http_links(manifest)} if manifest else {}
    for address, line in wanted.items():
        host, _, port = address.rpartition(":")
        if address in ours or port == "0" or not port.isdecimal():
            continue
        problem = cannot_listen(host.strip("[]"), int(port))
        if problem:
            advice = "end what listens there, or give the link another address"
            yield wrong("port", f"{MANIFEST}:{line}: {address} cannot be used: {problem}{_holder(int(port))}", advice)
        else:
            yield right("port", f"{address} is free")
    if not wanted and cannot_listen("127.0.0.1", PREFERRED):
        yield warning("port", f"127.0.0.1:{PREFERRED} is taken{_holder(PREFERRED)}", "provider dev run takes another one, and says which")


def _holder(port: int) -> str:
    """The process that listens on a port, where the system tells."""
    inodes = set[str]()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
            inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        with suppress(OSError):
            if any(str(item.readlink()) in wanted for item in (process / "fd").iterdir()):
                return f" by process {process.name} ({(process / 'comm').read_text().strip()})"
    return ""


def _servers(manifest: Manifest) -> Iterator[Finding]:
    named: dict[tuple[str, str, int], int] = {}
    for line, value in _values(manifest):
        for scheme, host, port in _hosts(value):
            named.setdefault((scheme, host, port), line)
    if not named:
        return
    with ThreadPoolExecutor(min(AT_ONCE, len(named))) as pool:
        problems = pool.map(_cannot_connect, [(host, port) for _, host, port in named])
        for ((scheme, host, port), line), problem in zip(named.items(), problems, strict=True):
            shown = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
            if problem:
                yield wrong("server", f"{MANIFEST}:{line}: {shown}: {problem}", "start it, or write where it is")
            else:
                yield right("server", f"{shown} takes connections")


def _values(manifest: Manifest) -> Iterator[tuple[int, str]]:
    for actor in manifest.actors:
        for link in actor.links:
            yield from ((link.line, text) for value in link.values.values() for text in _texts(value))
    for provider in manifest.providers:
        yield from ((provider.line, text) for text in _texts(provider.config or ""))


def _texts(value: object) -> Iterator[str]:
    """The texts in a value, those of JSON in a text too."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            yield from _texts(json.loads(value))
    elif isinstance(value, str):
        yield value


def _hosts(value: str) -> Iterator[tuple[str, str, int]]:
    """Scheme, host and port of each server in a URL; several are separated by commas."""
    if not _URL.fullmatch(value):
        return
    scheme, _, rest = value.partition("://")
    for place in re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")[2].split(","):
        with suppress(ValueError):
            one = urlsplit(f"//{place}")
            if one.hostname:
                yield scheme.lower(), one.hostname, one.port or _PORTS[scheme.lower()]


def _cannot_connect(address: tuple[str, int]) -> str:
    try:
        socket.create_connection(address, WITHIN).close()
    except TimeoutError:
        return f"no answer within {WITHIN:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return ""
