"""Link definitions of 1.x hosts, and which form of a link counts where several are told (wrpc-1x.md §1.2, §2.1, §2.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.base import LinkSpec
from provider_sdk.hosts.wrpc.link_book import LinkBook
from provider_sdk.hosts.wrpc.links_wire import Ends, LinkDefinition, decode_link
from provider_sdk.hosts.wrpc.secret_values import SecretBox
from provider_sdk.hosts.wrpc.stored_links import StoredLink
from provider_sdk.link import LinkKey, Role
from provider_sdk.nkeys import CurveKey

HOST, OWN = CurveKey.generate(), CurveKey.generate()
KEY = LinkKey("comp", "wasi:keyvalue", "default", Role.TARGET)
ENDS = Ends("comp", "prov", "default", "wasi", "keyvalue", ("store",))


def ends(source: str = "comp", target: str = "prov", name: str = "default", package: str = "wasi:keyvalue") -> Ends:
    namespace, _, rest = package.partition(":")
    return Ends(source, target, name, namespace, rest, ("store",))


def sealed(plain: object, key: CurveKey = OWN) -> bytes:
    return HOST.seal(json.dumps(plain).encode(), key.public)


def text(value: str) -> dict[str, Any]:
    return {"kind": "String", "value": value}


def told(word: str = "w", secret: str = "", **changes: Any) -> LinkDefinition:
    return LinkDefinition(ENDS, target_config={"word": word}, target_secrets=sealed({"token": text(secret)}) if secret else b"", **changes)


def a_book() -> LinkBook:
    return LinkBook("prov", SecretBox(OWN, HOST.public))


def test_a_definition_is_read_whatever_it_leaves_out() -> None:
    assert decode_link(b"{}") == LinkDefinition(Ends("", "", "default", "", "", ()))
    whole = {
        "source_id": "comp",
        "target": "prov",
        "name": "n",
        "wit_namespace": "wasi",
        "wit_package": "keyvalue",
        "interfaces": ["store", "atomics"],
        "source_config": {"a": "1", "gone": None},
        "target_config": None,
        "source_secrets": [0, 255],
        "target_secrets": [],
        "invented": True,
    }
    read = decode_link(json.dumps(whole).encode())
    assert read == LinkDefinition(Ends("comp", "prov", "n", "wasi", "keyvalue", ("store", "atomics")), {"a": "1"}, {}, b"\x00\xff", b"")


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"[]", b"null", b'{"source_id": {}}', b'{"name": "\\ud800"}', b'{"target_secrets": [-1]}', b"[" * 100_000]
)
def test_what_is_no_definition_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"^link definition"):
        decode_link(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["String", "Bytes", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "kind", "value", "\ud800"]), inner, max_size=3),
)
NAMES = (
    *("source_id", "target", "name", "wit_namespace", "wit_package", "interfaces"),
    *("source_config", "target_config", "source_secrets", "target_secrets"),
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON) | JSON)
def test_whatever_is_told_is_a_link_or_one_clear_word(members: Any) -> None:
    for read in (LinkDefinition.from_members, lambda given, where: StoredLink.from_members(given)):
        try:
            read(members, "link")
        except InvalidArgument as error:
            assert error.message.startswith("link")


@given(JSON)
def test_whatever_was_sealed_is_secrets_or_the_links_fault(plain: Any) -> None:
    spec = a_book().put(LinkDefinition(ENDS, target_secrets=sealed(plain)))
    assert spec.fault or plain is None or isinstance(plain, dict)
    assert not (spec.fault and spec.secrets)


def test_the_side_that_the_provider_is_on_makes_its_role_and_its_peer() -> None:
    assert ends("comp", "prov").key("prov") == LinkKey("comp", "wasi:keyvalue", "default", Role.TARGET)
    assert ends("prov", "comp").key("prov") == LinkKey("comp", "wasi:keyvalue", "default", Role.SOURCE)
    with pytest.raises(InvalidArgument, match="none of this provider's"):
        ends("comp", "other").key("prov")


def test_each_of_the_five_parts_tells_links_apart_and_the_two_namespaces_of_a_standard_do_not() -> None:
    others = [ends("comp2"), ends("prov", "comp"), ends(name="n"), ends(package="wasi:blobstore"), ends(package="acme:keyvalue")]
    assert len({item.key("prov") for item in [ENDS, *others]}) == 6
    assert ends(package="wrpc:keyvalue").key("prov") == KEY
    assert ends(package=":").key("prov").contract == ""


def test_only_our_sides_secrets_are_opened() -> None:
    link = LinkDefinition(
        ENDS, {"word": "theirs"}, {"word": "ours"}, b"whatever", sealed({"token": text("t"), "raw": {"kind": "Bytes", "value": [255]}})
    )
    spec = a_book().put(link)
    assert spec == LinkSpec(KEY, {"word": "ours"}, {"token": "t", "raw": b"\xff"}, ("store",))


@pytest.mark.parametrize(
    ("box", "secrets", "fault"),
    [
        (SecretBox(OWN, HOST.public), b"xkv1", "not sealed"),
        (SecretBox(OWN, HOST.public), sealed({}, CurveKey.generate()), "sealed for another key"),
        (SecretBox(OWN, CurveKey.generate().public), sealed({}), "by another than"),
        (SecretBox(OWN, HOST.public), HOST.seal(b"\xff", OWN.public), "not JSON"),
        (SecretBox(OWN, HOST.public), sealed([]), "expected an object"),
        (SecretBox(OWN, HOST.public), sealed({"token": "hush"}), "token: expected a secret"),
        (SecretBox(), sealed({}), "the host has given no keys"),
        (SecretBox(OWN), sealed({}), "the host has given no keys"),
    ],
)
def test_secrets_that_cannot_be_opened_are_the_links_fault_and_are_not_shown(box: SecretBox, secrets: bytes, fault: str) -> None:
    spec = LinkBook("prov", box).put(LinkDefinition(ENDS, target_config={"word": "w"}, target_secrets=secrets))
    assert spec.fault.startswith("its secrets cannot be opened: ")
    assert fault in spec.fault
    assert not spec.secrets
    assert "hush" not in spec.fault


def test_a_link_without_secrets_needs_no_keys() -> None:
    assert LinkBook("prov", SecretBox()).put(told()) == LinkSpec(KEY, {"word": "w"}, {}, ("store",))


def test_a_copy_keeps_the_secrets_and_the_fault_that_were_told() -> None:
    book = a_book()
    book.put(told(secret="t"))
    assert book.put(told("copied"), with_secrets=False) == LinkSpec(KEY, {"word": "copied"}, {"token": "t"}, ("store",))
    book.put(LinkDefinition(ENDS, target_secrets=b"x"))
    assert book.put(told("copied"), with_secrets=False).fault
    book.delete(told())
    assert book.put(told("copied"), with_secrets=False) == LinkSpec(KEY, {"word": "copied"}, {}, ("store",))


STORED, STORED_SECRET = StoredLink(ENDS, ("SECRET_theirs",), ("base",)), StoredLink(ENDS, (), ("base", "SECRET_token", "more"))


def test_the_names_of_secrets_begin_with_the_word_and_all_others_are_configurations() -> None:
    link = StoredLink(ENDS, ("secret_y", "SECRETx"), ("a", "SECRET_b", "c"))
    assert (link.configs(Role.TARGET), link.secrets(Role.TARGET)) == (("a", "c"), ("SECRET_b",))
    assert (link.configs(Role.SOURCE), link.secrets(Role.SOURCE)) == (("secret_y",), ("SECRETx",))


def test_a_lost_link_is_recovered_as_the_store_has_it_and_says_what_it_lacks() -> None:
    base, more = {"word": "w", "count": "1"}, {"count": "2"}
    assert a_book().recovered(STORED, {"base": base}) == LinkSpec(KEY, base, {}, ("store",))
    secret = a_book().recovered(STORED_SECRET, {"base": base, "more": more})
    assert secret.values == {"word": "w", "count": "2"}
    assert "did not tell its secrets" in secret.note
    assert a_book().recovered(STORED_SECRET, {"base": base, "more": None}).fault == "its configuration could not be had: more"


@pytest.mark.parametrize(
    ("first", "stored", "base", "expected"),
    [
        (told(), STORED, {"word": "new"}, LinkSpec(KEY, {"word": "new"}, {}, ("store",))),
        (told(secret="t"), STORED_SECRET, {"word": "w"}, LinkSpec(KEY, {"word": "w"}, {"token": "t"}, ("store",))),
        (told(secret="t"), STORED_SECRET, {"word": "new"}, LinkSpec(KEY, {"word": "new"}, {"token": "t"}, ("store",))),
        (told(secret="t"), STORED_SECRET, None, LinkSpec(KEY, {"word": "w"}, {"token": "t"}, ("store",))),
        (told(secret="t"), STORED, {"word": "w"}, LinkSpec(KEY, {"word": "w"}, {}, ("store",))),
    ],
    ids=["other values", "the same", "other values beside secrets", "a configuration that is gone", "no secrets any more"],
)
def test_what_was_told_is_not_lost_to_the_store(
    first: LinkDefinition, stored: StoredLink, base: dict[str, str] | None, expected: LinkSpec
) -> None:
    book = a_book()
    book.put(first)
    assert book.recovered(stored, {"base": base, "more": {}}) == expected


def test_a_link_that_the_store_has_with_secrets_that_were_never_told_serves_as_it_was_told_and_says_so() -> None:
    book = a_book()
    good = book.put(told())
    spec = book.recovered(STORED_SECRET, {"base": {"word": "new"}, "more": {}})
    assert (spec.values, spec.secrets) == (good.values, good.secrets)
    assert "serves as it was told" in spec.note


def test_a_fault_stays_when_the_store_is_read() -> None:
    book = a_book()
    faulty = book.put(LinkDefinition(ENDS, target_secrets=b"x"))
    assert book.recovered(STORED_SECRET, {"base": {}, "more": {}}).fault == faulty.fault
