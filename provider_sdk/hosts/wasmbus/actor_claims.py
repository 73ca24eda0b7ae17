"""The claims inside an actor's wasm module (wasmbus-0x.md §10.3): a signed token in a custom section, over a hash of the rest."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from provider_sdk.errors import InvalidArgument, ProviderError, Unauthenticated
from provider_sdk.hosts.wasmbus.claims import sign_token, split_token, verify_signature
from provider_sdk.nkeys import KeyPair

SECTIONS = ("wasmcloud_jwt", "jwt")
HASHED_SINCE = 3
_MAGIC = b"\0asm\1\0\0\0"


@dataclass(frozen=True, slots=True)
class ActorClaims:
    """Who an actor is and which contracts it may use. `issued_at` in Unix seconds."""

    subject: str
    issuer: str
    name: str = ""
    capabilities: tuple[str, ...] = ()
    call_alias: str = ""
    version: str = ""
    revision: int = 0
    tags: tuple[str, ...] = ()
    jti: str = ""
    issued_at: int = 0
    expires: float | None = None
    not_before: float | None = None


def verify_actor(module: bytes, *, now: float | None = None) -> ActorClaims:
    """The claims of a module that a host would accept: signed, of this module, in force.

    Unauthenticated where they are not, InvalidArgument for what is no module.
    """
    sections = list(_sections(module))
    token = next((_custom(body)[1] for kind, body in sections if kind == 0 and _custom(body)[0] in SECTIONS), None)
    if token is None:
        raise Unauthenticated("the module carries no claims: sign it first (provider dev sign, or wash claims sign)")
    try:
        content, signed, signature = split_token(token.decode("ascii"))
        claims = json.loads(content)
        found = _read(claims)
    except (ValueError, TypeError, OverflowError, RecursionError, ProviderError) as error:
        raise Unauthenticated(f"the module's claims cannot be read: {error}") from None
    if not verify_signature(found.issuer, signed, signature):
        raise Unauthenticated("the module's claims are not signed by their issuer")
    moment = time.time() if now is None else now
    if found.expires is not None and found.expires < moment:
        raise Unauthenticated("the module's claims have expired")
    if found.not_before is not None and moment < found.not_before:
        raise Unauthenticated("the module's claims are not yet in force")
    revision = claims.get("wascap_revision")
    if isinstance(revision, int) and revision >= HASHED_SINCE and claims["wascap"].get("hash") != module_hash(module):
        raise Unauthenticated("the module is not the one that was signed: its hash differs from the claims")
    return found


def embed(module: bytes, claims: ActorClaims, account: KeyPair) -> bytes:
    """The module with `claims` signed by `account` in a section at its end, in place of any that it had. Same input, same bytes."""
    bare = _MAGIC + b"".join(_section(kind, body) for kind, body in _unsigned(module))
    wascap: dict[str, Any] = {
        "name": claims.name,
        "hash": module_hash(module),
        "tags": list(claims.tags),
        "caps": list(claims.capabilities),
    }
    wascap |= {"rev": claims.revision, "ver": claims.version, "prov": False}
    if claims.call_alias:
        wascap["call_alias"] = claims.call_alias
    identity = {"jti": claims.jti or secrets.token_hex(11), "iat": claims.issued_at or int(time.time())}
    token = sign_token(
        account, identity | {"iss": account.public, "sub": claims.subject, "wascap": wascap, "wascap_revision": HASHED_SINCE}
    )
    name = SECTIONS[0].encode()
    return bare + _section(0, _leb(len(name)) + name + token.encode())


def module_hash(module: bytes) -> str:
    """SHA-256 in upper-case hex of the module without its claims, every section re-emitted with a minimal length."""
    digest = hashlib.sha256(_MAGIC)
    for kind, body in _unsigned(module):
        digest.update(_section(kind, body))
    return digest.hexdigest().upper()


def _read(claims: dict[str, Any]) -> ActorClaims:
    wascap = claims.get("wascap") if isinstance(claims, dict) else None
    if not isinstance(wascap, dict) or wascap.get("prov"):
        raise Unauthenticated("they are not an actor's")
    subject, issuer = claims.get("sub"), claims.get("iss")
    if not isinstance(subject, str) or not isinstance(issuer, str) or not subject.startswith("M"):
        raise Unauthenticated("sub is no module key, or iss is missing")
    return ActorClaims(
        subject,
        issuer,
        str(wascap.get("name") or ""),
        tuple(map(str, wascap.get("caps") or ())),
        str(wascap.get("call_alias") or ""),
        str(wascap.get("ver") or ""),
        int(wascap.get("rev") or 0),
        tuple(map(str, wascap.get("tags") or ())),
        str(claims.get("jti") or ""),
        int(claims.get("iat") or 0),
        _moment(claims, "exp"),
        _moment(claims, "nbf"),
    )


def _moment(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is not None and type(value) not in (int, float):
        raise Unauthenticated(f"{name} is no number of seconds")
    return value


def _unsigned(module: bytes) -> Iterator[tuple[int, bytes]]:
    return ((kind, body) for kind, body in _sections(module) if kind or _custom(body)[0] not in SECTIONS)


def _sections(module: bytes) -> Iterator[tuple[int, bytes]]:
    if module[:8] != _MAGIC:
        raise InvalidArgument("not a core WebAssembly module")
    position = 8
    while position < len(module):
        kind = module[position]
        length, position = _read_leb(module, position + 1)
        if position + length > len(module):
            raise InvalidArgument("the WebAssembly module is cut off inside a section")
        yield kind, module[position : position + length]
        position += length


def _custom(body: bytes) -> tuple[str, bytes]:
    length, position = _read_leb(body, 0)
    if position + length > len(body):
        raise InvalidArgument("the WebAssembly module has a custom section without a name")
    return body[position : position + length].decode("utf-8", "replace"), body[position + length :]


def _section(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _leb(len(body)) + body


def _leb(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_leb(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise InvalidArgument("the WebAssembly module is cut off or has a length of more than 32 bits")
