"""TLS: certificates by server name, client certificates, files that are read again when they change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from provider_sdk import InvalidArgument, Secret
from providers.httpserver.config import TlsConfig
from providers.httpserver.hello import Hello
from providers.httpserver.routes import ANY, from_precise_to_any, plain_host
from providers.httpserver.unfolding import LARGEST_FILE

log = logging.getLogger("provider.http")

LOOK_EVERY = 1.0
# With forward secrecy and authenticated encryption; TLS 1.3 has no others.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# Of TLS 1.3, each with a context of its own, since a context has either one group or all that OpenSSL knows, and among those are some
# by which a client that spends nothing has the server calculate for a fifth of a second (CVE-2002-20001). In TLS 1.2 the ciphers leave
# those out, and one group alone would refuse client certificates of another curve.
GROUPS = {0x1D: "X25519", 0x17: "prime256v1", 0x18: "secp384r1"}
_TLS_1_2 = 0
_ASKING = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_CERTIFICATE = re.compile(rb"-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----.+?-----END \1-----", re.DOTALL)
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


alerts_to: ContextVar[socket.socket] = ContextVar("alerts_to")
"""The connection whose handshake the running task is in."""


class Context(ssl.SSLContext):
    """Of connections to one link under some of its names. `authorities`: those that client certificates were checked against."""

    authorities: frozenset[bytes] = frozenset()

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *rest: Any, **named: Any) -> ssl.SSLObject:
        """See SSLContext."""
        made = super().wrap_bio(incoming, outgoing, *rest, **named)
        made.outgoing = outgoing  # type: ignore[attr-defined]
        return made


_Kinds = dict[int, Context]
"""By key exchange group, and under 0 for TLS 1.2."""


class _Alerting(ssl.SSLObject):
    """Sends the alert that says why a handshake failed: asyncio closes the connection without it."""

    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            with contextlib.suppress(OSError, LookupError):
                alerts_to.get().send(self.outgoing.read())
            raise


class Certificates:
    """The certificates of one link, as contexts by server name; empty for the one that serves every other name."""

    def __init__(self, config: TlsConfig, hosts: list[str], owner: str) -> None:
        self.config = config
        self.owner = owner
        self.hosts = frozenset(plain_host(host) for host in hosts or [ANY])
        self.asks_clients = config.client_certificates != "none"
        self.requires_clients = config.client_certificates == "required"
        self.authorities: frozenset[bytes] = frozenset()
        self._names: dict[str, _Kinds] = {}
        self._seen: object = None

    def load(self) -> None:
        """Read the files. Blocks: call it in a thread. InvalidArgument names the file and what is wrong with it."""
        seen = self._stamp()
        config = self.config
        assert config.cert_file is not None
        assert config.priv_key_file is not None
        authorities = _authorities(config.client_ca_file)
        names = {ANY: self._contexts(config.cert_file, config.priv_key_file, authorities)}
        names |= {plain_host(name): self._contexts(file, file, authorities) for name, file in config.certificates.items()}
        self._names, self.authorities, self._seen = names, authorities, seen

    async def watch(self, trouble: Callable[[str], None]) -> None:
        """Load the files anew when they change; `trouble` hears why they could not be, and an empty line when they could.

        Files that have just changed are given the time between two looks, since one is written after the other.
        """
        said, before = "", self._seen
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = await asyncio.to_thread(self._stamp)
            settled, before = now == before, now
            if now == self._seen or not settled:
                continue
            try:
                await asyncio.to_thread(self.load)
            except InvalidArgument as error:
                if error.message != said:
                    said = error.message
                    log.error("%s: the certificates from before stay in use", said, extra={"link": self.owner})
                    trouble(said)
                continue
            said = ""
            trouble("")
            log.info("certificates loaded anew", extra={"link": self.owner})

    def context(self, name: str, hello: Hello) -> Context:
        """What a connection under this server name is made with for a client that greets so."""
        kinds = next(self._names[wider] for wider in from_precise_to_any(name) if wider in self._names)
        if not hello.speaks_1_3 and _TLS_1_2 in kinds:
            return kinds[_TLS_1_2]
        return next((kinds[group] for group in hello.groups if group in GROUPS), kinds[min(GROUPS)])

    def names(self, name: str) -> bool:
        """Whether there is a certificate for this very name, or for all below one above it."""
        return any(wider in self._names for wider in from_precise_to_any(name) if wider != ANY)

    def accepts(self, context: ssl.SSLContext) -> bool:
        """Whether clients of a connection made with `context` were asked for what this link asks, by itself or by another.

        After an authority was taken out of the file, connections from before do not count any more.
        """
        theirs: frozenset[bytes] = getattr(context, "authorities", frozenset())
        return bool(theirs) and theirs <= self.authorities

    def _stamp(self) -> object:
        config = self.config
        files = [config.cert_file, config.priv_key_file, config.client_ca_file, *config.certificates.values()]
        return [_stat(file) for file in files if file is not None]

    def _contexts(self, cert: Path, key: Path, authorities: frozenset[bytes]) -> _Kinds:
        kinds = {group: self._context(cert, key, authorities) for group in GROUPS}
        for group, context in kinds.items():
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.set_ecdh_curve(GROUPS[group])
        if self.config.min_version == "1.2":
            # It knows of TLS 1.3, so that a client that was talked down to 1.2 is told (RFC 8446 §4.1.3, RFC 7507).
            kinds[_TLS_1_2] = self._context(cert, key, authorities)
            kinds[_TLS_1_2].minimum_version = ssl.TLSVersion.TLSv1_2
        return kinds

    def _context(self, cert: Path, key: Path, authorities: frozenset[bytes]) -> Context:
        context = Context(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = _Alerting
        context.set_ciphers(CIPHERS)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])
        _load_chain(context, cert, key, self.config.key_password)
        context.verify_mode = _ASKING[self.config.client_certificates]
        if self.config.client_ca_file is not None:
            try:
                context.load_verify_locations(cafile=self.config.client_ca_file)
            except OSError:
                raise InvalidArgument(f"tls: a certificate in client_ca_file {self.config.client_ca_file} is damaged") from None
        context.authorities = authorities
        return context


def pick(links: list[Certificates], hello: Hello, address: str) -> Context:
    """The context for a connection to `address`: of the link whose hosts have the name, as routes choose; `links`: the newest first."""
    name = hello.name or address  # an address is no name to ask for
    for wider in from_precise_to_any(name):
        found = [link for link in links if wider in link.hosts]
        if found:
            break
    found = found or links
    return next((link for link in found if link.names(name)), found[0]).context(name, hello)


def disagreement(new: Certificates, others: Iterable[Certificates]) -> str:
    """A line about a link that asks clients of the same host otherwise than `new`: at the handshake, the path is not known yet."""
    asks = (new.config.client_certificates, new.config.client_ca_file)
    for other in others:
        shared = min(new.hosts & other.hosts, default=None)
        if other.owner != new.owner and shared is not None and asks != (other.config.client_certificates, other.config.client_ca_file):
            host = f"host {shared}" if shared else "this address"
            return f"the link {other.owner} asks clients of {host} for certificates in another way: have both ask alike, or on other hosts"
    return ""


def _authorities(file: Path | None) -> frozenset[bytes]:
    if file is None:
        return frozenset()
    found = frozenset(match[0] for match in _CERTIFICATE.finditer(_content(file)))
    if not found:
        raise InvalidArgument(f"tls: client_ca_file {file} holds no certificate in PEM form")
    return found


def _load_chain(context: ssl.SSLContext, cert: Path, key: Path, secret: Secret | None) -> None:
    asked = False

    def password() -> str:  # without one, OpenSSL asks at the terminal
        nonlocal asked
        asked = True
        return secret.reveal() if secret else ""

    holds_cert, holds_key = _CERTIFICATE.search(_content(cert)), _PRIVATE_KEY.search(_content(key))
    if not holds_cert:
        raise InvalidArgument(f"tls: {cert} holds no certificate in PEM form")
    if not holds_key:
        raise InvalidArgument(f"tls: {key} holds no private key in PEM form")
    try:
        context.load_cert_chain(cert, key, password=password)
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "reason", None) or "")
        if "MISMATCH" in reason:
            wrong = f"the private key in {key} does not belong to the certificate in {cert}"
        elif asked:
            wrong = f"the private key in {key} is encrypted, and key_password {'is not its password' if secret else 'is missing'}"
        elif reason:
            wrong = f"the certificate in {cert} is not taken: {reason.replace('_', ' ').lower()}"
        else:
            wrong = f"the {f'certificate in {cert}' if _is_damaged(cert) else f'private key in {key}'} is damaged"
        raise InvalidArgument(f"tls: {wrong}") from None


def _is_damaged(certificate: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=certificate)
    except OSError:
        return True
    return False


def _stat(file: Path) -> tuple[str, int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0, 0
    return str(file), found.st_mtime_ns, found.st_size, found.st_ino


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InvalidArgument(f"tls: {file} cannot be read: {error.strerror}") from None
    if len(data) > LARGEST_FILE:
        raise InvalidArgument(f"tls: {file} has more than {LARGEST_FILE} bytes: that is no certificate")
    return data
