"""The Redis store without a server: what settings mean, what errors mean, which keys belong to whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk import Code, InvalidArgument, Secret
from providers.keyvalue.backends import redis as backend
from providers.keyvalue.backends.redis_errors import TABLE, not_connected, refused
from providers.keyvalue.backends.redis_target import Login, Target, target
from providers.keyvalue.config import KeyValueConfig

REPLIES = {
    "WRONGPASS": ("WRONGPASS invalid username-password pair or user is disabled.", Code.UNAUTHENTICATED),
    "NOAUTH": ("NOAUTH Authentication required.", Code.UNAUTHENTICATED),
    "ERR invalid password": ("ERR invalid password", Code.UNAUTHENTICATED),
    "ERR AUTH": ("ERR AUTH <password> called without any password configured for the default user.", Code.UNAUTHENTICATED),
    "NOPERM": ("NOPERM User reader has no permissions to run the 'set' command", Code.PERMISSION_DENIED),
    "DENIED": ("DENIED Redis is running in protected mode because protected mode is enabled", Code.PERMISSION_DENIED),
    "OOM": ("OOM command not allowed when used memory > 'maxmemory'.", Code.RESOURCE_EXHAUSTED),
    "ERR string exceeds maximum allowed size": ("ERR string exceeds maximum allowed size (proto-max-bulk-len)", Code.RESOURCE_EXHAUSTED),
    "ERR max number of clients": ("ERR max number of clients reached", Code.UNAVAILABLE),
    "LOADING": ("LOADING Redis is loading the dataset in memory", Code.UNAVAILABLE),
    "BUSY": ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", Code.UNAVAILABLE),
    "MISCONF": ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", Code.UNAVAILABLE),
    "NOREPLICAS": ("NOREPLICAS Not enough good replicas to write.", Code.UNAVAILABLE),
    "MASTERDOWN": ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Code.UNAVAILABLE),
    "READONLY": ("READONLY You can't write against a read only replica.", Code.UNAVAILABLE),
    "CLUSTERDOWN": ("CLUSTERDOWN Hash slot not served", Code.UNAVAILABLE),
    "TRYAGAIN": ("TRYAGAIN Multiple keys request during rehashing of slot", Code.UNAVAILABLE),
    "MOVED ": ("MOVED 3999 127.0.0.1:6381", Code.INVALID_ARGUMENT),
    "CROSSSLOT": ("CROSSSLOT Keys in request don't hash to the same slot", Code.INVALID_ARGUMENT),
    "ERR This instance has cluster support disabled": ("ERR This instance has cluster support disabled", Code.INVALID_ARGUMENT),
    "ERR DB index is out of range": ("ERR DB index is out of range", Code.INVALID_ARGUMENT),
    "ERR invalid DB index": ("ERR invalid DB index", Code.INVALID_ARGUMENT),
    "ERR SELECT is not allowed": ("ERR SELECT is not allowed in cluster mode", Code.INVALID_ARGUMENT),
    "ERR unknown command": ("ERR unknown command 'EVALSHA', with args beginning with: 'hush'", Code.UNSUPPORTED),
}


def meant(url: str, **settings: object) -> Target:
    return target(KeyValueConfig(url=Secret(url), **settings))  # type: ignore[arg-type]  # the settings of a test


def causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def test_every_row_of_the_table_of_errors_has_a_reply_here() -> None:
    assert [row.start for row in TABLE] == list(REPLIES)


@pytest.mark.parametrize("start", REPLIES)
def test_a_reply_of_the_server_has_its_code_and_is_quoted_in_the_log_only(start: str) -> None:
    reply, code = REPLIES[start]
    error = refused("127.0.0.1:6379", reply)
    assert (error.code, error.detail) == (code, reply)
    assert error.message.startswith("redis at 127.0.0.1:6379 ") and "hush" not in error.message


def test_an_unknown_reply_is_internal_and_quoted_in_the_log_only() -> None:
    error = refused("127.0.0.1:6379", "ERR what is this: hush")
    assert (error.code, error.detail) == (Code.INTERNAL, "ERR what is this: hush")
    assert "hush" not in error.message


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (redis.exceptions.AuthenticationError("invalid username-password pair", status_code="WRONGPASS"), Code.UNAUTHENTICATED),
        (redis.exceptions.BusyLoadingError("Redis is loading", status_code="LOADING"), Code.UNAVAILABLE),
        (redis.exceptions.ResponseError("DB index is out of range", status_code="ERR"), Code.INVALID_ARGUMENT),
        (redis.exceptions.ConnectionError("Error 111 connecting"), Code.UNAVAILABLE),
        (redis.exceptions.TimeoutError("Timeout"), Code.UNAVAILABLE),
        (TimeoutError(), Code.UNAVAILABLE),
        (ConnectionResetError("the server closed the connection"), Code.UNAVAILABLE),
        (InvalidArgument("ca_file: no such file"), Code.INVALID_ARGUMENT),
    ],
)
def test_what_fails_while_connecting_has_its_code_and_cause(cause: Exception, code: Code) -> None:
    error = not_connected("127.0.0.1:6379", cause)
    assert error.code == code
    assert isinstance(cause, InvalidArgument) or error.__cause__ is cause


def test_the_urls_of_the_official_provider_mean_what_they_mean_there() -> None:
    plain = meant("redis://127.0.0.1:6379/")
    assert (plain.form, plain.addresses, plain.database, plain.tls, plain.login) == ("", (("127.0.0.1", 6379),), 0, False, Login())
    full = meant("rediss://some%40one:p%3Aw@redis.example:6380/3")
    assert (full.addresses, full.database, full.tls) == ((("redis.example", 6380),), 3, True)
    assert full.login == Login("some@one", Secret("p:w"))
    assert meant("redis://:secret@h").login == Login(None, Secret("secret"))
    assert meant("redis://[::1]:7/?db=2").addresses == (("::1", 7),)
    assert meant("redis://h?db=2").database == 2


def test_without_a_url_the_single_settings_count() -> None:
    found = target(KeyValueConfig(backend="redis", address="h:1", username="u", password=Secret("p"), database="4", tls=True))
    assert (found.addresses, found.login, found.database, found.tls) == ((("h", 1),), Login("u", Secret("p")), 4, True)
    assert target(KeyValueConfig(backend="redis")).addresses == (("127.0.0.1", 6379),)


def test_the_password_setting_goes_before_the_one_in_the_url() -> None:
    assert meant("redis://u:old@h", password=Secret("new")).login == Login("u", Secret("new"))


def test_a_cluster_and_sentinels_are_named_by_the_scheme() -> None:
    cluster = meant("rediss+cluster://a:1,b")
    assert (cluster.form, cluster.addresses, cluster.tls) == ("cluster", (("a", 1), ("b", 6379)), True)
    sentinel = meant("redis+sentinel://u:p@a,b:7/main/2?sentinel_username=s&sentinel_password=t")
    assert (sentinel.form, sentinel.addresses) == ("sentinel", (("a", 26379), ("b", 7)))
    assert (sentinel.service, sentinel.database) == ("main", 2)
    assert (sentinel.login, sentinel.sentinel_login) == (Login("u", Secret("p")), Login("s", Secret("t")))
    assert meant("valkeys://h").tls and not meant("valkey://h").tls


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://u:hush@h:99999", "port"),
        ("redis://u:hush@h:port", "port"),
        ("redis://u:hush@[::1", "IPv6"),
        ("redis://u:hush\u2100@h", "password"),
        ("redis://u:hush@a,b", "several hosts"),
        ("redis://u:hush@h/name", "number"),
        ("redis+cluster://u:hush@h/1", "database 0"),
        ("redis+sentinel://u:hush@h", "service"),
        ("rediss://u:hush@h/#insecure", "certificate"),
        ("redis://u:hush@h?password=hush", "'password'"),
        ("redis://h?sentinel_password=hush", "'sentinel_password'"),
    ],
)
def test_what_a_url_cannot_mean_is_refused_in_words_without_its_secrets(url: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        backend.open_store(KeyValueConfig(url=Secret(url)), Path())
    assert words in str(caught.value)
    assert not [cause for cause in causes(caught.value) if "hush" in repr(cause) or "hush" in str(cause)]


def test_links_share_a_store_when_all_that_leads_to_it_is_the_same() -> None:
    def key(url: str, **settings: object) -> object:
        return backend.store_key(KeyValueConfig(url=Secret(url), **settings), Path())  # type: ignore[arg-type]  # as above

    assert key("redis://u:p@h") == key("valkey://u:p@h:6379/0")
    assert len({key("redis://h"), key("redis://h/1"), key("rediss://h"), key("redis://:p@h"), key("redis://h", connections=3)}) == 5
    assert "hush" not in repr(key("redis://u:hush@h"))


def test_keys_without_a_namespace_are_the_keys_themselves() -> None:
    assert backend.prefix_of("") == b""
    assert backend.prefix_of("team") == b"team:"
    assert backend.prefix_of("a:b%/M1") == b"a%3Ab%25/M1:"


@given(
    st.lists(
        st.text(alphabet=st.one_of(st.sampled_from(":%/A3"), st.characters(exclude_categories=["Cs"])), min_size=1), min_size=2, unique=True
    )
)
def test_no_prefix_of_a_namespace_begins_another(names: list[str]) -> None:
    prefixes = [backend.prefix_of(name) for name in names]
    assert not [(one, other) for one in prefixes for other in prefixes if one is not other and other.startswith(one)]
