"""TLS: certificates by server name, client certificates, files that are read again when they change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

from provider_sdk import InvalidArgument
from providers.httpserver.config import TlsConfig

log = logging.getLogger("provider.http")

LOOK_EVERY = 2.0
# With forward secrecy and authenticated encryption; TLS 1.3 has no others.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_NOT_ASKED, _OPTIONAL, _REQUIRED = ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED

Names = dict[str, ssl.SSLContext]


class Certificates:
    """The certificates of one link, as contexts by server name; empty for the one that serves every other name."""

    def __init__(self, config: TlsConfig, hosts: Iterable[str], where: str) -> None:
        self.config = config
        self.asks_clients = config.client_certificates != "none"
        self.requires_clients = config.client_certificates == "required"
        self._hosts = [host.lower() for host in hosts]
        self._where = where
        self._seen: object = None
        self.names: Names = {}

    def load(self) -> None:
        """Read the files. Blocks: call it in a thread. InvalidArgument names the file and what is wrong with it."""
        seen = self._stamp()
        config = self.config
        assert config.cert_file is not None
        assert config.priv_key_file is not None
        default = self._context(config.cert_file, config.priv_key_file)
        names = {"": default} | dict.fromkeys(self._hosts, default)
        names |= {name.lower(): self._context(file, file) for name, file in config.certificates.items()}
        self.names, self._seen = names, seen

    async def watch(self, trouble: Callable[[str], None]) -> None:
        """Load the files anew when they change; `trouble` hears why they could not be, and an empty line when they could."""
        said = ""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if await asyncio.to_thread(self._stamp) == self._seen:
                continue
            try:
                await asyncio.to_thread(self.load)
            except InvalidArgument as error:
                if error.message != said:
                    said = error.message
                    log.error("%s: the certificates from before stay in use", said, extra={"link": self._where})
                    trouble(said)
                continue
            said = ""
            trouble("")
            log.info("certificates loaded anew", extra={"link": self._where})

    def owns(self, context: ssl.SSLContext) -> bool:
        """Whether a connection was made with one of these certificates, before or after they were loaded anew."""
        return getattr(context, "certificates", None) is self

    def _stamp(self) -> object:
        config = self.config
        files = [config.cert_file, config.priv_key_file, config.client_ca_file, *config.certificates.values()]
        return [_stat(file) for file in files if file is not None]

    def _context(self, cert: Path, key: Path) -> ssl.SSLContext:
        for file in (cert, key):
            _readable(file)
        context = _server_context(self.config.min_version)
        secret = self.config.key_password
        try:
            # A function, since without one OpenSSL asks at the terminal.
            context.load_cert_chain(cert, key, password=lambda: secret.reveal() if secret else "")
        except ssl.SSLError as error:
            raise InvalidArgument(f"tls: {_words(error, cert, key, bool(secret))}") from None
        if self.config.client_ca_file is not None:
            _readable(self.config.client_ca_file)
            try:
                context.load_verify_locations(cafile=self.config.client_ca_file)
            except ssl.SSLError:
                raise InvalidArgument(f"tls: client_ca_file {self.config.client_ca_file} holds no certificate in PEM form") from None
        context.certificates = self  # type: ignore[attr-defined]  # see `owns`
        return context


def front(links: list[Certificates]) -> ssl.SSLContext:
    """The context of an address: chooses among the links' certificates by the name that the client asks for.

    OpenSSL takes version and verification from this one, whatever is chosen later: the strictest version counts, and clients are
    asked for a certificate where one of the links wants that.
    """
    context = _server_context(max(link.config.min_version for link in links))
    if any(link.asks_clients for link in links):
        context.verify_mode = _REQUIRED if all(link.requires_clients for link in links) else _OPTIONAL
        # Which authorities count is asked of the chosen context; without any here, none would be sent for a resumed session.
        for link in links:
            if link.config.client_ca_file is not None:
                context.load_verify_locations(cafile=link.config.client_ca_file)

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = pick(links, (name or "").lower())

    context.sni_callback = choose
    return context


def pick(links: list[Certificates], name: str) -> ssl.SSLContext:
    """The certificate for a server name: its own, that of `*.` above it, else the first link's."""
    for wanted in (name, f"*.{name.partition('.')[2]}"):
        for link in links:
            if wanted and wanted in link.names:
                return link.names[wanted]
    return links[0].names[""]


def _server_context(min_version: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[min_version]
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _stat(file: Path) -> tuple[str, int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0, 0
    return str(file), found.st_mtime_ns, found.st_size, found.st_ino


def _readable(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except OSError as error:
        raise InvalidArgument(f"tls: {file} cannot be read: {error.strerror}") from None


def _words(error: ssl.SSLError, cert: Path, key: Path, has_password: bool) -> str:
    reason = error.reason or ""
    if "MISMATCH" in reason:
        return f"the private key in {key} does not belong to the certificate in {cert}"
    if any(word in reason for word in ("DECRYPT", "PASSWORD", "PASS_PHRASE")):
        return f"the private key in {key} is encrypted, and key_password {'is not its password' if has_password else 'is missing'}"
    return f"{cert} does not begin with a certificate in PEM form, or {key} holds no private key in PEM form"
