"""X keys and sealed boxes, by the vectors of wrpc-1x.md §2.3 (which has lost a byte of the box: the first of its tag, 78)."""

from __future__ import annotations

import pytest
from nacl.public import Box, PrivateKey, PublicKey

from provider_sdk.errors import InvalidArgument
from provider_sdk.nkeys import CurveKey, KeyPair, Prefix, curve_public, decode_seed

HOST = "SXAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H74KM"
HOST_PUBLIC = "XCHUBRNNW2HSKYSK4WZBJ2TWPJXMSTMCTU6XWXQ22G5G6PRBHAUF76G7"
PROVIDER = "SXACAIJCEMSCKJRHFAUSUKZMFUXC6MBRGIZTINJWG44DSOR3HQ6T4PY4AQ"
PROVIDER_PUBLIC = "XA2YA4WWGZMIBUNO5IZJVX4REE4DQUPNEGRI4O3V5FS5BUWNCZRFI2LE"
OTHER = "SXAKIYZX2POLIHZ5W5YZEWVTH24NLEUETBW3TKIVYRSS3GNHFXO5D4JJZM"
OTHER_PUBLIC = "XBUJMZHVOPQ2SK5VD3TY4VNBPVU2YFGRLK6EFPEPSMVDUYEBSROWZCEA"
PLAIN = b'{"url":{"kind":"String","value":"redis://h"}}'
SEALED = bytes.fromhex(
    "786b7631 000102030405060708090a0b0c0d0e0f1011121314151617"
    "784b281a4b086e04e0b75fb9ae702f8c 18f0ca42105a72d46318df9f4088cdb45ec2f2142fcea2815fef49d3b799bafed6e753c1c3101c084e0a593b7b"
)


@pytest.mark.parametrize(
    ("seed", "public", "scalar"),
    [
        (HOST, HOST_PUBLIC, bytes(range(0x20))),
        (PROVIDER, PROVIDER_PUBLIC, bytes(range(0x20, 0x40))),
        (OTHER, OTHER_PUBLIC, bytes.fromhex("a46337d3dcb41f3db771925ab33eb8d59284986db9a915c4652d99a72dddd1f1")),
    ],
    ids=["host", "provider", "nkeys"],
)
def test_a_seed_gives_its_scalar_and_its_public_key(seed: str, public: str, scalar: bytes) -> None:
    key = CurveKey.from_seed(seed)
    assert (key.public, key.seed) == (public, seed)
    assert decode_seed(seed) == (Prefix.CURVE, scalar)
    assert curve_public(public) == bytes(PrivateKey(scalar).public_key)


def test_what_a_host_sealed_is_opened() -> None:
    assert len(SEALED) == len(PLAIN) + 44
    assert CurveKey.from_seed(PROVIDER).open(SEALED, HOST_PUBLIC) == PLAIN


def test_what_is_sealed_is_a_box_of_libsodium_behind_mark_and_nonce() -> None:
    sealed = CurveKey.from_seed(HOST).seal(PLAIN, PROVIDER_PUBLIC)
    assert sealed[:4] == b"xkv1"
    opened = Box(PrivateKey(bytes(range(0x20, 0x40))), PublicKey(curve_public(HOST_PUBLIC))).decrypt(sealed[28:], sealed[4:28])
    assert opened == PLAIN
    assert CurveKey.from_seed(HOST).seal(PLAIN, PROVIDER_PUBLIC) != sealed


def test_a_new_key_opens_what_another_new_one_sealed_for_it_and_nobody_else_does() -> None:
    ours, theirs = CurveKey.generate(), CurveKey.generate()
    sealed = theirs.seal(b"", ours.public)
    assert ours.open(sealed, theirs.public) == b""
    with pytest.raises(InvalidArgument, match="sealed for another key"):
        CurveKey.generate().open(sealed, theirs.public)
    with pytest.raises(InvalidArgument, match="by another"):
        ours.open(sealed, ours.public)


@pytest.mark.parametrize("wrong", [b"", b"xkv1", SEALED[:27], SEALED[:28], SEALED[:40], SEALED[:-1], SEALED + b"\0", b"xkv2" + SEALED[4:]])
def test_a_damaged_box_is_refused(wrong: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"sealed"):
        CurveKey.from_seed(PROVIDER).open(wrong, HOST_PUBLIC)


def test_each_bit_of_a_box_counts() -> None:
    key = CurveKey.from_seed(PROVIDER)
    for place in range(len(SEALED) * 8):
        changed = bytearray(SEALED)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(InvalidArgument):
            key.open(bytes(changed), HOST_PUBLIC)


@pytest.mark.parametrize("text", ["", "SX", HOST[:-1], HOST.lower(), HOST_PUBLIC, KeyPair.generate(Prefix.USER).seed])
def test_what_is_no_seed_of_an_x_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        CurveKey.from_seed(text)
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("text", ["", "X", HOST_PUBLIC[:-1], HOST, KeyPair.generate(Prefix.USER).public])
def test_what_is_no_public_x_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        CurveKey.generate().seal(b"", text)


def test_keys_do_not_show_their_seed_and_the_two_kinds_are_not_taken_for_each_other() -> None:
    key = CurveKey.from_seed(HOST)
    assert HOST not in repr(key)
    with pytest.raises(InvalidArgument, match="X key"):
        KeyPair.from_seed(HOST)
