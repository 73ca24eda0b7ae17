"""Ports that the manifests listen on, and servers that they name."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from provider_sdk.errors import NotFound, ProviderError
from provider_sdk.findings import Finding, right, warning, wrong
from provider_sdk.lattice.addresses import OTHER_ADDRESS, cannot_listen, host_and_port, http_addresses
from provider_sdk.lattice.manifests import read_any_manifest
from provider_sdk.lattice.state import FOLDER, read_state
from provider_sdk.lattice.wadm import Manifest
from provider_sdk.lattice.wrpc.manifest import WrpcManifest
from provider_sdk.provider_toml import MANIFESTS

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
    manifests: dict[str, Manifest | WrpcManifest] = {}
    for name in MANIFESTS:
        with suppress(ProviderError, ImportError):
            manifests[name] = read_any_manifest(folder / name)
    yield from _ports(
        {address: f"{name}:{link.line}" for name, read in manifests.items() for link, address in http_addresses(read)}, folder
    )
    yield from _servers([(f"{name}:{line}", value) for name, read in manifests.items() for line, value in _values(read)])


def _ports(wanted: dict[str, str], folder: Path) -> Iterator[Finding]:
    """`wanted`: the place in a manifest of each address."""
    ours: list[str] = []
    with suppress(NotFound):
        ours = read_state(folder / FOLDER).addresses
    for address, place in wanted.items():
        _, port = host_and_port(address) or ("", 0)
        if address in ours or not port:
            continue
        if problem := cannot_listen(address):
            yield wrong("port", f"{place}: {address} cannot be used: {problem}{_holder(port)}", OTHER_ADDRESS)
        else:
            yield right("port", f"{address} is free")
    if not wanted and cannot_listen(f"127.0.0.1:{PREFERRED}"):
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


def _servers(values: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """`values`: places in manifests and the texts there."""
    named: dict[tuple[str, str, int], str] = {}
    for place, value in values:
        for scheme, host, port in _hosts(value):
            named.setdefault((scheme, host, port), place)
    if not named:
        return
    with ThreadPoolExecutor(min(AT_ONCE, len(named))) as pool:
        problems = pool.map(_cannot_connect, [(host, port) for _, host, port in named])
        for ((scheme, host, port), place), problem in zip(named.items(), problems, strict=True):
            shown = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
            if problem:
                yield wrong("server", f"{place}: {shown}: {problem}", "start it, or write where it is")
            else:
                yield right("server", f"{shown} takes connections")


def _values(manifest: Manifest | WrpcManifest) -> Iterator[tuple[int, str]]:
    if isinstance(manifest, WrpcManifest):
        for config in (item for settings in manifest.settings() for item in settings.config):
            yield from ((config.line, text) for value in (config.properties or {}).values() for text in _texts(value))
        return
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
