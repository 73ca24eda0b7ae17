"""The signed claims of an invocation: written, read, and checked in the order of wasmbus-0x.md §4.5."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import random
import time
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import MsgspecError, Struct
from nacl import bindings
from nacl.exceptions import BadSignatureError

from provider_sdk.errors import InvalidArgument, PermissionDenied, ProviderError, Unauthenticated
from provider_sdk.hosts.wasmbus.envelope import Entity, Invocation
from provider_sdk.nkeys import KeyPair, decode_public

LONGEST_JWT = 64 * 1024
REVISION = 3
SIGNATURE = 64
# What belongs to the standard alphabet alone becomes a byte of none.
_URLSAFE = bytes.maketrans(b"-_+/=", b"+/!!!")
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


# Seeded by the system. An id is to be unique; who may call is proved by the signature.
_ids = random.Random()


def new_id(bits: int) -> str:
    """A new id in hex; asking the system for each would cost as much as half a signature."""
    return f"{_ids.getrandbits(bits):0{bits // 4}x}"


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_HEADER = _segment(b'{"typ":"jwt","alg":"Ed25519"}')


@lru_cache(maxsize=4096)
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
        "jti": new_id(88),
        "iat": int(time.time()),
        "iss": key.public,
        "sub": identifier,
        "wascap": wascap,
        "wascap_revision": REVISION,
    }
    return _sealed(key, msgspec.json.encode(claims))


def sign_token(key: KeyPair, claims: dict[str, Any]) -> str:
    """A JWT in the form of §4.4 over any claims."""
    return _sealed(key, json.dumps(claims, separators=(",", ":")).encode())


def _sealed(key: KeyPair, content: bytes) -> str:
    signed = f"{_HEADER}.{_segment(content)}"
    return f"{signed}.{_segment(key.sign(signed.encode()))}"


def _unsegment(segment: str) -> bytes:
    raw = segment.encode().translate(_URLSAFE)
    return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4), strict_mode=True)


class _Wascap(Struct, gc=False):
    target_url: str
    origin_url: str
    hash: str


class _InvocationClaims(Struct, gc=False):
    iss: str
    sub: str
    wascap: _Wascap
    exp: float | None = None
    nbf: float | None = None


_read_invocation_claims = msgspec.json.Decoder(_InvocationClaims).decode


def split_token(token: str) -> tuple[bytes, bytes, bytes]:
    """Claims (JSON), signed bytes and signature of a JWT of §4.4; Unauthenticated where it is not one. Nothing is verified yet."""
    if len(token) > LONGEST_JWT or not token.isascii():
        raise Unauthenticated("Invocation claims are not a token: too long or not ASCII")
    parts = token.split(".")
    if len(parts) != 3:
        raise Unauthenticated("Invocation claims are not a token of three segments")
    header, claims, signature = parts
    try:
        if header != _HEADER:
            given = json.loads(_unsegment(header))
            if (given["typ"], given["alg"]) != ("jwt", "Ed25519"):
                raise ValueError("the header is not of type jwt with algorithm Ed25519")
        content, sealed = _unsegment(claims), _unsegment(signature)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unauthenticated(f"Invocation claims are not a token: {error}") from None
    if len(sealed) != SIGNATURE:
        raise Unauthenticated("Invocation claims are not a token: the signature has not 64 bytes")
    return content, f"{header}.{claims}".encode(), sealed


def decode_claims(token: str) -> Claims:
    """An invocation's claims; Unauthenticated where they are malformed. Nothing is verified yet."""
    content, signed, signature = split_token(token)
    try:
        claims = _read_invocation_claims(content)
    except (MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Unauthenticated(f"Invocation claims: {error}") from None
    wascap = claims.wascap
    if not (claims.iss and claims.sub):
        raise Unauthenticated("Invocation claims: iss or sub is empty")
    return Claims(claims.iss, claims.sub, claims.exp, claims.nbf, wascap.target_url, wascap.origin_url, wascap.hash, signed, signature)


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
