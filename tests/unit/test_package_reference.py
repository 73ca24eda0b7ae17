"""References to registries, read as hosts read them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_packaging.oci.reference import Reference
from provider_sdk.errors import InvalidArgument
from tests.tiers import scale

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("ghcr.io/acme/kv:0.1.0", Reference("ghcr.io", "acme/kv", "0.1.0")),
        ("oci://ghcr.io/acme/kv:0.1.0", Reference("ghcr.io", "acme/kv", "0.1.0")),
        ("OCI://GHCR.io/Acme/KV:0.1.0", Reference("ghcr.io", "acme/kv", "0.1.0")),
        (" 127.0.0.1:5000/acme/kv ", Reference("127.0.0.1:5000", "acme/kv")),
        ("localhost/kv:1", Reference("localhost", "kv", "1")),
        ("localhost:5000/kv", Reference("localhost:5000", "kv")),
        ("[::1]:5000/a/b:1", Reference("[::1]:5000", "a/b", "1")),
        ("registry.example:5000/a/b/c.d/e__f/g--h:v1_2.3-x", Reference("registry.example:5000", "a/b/c.d/e__f/g--h", "v1_2.3-x")),
        (f"ghcr.io/acme/kv@{DIGEST}", Reference("ghcr.io", "acme/kv", "", DIGEST)),
        (f"ghcr.io/acme/kv:1@{DIGEST.upper()}", Reference("ghcr.io", "acme/kv", "1", DIGEST)),
        (f"ghcr.io/acme/kv@sha512:{'a' * 128}", Reference("ghcr.io", "acme/kv", "", f"sha512:{'a' * 128}")),
        ("acme/kv:1", Reference("docker.io", "acme/kv", "1")),
        ("index.docker.io/acme/kv:1", Reference("docker.io", "acme/kv", "1")),
    ],
)
def test_a_reference_is_read_as_hosts_read_it(text: str, read: Reference) -> None:
    assert Reference.parse(text) == read


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no repository"),
        ("kv", "no repository"),
        ("kv:1", "no repository"),
        ("ghcr.io/", "no repository"),
        ("localhost:5000", "no repository"),
        ("https://ghcr.io/acme/kv:1", "no scheme but oci://"),
        ("file:///tmp/kv.par", "no scheme but oci://"),
        ("ghcr.io/acme/kv:V1", "write 'v1'"),
        ("ghcr.io/acme/kv:", "is not a tag"),
        ("ghcr.io/acme/kv:-1", "is not a tag"),
        (f"ghcr.io/acme/kv:{'a' * 129}", "is not a tag"),
        ("ghcr.io/acme//kv:1", "is not a repository"),
        ("ghcr.io/acme/../kv:1", "is not a repository"),
        ("ghcr.io/acme/k v:1", "is not a repository"),
        ("ghcr.io/acme/kv?x=1", "is not a repository"),
        (f"ghcr.io/{'a' * 256}:1", "is not a repository"),
        ("ghcr.io:port/acme/kv", "is not a host"),
        ("ghcr.io:65536/acme/kv", "is not a host"),
        ("[::1:2::3]:5000/acme/kv", "is not a host"),
        ("user:password@ghcr.io/acme/kv", "is not a digest"),
        ("-x.io/acme/kv:1", "is not a host"),
        ("ghcr.io/acme/kv@", "is not a digest"),
        ("ghcr.io/acme/kv@sha256:12", "is not a digest"),
        ("ghcr.io/acme/kv@md5:d41d8cd98f00b204e9800998ecf8427e", "is not a digest"),
    ],
)
def test_what_is_no_reference_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        Reference.parse(text)


@pytest.mark.parametrize("text", ["ghcr.io/acme/kv", "ghcr.io/acme/kv:latest"])
def test_latest_is_pushed_only_when_that_is_said(text: str) -> None:
    with pytest.raises(InvalidArgument, match="hosts refuse 'latest'"):
        Reference.parse(text).for_push()
    assert Reference.parse(text).for_push(allow_latest=True) == Reference("ghcr.io", "acme/kv", "latest")


def test_nothing_is_pushed_to_a_digest() -> None:
    with pytest.raises(InvalidArgument, match="a push makes a tag"):
        Reference.parse(f"ghcr.io/acme/kv:1@{DIGEST}").for_push()


def test_the_digest_decides_and_a_pinned_reference_keeps_its_tag() -> None:
    plain = Reference.parse("ghcr.io/acme/kv:1")
    assert (plain.version, Reference.parse("ghcr.io/acme/kv").version) == ("1", "latest")
    assert (str(plain.pinned(DIGEST)), plain.pinned(DIGEST).version) == (f"ghcr.io/acme/kv:1@{DIGEST}", DIGEST)


WORD = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)


@given(st.sampled_from(["ghcr.io", "localhost:5000", "[::1]", "a.b:1"]), st.lists(WORD, min_size=1, max_size=4), WORD, st.booleans())
def test_what_is_written_is_read_back(registry: str, parts: list[str], tag: str, pinned: bool) -> None:
    one = Reference(registry, "/".join(parts), tag, DIGEST if pinned else "")
    assert Reference.parse(str(one)) == one == Reference.parse(f"oci://{one}")


@settings(max_examples=scale(test=50, ci=100, soak=5000))
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        one = Reference.parse(text)
    except InvalidArgument as error:
        assert len(error.message.splitlines()) == 1
    else:
        assert Reference.parse(str(one)) == one
