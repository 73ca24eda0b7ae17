"""The claims of an archive (packaging.md §1.3): the golden example byte for byte, what may be signed, what is refused and why."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_packaging.claims import LONGEST, Claims, check_signature, read_claims, sign
from provider_sdk.errors import InvalidArgument, ProviderError, Unauthenticated
from provider_sdk.nkeys import KeyPair, Prefix
from tests.unit.packaged import CLAIMS, ISSUED, ISSUER, OTHER_ISSUER, SUBJECT, TOKEN

HEADER = b'{"typ":"jwt","alg":"Ed25519"}'
SIGNATURE = (
    "4d2a27c3c9a169252b6fa9064ea811cd7a3633c179109ab4ef783d22a513a69b90b2df1722445b030656eb11dd5383f8c827ad80f8979f1e15a148713409dd0f"
)
PAYLOAD: dict[str, Any] = json.loads(base64.urlsafe_b64decode(TOKEN.split(".")[1] + "=="))


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsegment(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def signed(payload: bytes, header: bytes = HEADER, key: KeyPair = ISSUER) -> str:
    content = f"{segment(header)}.{segment(payload)}"
    return f"{content}.{segment(key.sign(content.encode()))}"


def changed(**members: Any) -> str:
    """The token of the example with other members; those of `wascap` are given by `wascap_…`, and None takes one away."""
    payload = json.loads(json.dumps(PAYLOAD))
    for name, value in members.items():
        table, key = (payload["wascap"], name.removeprefix("wascap_")) if name.startswith("wascap_") else (payload, name)
        if value is None:
            del table[key]
        else:
            table[key] = value
    return signed(json.dumps(payload).encode())


def refusal(token: str) -> str:
    with pytest.raises(InvalidArgument) as refused:
        read_claims(token)
    assert "\n" not in refused.value.message
    return refused.value.message


def test_the_example_of_the_field_is_signed_byte_for_byte() -> None:
    header, payload, signature = TOKEN.split(".")
    assert header == "eyJ0eXAiOiJqd3QiLCJhbGciOiJFZDI1NTE5In0"
    assert unsegment(payload).startswith(b'{"jti":"5WCbpY9YpVbYp7f1eKkNqS","iat":1700000000,"iss":"AAB2CB576PHB')
    assert unsegment(payload).endswith(b'72D6033B"}},"wascap_revision":3}')
    assert unsegment(signature).hex() == SIGNATURE
    assert len(TOKEN) == 767
    assert sha256(TOKEN.encode()).hexdigest() == "1a6a8c9b7be8a2d63ec581aaad552c7fc88941bb5dc1ab19676357fbffe40631"


def test_what_was_signed_is_read_again() -> None:
    full = replace(CLAIMS, schema={"type": "object", "é": [1, None]}, expires=ISSUED + 60, not_before=ISSUED)
    assert read_claims(sign(full, ISSUER)) == full
    assert read_claims(TOKEN) == CLAIMS
    least = Claims(issuer=ISSUER.public, subject=SUBJECT.public, issued=0, id="x", name="n", vendor="v", hashes={})
    assert read_claims(sign(least, ISSUER)) == least


def test_members_stand_in_one_order_and_absent_ones_are_left_out() -> None:
    full = replace(CLAIMS, schema={}, expires=ISSUED + 60, not_before=ISSUED)
    payload = json.loads(unsegment(sign(full, ISSUER).split(".")[1]))
    assert list(payload) == ["jti", "iat", "exp", "nbf", "iss", "sub", "wascap", "wascap_revision"]
    assert list(payload["wascap"]) == ["name", "capid", "vendor", "rev", "ver", "target_hashes", "config_schema"]
    least = replace(CLAIMS, capability=None, version=None, revision=None)
    assert list(json.loads(unsegment(sign(least, ISSUER).split(".")[1]))["wascap"]) == ["name", "vendor", "target_hashes"]


def test_an_id_that_is_not_given_follows_from_the_rest() -> None:
    first = read_claims(sign(replace(CLAIMS, id=""), ISSUER))
    assert len(first.id) == 22 and first.id.isalnum() and first.id.isascii()
    assert read_claims(sign(replace(CLAIMS, id=""), ISSUER)).id == first.id
    assert read_claims(sign(replace(CLAIMS, id="", revision=2), ISSUER)).id != first.id
    assert read_claims(sign(replace(CLAIMS, id="", issued=ISSUED + 1), ISSUER)).id != first.id


@pytest.mark.needs("openssl")
def test_openssl_finds_the_signature_to_be_that_of_the_issuer(tmp_path: Path) -> None:
    content, _, signature = TOKEN.rpartition(".")
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + ISSUER.raw_public)
    (tmp_path / "content").write_text(content)
    (tmp_path / "signature").write_bytes(unsegment(signature))
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-keyform",
        "DER",
        "-inkey",
        "key.der",
        "-rawin",
        "-in",
        "content",
        "-sigfile",
        "signature",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in done.stdout, done.stderr


def test_a_signature_of_another_key_or_of_other_claims_does_not_hold() -> None:
    check_signature(TOKEN)
    header, payload, signature = TOKEN.split(".")
    other = segment(unsegment(payload).replace(b'"rev":1', b'"rev":2'))
    for forged in (
        f"{header}.{other}.{signature}",
        f"{header}.{payload}.{segment(bytes(64))}",
        signed(unsegment(payload), key=OTHER_ISSUER),
    ):
        with pytest.raises(Unauthenticated, match=f"not that of the issuer {ISSUER.public}"):
            check_signature(forged)


def test_nothing_is_signed_that_readers_refuse() -> None:
    with pytest.raises(InvalidArgument, match="the key is of"):
        sign(CLAIMS, OTHER_ISSUER)
    for wrong in (
        {"revision": 1 << 31},
        {"issued": -1},
        {"subject": ISSUER.public},
        {"schema": float("nan")},
        {"schema": {1, 2}},
        {"name": "\ud800"},
    ):
        with pytest.raises(InvalidArgument, match="claims"):
            sign(replace(CLAIMS, **wrong), ISSUER)
    with pytest.raises(InvalidArgument, match="lower-case hex"):
        sign(replace(CLAIMS, hashes={"x86_64-linux": "a" * 64}), ISSUER)
    with pytest.raises(InvalidArgument, match="longer than"):
        sign(replace(CLAIMS, schema="x" * LONGEST), ISSUER)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "three parts"),
        ("a.b", "three parts"),
        (f"{TOKEN}.x", "three parts"),
        (f"{TOKEN}\n", "signature is not unpadded base64url"),
        (f"{TOKEN}==", "signature is not unpadded base64url"),
        (TOKEN.replace(".", "=.", 1), "header is not unpadded base64url"),
        (TOKEN[:-1], "signature is not unpadded base64url"),
        (TOKEN[:-2], "63 bytes"),
        (f"{TOKEN[:-1]}x", "signature is not unpadded base64url"),
        ("." * 3, "three parts"),
        ("..", "header is not unpadded base64url"),
        ("x" * (LONGEST + 1), "longer than"),
        (signed(b"{}", b'{"typ":"jwt","alg":"EdDSA"}'), "header is not exactly"),
        (signed(b"{}", b'{"typ":"JWT","alg":"Ed25519"}'), "header is not exactly"),
        (signed(b"{}", b'{"typ":"jwt","alg":"Ed25519","kid":"x"}'), "header is not exactly"),
        (signed(b"{}", b'{"typ":"jwt"}'), "header is not exactly"),
        (signed(b"[]"), "payload is not an object"),
        (signed(b"\xff"), "payload is not JSON"),
        (signed(b'{"a":1,"a":2}'), "twice"),
        (signed(b'{"a":NaN}'), "NaN"),
        (signed(b'{"a":1e999}'), "not JSON"),
        (signed(b'{"a":"\\ud800"}'), "not JSON"),
        (signed(b"[" * 100_000), "not JSON"),
        (signed(b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"), "deeper"),
        (signed(b'{"iat":' + b"9" * 10_000 + b"}"), "not JSON"),
        (signed(b"{}"), "wascap: missing"),
    ],
)
def test_what_is_no_token_of_this_form_is_refused_with_its_fault(token: str, reason: str) -> None:
    assert reason in refusal(token)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"iss": None}, "iss: missing"),
        ({"iss": SUBJECT.public}, "an account: A…"),
        ({"iss": ISSUER.public[:-1] + "A"}, "iss: "),
        ({"iss": ISSUER.public.lower()}, "iss: "),
        ({"sub": ISSUER.public}, "a provider: V…"),
        ({"sub": KeyPair(Prefix.MODULE, bytes(32)).public}, "a provider: V…"),
        ({"iat": None}, "iat: missing"),
        ({"iat": 1.5}, "iat: 1.5"),
        ({"iat": 1.0}, "iat: 1.0"),
        ({"iat": True}, "iat: True"),
        ({"iat": -1}, "iat: -1"),
        ({"iat": 1 << 64}, "iat: "),
        ({"exp": "never"}, "exp: 'never'"),
        ({"nbf": [1]}, "nbf: [1]"),
        ({"jti": None}, "jti: missing"),
        ({"wascap_revision": -1}, "wascap_revision"),
        ({"wascap": []}, "wascap: []"),
        ({"wascap_vendor": None}, "wascap.vendor: missing"),
        ({"wascap_vendor": 1}, "wascap.vendor: 1"),
        ({"wascap_name": 1}, "wascap.name: 1"),
        ({"wascap_capid": {}}, "wascap.capid: {}"),
        ({"wascap_ver": 0.1}, "wascap.ver: 0.1"),
        ({"wascap_rev": 1 << 31}, "wascap.rev"),
        ({"wascap_target_hashes": None}, "wascap.target_hashes: missing"),
        ({"wascap_target_hashes": {"x86_64-linux": "a" * 64}}, "lower-case hex: hosts compare"),
        ({"wascap_target_hashes": {"x86_64-linux": "A" * 63}}, "64 digits"),
        ({"wascap_target_hashes": {"x86_64-linux": None}}, "64 digits"),
        ({"wascap_target_hashes": {"../x": "A" * 64}}, "no name of a target"),
    ],
)
def test_a_member_of_a_type_or_range_that_hosts_do_not_read_is_refused_by_name(members: dict[str, Any], reason: str) -> None:
    special = {"wascap_revision", "wascap"} & members.keys()
    if special:
        payload = {**PAYLOAD, **members}
        assert reason in refusal(signed(json.dumps(payload).encode()))
    else:
        assert reason in refusal(changed(**members))


def test_what_hosts_do_not_know_is_passed_over_and_a_name_may_be_missing() -> None:
    assert read_claims(changed(aud="x", wascap_future=[1])) == CLAIMS
    assert read_claims(changed(wascap_name=None)).name == "Unnamed Provider"


@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    issued=st.integers(0, (1 << 64) - 1),
    revision=st.none() | st.integers(-(1 << 31), (1 << 31) - 1),
    capability=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    schema=st.none()
    | st.recursive(st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.text("ab é"), lambda inner: st.lists(inner, max_size=3)),
)
def test_any_claims_come_back_as_they_were_signed(**members: Any) -> None:
    claims = replace(CLAIMS, **members)
    token = sign(claims, ISSUER)
    check_signature(token)
    assert read_claims(token) == claims


@given(st.text() | st.binary().map(segment) | st.tuples(st.binary(), st.binary()).map(lambda two: signed(two[0], two[1])))
def test_any_text_is_claims_or_refused_in_one_line(text: str) -> None:
    try:
        read_claims(text)
    except ProviderError as error:
        assert "\n" not in error.message and len(error.message) < 400
