"""Sequences of functions that Hypothesis makes up, on a store and on dictionaries: the same answers, errors and objects at the end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from provider_sdk.errors import InvalidArgument, NotFound, ProviderError, Unavailable
from provider_sdk.testing.conformance.blobstore.component_box import AnyBlobstore, ComponentBox, Source
from provider_sdk.testing.conformance.blobstore.component_suite import WasiBlobstoreSuite

Objects = dict[str, bytes]
Step = tuple[str, tuple[Any, ...]]

CONTAINERS = ("one", "two")
IN = st.sampled_from([CONTAINERS[0], *CONTAINERS])
NAMES = st.sampled_from(["a", "b-c", "b/c", "b/d/e", "é"])
BYTES = st.binary(max_size=20)
PLACES = st.integers(0, 25)
COUNTS = st.none() | st.integers(0, 6)
STEPS: st.SearchStrategy[Step] = st.one_of(
    *(st.tuples(st.just(name), st.tuples(IN)) for name in ("create", "exists", "clear", "delete")),
    st.tuples(st.just("names"), st.tuples(IN, COUNTS, COUNTS)),
    *(st.tuples(st.just(name), st.tuples(IN, NAMES, st.lists(BYTES, max_size=3))) for name in ("put", "put", "put", "break_off")),
    *(st.tuples(st.just(name), st.tuples(IN, NAMES)) for name in ("has", "size")),
    *(st.tuples(st.just("get"), st.tuples(IN, NAMES, PLACES, PLACES)) for _ in range(3)),
    *(st.tuples(st.just(name), st.tuples(IN, NAMES, IN, NAMES)) for name in ("copy", "move")),
    st.tuples(st.just("remove"), st.tuples(IN, st.lists(NAMES, max_size=3))),
)


@dataclass
class ComponentModel:
    """What a step does to dictionaries."""

    containers: dict[str, Objects] = field(default_factory=dict)

    def _objects(self, label: str) -> Objects:
        if label not in self.containers:
            raise NotFound(label)
        return self.containers[label]

    def _object(self, label: str, name: str) -> bytes:
        if name not in self._objects(label):
            raise NotFound(name)
        return self.containers[label][name]

    def create(self, label: str) -> None:
        """create-container."""
        self.containers.setdefault(label, {})

    def exists(self, label: str) -> bool:
        """container-exists."""
        return label in self.containers

    def clear(self, label: str) -> None:
        """clear-container."""
        self._objects(label).clear()

    def delete(self, label: str) -> None:
        """delete-container."""
        self._objects(label)
        del self.containers[label]

    def names(self, label: str, limit: int | None, offset: int | None) -> list[str]:
        """list-container-objects."""
        return sorted(self._objects(label), key=str.encode)[offset or 0 :][:limit]

    def put(self, label: str, name: str, pieces: list[bytes]) -> None:
        """write-container-data."""
        self._objects(label)[name] = b"".join(pieces)

    def break_off(self, label: str, name: str, pieces: list[bytes]) -> None:
        """write-container-data with a stream that does not end."""
        self._objects(label)
        raise Unavailable(name)

    def has(self, label: str, name: str) -> bool:
        """has-object."""
        return name in self.containers.get(label, {})

    def size(self, label: str, name: str) -> int:
        """get-object-info."""
        return len(self._object(label, name))

    def get(self, label: str, name: str, start: int, end: int) -> bytes:
        """get-container-data."""
        if start > end:
            raise InvalidArgument(f"{start} to {end}")
        return self._object(label, name)[start:end]

    def copy(self, label: str, name: str, other: str, target: str) -> None:
        """copy-object."""
        data = self._object(label, name)
        self._objects(other)[target] = data

    def move(self, label: str, name: str, other: str, target: str) -> None:
        """move-object."""
        self.copy(label, name, other, target)
        if (label, name) != (other, target):
            del self.containers[label][name]

    def remove(self, label: str, names: list[str]) -> None:
        """delete-objects."""
        held = self._objects(label)
        for name in names:
            held.pop(name, None)


class ComponentPlayer:
    """Carries out steps on a store; the names of its containers begin with `prefix`."""

    def __init__(self, store: AnyBlobstore, prefix: str) -> None:
        self.store = store
        self._boxes = {label: ComponentBox(store, prefix + label) for label in CONTAINERS}

    async def play(self, step: Step) -> Any:
        """The answer to a step."""
        operation, (label, *arguments) = step
        box = self._boxes[label]
        match operation:
            case "create" | "delete" | "clear":
                return await getattr(self.store, f"{operation}_container")(box.id)
            case "exists":
                return await self.store.container_exists(box.id)
            case "put" | "break_off":
                name, pieces = arguments
                return await box.write(name, Source(pieces, broken=operation == "break_off"))
            case "copy" | "move":
                name, other, target = arguments
                return await getattr(self.store, f"{operation}_object")(box.of(name), self._boxes[other].of(target))
            case "size":
                return (await box.info(*arguments)).size
            case "remove":
                return await box.remove(*arguments[0])
            case _:
                return await getattr(box, operation)(*arguments)


class ComponentSequences(WasiBlobstoreSuite):
    """`examples` sequences of up to `steps` functions."""

    async def test_any_sequence_of_functions_does_what_dictionaries_do(self) -> None:
        turns = itertools.count()
        async with self.box() as box:

            async def check(steps: list[Step]) -> None:
                player, model = ComponentPlayer(box.store, f"{self.prefix}{next(turns)}-"), ComponentModel()
                for step in [("create", (CONTAINERS[0],)), *steps]:
                    await self._same(player, model, step)
                for label, held in list(model.containers.items()):
                    await self._same(player, model, ("names", (label, None, None)))
                    for name in held:
                        await self._same(player, model, ("get", (label, name, 0, 1000)))
                    await player.play(("delete", (label,)))

            await self.tried(st.lists(STEPS, max_size=self.steps), check)

    async def _same(self, player: ComponentPlayer, model: ComponentModel, step: Step) -> None:
        told: Any
        found: Any
        try:
            told = getattr(model, step[0])(*step[1])
        except ProviderError as error:
            told = error.code
        try:
            found = await player.play(step)
        except ProviderError as error:
            found = error.code
        assert found == told, f"{step}: {found!r}, and the dictionaries say {told!r}"
