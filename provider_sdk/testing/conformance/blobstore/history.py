"""Histories of operations, made up at random, played on stores, and compared call by call."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from provider_sdk.contracts.blobstore import ContainerObject, ListObjectsRequest, RemoveObjectsRequest
from provider_sdk.errors import NotFound, ProviderError
from provider_sdk.testing.conformance.blobstore.box import Box, Sending
from provider_sdk.testing.conformance.blobstore.model import Found, Kept, Model

LABELS = ("abc", "abc-d", "box")
PLAIN = ("a", "b/c", "b/d", "é", "e\u0301", "%41", " ", "A", "..b", "x" * 200)
"""Names of objects that every store takes."""
TYPES = (None, "text/plain", "image/svg+xml")
ENCODINGS = (None, None, "gzip")
UPLOADS = range(3)
USUAL = ("put", "put", "get", "get", "get", "info", "exists", "remove", "objects", "begin")
TO_UPLOADS = ("chunk", "chunk", "chunk", "chunk", "cancel")
RARE = ("remove_containers", "container_info", "container_exists", "list_containers")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of `Player` and `Model`."""

    operation: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.operation}({', '.join(map(ascii, self.arguments))})"


class Player:
    """Carries out steps on a store. What it gives back can be compared: no times, and no names of its own."""

    def __init__(self, box: Box, prefix: str) -> None:
        self._box = box
        self._prefix = prefix
        self._sendings: dict[int, Sending] = {}

    async def play(self, step: Step) -> Any:
        """The result of a step, or the code of its error."""
        try:
            return await getattr(self, step.operation)(*step.arguments)
        except ProviderError as error:
            return error.code

    def box(self, label: str) -> Box:
        """The container of a label."""
        return self._box.beside(f"{self._prefix}{label}")

    async def create_container(self, label: str) -> None:
        """CreateContainer."""
        await self._box.store.create_container(self.box(label).id)

    async def container_exists(self, label: str) -> bool:
        """ContainerExists."""
        return await self._box.store.container_exists(self.box(label).id)

    async def container_info(self, label: str) -> str:
        """GetContainerInfo: the label."""
        return (await self._box.store.get_container_info(self.box(label).id)).container_id.removeprefix(self._prefix)

    async def list_containers(self) -> list[str]:
        """ListContainers: the labels."""
        names = [item.container_id for item in await self._box.store.list_containers()]
        return [name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix) and name != self._box.id]

    async def remove_containers(self, labels: list[str]) -> list[str]:
        """RemoveContainers: the labels of those that could not be."""
        failures = await self._box.store.remove_containers([self.box(label).id for label in labels])
        return [item.key.removeprefix(self._prefix) for item in failures]

    async def put(self, label: str, name: str, kept: Kept) -> None:
        """PutObject in one chunk."""
        await self.box(label).put(name, *kept)

    async def begin(self, number: int, label: str, name: str, kept: Kept) -> None:
        """PutObject that goes on; another upload of the number is cancelled before."""
        if number in self._sendings:
            with suppress(NotFound):
                await self._sendings.pop(number).cancel()
        self._sendings[number] = await self.box(label).begin(name, *kept)

    async def chunk(self, number: int, offset: int, data: bytes, last: bool) -> None:
        """PutChunk."""
        await self._sending(number).send_at(offset, data, last=last)

    async def cancel(self, number: int) -> None:
        """PutChunk with cancelAndRemove."""
        await self._sending(number).cancel()

    def _sending(self, number: int) -> Sending:
        if number not in self._sendings:
            raise NotFound(str(number))
        return self._sendings[number]

    async def exists(self, label: str, name: str) -> bool:
        """ObjectExists."""
        return await self.box(label).exists(name)

    async def info(self, label: str, name: str) -> tuple[int, str | None, str | None]:
        """GetObjectInfo: size, type, encoding."""
        info = await self._box.store.get_object_info(ContainerObject(self.box(label).id, name))
        return info.content_length, info.content_type, info.content_encoding

    async def get(self, label: str, name: str, start: int | None, end: int | None) -> Found:
        """GetObject, to its last chunk."""
        found = await self.box(label).fetch(name, start, end)
        return found.data, found.answer.content_length, *found.details

    async def objects(
        self, label: str, start_with: str | None, end_with: str | None, end_before: str | None, most: int | None
    ) -> list[list[tuple[str, int]]]:
        """ListObjects to the last page: names and sizes."""
        box = self.box(label)
        pages = await box.pages(ListObjectsRequest(box.id, start_with, None, end_with, end_before, most))
        return [[(item.object_id, item.content_length) for item in page] for page in pages]

    async def remove(self, label: str, names: list[str]) -> list[str]:
        """RemoveObjects: those that could not be."""
        return [item.key for item in await self._box.store.remove_objects(RemoveObjectsRequest(self.box(label).id, names))]


def expected(model: Model, step: Step) -> Any:
    """As `Player.play`, on the model."""
    try:
        return getattr(model, step.operation)(*step.arguments)
    except ProviderError as error:
        return error.code


def a_history(chance: random.Random, count: int, *, names: Sequence[str] = PLAIN, largest: int = 40) -> list[Step]:
    """`count` steps that make sense together most of the time: objects up to `largest` bytes, few names in few containers."""
    author = _Author(chance, names, largest)
    return [author.write() for _ in range(count)]


async def first_difference(one: Player, other: Player, steps: Sequence[Step]) -> str:
    """The first step to which two stores answer differently, with both answers; empty where there is none."""
    for number, step in enumerate(steps):
        answers = [await player.play(step) for player in (one, other)]
        if answers[0] != answers[1]:
            before = "\n".join(f"  {item}" for item in steps[max(0, number - 20) : number])
            return f"after\n{before}\n{step} is {answers[0]!r} on the one and {answers[1]!r} on the other"
    return ""


class _Author:
    """Writes a history and follows it on a model."""

    def __init__(self, chance: random.Random, names: Sequence[str], largest: int) -> None:
        self._chance = chance
        self._names = names
        self._largest = largest
        self._model = Model()

    def write(self) -> Step:
        step = self._step()
        expected(self._model, step)
        return step

    def _step(self) -> Step:
        chance, (label, name), number = self._chance, self._place(), self._number()
        match self._operation():
            case "put":
                return Step("put", (label, name, self._kept()))
            case "begin":
                return Step("begin", (number, label, name, self._kept()))
            case "chunk":
                return Step("chunk", (number, self._offset(number), self._bytes(), chance.random() < 0.4))
            case "cancel":
                return Step("cancel", (number,))
            case "get":
                return Step("get", (label, name, *self._range(label, name)))
            case "objects":
                ends = [chance.choice((None, None, *self._names)) for _ in range(3)]
                return Step("objects", (label, *ends, chance.choice((None, 0, 1, 2, 5))))
            case "remove":
                return Step("remove", (label, chance.sample(self._names, chance.randrange(3))))
            case "remove_containers" if not self._model.sending(label):
                return Step("remove_containers", ([label],))
            case "info" | "exists" as operation:
                return Step(operation, (label, name))
            case "list_containers":
                return Step("list_containers", ())
            case "container_info" | "container_exists" as operation:
                return Step(operation, (label,))
            case _:
                return Step("create_container", (label,))

    def _place(self) -> tuple[str, str]:
        """A container and an object, most of the time such as are there."""
        chance, held, there = self._chance, self._model.containers, self._model.there()
        if there and chance.random() < 0.5:
            return chance.choice(there)
        label = chance.choice([*held]) if held and chance.random() < 0.85 else chance.choice(LABELS)
        return label, chance.choice(self._names)

    def _operation(self) -> str:
        chance = self._chance
        if chance.random() < (0.1 if self._model.containers else 0.7):
            return "create_container"
        if chance.random() < 0.15:
            return chance.choice(RARE)
        if self._going_on() or chance.random() < 0.05:
            return chance.choice((*USUAL, *TO_UPLOADS))
        return chance.choice(USUAL)

    def _going_on(self) -> list[int]:
        return [number for number, stream in self._model.streams.items() if not stream.ended]

    def _number(self) -> int:
        """An upload, most of the time one that is on its way."""
        going_on = self._going_on()
        return self._chance.choice(going_on) if going_on and self._chance.random() < 0.8 else self._chance.choice(UPLOADS)

    def _bytes(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((0, 1, 3, 16, self._chance.randrange(self._largest + 1))))

    def _kept(self) -> Kept:
        return Kept(self._bytes(), self._chance.choice(TYPES), self._chance.choice(ENCODINGS))

    def _offset(self, number: int) -> int:
        """The one that is next, or one that was: a store may wait for chunks that one has overtaken."""
        stream = self._model.streams.get(number)
        size = len(stream.kept.data) if stream else 0
        return size if self._chance.random() < 0.9 else self._chance.randrange(size + 1)

    def _range(self, label: str, name: str) -> tuple[int | None, int | None]:
        chance = self._chance
        kept = self._model.containers.get(label, {}).get(name)
        size = len(kept.data) if kept else self._largest
        start = chance.choice((None, None, 0, chance.randrange(size + 3)))
        end = chance.choice((None, None, (start or 0) + chance.randrange(5), (start or 0) + chance.randrange(size + 3)))
        return start, end
