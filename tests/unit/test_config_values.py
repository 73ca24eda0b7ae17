"""Values of settings: what each type takes, and what it says of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider_sdk.config import Layer
from tests.unit.config_examples import Color, Tls, link_fault, read

HUGE = pytest.param(10**5000, id="an int too long to print")
LONG = pytest.param("9" * 5000, id="digits too many to read")


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
