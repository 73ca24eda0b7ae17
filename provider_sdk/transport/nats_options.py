"""What nats-py is told of a connection: addresses, credentials, TLS, and when a silent server is given up."""

from __future__ import annotations

import base64
import ssl
from typing import Any
from urllib.parse import urlsplit

from provider_sdk.errors import InvalidArgument
from provider_sdk.nkeys import KeyPair
from provider_sdk.transport.base import Credentials

DEFAULT_URL = "nats://127.0.0.1:4222"
ATTEMPT_TIMEOUT = 2.0
# A silent peer (SIGSTOP, a cut cable) is given up at the third ping in a row without an answer: 8 to 12 s after it fell silent. A pause of
# 5 s, which misses one ping or two, is ridden out.
PING_EVERY = 4
UNANSWERED_PINGS = 2


def urls(text: str) -> list[str]:
    """The addresses of `host:port`, `nats://…` or `tls://…`, separated by commas; the default where there is none. InvalidArgument."""
    found = []
    for part in filter(None, (item.strip() for item in text.split(","))):
        url = part if "://" in part else f"nats://{part}"
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("nats", "tls") and parts.hostname and parts.port != 0
            # urlsplit drops line breaks and tabs, and takes what follows the port for a path.
            usable = usable and part.split() == [part] and parts.path in ("", "/") and not parts.query and not parts.fragment
        except ValueError:
            usable = False
        if not usable:
            raise InvalidArgument(f"NATS address {part.rpartition('@')[2]!r}: expected host:port, nats://host:port or tls://host:port")
        found.append(f"{parts.scheme}://{parts.netloc}")
    return found or [DEFAULT_URL]


def options(given: Credentials, addresses: list[str]) -> dict[str, Any]:
    """What nats-py's connect is told; InvalidArgument for credentials that cannot be used."""
    chosen: dict[str, Any] = {
        "name": given.name or None,
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,
        "reconnect_time_wait": 0,
        "connect_timeout": ATTEMPT_TIMEOUT,
        "ping_interval": PING_EVERY,
        "max_outstanding_pings": UNANSWERED_PINGS,
        # 0: a publish never waits inside nats-py, which would swallow a cancellation; `NatsClient.room` bounds what is pending.
        "pending_size": 0,
    }
    jwt, seed = given.user_jwt.strip().encode(), given.user_seed.strip()
    if jwt or seed:
        if not jwt or not seed:
            raise InvalidArgument("NATS credentials: the user JWT and the user seed belong together, and one of them is missing")
        try:
            key = KeyPair.from_seed(seed)
        except InvalidArgument as error:
            raise InvalidArgument(f"NATS user seed: {error.message}") from None
        chosen["user_jwt_cb"] = lambda: jwt
        chosen["signature_cb"] = lambda nonce: base64.b64encode(key.sign(nonce.encode()))
    if given.tls or given.ca_file or any(url.startswith("tls://") for url in addresses):
        try:
            chosen["tls"] = ssl.create_default_context(cafile=given.ca_file)
        except OSError as error:
            raise InvalidArgument(f"certificate authorities in {given.ca_file}: {error.strerror or error}") from error
    return chosen
