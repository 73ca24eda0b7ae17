"""Sequences of operations that Hypothesis makes up, on a store and on the model: the same answers, errors and data at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.errors import Code, ProviderError
from provider_sdk.testing.conformance.keyvalue.model import Model
from provider_sdk.testing.conformance.keyvalue.suite import HIGHEST, LOWEST, KeyValueSuite

Open = Callable[[], AbstractAsyncContextManager[KeyValue]]

NAMED = ("", "a:b", "ключ")
KEYS = st.sampled_from(NAMED)
NUMBERS = st.sampled_from(["0", "1", "-7", str(HIGHEST), str(LOWEST), str(HIGHEST + 1), "01", "-0"])
VALUES = st.one_of(st.sampled_from(["", "x", "y"]), NUMBERS, st.text(st.characters(codec="utf-8"), max_size=20))
MEMBERS = st.one_of(st.sampled_from(["", "x"]), VALUES)
STEPS = st.one_of(st.integers(-3, 3), st.sampled_from([LOWEST, HIGHEST]), st.integers(LOWEST, HIGHEST))
ENDS = st.one_of(st.integers(-5, 5), st.integers(LOWEST, HIGHEST))
NAMES = st.lists(KEYS, max_size=4)
UNORDERED = ("set_query", "set_union", "set_intersection")


@dataclass(frozen=True, slots=True)
class _Asked:
    answer: Future[Any]
    operation: str
    arguments: tuple[Any, ...]


class Session:
    """A store that a thread uses while it is entered on an event loop, in one task from the beginning to the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, open_store: Open) -> None:
        self._loop = loop
        self._calls: asyncio.Queue[_Asked | None] = asyncio.Queue()
        opened: Future[None] = Future()
        self._done = asyncio.run_coroutine_threadsafe(self._serve(open_store, opened), loop)
        opened.result()

    def call(self, operation: str, *arguments: Any) -> Any:
        """Carry out one operation and wait."""
        asked = _Asked(Future(), operation, arguments)
        self._loop.call_soon_threadsafe(self._ask, asked)
        return asked.answer.result()

    def close(self) -> None:
        """Leave the store."""
        self._loop.call_soon_threadsafe(self._calls.put_nowait, None)
        self._done.result()

    def _ask(self, asked: _Asked) -> None:
        if self._done.done():
            asked.answer.cancel()
        else:
            self._calls.put_nowait(asked)

    async def _serve(self, open_store: Open, answer: Future[Any]) -> None:
        # Whatever ends this task is told to the thread, which waits for `answer`.
        try:
            async with open_store() as store:
                answer.set_result(None)
                while (asked := await self._calls.get()) is not None:
                    answer = asked.answer
                    try:
                        answer.set_result(await getattr(store, asked.operation)(*asked.arguments))
                    except Exception as error:
                        answer.set_exception(error)
        except BaseException as error:
            if not answer.done():
                answer.set_exception(error)
            raise


def outcome(call: Callable[..., Any], operation: str, *arguments: Any) -> Any:
    """What came of a call, in a form that can be compared: the result, or the code of the error."""
    try:
        found = call(*arguments)
    except ProviderError as error:
        return Code(error.code)
    return sorted(found) if operation in UNORDERED else found


class KeyValueMachine(RuleBasedStateMachine):
    """Does on a store what it does on the model. `open_session` is set by `machine`."""

    open_session: Callable[[], Session]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.session = self.open_session()
        self.same = True

    def both(self, operation: str, *arguments: Any) -> None:
        """The answers are the same; AssertionError."""
        expected = outcome(getattr(self.model, operation), operation, *arguments)
        found = outcome(lambda *given: self.session.call(operation, *given), operation, *arguments)
        self.same = found == expected
        assert self.same, f"{operation}{arguments}: {found!r}, and the model says {expected!r}"

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        """Get."""
        self.both("get", key)

    @rule(key=KEYS, value=VALUES, expires=st.sampled_from([0]))
    def set(self, key: str, value: str, expires: int) -> None:
        """Set."""
        self.both("set", key, value, expires)

    @rule(operation=st.sampled_from(["delete", "list_clear", "set_clear"]), key=KEYS)
    def remove(self, operation: str, key: str) -> None:
        """What removes any kind."""
        self.both(operation, key)

    @rule(key=KEYS)
    def contains(self, key: str) -> None:
        """Contains."""
        self.both("contains", key)

    @rule(key=KEYS, step=STEPS)
    def increment(self, key: str, step: int) -> None:
        """Increment."""
        self.both("increment", key, step)

    @rule(operation=st.sampled_from(["list_add", "set_add"]), key=KEYS, value=MEMBERS)
    def add_a_member(self, operation: str, key: str, value: str) -> None:
        """ListAdd, SetAdd."""
        self.both(operation, key, value)

    @rule(operation=st.sampled_from(["list_del", "set_del"]), key=KEYS, value=MEMBERS)
    def remove_some_member(self, operation: str, key: str, value: str) -> None:
        """ListDel, SetDel; of what is seldom there."""
        self.both(operation, key, value)

    @rule(key=KEYS, place=st.integers(0, 3))
    def remove_a_member_that_is_there(self, key: str, place: int) -> None:
        """ListDel, SetDel; on what has members."""
        held = self.model.held.get(key, "")
        if not isinstance(held, str):
            self.both("list_del" if isinstance(held, list) else "set_del", key, sorted(held)[place % len(held)])

    @rule(key=KEYS, start=ENDS, stop=ENDS)
    def list_range(self, key: str, start: int, stop: int) -> None:
        """ListRange."""
        self.both("list_range", key, start, stop)

    @rule(operation=st.sampled_from(["set_union", "set_intersection"]), keys=NAMES)
    def members(self, operation: str, keys: list[str]) -> None:
        """Several sets at once."""
        self.both(operation, keys)

    @rule(key=KEYS)
    def set_query(self, key: str) -> None:
        """SetQuery."""
        self.both("set_query", key)

    def teardown(self) -> None:
        """Everything that the model holds is there, and nothing of what it does not hold."""
        try:
            for key in (*NAMED, "another") if self.same else ():
                for operation, rest in (("contains", ()), ("get", ()), ("list_range", (0, -1)), ("set_query", ())):
                    self.both(operation, key, *rest)
        finally:
            self.session.close()


def machine(open_session: Callable[[], Session]) -> type[KeyValueMachine]:
    """A state machine for the stores that `open_session` gives, a new and empty one for each sequence."""
    return type("KeyValueSequence", (KeyValueMachine,), {"open_session": staticmethod(open_session)})


class Sequences(KeyValueSuite):
    """`examples` sequences of up to `steps` operations."""

    async def test_any_sequence_of_operations_does_what_the_model_does(self) -> None:
        loop = asyncio.get_running_loop()
        wanted = settings(
            max_examples=self.examples,
            stateful_step_count=self.steps,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        # In a thread: Hypothesis waits for each answer, and the store lives on the test's loop.
        await asyncio.to_thread(run_state_machine_as_test, machine(lambda: Session(loop, self.store)), settings=wanted)
