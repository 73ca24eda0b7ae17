"""What a registry's `WWW-Authenticate` asks for, and the `Authorization` that answers it: Basic, and Bearer with a token server."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from provider_packaging.oci.credentials import Credentials
from provider_sdk.errors import PermissionDenied, Unauthenticated, Unavailable

CLIENT = "provider-sdk"
LARGEST_TOKEN = 1 << 20
TOKEN_SECONDS = 60
"""How long a token lasts that does not say so."""

_PIECE = re.compile(r'[\s,]*(?:([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([\w-]+))')


class TokenAnswer(Protocol):
    """What a token server said."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> bytes: ...


Ask = Callable[[str, str, Mapping[str, str], bytes], TokenAnswer]
"""Sends method, URL, headers and body to a token server."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to prove who one is, as a registry offers it."""

    scheme: str
    parameters: Mapping[str, str]


def challenges(headers: Iterable[str]) -> Iterator[Challenge]:
    """Those of a response: several in a header, or in several headers."""
    for header in headers:
        scheme, parameters = "", dict[str, str]()
        for name, quoted, bare, word in _PIECE.findall(header):
            if word:
                if scheme:
                    yield Challenge(scheme, parameters)
                scheme, parameters = word.lower(), {}
            else:
                parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) or bare
        if scheme:
            yield Challenge(scheme, parameters)


def basic(username: str, password: str) -> str:
    """The header's value for a name and a password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@dataclass(eq=False)
class Authorization:
    """The tokens of one registry, one a scope, and how to have others. Credentials are looked for when they are first asked for.

    `plain` says whether credentials may go to a host by plain HTTP; `asked` becomes true once the registry wants to know.
    """

    registry: str
    ask: Ask
    credentials: Callable[[], Credentials | None] = field(repr=False)
    plain: Callable[[str], bool]
    asked: bool = False
    _basic: str = field(default="", repr=False)
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict, repr=False)

    def header(self, scope: str) -> str:
        """What is sent for a scope, as far as it is known; empty where nothing is."""
        if self._basic:
            return self._basic
        token, end = self._tokens.get(scope, ("", 0.0))
        return token if time.monotonic() < end else ""

    def answer(self, headers: Iterable[str], scope: str, refused: str) -> str:
        """The header's value after a 401. Unauthenticated where nothing is left to try; `refused` is what was sent before."""
        self.asked = True
        offered = {challenge.scheme: challenge.parameters for challenge in challenges(headers)}
        known = self.credentials()
        if "bearer" in offered:
            token, seconds = self._token(offered["bearer"], scope, known)
            if f"Bearer {token}" == refused:
                raise self.refused()
            self._tokens[scope] = (f"Bearer {token}", time.monotonic() + seconds * 0.9)
            return f"Bearer {token}"
        if "basic" not in offered:
            raise Unauthenticated(
                f"{self.registry} asks for a login of a kind that is not known here: {', '.join(offered) or 'none named'}"
            )
        if known is None or not known.password:
            raise self.refused()
        self._basic = basic(known.username, known.password)
        if self._basic == refused:
            self._basic = ""
            raise self.refused()
        return self._basic

    def refused(self) -> Unauthenticated:
        """What is raised where what is known is not enough."""
        known = self.credentials()
        if known is None:
            return Unauthenticated(f"{self.registry} asks for a login: provider package login {self.registry}")
        return Unauthenticated(f"{self.registry} refuses {known.named}: log in again, or look whether it may do this")

    def _token(self, parameters: Mapping[str, str], scope: str, known: Credentials | None) -> tuple[str, float]:
        if known is not None and known.registry_token:
            return known.registry_token, TOKEN_SECONDS
        realm = parameters.get("realm", "")
        self._check_realm(realm, known)
        asked = {"service": parameters.get("service", ""), "scope": _both(scope, parameters.get("scope", ""))}
        asked = {name: value for name, value in asked.items() if value}
        if known is not None and known.identity_token:
            form = {**asked, "grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": known.identity_token}
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._read(self.ask("POST", realm, kind, urlencode(form).encode()), realm)
        headers = {"Authorization": basic(known.username, known.password)} if known is not None and known.password else {}
        if headers and known is not None:
            asked["account"] = known.username
        return self._read(self.ask("GET", _with(realm, asked), headers, b""), realm)

    def _check_realm(self, realm: str, known: Credentials | None) -> None:
        try:
            parts = urlsplit(realm)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
                raise ValueError
        except ValueError:
            raise Unavailable(f"{self.registry} names no place to have a token from: {realm[:200]!r}", retryable=False) from None
        if known is not None and parts.scheme == "http" and not self.plain(parts.hostname):
            raise PermissionDenied(f"{self.registry} wants the login sent to {parts.hostname} unencrypted: --insecure allows it")

    def _read(self, answer: TokenAnswer, realm: str) -> tuple[str, float]:
        host = urlsplit(realm).netloc.rpartition("@")[2]
        if answer.status in {400, 401, 403}:
            raise self.refused()
        if answer.status != 200:
            raise Unavailable(f"{host} gives no token for {self.registry}: HTTP {answer.status}")
        try:
            content = json.loads(answer.body)
            token = content.get("token") or content.get("access_token")
            seconds = float(content.get("expires_in") or TOKEN_SECONDS)
        except (ValueError, AttributeError, TypeError, RecursionError):
            token, seconds = "", 0.0
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise Unavailable(f"{host} gives no token for {self.registry}: its answer is not one", retryable=False)
        return token, seconds


def _both(scope: str, offered: str) -> str:
    """What is needed, and of what the registry names only what is not in that: it speaks of one request, and the work goes on."""
    needed = [one.rpartition(":") for one in scope.split()]
    more = [
        one
        for one in offered.split()
        if not any(
            one.rpartition(":")[0] == name and set(one.rpartition(":")[2].split(",")) <= set(actions.split(","))
            for name, _, actions in needed
        )
    ]
    return " ".join([*scope.split(), *more])


def _with(realm: str, asked: Mapping[str, str]) -> str:
    parts = urlsplit(realm)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(asked))))))
