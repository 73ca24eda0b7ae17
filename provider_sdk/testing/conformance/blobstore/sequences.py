"""Sequences of operations that Hypothesis makes up, on a store and on the model: the same answers, errors and objects at the end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from provider_sdk.testing.conformance.blobstore.box import Box
from provider_sdk.testing.conformance.blobstore.history import ENCODINGS, LABELS, PLAIN, TYPES, UPLOADS, Player, Step, expected
from provider_sdk.testing.conformance.blobstore.model import Kept, Model
from provider_sdk.testing.conformance.blobstore.suite import BlobstoreSuite

IN = st.sampled_from([LABELS[0], *LABELS])
NAMES = st.sampled_from(PLAIN[:5])
BYTES = st.binary(max_size=20)
KEPT = st.builds(Kept, BYTES, st.sampled_from(TYPES), st.sampled_from(ENCODINGS))
NUMBERS = st.sampled_from(UPLOADS)
ENDS = st.none() | st.sampled_from(["", *PLAIN[:6], "a0", "b", "\U0010ffff"])

Play = Callable[[Step], Any]


class BlobstoreMachine(RuleBasedStateMachine):
    """Does on a store what it does on the model. `begin` is set by `machine`: what carries out steps in containers of a new sequence."""

    begin: Callable[[], Play]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.play = self.begin()
        self.same = True
        self.both("create_container", LABELS[0])

    def both(self, operation: str, *arguments: Any) -> None:
        """The answers are the same; AssertionError."""
        step = Step(operation, arguments)
        told, found = expected(self.model, step), self.play(step)
        self.same = found == told
        assert self.same, f"{step}: {found!r}, and the model says {told!r}"

    @rule(label=IN)
    def create_container(self, label: str) -> None:
        """CreateContainer."""
        self.both("create_container", label)

    @rule(operation=st.sampled_from(["container_exists", "container_info"]), label=IN)
    def look_at_a_container(self, operation: str, label: str) -> None:
        """ContainerExists, GetContainerInfo."""
        self.both(operation, label)

    @rule()
    def list_containers(self) -> None:
        """ListContainers."""
        self.both("list_containers")

    @rule(labels=st.lists(IN, max_size=2))
    def remove_containers(self, labels: list[str]) -> None:
        """RemoveContainers."""
        if not any(map(self.model.sending, labels)):
            self.both("remove_containers", labels)

    @rule(label=IN, name=NAMES, kept=KEPT)
    def put(self, label: str, name: str, kept: Kept) -> None:
        """PutObject."""
        self.both("put", label, name, kept)

    @rule(number=NUMBERS, label=IN, name=NAMES, kept=KEPT)
    def begin_an_upload(self, number: int, label: str, name: str, kept: Kept) -> None:
        """PutObject that goes on."""
        self.both("begin", number, label, name, kept)

    @rule(number=NUMBERS, data=BYTES, last=st.booleans())
    def go_on(self, number: int, data: bytes, last: bool) -> None:
        """PutChunk."""
        stream = self.model.streams.get(number)
        self.both("chunk", number, len(stream.kept.data) if stream else 0, data, last)

    @rule(number=NUMBERS, data=BYTES, back=st.integers(1, 5))
    def repeat_a_chunk(self, number: int, data: bytes, back: int) -> None:
        """PutChunk with an offset that was."""
        stream = self.model.streams.get(number)
        if stream and len(stream.kept.data) >= back:
            self.both("chunk", number, len(stream.kept.data) - back, data, False)

    @rule(number=NUMBERS)
    def cancel(self, number: int) -> None:
        """PutChunk with cancelAndRemove."""
        self.both("cancel", number)

    @rule(operation=st.sampled_from(["exists", "info"]), label=IN, name=NAMES)
    def look_at_an_object(self, operation: str, label: str, name: str) -> None:
        """ObjectExists, GetObjectInfo."""
        self.both(operation, label, name)

    @rule(label=IN, name=NAMES, start=st.none() | st.integers(0, 25), length=st.none() | st.integers(0, 25))
    def get(self, label: str, name: str, start: int | None, length: int | None) -> None:
        """GetObject."""
        self.both("get", label, name, start, None if length is None else (start or 0) + length)

    @rule(place=st.integers(0, 5), start=st.none() | st.integers(0, 8), length=st.none() | st.integers(0, 8))
    def get_what_is_there(self, place: int, start: int | None, length: int | None) -> None:
        """GetObject; of an object that is there."""
        there = self.model.there()
        if there:
            self.both("get", *there[place % len(there)], start, None if length is None else (start or 0) + length)

    @rule(place=st.integers(0, 5))
    def look_at_what_is_there(self, place: int) -> None:
        """ObjectExists, GetObjectInfo; of an object that is there."""
        there = self.model.there()
        for operation in ("exists", "info") if there else ():
            self.both(operation, *there[place % len(there)])

    @rule(label=IN, start=ENDS, end=ENDS, before=ENDS, most=st.none() | st.integers(0, 4))
    def list_objects(self, label: str, start: str | None, end: str | None, before: str | None, most: int | None) -> None:
        """ListObjects."""
        self.both("objects", label, start, end, before, most)

    @rule(label=IN, names=st.lists(NAMES, max_size=3))
    def remove(self, label: str, names: list[str]) -> None:
        """RemoveObjects."""
        self.both("remove", label, names)

    def teardown(self) -> None:
        """Everything that the model holds is there, and nothing of what it does not hold; then it is removed."""
        try:
            self.both("list_containers") if self.same else None
            for label, held in self.model.containers.items() if self.same else ():
                self.both("objects", label, None, None, None, None)
                for name in held:
                    self.both("get", label, name, None, None)
                    self.both("get", label, name, 1, 3)
                    self.both("info", label, name)
        finally:
            for number in self.model.streams:
                self.play(Step("cancel", (number,)))
            self.play(Step("remove_containers", (list(LABELS),)))


def machine(begin: Callable[[], Play]) -> type[BlobstoreMachine]:
    """A state machine; `begin` gives what carries out the steps of one sequence, in containers of its own."""
    return type("BlobstoreSequence", (BlobstoreMachine,), {"begin": staticmethod(begin)})


class Sequences(BlobstoreSuite):
    """`examples` sequences of up to `steps` operations."""

    def _players(self, box: Box) -> Callable[[], Play]:
        """Players that a thread may use, while the test's loop runs."""
        loop, turns = asyncio.get_running_loop(), itertools.count()

        def begin() -> Play:
            player = Player(box, f"{self.prefix}{next(turns)}-")
            return lambda step: asyncio.run_coroutine_threadsafe(player.play(step), loop).result()

        return begin

    async def test_any_sequence_of_operations_does_what_the_model_does(self) -> None:
        wanted = settings(
            max_examples=self.examples,
            stateful_step_count=self.steps,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        async with self.box() as box:
            # In a thread: Hypothesis waits for each answer, and the store lives on the test's loop.
            await asyncio.to_thread(run_state_machine_as_test, machine(self._players(box)), settings=wanted)
