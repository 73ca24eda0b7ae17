"""What is told of a faulty configuration: every fault, in one line, and no secret."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk.config import Layer, Secret, unfold_json
from provider_sdk.errors import InvalidArgument
from tests.unit.config_examples import Everything, Tls, fault, link_fault

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
