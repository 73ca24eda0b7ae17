"""The examples are the end-to-end suite: what their texts promise is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.integration.test_dev import EXAMPLES, Terminal

PRIMES = {number for number in range(2, 100) if all(number % divisor for divisor in range(2, number))}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def python(terminal: Terminal, *arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=terminal.folder, capture_output=True, text=True, timeout=150, check=True).stdout


@pytest.mark.parametrize("manner", ["rust", "otp"])
def test_an_actor_asks_whoever_answers_and_primes_answer_without_a_link(terminal: Terminal, manner: str) -> None:
    with terminal.running("up", str(terminal.example("primes", "wadm-actor.yaml")), "--manner", manner):
        answers = {int(terminal.get("/?min=1&max=99")[1]) for _ in range(20)}
        assert answers <= PRIMES
        asked = python(terminal, str(EXAMPLES / "primes" / "ask.py"), "primes", "--count", "20")
        assert {int(word) for word in asked.split()} <= PRIMES


@pytest.mark.parametrize("manner", ["rust", "otp"])
def test_with_a_link_the_provider_answers_the_same_actor_and_the_same_program(terminal: Terminal, manner: str) -> None:
    with terminal.running("up", str(terminal.example("primes", "wadm-provider.yaml")), "--manner", manner):
        answers = {int(terminal.get("/?min=1&max=99")[1]) for _ in range(40)}
        assert answers <= set(range(1, 100))
        assert not answers <= PRIMES
        asked = python(terminal, str(EXAMPLES / "primes" / "ask.py"), "numbergen", "--count", "60")
        assert not {int(word) for word in asked.split()} <= PRIMES


def test_the_greeter_answers_actor_and_program(terminal: Terminal) -> None:
    with terminal.running("up", str(terminal.example("greeter"))):
        assert terminal.get("/Ada") == (200, "Good day, Ada!\n")
        assert "Ada!" in python(terminal, str(EXAMPLES / "greeter" / "caller.py"), "Ada")


@pytest.mark.parametrize("manner", ["rust", "otp"])
def test_hello_counts_its_visits_and_remembers_them_when_all_is_started_anew(terminal: Terminal, manner: str) -> None:
    manifest = str(terminal.example("hello"))
    for visits in (["1", "2", "3"], ["4"]):
        with terminal.running("up", manifest, "--manner", manner):
            assert [visit(terminal) for _ in visits] == visits
            assert not re.search("^keyvalue: ", terminal.output(), re.MULTILINE)


def visit(terminal: Terminal) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{terminal.port}/", headers={"Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        (count,) = re.findall(r'id="visits">(\d+)<', answer.read().decode())
    return str(count)


def test_the_readme_shows_the_greeter_as_it_is() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text()
    (shown,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert shown == (EXAMPLES / "greeter" / "greeter.py").read_text()
