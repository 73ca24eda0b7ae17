"""The signed claims of an invocation: written, read, and checked in the order of wasmbus-0x.md §4.5."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from nacl import bindings
from nacl.exceptions import BadSignatureError

from provider_sdk.errors import InvalidArgument, PermissionDenied, ProviderError, Unauthenticated
from provider_sdk.hosts.wasmbus.envelope import Entity, Invocation
from provider_sdk.nkeys import KeyPair, decode_public

LONGEST_JWT = 64 * 1024
REVISION = 3
_URLSAFE = bytes.maketrans(b"-_", b"+/")
Verifier = Callable[[str, bytes, bytes], bool]
"""(issuer's public key text, signed bytes, signature) → whether the signature is the issuer's."""


class Claims(NamedTuple):
    """What an invocation's token says, and what its signature covers."""

    issuer: str
    subject: str
    expires: float | None
    not_before: float | None
    target_url: str
    origin_url: str
    hash: str
    signed: bytes
    signature: bytes


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_HEADER = _segment(b'{"typ":"jwt","alg":"Ed25519"}')


def entity_url(entity: Entity) -> str:
    """The `wasmbus://` URL of §4.3."""
    key = entity.public_key
    if key[:1] in ("M", "m"):
        return f"wasmbus://{key}"
    contract = entity.contract_id.replace(":", "/").replace(" ", "_").lower()
    return f"wasmbus://{contract}/{entity.link_name.replace(' ', '_').lower()}/{key}"


def invocation_hash(origin_url: str, target_url: str, operation: str, payload: bytes) -> str:
    """SHA-256 of §4.3 over the whole argument, in upper-case hex."""
    digest = hashlib.sha256(f"{origin_url}{target_url}{operation}".encode())
    digest.update(payload)
    return digest.hexdigest().upper()


def sign_invocation_claims(key: KeyPair, identifier: str, origin: Entity, target: Entity, operation: str, payload: bytes) -> str:
    """The token of a call, signed with the cluster's key."""
    origin_url, target_url = entity_url(origin), f"{entity_url(target)}/{operation}"
    wascap = {"target_url": target_url, "origin_url": origin_url, "hash": invocation_hash(origin_url, target_url, operation, payload)}
    claims = {
        "jti": secrets.token_hex(11),
        "iat": int(time.time()),
        "iss": key.public,
        "sub": identifier,
        "wascap": wascap,
        "wascap_revision": REVISION,
    }
    return sign_token(key, claims)


def sign_token(key: KeyPair, claims: dict[str, Any]) -> str:
    """A JWT in the form of §4.4 over any claims."""
    signed = f"{_HEADER}.{_segment(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{signed}.{_segment(key.sign(signed.encode()))}"


def _unsegment(segment: str) -> bytes:
    if "=" in segment:
        raise ValueError("padding")
    raw = segment.encode().translate(_URLSAFE)
    return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4), strict_mode=True)


def decode_token(token: str) -> tuple[dict[str, Any], bytes, bytes]:
    """Claims, signed bytes and signature of a JWT in the form of §4.4; Unauthenticated where it is not one. Nothing is verified yet."""
    if len(token) > LONGEST_JWT or not token.isascii():
        raise Unauthenticated("Invocation claims are not a token: too long or not ASCII")
    parts = token.split(".")
    if len(parts) != 3:
        raise Unauthenticated("Invocation claims are not a token of three segments")
    try:
        if parts[0] != _HEADER:
            header = json.loads(_unsegment(parts[0]))
            if (header["typ"], header["alg"]) != ("jwt", "Ed25519"):
                raise ValueError("the header is not of type jwt with algorithm Ed25519")
        claims, signature = json.loads(_unsegment(parts[1])), _unsegment(parts[2])
        if not isinstance(claims, dict) or len(signature) != 64:
            raise ValueError("claims or signature have the wrong form")
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise Unauthenticated(f"Invocation claims are not a token: {error}") from None
    return claims, f"{parts[0]}.{parts[1]}".encode(), signature


def decode_claims(token: str) -> Claims:
    """An invocation's claims; Unauthenticated where they are malformed. Nothing is verified yet."""
    claims, signed, signature = decode_token(token)
    wascap = claims.get("wascap")
    if not isinstance(wascap, dict):
        raise Unauthenticated("Invocation claims have no wascap section")
    return Claims(
        _text(claims, "iss"),
        _text(claims, "sub"),
        _moment(claims, "exp"),
        _moment(claims, "nbf"),
        _text(wascap, "target_url"),
        _text(wascap, "origin_url"),
        _text(wascap, "hash"),
        signed,
        signature,
    )


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise Unauthenticated(f"Invocation claims: {name} is missing or not a string")
    return value


def _moment(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is not None and type(value) not in (int, float):
        raise Unauthenticated(f"Invocation claims: {name} is not a number")
    return value


def verify_signature(issuer: str, signed: bytes, signature: bytes) -> bool:
    """Whether `signature` over `signed` is that of the Ed25519 key `issuer`."""
    try:
        bindings.crypto_sign_open(signature + signed, decode_public(issuer)[1])
    except (BadSignatureError, InvalidArgument):
        return False
    return True


def verify(
    invocation: Invocation, payload: bytes, *, own_key: str, issuers: Collection[str], now: float, verifier: Verifier = verify_signature
) -> None:
    """Checks 2 to 10 of §4.5, in that order: ProviderError whose text begins as there.

    `payload` is the whole argument, reassembled; `now` in Unix seconds.
    """
    claims = decode_claims(invocation.encoded_claims)
    if claims.expires is not None and claims.expires < now:
        raise Unauthenticated("Invocation claims token expired")
    if not verifier(claims.issuer, claims.signed, claims.signature):
        raise Unauthenticated("Invocation claims signature invalid")
    if claims.not_before is not None and now < claims.not_before:
        raise Unauthenticated("Attempt to use invocation before claims token allows")
    origin_url, target_url = entity_url(invocation.origin), f"{entity_url(invocation.target)}/{invocation.operation}"
    digest = invocation_hash(origin_url, target_url, invocation.operation, payload)
    if digest != claims.hash:
        raise Unauthenticated(f"Invocation hash does not match signed claims hash ({claims.hash} / {digest})")
    if not invocation.host_id.startswith("N") and len(invocation.host_id) != 56:
        raise Unauthenticated(f"Invalid host ID on invocation: '{invocation.host_id}'")
    if target_url != claims.target_url:
        raise _mismatch("target", claims.target_url, target_url)
    if origin_url != claims.origin_url:
        raise _mismatch("origin", claims.origin_url, origin_url)
    if claims.issuer not in issuers:
        raise PermissionDenied("Issuer of this invocation is not in list of cluster issuers")
    if invocation.target.public_key != own_key:
        raise PermissionDenied(f"target key mismatch: {invocation.target.public_key} != {own_key}")


def _mismatch(which: str, claimed: str, actual: str) -> ProviderError:
    return Unauthenticated(f"Invocation claims and invocation {which} URL do not match: {claimed} != {actual}")
