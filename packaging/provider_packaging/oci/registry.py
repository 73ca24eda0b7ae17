"""One registry over HTTP: who we are, attempts and pauses, redirects; every answer is bounded."""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NameResolutionError, SSLError

from provider_packaging.oci.authorization import LARGEST_TOKEN, Authorization
from provider_packaging.oci.credentials import Credentials, Finder, find
from provider_packaging.oci.reference import DOCKER_HUB, Reference
from provider_sdk.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

LARGEST_ANSWER = 4 << 20
"""Of manifests and lists; registries allow no more for manifests."""
MOST_REDIRECTS = 8
LONGEST_PAUSE = 60.0
BUSY = frozenset({408, 429, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})

Body = bytes | Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are reached: plain HTTP on loopback unless `ca_file` is given, and elsewhere if `insecure`."""

    insecure: bool = False
    ca_file: Path | None = None
    credentials: Finder = find
    attempts: int = 6
    pause: float = 0.5
    connecting: float = 15.0
    waiting: float = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is empty where the response is a stream, which is `raw` and to be closed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    raw: urllib3.BaseHTTPResponse = field(repr=False)
    url: str = ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name."""
    host = host.strip("[]").lower()
    try:
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Registry:
    """Requests to the registry of a reference, as somebody who may work in its repository. To be closed."""

    def __init__(self, host: str, access: Access, credentials: Callable[[], Credentials | None]) -> None:
        self.host, self.access = host, access
        real = f"registry-1.{DOCKER_HUB}" if host == DOCKER_HUB else host
        name = urlsplit(f"//{real}").hostname or real
        plain = access.insecure or (is_loopback(name) and access.ca_file is None)
        self.origin = f"http{'' if plain else 's'}://{real}"
        self._answered = False
        self._tls: ssl.SSLContext | None = None
        self._managers: dict[tuple[str, bool], urllib3.PoolManager] = {}
        self._authorization = Authorization(host, self._ask, credentials, lambda other: access.insecure or is_loopback(other))

    @classmethod
    def of(cls, reference: Reference, access: Access) -> Registry:
        """That of a reference; credentials are looked for when it asks for some."""
        found: list[Credentials | None] = []

        def once() -> Credentials | None:
            if not found:
                found.append(access.credentials(reference.registry, reference.repository))
            return found[0]

        return cls(reference.registry, access, once)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        for manager in self._managers.values():
            manager.clear()

    def request(
        self,
        method: str,
        target: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
        expected: Iterable[int] = (200,),
        what: str = "",
        stream: bool = False,
    ) -> Answer:
        """One that may be sent again: connections lost and busy answers are met by pauses and further attempts. `what` is for messages."""
        for attempt in range(1, self.access.attempts + 1):
            try:
                answer = self.exchange(method, target, scope=scope, headers=headers, body=body, stream=stream)
            except Unavailable as error:
                if not error.retryable or attempt == self.access.attempts or (not self._answered and attempt > 1):
                    raise
                self.rest(attempt)
                continue
            if answer.status in expected:
                return answer
            answer.raw.close()
            if answer.status not in BUSY or attempt == self.access.attempts:
                raise self.refusal(answer, what or f"{method} {urlsplit(answer.url).path}")
            self.rest(attempt, answer.headers.get("Retry-After"))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def exchange(
        self, method: str, target: str, *, scope: str = "", headers: Mapping[str, str] | None = None, body: Body = b"", stream: bool = False
    ) -> Answer:
        """One, sent again only as somebody whom the registry knows. Unavailable, to be tried again, where the connection was lost."""
        url = self.located(target)
        known = self._authorization.header(scope)
        answer = self._followed(method, url, dict(headers or {}), body, known, home=self.origin, stream=stream)
        if answer.status != 401 or _origin(answer.url) != _origin(self.origin):
            return answer
        answer.raw.close()
        known = self._authorization.answer(answer.raw.headers.getlist("WWW-Authenticate"), scope, known)
        answer = self._followed(method, url, dict(headers or {}), body, known, home=self.origin, stream=stream)
        if answer.status == 401:
            answer.raw.close()
            raise self._authorization.refused()
        return answer

    def accepts_login(self) -> bool:
        """Whether it asked for the login, and took it; Unauthenticated where it refuses it."""
        self.request("GET", "/v2/", what=f"login at {self.host}")
        return self._authorization.asked

    def located(self, target: str, base: str = "") -> str:
        """The URL of a path or a `Location`.

        A registry behind a proxy that speaks TLS for it names itself with http: the scheme by which it was reached is kept.
        """
        try:
            url = urljoin(base or self.origin, target)
            parts, own = urlsplit(url), urlsplit(self.origin)
            port = parts.port
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError
        except ValueError:
            raise Unavailable(f"{self.host} names a place that is no URL: {target[:200]!r}", retryable=False) from None
        if parts.hostname == own.hostname and parts.scheme != own.scheme and port in {None, 80, 443, own.port}:
            return parts._replace(scheme=own.scheme, netloc=own.netloc).geturl()
        if parts.scheme == "http" and own.scheme == "https" and not self.access.insecure:
            raise Unavailable(f"{self.host} sends us on to {parts.netloc} by plain HTTP: --insecure allows it", retryable=False)
        return url

    def rest(self, attempt: int, after: str | None = None) -> None:
        """Pause before the next attempt, for as long as the registry said (`after`), or twice as long as before."""
        time.sleep(min(_seconds(after) if after else self.access.pause * 2 ** (attempt - 1), LONGEST_PAUSE))

    def refusal(self, answer: Answer, what: str) -> ProviderError:
        """The error that a status stands for."""
        said = _said(answer.body)
        line = f"{what}: {self.host} answers {answer.status}{f' ({said})' if said else ''}"
        match answer.status:
            case 401:
                return Unauthenticated(f"{line}: the login is not accepted for this")
            case 403:
                return PermissionDenied(f"{line}: the login may not do this")
            case 404:
                return NotFound(line)
            case 405 | 415 | 501:
                return Unsupported(line)
            case 413 | 429:
                return ResourceExhausted(line, retryable=answer.status == 429)
            case status if status in BUSY or status >= 500:
                return Unavailable(line)
        return PreconditionFailed(line)

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        for attempt in range(1, self.access.attempts + 1):
            others = {name: value for name, value in headers.items() if name != "Authorization"}
            answer = self._followed(method, url, others, body, headers.get("Authorization", ""), home=url, most=LARGEST_TOKEN)
            if answer.status not in BUSY or attempt == self.access.attempts:
                break
            self.rest(attempt, answer.headers.get("Retry-After"))
        return answer

    def _followed(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body,
        known: str,
        *,
        home: str,
        stream: bool = False,
        most: int = LARGEST_ANSWER,
    ) -> Answer:
        """With redirects; what is `known` goes to the origin of `home` alone."""
        seen = set[str]()
        while True:
            sent = {**headers, **({"Authorization": known} if known and _origin(url) == _origin(home) else {})}
            answer = self._send(method, url, sent, body, stream=stream, most=most)
            place = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not place or not (method in {"GET", "HEAD"} or answer.status in {307, 308}):
                return answer
            answer.raw.close()
            seen.add(url)
            url = self.located(place, url)
            if url in seen or len(seen) > MOST_REDIRECTS:
                raise Unavailable(f"{self.host} redirects without end, at last to {urlsplit(url).netloc}", retryable=False)

    def _send(self, method: str, url: str, headers: dict[str, str], body: Body, *, stream: bool, most: int) -> Answer:
        sent = {"User-Agent": "provider-sdk", "Accept-Encoding": "identity", **headers}
        data = body() if callable(body) else body if method not in {"GET", "HEAD"} else None
        as_it_is: dict[str, Any] = {"retries": False, "redirect": False, "preload_content": False, "decode_content": False}
        limits = urllib3.Timeout(connect=self.access.connecting, read=self.access.waiting)
        try:
            raw = self._manager(url).request(method, url, body=data, headers=sent, timeout=limits, **as_it_is)
        except (HTTPError, OSError) as error:
            raise lost(error, url) from error
        self._answered = True
        if stream and raw.status in {200, 206}:
            return Answer(raw.status, raw.headers, b"", raw, url)
        try:
            content = raw.read(most + 1)
        except (HTTPError, OSError) as error:
            raw.close()
            raise lost(error, url) from error
        if len(content) > most:
            raw.close()
            raise Unavailable(f"{self.host} answers {method} {urlsplit(url).path} with more than {most} bytes", retryable=False)
        raw.release_conn()
        return Answer(raw.status, raw.headers, content, raw, url)

    def _manager(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        host = parts.hostname or ""
        proxy = "" if is_loopback(host) or urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(parts.scheme, "")
        try:
            encrypted = "https" in {parts.scheme, urlsplit(proxy).scheme}
        except ValueError:
            raise InvalidArgument(f"the proxy for {parts.scheme} that the environment names is no URL: see {parts.scheme}_proxy") from None
        key = (proxy, encrypted)
        if key not in self._managers:
            self._managers[key] = self._made(proxy, encrypted=encrypted)
        return self._managers[key]

    def _made(self, proxy: str, *, encrypted: bool) -> urllib3.PoolManager:
        # The system's authorities take a tenth of a second to read.
        if encrypted and self._tls is None:
            self._tls = _tls(self.access.ca_file)
        if not proxy:
            return urllib3.PoolManager(ssl_context=self._tls, blocksize=1 << 18)
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        headers = urllib3.make_headers(proxy_basic_auth=f"{parts.username}:{parts.password or ''}") if parts.username else None
        plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return urllib3.ProxyManager(plain, proxy_headers=headers, ssl_context=self._tls, blocksize=1 << 18)


def lost(error: Exception, url: str) -> Unavailable:
    """What is raised for a connection that failed: what it was, without what was sent."""
    host, cause = urlsplit(url).netloc, error
    while inner := next(
        (one for one in (getattr(cause, "reason", None), *cause.args[:1], cause.__cause__) if isinstance(one, Exception)), None
    ):
        cause = inner
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unavailable(f"{host}: {cause.verify_message}: give its authority with --ca-file or SSL_CERT_FILE", retryable=False)
    if isinstance(error, SSLError) or isinstance(cause, ssl.SSLError):
        return Unavailable(f"{host} speaks no TLS: --insecure is for registries without it, and loopback needs none", retryable=False)
    if isinstance(error, NameResolutionError) or isinstance(cause, NameResolutionError):
        return Unavailable(f"{host}: no such host", retryable=False)
    return Unavailable(f"{host}: {re.sub(r'<[^>]*>:? ?', '', str(cause))[:200] or type(cause).__name__}")


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            reason = "no certificates in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            raise InvalidArgument(f"{ca_file}: {reason}") from None
    return context


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)


def _seconds(after: str) -> float:
    try:
        return max(0.0, float(after) if after.strip().isdigit() else parsedate_to_datetime(after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 1.0


def _said(body: bytes) -> str:
    """The first error of a registry's answer, cleaned for a terminal."""
    try:
        first = json.loads(body)["errors"][0]
        text = ": ".join(str(first[name]) for name in ("code", "message") if first.get(name))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    return "".join(one if one.isprintable() else " " for one in text)[:300]
