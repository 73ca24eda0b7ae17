"""Layers of configuration as an operator gives them: names in every spelling, precedence, official forms."""

from __future__ import annotations

import base64
import json
import traceback
from pathlib import Path

import pytest

from provider_sdk.config import Layer, Secret, unfold_json
from provider_sdk.errors import InvalidArgument
from tests.unit.config_examples import Everything, Listener, Outer, Sink, Tls, fault, link_fault, read

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
