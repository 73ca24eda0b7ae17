"""Objects in the process's memory: gone with the process."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from provider_sdk import ProviderError
from providers.blobstore.backend import (
    Backend,
    ContainerInfo,
    Details,
    First,
    ObjectInfo,
    Page,
    Reading,
    Store,
    Writing,
    no_container,
    no_object,
    span,
)
from providers.blobstore.config import BlobstoreConfig


@dataclass(frozen=True, slots=True)
class _Object:
    info: ObjectInfo
    data: bytes


@dataclass(slots=True)
class _Container:
    created: int
    objects: dict[str, _Object] = field(default_factory=dict)


class MemoryStore(Store):
    """Dictionaries by scope."""

    def __init__(self) -> None:
        self._scopes: dict[str, dict[str, _Container]] = {}

    def view(self, scope: str) -> Backend:
        return MemoryBackend(self._scopes.setdefault(scope, {}))

    async def trouble(self) -> str:
        return ""

    async def close(self) -> None:
        self._scopes.clear()


class MemoryBackend(Backend):
    """One dictionary of containers. No operation waits, so each is atomic."""

    def __init__(self, containers: dict[str, _Container]) -> None:
        self._containers = containers

    def _container(self, name: str) -> _Container:
        found = self._containers.get(name)
        if found is None:
            raise no_container(name)
        return found

    def _object(self, container: str, name: str) -> _Object:
        found = self._container(container).objects.get(name)
        if found is None:
            raise no_object(container, name)
        return found

    async def containers(self) -> list[ContainerInfo]:
        return [ContainerInfo(name, self._containers[name].created) for name in sorted(self._containers, key=str.encode)]

    async def container(self, name: str) -> ContainerInfo:
        return ContainerInfo(name, self._container(name).created)

    async def create_container(self, name: str) -> None:
        self._containers.setdefault(name, _Container(time.time_ns()))

    async def remove_container(self, name: str) -> None:
        self._containers.pop(name, None)

    async def info(self, container: str, name: str) -> ObjectInfo:
        return self._object(container, name).info

    async def objects(self, container: str, *, prefix: str = "", start: str = "", after: str = "", most: int = 1000) -> Page:
        held = self._container(container).objects
        names = [name for name in held if name.startswith(prefix) and name.encode() >= start.encode() and name.encode() > after.encode()]
        names.sort(key=str.encode)
        plain = [ObjectInfo(name, held[name].info.size, held[name].info.modified) for name in names[:most]]
        return Page(plain, more=len(names) > most)

    async def remove(self, container: str, names: Sequence[str]) -> dict[str, ProviderError]:
        held = self._container(container).objects
        for name in names:
            held.pop(name, None)
        return {}

    async def open(self, container: str, name: str, start: int, end: int | None, first: First) -> Reading:
        held = self._object(container, name)
        length = span(start, end, held.info.size)
        return MemoryReading(held, start, length, first(length))

    async def create(self, container: str, name: str, details: Details, size: int | None = None) -> Writing:
        self._container(container)
        return MemoryWriting(self, container, name, details)

    def keep(self, container: str, name: str, details: Details, data: bytes) -> None:
        """Put a whole object; NotFound where its container has gone meanwhile."""
        info = ObjectInfo(name, len(data), time.time_ns(), details)
        self._container(container).objects[name] = _Object(info, data)


class MemoryReading(Reading):
    """Slices of the bytes."""

    def __init__(self, held: _Object, start: int, length: int, first: int) -> None:
        self.info, self.start, self.length = held.info, start, length
        self._data, self._at, self._end = memoryview(held.data), start + first, start + length
        self.first = bytes(self._data[start : self._at]) if length else b""

    async def read(self, size: int) -> bytes:
        begin, self._at = self._at, min(self._end, self._at + size)
        return bytes(self._data[begin : self._at])

    async def close(self) -> None:
        self._at = self._end


class MemoryWriting(Writing):
    """Pieces, joined at the end."""

    def __init__(self, backend: MemoryBackend, container: str, name: str, details: Details) -> None:
        self._backend = backend
        self._target = (container, name, details)
        self._pieces: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self._pieces.append(data)

    async def commit(self) -> None:
        self._backend.keep(*self._target, b"".join(self._pieces))

    async def abort(self) -> None:
        self._pieces.clear()


def open_store(config: BlobstoreConfig, data_dir: Path) -> Store:
    """An empty store."""
    return MemoryStore()


def store_key(config: BlobstoreConfig, data_dir: Path) -> Hashable:
    """Links with the same name share one."""
    return config.bucket
