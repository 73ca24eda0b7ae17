"""The signed claims of a provider archive, `claims.jwt` (packaging.md §1.3): written for all hosts, read as the strictest reads them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nacl import bindings
from nacl.exceptions import BadSignatureError

from provider_sdk.errors import InvalidArgument, Unauthenticated
from provider_sdk.nkeys import KeyPair, Prefix, decode_public

LONGEST = 1024 * 1024
DEEPEST = 100
"""Nested lists and objects; hosts give up at 128."""
UNNAMED = "Unnamed Provider"
WORLD = "world.wasm"
"""The file, and the name of its hash, of an interface that 1.x archives may hold beside their programs."""

_HEADER = {"typ": "jwt", "alg": "Ed25519"}
_REVISION = 3
_ID_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 22
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_HASH = re.compile(r"[0-9A-F]{64}")
_STEM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,95}")
_LARGEST = {"u64": (0, (1 << 64) - 1), "u32": (0, (1 << 32) - 1), "i32": (-(1 << 31), (1 << 31) - 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the issuer says of an archive. `hashes` maps a target to its program's SHA-256 in upper-case hex; times are seconds since 1970.

    `capability` None, which is for 1.x hosts alone, leaves the contract out; `id` "" is made from the rest.
    """

    issuer: str
    subject: str
    issued: int
    name: str
    vendor: str
    hashes: Mapping[str, str]
    capability: str | None = None
    version: str | None = None
    revision: int | None = None
    schema: Any = None
    expires: int | None = None
    not_before: int | None = None
    id: str = field(default="")

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets of the programs, sorted."""
        return tuple(sorted(name for name in self.hashes if name != WORLD))


def sign(claims: Claims, issuer: KeyPair) -> str:
    """The token. InvalidArgument where it would be one that readers refuse, or where the key is not the issuer's.

    The same claims and key give the same token: without an `id`, it is derived from them.
    """
    if issuer.public != claims.issuer:
        raise InvalidArgument(f"the claims name the issuer {claims.issuer}, and the key is of {issuer.public}")
    payload = _payload(claims)
    if not claims.id:
        payload["jti"] = _derived_id(payload)
    content = f"{_segment(_json(_HEADER))}.{_segment(_json(payload))}"
    token = f"{content}.{_segment(issuer.sign(content.encode()))}"
    read_claims(token)
    return token


def read_claims(token: str) -> Claims:
    """What a token says; InvalidArgument says what is wrong with it. Its signature and times are not looked at."""
    header, content, _ = _split(token)
    if _parsed(header, "header") != _HEADER:
        raise InvalidArgument('claims: the header is not exactly "typ": "jwt", "alg": "Ed25519"')
    return _Payload(_parsed(content, "payload")).claims()


def check_signature(token: str) -> None:
    """Unauthenticated unless the token is signed by the issuer that it names; InvalidArgument where it cannot be read."""
    issuer = read_claims(token).issuer
    signature = _split(token)[2]
    message = token.rpartition(".")[0].encode()
    try:
        bindings.crypto_sign_open(signature + message, decode_public(issuer)[1])
    except (BadSignatureError, ValueError):
        raise Unauthenticated(f"claims: the signature is not that of the issuer {issuer}") from None


def checked_hash(value: str) -> str:
    """The hash of a program as hosts compare it; InvalidArgument."""
    if _HASH.fullmatch(value):
        return value
    if _HASH.fullmatch(value.upper()):
        raise InvalidArgument("in lower-case hex: hosts compare hashes as text, in upper case")
    raise InvalidArgument("not a SHA-256 in 64 digits of upper-case hex")


def _payload(claims: Claims) -> dict[str, Any]:
    wascap = {
        "name": claims.name,
        "capid": claims.capability,
        "vendor": claims.vendor,
        "rev": claims.revision,
        "ver": claims.version,
        "target_hashes": dict(claims.hashes),
        "config_schema": claims.schema,
    }
    payload = {
        "jti": claims.id,
        "iat": claims.issued,
        "exp": claims.expires,
        "nbf": claims.not_before,
        "iss": claims.issuer,
        "sub": claims.subject,
        "wascap": {key: value for key, value in wascap.items() if value is not None},
        "wascap_revision": _REVISION,
    }
    return {key: value for key, value in payload.items() if value is not None}


def _derived_id(payload: dict[str, Any]) -> str:
    number = int.from_bytes(hashlib.sha256(_json(payload)).digest())
    letters = []
    for _ in range(_ID_LENGTH):
        number, place = divmod(number, len(_ID_LETTERS))
        letters.append(_ID_LETTERS[place])
    return "".join(letters)


def _json(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"claims: not JSON: {error}") from None


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _split(token: str) -> tuple[bytes, bytes, bytes]:
    """Header, payload and signature."""
    if len(token) > LONGEST:
        raise InvalidArgument(f"claims: longer than {LONGEST} bytes")
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidArgument("claims: not a token: three parts between dots are expected")
    header, content, signature = (_unsegment(part, name) for part, name in zip(parts, ("header", "payload", "signature"), strict=True))
    if len(signature) != 64:
        raise InvalidArgument(f"claims: the signature has {len(signature)} bytes, and not 64")
    return header, content, signature


def _unsegment(part: str, name: str) -> bytes:
    """What has one spelling only: without padding, and with no bit set beyond the last byte."""
    if _SEGMENT.fullmatch(part):
        try:
            data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        except (ValueError, binascii.Error):
            data = b""
        if _segment(data) == part:
            return data
    raise InvalidArgument(f"claims: the {name} is not unpadded base64url")


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    try:
        text = data.decode()
        value = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
        _json(value)
    except (ValueError, RecursionError, InvalidArgument) as error:
        raise InvalidArgument(f"claims: the {name} is not JSON: {_short(error)}") from None
    if not isinstance(value, dict):
        raise InvalidArgument(f"claims: the {name} is not an object")
    if _depth(value) > DEEPEST:
        raise InvalidArgument(f"claims: the {name} is nested deeper than {DEEPEST}")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has a name twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())]
        depth += 1
    return depth


def _short(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 120 else f"{text[:117]}..."


class _Payload:
    """Reads members of the types that hosts read."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self._payload = payload
        wascap = payload.get("wascap")
        if not isinstance(wascap, dict):
            self._wrong("wascap", "an object", wascap)
        self._wascap: dict[str, Any] = wascap

    def claims(self) -> Claims:
        top, inner = self._payload, self._wascap
        self._number(top, "wascap_revision", "u32")
        return Claims(
            issuer=self._key(top, "iss", Prefix.ACCOUNT, "an account: A…"),
            subject=self._key(top, "sub", Prefix.PROVIDER, "a provider: V…"),
            issued=self._required(self._number(top, "iat", "u64"), "iat", "a whole number of seconds"),
            id=self._required(self._text(top, "jti"), "jti", "a text"),
            name=self._text(inner, "name") or UNNAMED,
            vendor=self._required(self._text(inner, "vendor"), "wascap.vendor", "a text"),
            hashes=self._hashes(inner.get("target_hashes")),
            capability=self._text(inner, "capid"),
            version=self._text(inner, "ver"),
            revision=self._number(inner, "rev", "i32"),
            schema=inner.get("config_schema"),
            expires=self._number(top, "exp", "u64"),
            not_before=self._number(top, "nbf", "u64"),
        )

    def _path(self, table: dict[str, Any], key: str) -> str:
        return key if table is self._payload else f"wascap.{key}"

    def _text(self, table: dict[str, Any], key: str) -> str | None:
        value = table.get(key)
        if not (value is None or isinstance(value, str)):
            self._wrong(self._path(table, key), "a text", value)
        return value

    def _number(self, table: dict[str, Any], key: str, kind: str) -> int | None:
        value = table.get(key)
        lowest, highest = _LARGEST[kind]
        if not (value is None or (type(value) is int and lowest <= value <= highest)):
            self._wrong(self._path(table, key), f"a whole number from {lowest} to {highest}", value)
        return value

    def _required(self, value: Any, path: str, expected: str) -> Any:
        if value is None:
            self._wrong(path, expected, None)
        return value

    def _key(self, table: dict[str, Any], key: str, prefix: Prefix, expected: str) -> str:
        value = self._required(self._text(table, key), key, f"the public key of {expected}")
        try:
            found = decode_public(value)[0]
        except InvalidArgument as error:
            raise InvalidArgument(f"claims: {key}: {error.message}") from None
        if found is not prefix:
            self._wrong(key, f"the public key of {expected}", value)
        return str(value)

    def _hashes(self, value: object) -> dict[str, str]:
        if not isinstance(value, dict):
            self._wrong("wascap.target_hashes", "an object of a target to its hash", value)
        for name, digest in value.items():
            where = f"claims: wascap.target_hashes: {_short(repr(name))}"
            if not _STEM.fullmatch(name):
                raise InvalidArgument(f"{where} is no name of a target")
            try:
                checked_hash(digest if isinstance(digest, str) else "")
            except InvalidArgument as error:
                raise InvalidArgument(f"{where}: the hash is {error.message}") from None
        return value

    def _wrong(self, path: str, expected: str, value: object) -> NoReturn:
        given = "missing" if value is None else _short(repr(value))
        raise InvalidArgument(f"claims: {path}: {given}: expected {expected}")
