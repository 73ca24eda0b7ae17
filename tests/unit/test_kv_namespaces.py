"""Which part of a store a link, its callers and their buckets have, and what the official provider's settings mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk import InvalidArgument, Layer
from providers.keyvalue.backends.redis import prefix_of
from providers.keyvalue.config import NO_STORE, KeyValueConfig
from providers.keyvalue.namespaces import OWN, namespace_of

NAMES = st.text(st.sampled_from("ab/%:25F "), max_size=5)
ACTORS = NAMES.filter(bool)
PARTS = st.tuples(NAMES, ACTORS, NAMES, st.booleans())


def named(part: tuple[str, str, str, bool]) -> str:
    namespace, actor, bucket, per_actor = part
    return namespace_of(KeyValueConfig(namespace=namespace, per_actor=per_actor), actor, bucket)


def meant(part: tuple[str, str, str, bool]) -> tuple[object, ...]:
    """What two of these have to have in common to be one namespace."""
    namespace, actor, bucket, per_actor = part
    return namespace, per_actor and actor, bucket not in OWN and bucket


@given(PARTS, PARTS)
def test_no_two_namespaces_have_one_name_or_keys_in_common(one: tuple[str, str, str, bool], other: tuple[str, str, str, bool]) -> None:
    if meant(one) != meant(other):
        assert named(one) != named(other)
        first, second = prefix_of(named(one)), prefix_of(named(other))
        assert not first or not second or not (first.startswith(second) or second.startswith(first))


@pytest.mark.parametrize(
    ("settings", "bucket", "name"),
    [
        ({}, "", ""),
        ({}, "default", ""),
        ({}, "b", "//b"),
        ({"namespace": "n"}, "default", "n"),
        ({"namespace": "n"}, "a/b%", "n//a%2Fb%25"),
        ({"namespace": "n/m", "per_actor": True}, "", "n%2Fm/component"),
        ({"per_actor": True}, "b", "/component/b"),
        ({"buckets": "ignore"}, "b", ""),
        ({"buckets": "ignore", "namespace": "n", "per_actor": True}, "b", "n/component"),
    ],
)
def test_a_bucket_is_a_namespace_by_this_rule(settings: dict[str, object], bucket: str, name: str) -> None:
    assert namespace_of(KeyValueConfig(**settings), "component", bucket) == name  # type: ignore[arg-type]  # the settings of a test


@pytest.mark.parametrize("bucket", ["a\nb", "\0", "b" * 257, "é" * 129])
def test_a_bucket_that_cannot_be_printed_is_none(bucket: str) -> None:
    with pytest.raises(InvalidArgument, match="is no bucket"):
        namespace_of(KeyValueConfig(), "component", bucket)


def test_the_settings_of_the_official_redis_provider_are_taken() -> None:
    values = {
        "Url": "redis://cache:6379/1",
        "BACKEND_RECONNECT_NUM_RETRIES": "3",
        "backend_reconnect_max_delay_ms": "300",
        "BACKEND_CONNECTION_TIMEOUT_MS": "1500",
        "BACKEND_RESPONSE_TIMEOUT_MS": "1000",
        "DISABLE_DEFAULT_CONNECTION": "",
        "SHARE_CONNECTIONS_BY_URL": "true",
        "watch": "SET@a",
    }
    loaded = KeyValueConfig.load(Layer("link values", values), Layer("link secrets", {"URL": "redis://secret"}, secret=True))
    assert loaded.warnings == []
    assert loaded.config.url is not None and loaded.config.url.reveal() == "redis://secret"
    assert loaded.config.connect_timeout == 1.5


def test_a_setting_of_our_own_comes_before_the_official_one_and_a_wrong_one_is_named() -> None:
    both = {"connect_timeout": "7s", "BACKEND_CONNECTION_TIMEOUT_MS": "1500"}
    assert KeyValueConfig.load(Layer("link values", both)).config.connect_timeout == 7.0
    with pytest.raises(InvalidArgument, match="BACKEND_CONNECTION_TIMEOUT_MS"):
        KeyValueConfig.load(Layer("link values", {"BACKEND_CONNECTION_TIMEOUT_MS": "soon"}))


@pytest.mark.parametrize("name", ["bucket", "cluster_uri", "js_domain", "mount", "token_increment_ttl"])
def test_settings_of_the_other_official_providers_draw_a_warning(name: str) -> None:
    warning, no_store = KeyValueConfig.load(Layer("link values", {name: "x"})).warnings
    assert no_store == NO_STORE
    assert f'unknown setting "{name}" is ignored' in warning
