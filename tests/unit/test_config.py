"""Typed configuration as an author and an operator meet it: names, layers, types, errors, schema."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import subprocess
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk.config import Config, Layer, Secret, setting, unfold_json
from provider_sdk.errors import InvalidArgument

HUGE = pytest.param(10**5000, id="an int too long to print")
LONG = pytest.param("9" * 5000, id="digits too many to read")


class Color(StrEnum):
    RED = "red"
    DARK_BLUE = "dark-blue"


class Tls(Config):
    cert_file: Path = setting(doc="Certificate chain, PEM.")
    key_file: Path | None = setting(None, doc="Private key, PEM.")
    passphrase: Secret = setting(Secret(""), doc="Of the private key.")


class Everything(Config):
    """One of each."""

    limit: ClassVar[int] = 7

    name: str = setting("Hello", doc="A name.", aliases=("title", "label"))
    ready: bool = setting(False, doc="A switch.")
    port: int = setting(8000, doc="A port.", minimum=1, maximum=65535)
    ratio: float = setting(0.5, doc="A share.", minimum=0.0, maximum=1.0)
    wait: float = setting(1.5, doc="A time.", unit="seconds", minimum=0.001)
    tick: int = setting(200, doc="A tick.", unit="milliseconds")
    size: int = setting(1024, doc="A size.", unit="bytes", official=("max_content_len",))
    password: Secret = setting(Secret("default-secret"), doc="A secret.")
    tokens: list[Secret] = setting([], doc="Secrets.")
    folder: Path = setting(Path("/data"), doc="A folder.")
    mode: Literal["fs", "S3"] = setting("fs", doc="A mode | or two.")
    color: Color = setting(Color.RED, doc="A colour.")
    level: str | None = setting(None, doc="A level.", choices=("info", "debug"))
    tags: list[str] = setting(["x"], doc="Tags.")
    hosts: tuple[str, ...] = setting((), doc="Hosts.")
    ports: list[int] = setting([], doc="Ports.")
    buckets: dict[str, str] = setting({}, doc="Buckets by alias.")
    maybe: int | None = setting(None, doc="Perhaps a number.")
    note: str | None = setting(None, doc="Perhaps a note.")
    tls: Tls | None = setting(None, doc="TLS.")


class Listener(Config):
    address: str = setting("127.0.0.1:8000", doc="Where to listen.", official=("address", "port"), aliases=("listen",))


class Sink(Config):
    url: str = setting("nowhere", doc="Where to.")
    depth: int = setting(3, doc="How deep.")


class Outer(Config):
    sink: Sink = setting(Sink(url="default"), doc="The sink.")
    tls: Tls | None = setting(None, doc="TLS.")


def read(**values: object) -> Everything:
    return Everything.load(Layer("link values", values)).config


def fault(cls: type[Config], *layers: Layer) -> str:
    with pytest.raises(InvalidArgument) as caught:
        cls.load(*layers)
    return str(caught.value)


def link_fault(**values: object) -> str:
    return fault(Everything, Layer("link values", values))


# instances


def test_a_config_without_settings_loads_from_nothing() -> None:
    assert Config.load().config == Config()
    assert Config.load(Layer("link values", {})).warnings == []


def test_defaults_apply_where_nothing_is_given() -> None:
    assert Everything.load().config == Everything()
    assert read().tags == ["x"]


def test_an_instance_is_frozen_and_comparable() -> None:
    assert Sink(url="a") == Sink(url="a") != Sink(url="b")
    assert len({Sink(url="a"), Sink(url="a")}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sink().url = "b"  # type: ignore[misc]  # refused by the type checker as well


def test_instances_do_not_share_their_lists() -> None:
    Everything().tags.append("y")
    assert Everything().tags == ["x"]


def test_a_repr_names_every_setting_and_hides_secrets() -> None:
    assert repr(Tls(cert_file=Path("c"), passphrase=Secret("hunter2"))) == (
        f"Tls(cert_file={Path('c')!r}, key_file=None, passphrase=<secret>)"
    )


def test_a_repr_hides_whatever_came_from_a_secret_layer() -> None:
    config = Sink.load(Layer("link secrets", {"url": "redis://:hunter2@db"}, secret=True)).config
    assert config.url == "redis://:hunter2@db"
    assert repr(config) == "Sink(url=<secret>, depth=3)"


def test_settings_are_inherited_in_order_and_can_be_declared_anew() -> None:
    class Child(Sink):
        extra: bool = setting(False, doc="More.")
        url: str = setting("child", doc="Declared anew.")

    assert [member.name for member in dataclasses.fields(Child)] == ["url", "depth", "extra"]
    assert Child.load(Layer("l", {"DEPTH": 4})).config == Child(url="child", depth=4, extra=False)


def test_what_spans_settings_is_checked_in_post_init() -> None:
    class Range(Config):
        low: int = setting(0, doc="Least.")
        high: int = setting(9, doc="Most.")

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise InvalidArgument(f"low {self.low} is above high {self.high}")

    assert fault(Range, Layer("link values", {"low": 10})) == "low 10 is above high 9"


# declarations


def declared(annotation: str, **options: Any) -> type[Config]:
    names = {"__annotations__": {"word": annotation}, "word": setting(doc="d", **options), "__module__": __name__}
    return cast(type[Config], type("Bad", (Config,), names))


def test_a_setting_without_annotation_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^Bad\.word: a setting needs a type annotation$"):
        type("Bad", (Config,), {"word": setting("x", doc="d")})


def test_an_inherited_setting_cannot_be_replaced_by_a_plain_value() -> None:
    with pytest.raises(TypeError, match=r"^Bad\.url: a setting needs a type annotation$"):
        type("Bad", (Sink,), {"url": "x"})


def test_an_annotation_without_setting_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^Bad\.word: declare it with setting"):
        type("Bad", (Config,), {"__annotations__": {"word": "str"}, "word": "x"})


def test_a_setting_cannot_take_the_name_of_a_method() -> None:
    with pytest.raises(TypeError, match=r"^Bad\.load: the name belongs to Config itself$"):
        type("Bad", (Config,), {"__annotations__": {"load": "str"}, "load": setting("x", doc="d")})


def test_names_given_as_one_text_are_refused() -> None:
    with pytest.raises(TypeError, match=r"\('url',\)"):
        setting("x", doc="d", aliases="url")  # type: ignore[call-overload]  # the mistake under test


@pytest.mark.parametrize("annotation", ["bytes", "list", "list[list[str]]", "dict[int, str]", "str | int", "tuple[str, str]", "object"])
def test_an_unsupported_annotation_is_refused_at_first_use(annotation: str) -> None:
    with pytest.raises(TypeError, match=r"^Bad\.word: .* is not a type that a setting can have$"):
        declared(annotation).load()


@pytest.mark.parametrize(
    ("annotation", "options"),
    [("str", {"unit": "seconds"}), ("bool", {"minimum": 1}), ("int", {"unit": "parsecs"}), ("Tls", {"choices": (1,)})],
)
def test_limits_that_do_not_fit_the_type_are_refused(annotation: str, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"^Bad\.word: "):
        declared(annotation, **options).load()


def test_an_unknown_annotation_is_refused_naming_the_class() -> None:
    with pytest.raises(TypeError, match=r"^Bad: name 'Nowhere' is not defined"):
        declared("Nowhere").load()


def test_two_settings_cannot_share_a_name() -> None:
    class Bad(Config):
        max_size: int = setting(1, doc="d")
        other: int = setting(1, doc="d", aliases=("maxSize",))

    with pytest.raises(TypeError, match=r"^Bad\.other: shares the name 'maxsize' with max_size$"):
        Bad.load()


# names


@pytest.mark.parametrize("key", ["cert_file", "CERT_FILE", "cert-file", "certFile", "CertFile", "certfile"])
def test_a_name_matches_in_every_spelling(key: str) -> None:
    assert Tls.load(Layer("link values", {key: "c.pem"})).config.cert_file == Path("c.pem")


@pytest.mark.parametrize("key", ["name", "title", "LABEL"])
def test_an_alias_is_the_setting(key: str) -> None:
    assert read(**{key: "x"}).name == "x"


def test_two_spellings_of_one_name_in_a_layer_are_an_error() -> None:
    assert link_fault(port=1, PORT=1) == 'link values: "port" and "PORT" name the same setting: give only one of them'


def test_two_spellings_of_an_unknown_name_are_an_error_too() -> None:
    assert '"zzz" and "ZZZ" name the same setting' in link_fault(zzz=1, ZZZ=1)


def test_two_of_our_own_names_in_a_layer_are_an_error_even_when_equal() -> None:
    assert link_fault(title="x", name="x") == 'link values: "title" and "name" name the same setting: give only one of them'


def test_our_own_name_beside_an_official_one_is_an_error() -> None:
    assert '"size" and "max_content_len" name the same setting' in link_fault(size=1, max_content_len=1)
    assert '"listen" and "port" name the same setting' in fault(Listener, Layer("link values", {"port": "1", "listen": "x"}))


def test_official_names_keep_their_precedence_among_themselves() -> None:
    layer = Layer("link values", {"port": "9000", "ADDRESS": "0.0.0.0:80"})
    assert Listener.load(layer).config.address == "9000"
    assert Listener.load(Layer("link values", {"address": "0.0.0.0:80"})).config.address == "0.0.0.0:80"


def test_a_later_layer_wins_whatever_name_it_uses() -> None:
    layers = (Layer("provider configuration", {"port": "1"}), Layer("link values", {"listen": "2"}))
    assert Listener.load(*layers).config.address == "2"
    assert Listener.load(*reversed(layers)).config.address == "1"


def test_an_unknown_name_warns_with_the_nearest_one() -> None:
    loaded = Everything.load(Layer("link values", {"prot": 1, "qqqqqq": 2}))
    assert loaded.warnings == [
        'link values: unknown setting "prot" is ignored: did you mean "port"?',
        'link values: unknown setting "qqqqqq" is ignored',
    ]


def test_a_near_miss_of_an_alias_or_official_name_is_recognised() -> None:
    (warning,) = Everything.load(Layer("l", {"max_content_length": 1})).warnings
    assert warning.endswith('did you mean "max_content_len"?')


def test_names_of_somebody_else_are_passed_over_silently() -> None:
    layer = Layer("provider configuration", {"logLevel": "info", "LOG_LEVEL": "x", "other": 1})
    assert Sink.load(layer, ignore=("log_level", "other")).warnings == []
    assert Sink.load(layer, ignore=None).warnings == []
    assert Sink.load(Layer("l", {"url": "u"}), ignore=("url",)).config.url == "u"


def test_names_lists_every_name_of_every_setting() -> None:
    assert Listener.names() == ["address", "listen", "port"]


# layers


def test_layers_override_each_other_setting_by_setting() -> None:
    loaded = Sink.load(Layer("provider configuration", {"url": "a", "depth": 1}), Layer("link values", {"URL": "b"}))
    assert loaded.config == Sink(url="b", depth=1)


def test_a_value_that_is_overridden_is_not_read() -> None:
    assert Sink.load(Layer("provider configuration", {"depth": "deep"}), Layer("link values", {"depth": 1})).config.depth == 1


def test_a_nested_config_merges_over_layers_and_its_default() -> None:
    assert Outer.load(Layer("a", {"sink": {"depth": 9}})).config.sink == Sink(url="default", depth=9)
    values, secrets = Layer("values", {"tls": {"certFile": "c"}}), Layer("secrets", {"TLS": '{"passphrase": "p"}'}, secret=True)
    assert Outer.load(values, secrets).config.tls == Tls(cert_file=Path("c"), passphrase=Secret("p"))


def test_null_discards_what_earlier_layers_said_of_a_nested_config() -> None:
    given, none = Layer("a", {"tls": {"cert_file": "c"}}), Layer("b", {"tls": None})
    assert Outer.load(given, none).config.tls is None
    again = Layer("c", {"tls": {"cert_file": "d"}})
    assert Outer.load(given, none, again).config.tls == Tls(cert_file=Path("d"))


def test_a_secret_that_stands_in_a_plain_layer_is_told_with_setting_and_layer_and_without_its_value() -> None:
    plain = Layer("link values", {"PASSWORD": "hush", "tokens": "hush,hush", "name": "hush"})
    loaded = Everything.load(plain)
    assert loaded.exposed == [
        "link values: PASSWORD is a secret, and stands in plain configuration: give it as a secret",
        "link values: tokens is a secret, and stands in plain configuration: give it as a secret",
    ]
    over = Layer("link secrets", {"password": "hidden", "tokens": []}, secret=True)
    assert Everything.load(plain, over).exposed == []
    assert Everything.load(Layer("link values", {"password": ""})).exposed == []
    inside = Layer("link values", {"tls": {"cert_file": "/c", "passphrase": "hush"}})
    assert Outer.load(inside).exposed == [
        "link values: tls: passphrase is a secret, and stands in plain configuration: give it as a secret"
    ]


def test_bytes_that_are_no_text_are_refused_without_being_shown() -> None:
    with pytest.raises(InvalidArgument, match=r"^link secrets: password: <secret> \(bytes that are not UTF-8\) is not text$"):
        Everything.load(Layer("link secrets", {"password": b"\xff"}, secret=True))


def test_faults_and_warnings_inside_a_nested_config_name_the_way_to_it() -> None:
    assert fault(Outer, Layer("link values", {"sink": {"Depth": "x"}})) == 'link values: sink: Depth: "x" is not a whole number'
    assert fault(Outer, Layer("link values", {"tls": {}})) == "the required setting tls.cert_file is missing: Certificate chain, PEM."
    assert fault(Outer, Layer("link values", {"sink": "[]"})) == 'link values: sink: "[]" is not a JSON object'
    assert Outer.load(Layer("l", {"sink": {"dept": 1}})).warnings == ['l: sink: unknown setting "dept" is ignored: did you mean "depth"?']


def test_an_override_of_expand_unfolds_a_layer() -> None:
    class Official(Sink):
        @classmethod
        def expand(cls, layer: Layer) -> list[Layer]:
            return unfold_json(layer)

    values = {"config_json": '{"url": "inner", "depth": 5}', "URL": "outer"}
    assert Official.load(Layer("link values", values)).config == Official(url="outer", depth=5)
    assert fault(Official, Layer("link values", {"config_json": '{"depth": "x"}'})) == (
        'link values: config_json: depth: "x" is not a whole number'
    )
    both = fault(Official, Layer("first", {"config_json": "{"}), Layer("second", {"depth": "x"}))
    assert both == 'first: config_json: the value is not a JSON object; second: depth: "x" is not a whole number'


# types


@pytest.mark.parametrize("value", [True, "true", "YES", "On", "1", 1])
def test_words_for_true(value: object) -> None:
    assert read(ready=value).ready is True


@pytest.mark.parametrize("value", [False, "False", "no", "OFF", "0", 0])
def test_words_for_false(value: object) -> None:
    assert read(ready=value).ready is False


@pytest.mark.parametrize("value", ["maybe", "", 2, 1.0, None, [], HUGE])
def test_other_values_are_not_a_bool(value: object) -> None:
    assert link_fault(ready=value).endswith(" is not true or false")


@pytest.mark.parametrize(("value", "expected"), [(80, 80), ("80", 80), (" 80 ", 80), (80.0, 80), ("8e1", 80), ("80.0", 80)])
def test_whole_numbers(value: object, expected: int) -> None:
    port = read(port=value).port
    assert port == expected and type(port) is int


@pytest.mark.parametrize("value", ["http", 0, 65536, "-1", 1.5, "80s", True, None, "", "1_0", "٣", "0x10", HUGE, LONG, {}])
def test_other_values_are_not_a_port(value: object) -> None:
    assert link_fault(port=value).endswith(" is not a whole number from 1 to 65535")


@pytest.mark.parametrize(("value", "expected"), [(0.25, 0.25), ("0.1", 0.1), (1, 1.0), ("1e-3", 0.001)])
def test_numbers(value: object, expected: float) -> None:
    ratio = read(ratio=value).ratio
    assert ratio == expected and type(ratio) is float


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "inf", 1.01, "1e999", 10**400])
def test_other_values_are_not_a_share(value: object) -> None:
    assert link_fault(ratio=value).endswith(" is not a number from 0.0 to 1.0")


@pytest.mark.parametrize(
    ("value", "seconds"), [(2, 2.0), ("2", 2.0), ("500ms", 0.5), ("1.5s", 1.5), ("2m", 120.0), ("1h", 3600.0), ("1 S", 1.0), (0.1, 0.1)]
)
def test_times_in_seconds(value: object, seconds: float) -> None:
    assert read(wait=value).wait == seconds


@pytest.mark.parametrize(("value", "milliseconds"), [(2, 2), ("2", 2), ("1.5s", 1500), ("4.35s", 4350), ("2m", 120_000)])
def test_times_in_whole_milliseconds_are_exact(value: object, milliseconds: int) -> None:
    assert read(tick=value).tick == milliseconds


def test_what_is_no_time_is_refused_with_the_unit() -> None:
    assert link_fault(wait="2 weeks") == ('link values: wait: "2 weeks" is not a time in seconds (or with ms, s, m or h) of at least 0.001')
    assert link_fault(tick="0.5") == 'link values: tick: "0.5" is not a time in whole milliseconds (or with ms, s, m or h)'


@pytest.mark.parametrize(
    ("value", "size"),
    [(5, 5), ("5", 5), ("5b", 5), ("64MiB", 64 << 20), ("100M", 100 << 20), ("1G", 1 << 30), ("1.5 kB", 1536), ("2k", 2048)],
)
def test_sizes_count_in_multiples_of_1024(value: object, size: int) -> None:
    assert read(size=value).size == size


@pytest.mark.parametrize("value", ["1.3b", "ten", "5x", "1 000"])
def test_other_values_are_not_a_size(value: object) -> None:
    assert link_fault(size=value).endswith(" is not a size in bytes (or with k, m or g in multiples of 1024)")


def test_text_is_taken_as_it_is_and_nothing_else_is_text() -> None:
    assert read(name=" ä\n").name == " ä\n"
    assert link_fault(name=5) == "link values: name: 5 is not text"
    assert link_fault(name=None) == "link values: name: null is not text"


def test_a_path_is_neither_empty_nor_holds_a_zero_byte() -> None:
    assert read(folder="a/b").folder == Path("a/b")
    assert link_fault(folder="") == 'link values: folder: "" is not a path'
    assert link_fault(folder="a\0") == 'link values: folder: "a\\u0000" is not a path'


def test_choices_match_in_any_case_and_give_the_declared_value() -> None:
    assert read(mode="s3").mode == "S3"
    assert read(color="Dark-Blue").color is Color.DARK_BLUE
    assert read(level="INFO").level == "info"
    assert link_fault(mode="tape") == 'link values: mode: "tape" is not one of "fs", "S3"'
    assert link_fault(color="green") == 'link values: color: "green" is not one of "red", "dark-blue"'


def test_lists_are_json_or_separated_by_commas() -> None:
    assert read(tags="a, b,,c ").tags == ["a", "b", "c"]
    assert read(tags='["a", "b,c"]').tags == ["a", "b,c"]
    assert read(tags=["a"]).tags == ["a"]
    assert read(tags="").tags == []
    assert read(hosts="a,b").hosts == ("a", "b")
    assert read(ports="1,2").ports == [1, 2]


@pytest.mark.parametrize("value", ["[1", pytest.param("[" * 100_000, id="deep"), [1], {"a": "b"}, 5, None])
def test_other_values_are_not_a_list(value: object) -> None:
    assert link_fault(tags=value).endswith(" is not a list (JSON array or comma separated) whose every item is text")


def test_mappings_are_json_objects_with_keys_as_they_are() -> None:
    assert read(buckets={"A-b": "x", "a_B": "y"}).buckets == {"A-b": "x", "a_B": "y"}
    assert read(buckets='{"a": "b"}').buckets == {"a": "b"}
    assert link_fault(buckets='{"a": 1}').endswith(" is not a JSON object whose every value is text")


def test_an_optional_value_is_none_for_null_and_for_empty_text_unless_it_is_text() -> None:
    assert read(maybe=None).maybe is None
    assert read(maybe="").maybe is None
    assert read(maybe="5").maybe == 5
    assert read(note=None).note is None
    assert read(note="").note == ""
    assert read(level="").level is None
    assert Tls.load(Layer("l", {"cert_file": "c", "key_file": ""})).config.key_file is None


# errors


def test_every_fault_of_a_load_is_reported_in_one_line() -> None:
    text = fault(Tls, Layer("provider configuration", {"key-file": 5}), Layer("link values", {"passphrase": 1, "a": 1, "A": 2}))
    assert text == (
        'link values: "a" and "A" name the same setting: give only one of them; '
        "the required setting cert_file is missing: Certificate chain, PEM.; "
        "provider configuration: key-file: 5 is not a path; "
        "link values: passphrase: <secret> is not text"
    )


def test_a_long_or_odd_value_is_cut_and_escaped() -> None:
    text = link_fault(port="x\n\u202e\x7f" + "y" * 500)
    assert text.isprintable() and len(text) < 150


def test_an_odd_key_cannot_break_the_line() -> None:
    loaded = Everything.load(Layer("link values", {"a\nERROR forged\x1b[0m": 1}))
    assert all(warning.isprintable() for warning in loaded.warnings)


def test_a_value_of_a_secret_layer_is_never_shown() -> None:
    text = fault(Everything, Layer("link secrets", {"port": "hunter2", "tls": {"cert_file": ["hunter2"]}}, secret=True))
    assert "hunter2" not in text
    assert "link secrets: port: <secret> is not a whole number from 1 to 65535" in text
    assert "hunter2" not in repr(Layer("link secrets", {"port": "hunter2"}, secret=True))


def test_an_object_that_may_hold_a_secret_is_not_shown() -> None:
    assert link_fault(tls='{"passphrase": "hunter2"') == "link values: tls: <secret> is not a JSON object"
    assert "hunter2" not in link_fault(tokens='["hunter2", 5]')


# secrets


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    for text in (str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", f"{secret:>20}", f"{[secret]}", "%s" % (secret,)):  # noqa: UP031
        assert "hunter2" not in text and "<secret>" in text
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_secrets_compare_by_their_text_and_are_false_when_empty() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("") and Secret("a")
    assert copy.deepcopy(Secret("a")) == Secret("a")


# unfold_json


def encoded(value: object, *, url: bool = False, padded: bool = True) -> str:
    text = json.dumps(value).encode()
    result = (base64.urlsafe_b64encode(text) if url else base64.b64encode(text)).decode()
    return result if padded else result.rstrip("=")


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("url", [True, False])
@pytest.mark.parametrize("text", ["", "a", "ab", "???>>>~~~"])
def test_base64_is_read_in_either_alphabet_with_or_without_padding(text: str, url: bool, padded: bool) -> None:
    layer = Layer("link values", {"CONFIG_B64": encoded({"url": text}, url=url, padded=padded)})
    assert unfold_json(layer)[0].values == {"url": text}


def test_unfolded_layers_stand_below_the_rest_in_the_order_of_the_keys() -> None:
    layer = Layer("link secrets", {"url": "c", "config_json": {"url": "b"}, "config_b64": encoded({"url": "a"})}, secret=True)
    unfolded = unfold_json(layer)
    assert [(part.source, part.values, part.secret) for part in unfolded] == [
        ("link secrets: config_b64", {"url": "a"}, True),
        ("link secrets: config_json", {"url": "b"}, True),
        ("link secrets", {"url": "c"}, True),
    ]
    assert [part.values["url"] for part in unfold_json(layer, ("config_json", "config_b64"))] == ["b", "a", "c"]


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_official_form_is_skipped(value: object) -> None:
    layer = Layer("link values", {"config_json": value, "a": "b"})
    assert unfold_json(layer) == [Layer("link values", {"a": "b"})]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"config_json": "{hunter2"}, "l: config_json: the value is not a JSON object"),
        ({"config_json": '["hunter2"]'}, "l: config_json: the value is not a JSON object"),
        ({"Config_B64": "hunter2!"}, "l: Config_B64: the value is not base64 of a JSON object"),
        ({"config_b64": "hunter2ä"}, "l: config_b64: the value is not base64 of a JSON object"),
        ({"config_b64": encoded(["hunter2"])}, "l: config_b64: the value is not base64 of a JSON object"),
        ({"config_b64": "//79"}, "l: config_b64: the value is not base64 of a JSON object"),
        ({"config_b64": 5}, "l: config_b64: the value is not base64 of a JSON object"),
        ({"config_json": "", "CONFIG_JSON": ""}, 'l: "config_json" and "CONFIG_JSON" name the same setting: give only one of them'),
    ],
)
def test_a_faulty_official_form_is_one_line_that_names_the_key(values: dict[str, object], line: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        unfold_json(Layer("l", values))
    assert str(caught.value) == line
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)).replace(repr(values), "")


# schema and description


def test_the_schema_describes_every_setting() -> None:
    schema = json.loads(json.dumps(Everything.json_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["title"], schema["type"]) == ("Everything", "object")
    assert "required" not in schema
    properties = schema["properties"]
    assert list(properties) == [member.name for member in dataclasses.fields(Everything)]
    assert properties["name"] == {"type": "string", "description": "A name.", "default": "Hello", "x-aliases": ["title", "label"]}
    assert properties["port"] == {"type": "integer", "minimum": 1, "maximum": 65535, "description": "A port.", "default": 8000}
    assert properties["size"]["type"] == ["integer", "string"]
    assert properties["size"]["x-official"] == ["max_content_len"]
    assert properties["size"]["description"].startswith("A size. In bytes;")
    assert properties["password"] == {"type": "string", "writeOnly": True, "description": "A secret."}
    assert properties["folder"]["default"] == "/data"
    assert properties["mode"] == {"type": "string", "enum": ["fs", "S3"], "description": "A mode | or two.", "default": "fs"}
    assert properties["color"]["enum"] == ["red", "dark-blue"]
    assert properties["maybe"] == {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "Perhaps a number.", "default": None}
    assert properties["tags"]["items"] == {"type": "string"}
    assert properties["buckets"]["additionalProperties"] == {"type": "string"}
    assert properties["tls"]["anyOf"][0]["required"] == ["cert_file"]


def test_the_description_is_a_table_with_a_row_for_each_setting() -> None:
    lines = Everything.describe().splitlines()
    assert lines[0] == "| Setting | Value | Default | Meaning | Other names |"
    assert "| `port` | a whole number from 1 to 65535 | `8000` | A port. |  |" in lines
    assert '| `name` | text | `"Hello"` | A name. | `title`, `label` |' in lines
    assert "| `tls.cert_file` | a path | required | Certificate chain, PEM. |  |" in lines
    assert any("A mode \\| or two." in line for line in lines)
    assert len(lines) == 2 + len(dataclasses.fields(Everything)) + len(dataclasses.fields(Tls))


def test_neither_schema_nor_description_shows_a_secret_default() -> None:
    class Holder(Config):
        inner: Tls = setting(Tls(cert_file=Path("c"), passphrase=Secret("hunter2")), doc="Inner.")
        more: list[Secret] = setting([Secret("hunter2")], doc="More.")

    for text in (json.dumps(Everything.json_schema()), Everything.describe()):
        assert "default-secret" not in text
    assert "hunter2" not in repr(Holder())
    for text in (json.dumps(Holder.json_schema()), Holder.describe()):
        assert "hunter2" not in text


# typing and start-up


AUTHOR = """
from provider_sdk.config import Config, Secret, setting

class GreeterConfig(Config):
    greeting: str = setting("Hello", doc="Word placed before the name.")
    retries: int | None = setting(None, doc="How often.")
    token: Secret = setting(doc="Required.")

config = GreeterConfig.load().config
reveal_type(config)
reveal_type(GreeterConfig(greeting="x").greeting)
config.greeting = "y"
GreeterConfig(greeting=5)
wrong: int = setting("x", doc="d")
"""


def test_a_type_checker_understands_a_config(tmp_path: Path) -> None:
    (tmp_path / "author.py").write_text(AUTHOR)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
        "--cache-dir",
        str(tmp_path),
        str(tmp_path / "author.py"),
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stdout.splitlines()
    messages = [line.partition("author.py:")[2] for line in lines if "author.py:" in line]
    assert [message.partition("  [")[0].replace("builtins.", "") for message in messages] == [
        '10: note: Revealed type is "author.GreeterConfig"',
        '11: note: Revealed type is "str"',
        '12: error: Property "greeting" defined in "GreeterConfig" is read-only',
        '13: error: Argument "greeting" to "GreeterConfig" has incompatible type "int"; expected "str"',
        '14: error: Incompatible types in assignment (expression has type "str", variable has type "int")',
    ]


def test_importing_config_does_not_import_what_only_mistakes_need() -> None:
    code = "import sys, provider_sdk.config; print('difflib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# properties


SECRET = "s3cr3t-hunter2"
NAMES = Everything.names() + Tls.names()
keys = st.sampled_from(NAMES) | st.sampled_from(NAMES).map(str.upper) | st.sampled_from(["prot", "config_json"]) | st.text(max_size=8)
texts = st.text(max_size=12) | st.sampled_from(
    ["1", "true", "64MiB", "1.5s", "a,b", "[]", "{}", '{"cert_file": 1}', "[[", "1e9", "ß", "\ud800"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
documents = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=8)


class Unfolding(Everything):
    @classmethod
    def expand(cls, layer: Layer) -> list[Layer]:
        return unfold_json(layer)


@given(st.lists(st.dictionaries(keys, documents, max_size=6), max_size=3))
def test_any_values_load_or_are_an_invalid_argument_in_one_line(layers: list[dict[str, object]]) -> None:
    try:
        loaded = Unfolding.load(*(Layer(f"layer {number}", values) for number, values in enumerate(layers)))
    except InvalidArgument as error:
        assert str(error) and str(error).isprintable()
        assert error.__context__ is None
    else:
        assert all(warning.isprintable() for warning in loaded.warnings)
        assert isinstance(loaded.config.port, int) and 1 <= loaded.config.port <= 65535


containing = st.sampled_from(
    [SECRET, [SECRET], {"x": SECRET}, [5, SECRET], f'["{SECRET}"', {"passphrase": [SECRET]}, {"passphrase": SECRET}]
)


@given(st.dictionaries(st.sampled_from(["password", "tokens", "tls"]), containing), st.dictionaries(keys, scalars, max_size=4))
def test_no_secret_setting_is_ever_shown(secrets: dict[str, object], others: dict[str, object]) -> None:
    assert_hidden(Layer("link values", {**others, **secrets}))


@given(st.dictionaries(keys, containing | st.builds(lambda value: {"port": value}, containing)))
def test_no_value_of_a_secret_layer_is_ever_shown(secrets: dict[str, object]) -> None:
    assert_hidden(Layer("link secrets", secrets, secret=True))


def assert_hidden(layer: Layer) -> None:
    try:
        loaded = Everything.load(layer)
    except InvalidArgument as error:
        assert SECRET not in f"{error}{error.detail}{error!r}"
        assert error.__cause__ is None and error.__context__ is None
    else:
        assert SECRET not in f"{loaded}{loaded.warnings}{layer}"
