"""Settings of the httpserver: those of the official ones under their names (wasmbus-0x.md §9.1, wrpc-1x.md §5.2), and what they lack."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path

from provider_sdk import Config, InvalidArgument, Layer, Role, Secret, setting
from providers.httpserver.unfolding import unfolded

_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ORIGIN = re.compile(r"(?i:https?)://([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_MEANT_OTHERWISE = {
    *("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect", "content-length", "content-type"),
    *("content-encoding", "host", "date", "cookie", "set-cookie", "authorization", "location", "vary", "cache-control", "origin"),
    *("traceparent", "tracestate", "forwarded", "client-cert", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
}


class CorsConfig(Config):
    """Who may ask from a page of another origin."""

    allowed_origins: list[str] = setting([], doc="Origins that may ask, each http(s)://host[:port]; none named: any.")
    allowed_headers: list[str] = setting(
        ["accept", "accept-language", "content-type", "content-language"], doc="Request headers that a preflight may ask for."
    )
    allowed_methods: list[str] = setting(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"], doc="Methods that a preflight may ask for.")
    exposed_headers: list[str] = setting([], doc="Response headers that a page may read beside the usual ones.")
    max_age_secs: int = setting(300, minimum=0, doc="Seconds for which a browser may remember a preflight's answer.")
    allow_credentials: bool = setting(False, doc="Let pages send cookies and authorization; needs allowed_origins.")
    mode: str = setting(
        "official",
        choices=("official", "fetch", "off"),
        doc="official: as the official provider of the generation, on 0.x a refused origin gets 403 and the actor is not asked; "
        "fetch: by the Fetch standard, the browser does the refusing; off: left to the actor, preflights too.",
    )

    def __post_init__(self) -> None:
        for origin in self.allowed_origins:
            if not _ORIGIN.fullmatch(origin.removesuffix("/")):
                raise InvalidArgument(f"allowed_origins: {origin!r} is not http(s)://host[:port] without a path")
        for setting_name in ("allowed_headers", "allowed_methods", "exposed_headers"):
            for name in getattr(self, setting_name):
                if not _TOKEN.fullmatch(name):
                    raise InvalidArgument(f"{setting_name}: {name!r} is not a name that HTTP allows")
        if self.allow_credentials and not self.allowed_origins:
            raise InvalidArgument("allow_credentials: name the allowed_origins: any page at all could act in its visitor's name")


class TlsConfig(Config):
    """HTTPS instead of HTTP. Files are PEM, and are read again when they change."""

    cert_file: Path | None = setting(None, doc="Certificate, and the chain that leads to its authority.")
    priv_key_file: Path | None = setting(None, doc="Private key of cert_file.")
    key_password: Secret | None = setting(None, doc="What decrypts the private keys, where they are encrypted.")
    certificates: dict[str, Path] = setting(
        {}, doc="Certificates for further server names (SNI; `*.` for all below): name to one file with chain and private key."
    )
    client_ca_file: Path | None = setting(None, doc="Authorities that client certificates are checked against.")
    client_certificates: str = setting(
        "none", choices=("none", "optional", "required"), doc="Whether clients are asked for a certificate; needs client_ca_file."
    )
    min_version: str = setting("1.2", choices=("1.2", "1.3"), doc="Least version of TLS.")

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.priv_key_file is None):
            raise InvalidArgument("cert_file and priv_key_file belong together, and one of them is missing")
        if self.cert_file is None and (self.certificates or self.client_certificates != "none"):
            raise InvalidArgument("cert_file and priv_key_file are missing: clients that name no server get that certificate")
        if self.cert_file is None and (self.key_password is not None or self.min_version != "1.2"):
            raise InvalidArgument("cert_file and priv_key_file are missing: without them this is plain HTTP")
        if (self.client_certificates == "none") != (self.client_ca_file is None):
            raise InvalidArgument("client_certificates and client_ca_file belong together: what is asked for is checked against something")
        for name in self.certificates:
            if not _NAME.fullmatch(name.lower()):
                raise InvalidArgument(f"certificates: {name!r} is not a host name, such as www.example.com or *.example.com")


class HttpServerConfig(Config):
    """Settings of one link: where it listens, what it lets through, how long it waits."""

    address: str | None = setting(
        None,
        doc="ip:port to listen on; port 0 takes a free one and logs it; default: default_address, else 127.0.0.1:8000, "
        "or 0.0.0.0:8000 on 1.x.",
    )
    port: int | None = setting(
        None,
        minimum=0,
        maximum=65535,
        doc="Port to listen on at 127.0.0.1; overrides an address given beside it. Without effect on 1.x, as with the official provider.",
    )
    default_address: str | None = setting(None, doc="ip:port for links that give no address.")
    routing_mode: str = setting(
        "address",
        choices=("address", "path", "host"),
        doc="In the provider's own configuration. address: each link says where it listens; path, host: all listen at one address, and "
        "a link gives nothing but its `path` or `host`.",
    )
    header: str = setting("host", doc="Header that routing_mode host goes by.")
    path: str | None = setting(None, doc="The one path that a link answers for in routing_mode path, without the query.")
    host: str | None = setting(None, doc="The one value of `header` that a link answers for in routing_mode host, a port included.")
    readonly_mode: bool = setting(False, doc="Refuse every method but GET and HEAD with 405.")
    cache_control: str | None = setting(None, doc="Cache-Control header of responses that have none of their own.")
    timeout_ms: int | None = setting(
        None,
        unit="milliseconds",
        minimum=1,
        doc="How long the actor may take to answer; default: what the host says that calls may take, and 13 s more where bodies go in "
        "chunks; on 1.x 10 minutes.",
    )
    max_content_len: int = setting(100 << 20, unit="bytes", minimum=0, maximum=1 << 30, doc="Longest request body; longer ones get 413.")
    tls: TlsConfig = setting(TlsConfig(), doc="HTTPS.")
    cors: CorsConfig = setting(CorsConfig(), doc="Cross-origin requests.")

    hosts: list[str] = setting([], doc="Host names that this link answers for (`*.` for all below); none: any that no other link names.")
    path_prefix: str = setting("/", doc="Paths that this link answers for: this one and those below; the longest of several counts.")
    timeout_status: int = setting(
        504, choices=(408, 503, 504), doc="Status where the actor took too long; the official provider's is 503 on 0.x and 408 on 1.x."
    )
    max_requests: int = setting(1024, minimum=1, doc="Requests of this link in progress at once; more get 503 at once.")
    max_body_memory: int = setting(
        256 << 20, unit="bytes", minimum=1 << 20, doc="Bodies held at once by the whole process; a request that would need more gets 503."
    )
    gzip: bool = setting(False, doc="Compress responses for clients that take it: text, JSON, XML, SVG, JavaScript.")
    gzip_min_size: int = setting(1024, unit="bytes", minimum=0, doc="Shorter responses are not compressed.")
    request_id_header: str = setting(
        "x-request-id", doc="Header of a request's id: taken from the request or made, told to the actor and to the client; empty: none."
    )
    trusted_proxies: list[str] | None = setting(
        None,
        doc="Addresses or networks whose X-Forwarded-* and Forwarded headers are believed; what others send under these names is left out. "
        "By default nobody is believed and the headers go to the actor as they came.",
    )
    trusted_header: str = setting(
        "x-forwarded-for",
        choices=("x-forwarded-for", "forwarded"),
        doc="Which of the two the trusted proxies write; the other one is left out.",
    )
    access_log: str = setting("none", choices=("none", "common", "combined", "json"), doc="Form of a line for each request.")
    access_log_file: Path | None = setting(None, doc="File that access lines are added to, opened anew when it was moved; default: stderr.")

    header_timeout: float = setting(
        10.0, unit="seconds", minimum=0.1, doc="From a request's first byte to the end of its headers, else 408."
    )
    body_timeout: float = setting(
        10.0, unit="seconds", minimum=0.1, doc="Over which the rate of a body is measured: one that arrives slower than min_rate gets 408."
    )
    send_timeout: float = setting(10.0, unit="seconds", minimum=0.1, doc="The same for a client that takes a response: it is cut off.")
    min_rate: int = setting(500, unit="bytes", minimum=1, doc="Bytes a second at which a client has to send a body and to take a response.")
    idle_timeout: float = setting(30.0, unit="seconds", minimum=0.1, doc="How long a connection may stand between two requests.")
    max_uri: int = setting(8190, unit="bytes", minimum=64, maximum=1 << 20, doc="Longest request target; longer ones get 414.")
    max_header: int = setting(32 << 10, unit="bytes", minimum=256, maximum=1 << 20, doc="All headers of a request; more get 431.")
    max_header_line: int = setting(8190, unit="bytes", minimum=64, maximum=1 << 20, doc="Longest header; longer ones get 431.")
    max_header_count: int = setting(100, minimum=1, maximum=10_000, doc="Headers of a request; more get 431.")
    max_connections: int = setting(10_000, minimum=1, doc="Connections at the address; more get 503 at once.")
    max_connections_per_client: int = setting(1000, minimum=1, doc="Connections of one client address; trusted proxies have no such limit.")

    def __post_init__(self) -> None:
        for text in (self.address, self.default_address):
            if text is not None:
                _address(text)
        if not _TOKEN.fullmatch(self.header):
            raise InvalidArgument(f"header: {self.header!r} is not a name that HTTP allows")
        for host in self.hosts:
            if not (_NAME.fullmatch(host.lower()) or _is_ip(host.strip("[]"))):
                raise InvalidArgument(f"hosts: {host!r} is not a host name, such as www.example.com or *.example.com, without a port")
        if not self.path_prefix.startswith("/") or not re.fullmatch(r"[!-~]+", self.path_prefix) or set(self.path_prefix) & {"?", "#"}:
            raise InvalidArgument(f"path_prefix: {self.path_prefix!r} is not a path, such as /shop")
        if self.cache_control is not None and re.search(r"[^\t\x20-\x7e]", self.cache_control):
            raise InvalidArgument("cache_control: a header is of visible ASCII")
        if self.request_id_header and not _TOKEN.fullmatch(self.request_id_header):
            raise InvalidArgument(f"request_id_header: {self.request_id_header!r} is not a name that HTTP allows")
        if self.request_id_header.lower() in _MEANT_OTHERWISE:
            raise InvalidArgument(f"request_id_header: {self.request_id_header!r} means something else in HTTP")
        if self.access_log_file is not None and self.access_log == "none":
            raise InvalidArgument("access_log_file: say with access_log in which form lines are written there")
        for network in self.trusted_proxies or ():
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise InvalidArgument(f"trusted_proxies: {network!r} is no address or network, such as 10.0.0.0/8") from None

    @property
    def bind(self) -> tuple[str, int]:
        """IP address and port to listen on for 0.x links."""
        if self.port is not None:
            return "127.0.0.1", self.port
        return _address(self.address or self.default_address or "127.0.0.1:8000")

    def bind_for(self, role: Role) -> tuple[str, int]:
        """IP address and port to listen on for a link: on 1.x the provider is its source, and the official defaults are others."""
        return self.bind if role is Role.TARGET else _address(self.address or self.default_address or "0.0.0.0:8000")

    @classmethod
    def expand(cls, layer: Layer) -> list[Layer]:
        """`config_file`, `config_b64` and `config_json` unfolded, in this order, below the rest.

        An address overrides a port that was given in an earlier place. Names of 1.x, such as `tls_cert_file`, stand for settings of `tls`
        and `cors`. `log` of the official provider is without effect: the host says what is logged; so is `disable_keepalive`, which means
        probes of idle connections: those are always sent.
        """
        return unfolded(layer)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not (colon and _is_ip(host) and port.isdecimal() and port.isascii() and int(port) <= 65535):
        raise InvalidArgument(f"address: {text!r} is not ip:port, such as 127.0.0.1:8080")
    return host, int(port)


def _is_ip(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False
