"""The judge of histories says yes to what some order explains, and no to the rest."""

from __future__ import annotations

import random
from collections.abc import Hashable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk.contracts.keyvalue import GetResponse
from provider_sdk.errors import Code
from provider_sdk.testing.conformance.keyvalue.history import Recorder, step
from provider_sdk.testing.conformance.linearizability import Call, first_without_order, linearizable


def found(value: str) -> GetResponse:
    return GetResponse(value, exists=True)


def put(value: str, started: int, ended: int | None) -> Call:
    return Call("set", (value, 0), started, ended)


def get(value: str | None, started: int, ended: int) -> Call:
    return Call("get", (), started, ended, GetResponse() if value is None else found(value))


def add(step: int, total: int, started: int, ended: int | None) -> Call:
    return Call("increment", (step,), started, ended, total)


GOOD = {
    "nothing": [],
    "one after the other": [put("1", 0, 1), get("1", 2, 3), add(1, 2, 4, 5), get("2", 6, 7)],
    "a write seen while it is made": [put("1", 0, 9), get("1", 1, 2), get("1", 3, 4)],
    "a write not seen yet while it is made": [put("1", 0, 9), get(None, 1, 2), get("1", 3, 4)],
    "two writes at once, in either order": [put("1", 0, 5), put("2", 0, 5), get("1", 6, 7)],
    "a write without an answer that happened": [put("1", 0, None), get(None, 1, 2), get("1", 3, 4)],
    "a write without an answer that never happened": [put("1", 0, None), get(None, 1, 2), get(None, 3, 4)],
    "a write without an answer that happened late": [put("1", 0, None), put("2", 1, 2), get("2", 3, 4), get("1", 5, 6)],
    "increments at once": [add(1, 2, 0, 9), add(1, 1, 0, 9), add(1, 3, 0, 9)],
    "a refused increment": [put("x", 0, 1), Call("increment", (1,), 2, 3, Code.PRECONDITION_FAILED), get("x", 4, 5)],
    "a delete that found nothing because another was first": [
        put("1", 0, 1),
        Call("delete", (), 2, 9, False),
        Call("delete", (), 2, 9, True),
    ],
    "calls that touch are at the same time": [put("1", 0, 5), get(None, 5, 6)],
}
BAD = {
    "a stale read": [put("1", 0, 1), put("2", 2, 3), get("1", 4, 5)],
    "a value that nobody wrote": [put("1", 0, 1), get("3", 2, 3)],
    "a write that is lost": [put("1", 0, 1), get(None, 2, 3)],
    "a write seen before it was made": [get("1", 0, 1), put("1", 2, 3)],
    "a value that comes and goes": [put("1", 0, 9), get("1", 1, 2), get(None, 3, 4)],
    "two readers who see two writes in different orders": [
        *(put("1", 0, 9), put("2", 0, 9), get("1", 1, 2), get("2", 3, 4), get("1", 5, 6), get("2", 7, 8)),
    ],
    "an increment that is lost": [add(1, 1, 0, 5), add(1, 1, 0, 5)],
    "an increment done twice": [add(1, 1, 0, 1), get("2", 2, 3)],
    "a refused increment that changed something": [put("x", 0, 1), Call("increment", (1,), 2, 3, Code.PRECONDITION_FAILED), get("1", 4, 5)],
    "two deletes that both removed": [put("1", 0, 1), Call("delete", (), 2, 9, True), Call("delete", (), 2, 9, True)],
    "a write without an answer that happened twice": [put("1", 0, None), get("1", 1, 2), put("2", 3, 4), get("1", 5, 6)],
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_a_history_that_some_order_explains_is_good(history: list[Call]) -> None:
    assert linearizable(history, step, None)
    assert first_without_order(history, step, None) == []


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_a_history_that_no_order_explains_is_bad(history: list[Call]) -> None:
    assert not linearizable(history, step, None)
    assert first_without_order(history, step, None)


def test_the_first_impossible_answer_is_named_and_what_came_later_is_left_out() -> None:
    history = [put("1", 0, 1), get("1", 2, 3), get("7", 4, 5), get("1", 6, 7), put("8", 2, 9)]
    shortest = first_without_order(history, step, None)
    assert shortest[-1] == get("7", 4, 5)
    assert get("1", 6, 7) not in shortest
    assert replace(put("8", 2, 9), ended=None) in shortest


def test_a_recorder_names_the_key_and_the_answer() -> None:
    recorder = Recorder()
    recorder.calls = [("a", put("1", 0, 1)), ("b", get(None, 2, 3))]
    recorder.judge()
    recorder.calls.append(("a", get("2", 2, 3)))
    with pytest.raises(AssertionError, match=r"key 'a': no order of the calls explains get\(\) -> .*'2'"):
        recorder.judge()


def by_trying_all(calls: list[Call]) -> bool:
    """The definition, read literally: any subset of the unanswered, any order that keeps what was over before another began."""
    answered = [call for call in calls if call.ended is not None]
    pending = [call for call in calls if call.ended is None]
    return any(
        explains(order)
        for mask in range(1 << len(pending))
        for order in permutations(answered + [call for number, call in enumerate(pending) if mask >> number & 1])
    )


def explains(order: tuple[Call, ...]) -> bool:
    for number, call in enumerate(order):
        if any(later.ended is not None and later.ended < call.started for later in order[number + 1 :]):
            return False
    state: Hashable = None
    for call in order:
        state, outcome = step(state, call)
        if call.ended is not None and outcome != call.outcome:
            return False
    return True


CHOICES: list[tuple[str, tuple[Any, ...], list[Any]]] = [
    ("get", (), [GetResponse(), found("1"), found("2")]),
    ("set", ("1", 0), [None]),
    ("set", ("2", 0), [None]),
    ("increment", (1,), [1, 2, 3]),
    ("delete", (), [True, False]),
]


@st.composite
def histories(draw: st.DrawFn) -> list[Call]:
    calls = []
    for _ in range(draw(st.integers(0, 5))):
        started = draw(st.integers(0, 8))
        ended = draw(st.one_of(st.none(), st.integers(started, 9)))
        operation, arguments, outcomes = draw(st.sampled_from(CHOICES))
        outcome: Any = draw(st.sampled_from(outcomes))
        calls.append(Call(operation, arguments, started, ended, outcome))
    return calls


@given(histories())
def test_the_search_says_what_trying_all_orders_says(history: list[Call]) -> None:
    assert linearizable(history, step, None) == by_trying_all(history)


@pytest.mark.parametrize("seed", range(5))
def test_a_long_history_of_a_store_that_is_right_is_good_and_with_one_answer_changed_is_bad(seed: int) -> None:
    chance = random.Random(seed)
    state: Hashable = None
    calls: list[Call] = []
    for moment in range(200):  # each call happens at 10 * moment, within a span that overlaps some twenty others
        operation, arguments = chance.choice([("get", ()), ("increment", (1,)), ("increment", (5,)), ("contains", ())])
        call = Call(operation, arguments, 10 * moment - chance.randrange(100), 10 * moment + chance.randrange(1, 100))
        state, outcome = step(state, call)
        calls.append(replace(call, outcome=outcome))
    assert linearizable(calls, step, None)
    number = next(number for number in range(170, 200) if calls[number].operation == "increment")
    wrong = [*calls[:number], replace(calls[number], outcome=calls[number].outcome + 7), *calls[number + 1 :]]
    assert not linearizable(wrong, step, None)
