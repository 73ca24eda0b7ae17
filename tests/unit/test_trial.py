"""What a program says of settings when it is asked with --settings: the same that a link would, without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provider_sdk import Config, InvalidArgument, Secret, setting
from provider_sdk.runtime.trial import judge

GREETER = Path(__file__).parents[2] / "examples" / "greeter" / "greeter.py"


class StoreConfig(Config):
    address: str = setting(doc="Where it is.")
    connections: int = setting(5, minimum=1, doc="At once.")
    user: str | None = setting(None, doc="Who.")
    password: Secret | None = setting(None, doc="The password.")

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password is None):
            raise InvalidArgument("user and password: one is there without the other")
        if self.password is not None and self.password.reveal() == "unknown":
            raise InvalidArgument("password: too short")


def given(values: dict[str, Any] | None = None, *secrets: str) -> dict[str, Any]:
    return {"values": values or {}, "secrets": list(secrets)}


def of_link(values: dict[str, Any], *secrets: str, own: dict[str, Any] | None = None) -> dict[str, list[str]]:
    (verdict,) = judge(StoreConfig, {"own": own or given(), "links": [given(values, *secrets)]})["links"]
    found: dict[str, list[str]] = verdict
    return found


def test_what_is_right_is_told_by_empty_lists() -> None:
    assert of_link({"address": "a"}) == {"faults": [], "warnings": [], "exposed": []}


def test_each_fault_is_told_by_itself_and_unknown_names_and_bare_secrets_beside_it() -> None:
    found = of_link({"connections": "many", "pasword": "x", "password": "hunter2", "user": "u"})
    assert found == {
        "faults": [
            "the required setting address is missing: Where it is.",
            'link values: connections: "many" is not a whole number of at least 1',
        ],
        "warnings": ['link values: unknown setting "pasword" is ignored: did you mean "password"?'],
        "exposed": ["link values: password is a secret, and stands in plain configuration: give it as a secret"],
    }


def test_a_link_s_settings_are_those_of_the_provider_and_its_own() -> None:
    assert of_link({}, own=given({"address": "a"}))["faults"] == []
    assert of_link({"address": "a"}, own=given({"connections": "0"}))["faults"] == [
        'provider configuration: connections: "0" is not a whole number of at least 1'
    ]


def test_a_secret_counts_as_given_and_its_value_is_no_fault() -> None:
    assert of_link({"user": "u"}, "address", "password")["faults"] == []
    assert of_link({"user": "u"}, own=given({}, "address", "password"))["faults"] == []
    assert of_link({"address": "a"}, "connections")["faults"] == []
    assert of_link({"address": "a", "connections": "x"}, "password", "user")["faults"] == [
        'link values: connections: "x" is not a whole number of at least 1'
    ]
    assert of_link({"address": "a"}, "adress")["warnings"] == ['link secrets: unknown setting "adress" is ignored: did you mean "address"?']


def test_settings_of_the_process_are_the_provider_s_own() -> None:
    own = given({"max_calls": "none", "anything": "else"})
    asked = {"own": own, "links": [given({"address": "a", "max_calls": "5"})]}
    answer = judge(StoreConfig, asked)
    assert answer["own"] == {
        "faults": ['provider configuration: max_calls: "none" is not a whole number of at least 1'],
        "warnings": [],
        "exposed": [],
    }
    assert answer["links"][0]["warnings"] == [
        'provider configuration: unknown setting "anything" is ignored',
        "link values: max_calls is ignored: it belongs in the provider's own configuration",
    ]


def ask(question: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(GREETER), "--settings"]
    return subprocess.run(command, input=question, capture_output=True, text=True, timeout=60, check=False)


def test_a_program_answers_as_json() -> None:
    done = ask(json.dumps({"own": given(), "links": [given({"greting": "Hi"})]}))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["links"][0]["warnings"] == [
        'link values: unknown setting "greting" is ignored: did you mean "greeting"?'
    ]


@pytest.mark.parametrize("question", ["", "{", "[]", '{"own": 5, "links": []}', '{"own": {"values": {}}, "links": [{}]}'])
def test_a_question_that_is_none_is_one_line(question: str) -> None:
    done = ask(question)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("--settings: the standard input is not what is asked for: ")
