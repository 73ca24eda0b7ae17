"""Keys in nkeys text form (wasmbus-0x.md §10.2): `base32(prefix ‖ 32 bytes ‖ CRC16)`, without padding.

Ed25519 ones sign, X25519 ones seal (wrpc-1x.md §2.3).
"""

from __future__ import annotations

import base64
import binascii
import secrets
from enum import IntEnum
from functools import lru_cache

from nacl import bindings
from nacl.exceptions import CryptoError

from provider_sdk.errors import InvalidArgument

_SEED = 0x90
_SEALED = b"xkv1"
_NONCE = 24


class Prefix(IntEnum):
    """The kind of a key: the first byte of its public form, which makes the first letter of its text."""

    ACCOUNT = 0x00
    CLUSTER = 0x10
    MODULE = 0x60
    SERVER = 0x68
    OPERATOR = 0x70
    USER = 0xA0
    PROVIDER = 0xA8
    CURVE = 0xB8


def encode_public(prefix: Prefix, key: bytes) -> str:
    """The 56 characters of a public key of 32 bytes."""
    return _encode(bytes([prefix]) + key)


def encode_seed(prefix: Prefix, seed: bytes) -> str:
    """The 58 characters of a seed of 32 bytes."""
    return _encode(bytes([_SEED | prefix >> 5, (prefix & 31) << 3]) + seed)


@lru_cache(maxsize=1024)
def decode_public(text: str) -> tuple[Prefix, bytes]:
    """Kind and 32 bytes of a public key; InvalidArgument names the text."""
    raw = _decode(text, 33, f"{text[:64]!r} is not a public key in nkeys form")
    try:
        return Prefix(raw[0]), raw[1:]
    except ValueError:
        raise InvalidArgument(f"{text[:64]!r} is not a public key of a known kind") from None


def decode_seed(text: str) -> tuple[Prefix, bytes]:
    """Kind and 32 bytes of a seed; InvalidArgument, which never shows the text."""
    raw = _decode(text, 34, "not a seed in nkeys form (58 characters that begin with S)")
    try:
        if raw[0] & 0xF8 != _SEED:
            raise ValueError
        return Prefix((raw[0] & 7) << 5 | raw[1] >> 3), raw[2:]
    except ValueError:
        raise InvalidArgument("not a seed of a known kind") from None


def _encode(raw: bytes) -> str:
    checked = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


def _decode(text: str, length: int, complaint: str) -> bytes:
    try:
        checked = base64.b32decode(text + "=" * (-len(text) % 8))
    except (ValueError, binascii.Error):
        raise InvalidArgument(complaint) from None
    raw, crc = checked[:-2], checked[-2:]
    if len(raw) != length or binascii.crc_hqx(raw, 0).to_bytes(2, "little") != crc or _encode(raw) != text:
        raise InvalidArgument(complaint)
    return raw


class KeyPair:
    """A signing key with its public key; its representation never shows the seed."""

    def __init__(self, prefix: Prefix, seed: bytes) -> None:
        self.prefix = prefix
        self.raw_public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self.public = encode_public(prefix, self.raw_public)

    @staticmethod
    def from_seed(text: str) -> KeyPair:
        """The pair of a seed in text form; InvalidArgument."""
        prefix, seed = decode_seed(text)
        if prefix is Prefix.CURVE:
            raise InvalidArgument("the seed of an X key, which signs nothing")
        return KeyPair(prefix, seed)

    @staticmethod
    def generate(prefix: Prefix) -> KeyPair:
        """A new random pair."""
        return KeyPair(prefix, secrets.token_bytes(32))

    @property
    def seed(self) -> str:
        """The seed in text form: a secret."""
        return encode_seed(self.prefix, self._secret[:32])

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature."""
        return bindings.crypto_sign(message, self._secret)[:64]

    def __repr__(self) -> str:
        return f"KeyPair({self.public})"


class CurveKey:
    """An X25519 key pair, which seals for others and opens what they sealed; its representation never shows the seed."""

    def __init__(self, seed: bytes) -> None:
        self._secret = seed
        self.public = encode_public(Prefix.CURVE, bindings.crypto_scalarmult_base(seed))

    @staticmethod
    def from_seed(text: str) -> CurveKey:
        """The pair of a seed `SX…`; InvalidArgument."""
        prefix, seed = decode_seed(text)
        if prefix is not Prefix.CURVE:
            raise InvalidArgument("not the seed of an X key (it begins with SX)")
        return CurveKey(seed)

    @staticmethod
    def generate() -> CurveKey:
        """A new random pair."""
        return CurveKey(secrets.token_bytes(32))

    @property
    def seed(self) -> str:
        """The seed in text form, `SX…`: a secret."""
        return encode_seed(Prefix.CURVE, self._secret)

    def seal(self, plain: bytes, to_public: str) -> bytes:
        """`plain` for the holder of `to_public` (`X…`), 44 bytes longer: mark, nonce, tag and text. InvalidArgument."""
        nonce = secrets.token_bytes(_NONCE)
        return _SEALED + nonce + bindings.crypto_box(plain, nonce, curve_public(to_public), self._secret)

    def open(self, sealed: bytes, from_public: str) -> bytes:
        """What the holder of `from_public` sealed for this key; InvalidArgument where it is nothing of the kind."""
        nonce, box = sealed[len(_SEALED) : len(_SEALED) + _NONCE], sealed[len(_SEALED) + _NONCE :]
        if not sealed.startswith(_SEALED) or len(nonce) < _NONCE:
            raise InvalidArgument(f"not sealed in the form {_SEALED.decode()}")
        try:
            return bindings.crypto_box_open(box, nonce, curve_public(from_public), self._secret)
        except (CryptoError, ValueError):
            raise InvalidArgument(f"sealed for another key than {self.public}, by another than {from_public}, or damaged") from None

    def __repr__(self) -> str:
        return f"CurveKey({self.public})"


def curve_public(text: str) -> bytes:
    """The 32 bytes of a public X key; InvalidArgument, which does not show the text: it may be the seed by mistake."""
    try:
        prefix, raw = decode_public(text)
    except InvalidArgument:
        prefix = None
    if prefix is not Prefix.CURVE:
        raise InvalidArgument("not a public X key (56 characters that begin with X)")
    return raw
