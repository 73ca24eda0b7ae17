"""Where the server is, who we are to it, and how the way there is protected: from the url and the settings beside it."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from provider_sdk import InvalidArgument, Secret
from providers.keyvalue.config import KeyValueConfig

PORT = 5432
SCHEMA = "keyvalue"
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSIONS = ("any", "read-write", "primary")
# Nothing is quoted: what is no host may be half of a password that has an unescaped sign in it.
NO_ADDRESS = "postgres: the address is not host or host:port (signs such as / ? # @ in a password are written %2F %3F %23 %40)"
QUERY = ("host", "sslmode", "sslrootcert", "sslcert", "sslkey", "schema", "target_session_attrs", "application_name")
# Quoted it could be anything; in messages and in other people's tools these are less trouble.
SCHEMA_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Address:
    """One database. `hosts` has several where one of them takes over from another; a host that begins with / is a folder of sockets."""

    hosts: tuple[tuple[str, int], ...]
    user: str | None
    database: str | None
    password: Secret | None = field(repr=False)
    mode: str
    root_cert: Path | None
    cert: Path | None
    key: Path | None
    schema: str
    session: str
    application: str

    def __str__(self) -> str:
        hosts = ",".join(host if host.startswith("/") else f"{host}:{port}" for host, port in self.hosts)
        return f"{hosts}/{self.database or ''}".rstrip("/")

    def tls(self) -> ssl.SSLContext | str:
        """What asyncpg takes for `ssl`; InvalidArgument where a file cannot be read."""
        if self.mode not in MODES[3:]:
            return self.mode
        try:
            context = ssl.create_default_context(cafile=self.root_cert)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(file) for file in (self.root_cert, self.cert, self.key) if file)
            raise InvalidArgument(f"postgres: no certificates can be read from {files}: {error}") from error
        context.check_hostname = self.mode == "verify-full"
        if self.mode == "require" and self.root_cert is None:
            context.verify_mode = ssl.CERT_NONE
        return context


def address_of(config: KeyValueConfig) -> Address:
    """The database that the settings mean; InvalidArgument, which quotes no secret, where they mean none."""
    parts = urlsplit("postgres://" if config.url is None else config.url.reveal())
    query = _query(parts.query)
    if parts.fragment or "@" in parts.path:
        raise InvalidArgument(NO_ADDRESS)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = (unquote(part) for part in login.partition(":"))
    schema, session, mode = query.get("schema", SCHEMA), query.get("target_session_attrs", ""), query.get("sslmode", "prefer")
    if config.tls and mode in MODES[:4]:
        if "sslmode" in query:
            raise InvalidArgument(f"tls: contradicts sslmode={mode} in the url")
        mode = "verify-full"
    _one_of("sslmode", mode, MODES)
    _one_of("target_session_attrs", session or "any", SESSIONS)
    if not SCHEMA_NAME.fullmatch(schema):
        raise InvalidArgument("url: schema is not a name of a-z, 0-9 and _, of at most 63 letters, that does not begin with a digit or pg_")
    found = _hosts(unquote(query.get("host", "")) or hosts or config.address or f"127.0.0.1:{PORT}")
    return Address(
        hosts=found,
        user=config.username or user or None,
        database=config.database or unquote(parts.path.removeprefix("/")) or None,
        password=config.password or (Secret(password) if password else None),
        mode=mode,
        root_cert=config.ca_file or _path(query.get("sslrootcert")),
        cert=_path(query.get("sslcert")),
        key=_path(query.get("sslkey")),
        schema=schema,
        session=session or ("read-write" if len(found) > 1 else "any"),
        application=query.get("application_name", "wasmcloud keyvalue"),
    )


def _query(text: str) -> dict[str, str]:
    found = dict(parse_qsl(text, keep_blank_values=True))
    for name, value in found.items():
        if name not in QUERY:
            shown = name if re.fullmatch("[a-z_]{1,40}", name) and value else "what is there"
            raise InvalidArgument(f"url: behind the ? {shown} is none of {', '.join(QUERY)}")
    return found


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidArgument(f"url: {name} is none of {', '.join(allowed)}")


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _hosts(text: str) -> tuple[tuple[str, int], ...]:
    return tuple(_host(unquote(part)) for part in text.split(","))


def _host(text: str) -> tuple[str, int]:
    """`host`, `host:port`, `[::1]:port` or a folder of sockets."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|/[^:]*|[^:\[\]/@\s]+)(?::(\d{1,5}))?", text)
    if match is None or not 0 < int(match[2] or PORT) < 1 << 16:
        raise InvalidArgument(NO_ADDRESS)
    return match[1].strip("[]"), int(match[2] or PORT)
