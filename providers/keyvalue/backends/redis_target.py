"""Which servers a configuration means, and as whom to log in there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from provider_sdk import InvalidArgument, Secret
from providers.keyvalue.config import KeyValueConfig

PORT, SENTINEL_PORT = 6379, 26379
SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")

Address = tuple[str, int]
_HOSTS = "url, address: a host is host, host:port or [IPv6]:port, and a port is 1 to 65535"


@dataclass(frozen=True)
class Login:
    """Whom a server is to take us for; nobody where there is no password."""

    username: str | None = None
    password: Secret | None = None


@dataclass(frozen=True)
class Target:
    """`form` is empty for one server, else cluster or sentinel; `addresses` are then where to ask for the others."""

    form: str
    addresses: tuple[Address, ...]
    login: Login
    sentinel_login: Login
    service: str
    database: int
    tls: bool
    ca_file: Path | None
    connections: int
    connect_timeout: float

    @property
    def name(self) -> str:
        """The addresses as messages show them."""
        return ",".join(shown_address(address) for address in self.addresses)


def shown_address(address: Address) -> str:
    """host:port, brackets around an IPv6 address."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def target(config: KeyValueConfig) -> Target:
    """What the settings say; InvalidArgument for what they cannot mean, without any part of a url that could be secret."""
    parts = _split(config.url.reveal() if config.url is not None else f"redis://{config.address or '127.0.0.1'}")
    scheme, _, form = parts.scheme.partition("+")
    options = _options(parts, form)
    path = [unquote(part) for part in parts.path.strip("/").split("/") if part]
    service = _service(path) if form == "sentinel" else ""
    return Target(
        form=form,
        addresses=_addresses(parts.netloc, SENTINEL_PORT if form == "sentinel" else PORT, several=bool(form)),
        login=_login(config, parts.netloc),
        sentinel_login=Login(options.get("sentinel_username"), _secret(options.get("sentinel_password"))),
        service=service,
        database=_database(config.database or options.get("db") or "/".join(path), form),
        tls=config.tls or scheme in {"rediss", "valkeys"},
        ca_file=config.ca_file,
        connections=config.connections,
        connect_timeout=config.connect_timeout,
    )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        pass  # its text may quote the password, and would be in the context of an error raised here
    raise InvalidArgument(f"{_HOSTS}, and in a name or password what is no letter or digit is written as %41")


def _options(parts: SplitResult, form: str) -> dict[str, str]:
    known = {"db", "protocol", *(SENTINEL_OPTIONS if form == "sentinel" else ())}
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - known)
    if unknown:
        raise InvalidArgument(f"url: behind the question mark, {unknown[0][:40]!a} is none of {', '.join(sorted(known))}")
    if parts.fragment:
        raise InvalidArgument("url: what is behind # is not supported: the certificate of a server is always checked, see ca_file")
    return options


def _service(path: list[str]) -> str:
    if not path:
        raise InvalidArgument("url: the name of the service is missing: redis+sentinel://host:26379,host2:26379/service/0")
    return path.pop(0)


def _addresses(netloc: str, port: int, *, several: bool) -> tuple[Address, ...]:
    hosts = netloc.rpartition("@")[2].split(",")
    if len(hosts) > 1 and not several:
        raise InvalidArgument("url: several hosts are for redis+cluster:// and redis+sentinel://")
    return tuple(_address(host, port) for host in hosts)


def _address(text: str, port: int) -> Address:
    try:
        parts = urlsplit(f"//{text}")
        return unquote(parts.hostname or "127.0.0.1"), parts.port or port
    except ValueError:
        raise InvalidArgument(_HOSTS) from None


def _login(config: KeyValueConfig, netloc: str) -> Login:
    username, _, password = netloc.rpartition("@")[0].partition(":")
    return Login(config.username or unquote(username) or None, config.password or _secret(unquote(password)))


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None


def _database(text: str, form: str) -> int:
    if not (text or "0").isdecimal():
        raise InvalidArgument("database: the database of a Redis server is a number, as in redis://host:6379/0")
    if form == "cluster" and int(text or "0"):
        raise InvalidArgument("database: a Redis cluster has the database 0 alone")
    return int(text or "0")
