"""The contract blobstore in plain dictionaries: what the other stores are compared with. It knows no time and no callers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from provider_sdk.errors import InvalidArgument, NotFound, OutOfRange


class Kept(NamedTuple):
    """An object."""

    data: bytes
    content_type: str | None = None
    content_encoding: str | None = None


Found = tuple[bytes, int, str | None, str | None]
"""Bytes, how many were announced, type, encoding."""


@dataclass
class Stream:
    """An upload."""

    container: str
    name: str
    kept: Kept
    ended: bool = False


@dataclass
class Model:
    """The operations of `history.Player`, without waiting. Containers go by label, uploads by a number that the caller chooses."""

    containers: dict[str, dict[str, Kept]] = field(default_factory=dict)
    streams: dict[int, Stream] = field(default_factory=dict)

    def sending(self, label: str) -> bool:
        """Whether there are uploads to a container that have not ended: what becomes of them with it, stores may decide."""
        return any(stream.container == label and not stream.ended for stream in self.streams.values())

    def there(self) -> list[tuple[str, str]]:
        """Containers and names of all objects."""
        return [(label, name) for label, held in self.containers.items() for name in held]

    def _container(self, label: str) -> dict[str, Kept]:
        if label not in self.containers:
            raise NotFound(label)
        return self.containers[label]

    def _object(self, label: str, name: str) -> Kept:
        if name not in self._container(label):
            raise NotFound(name)
        return self._container(label)[name]

    def create_container(self, label: str) -> None:
        """Make it."""
        self.containers.setdefault(label, {})

    def container_exists(self, label: str) -> bool:
        """Whether it is there."""
        return label in self.containers

    def container_info(self, label: str) -> str:
        """Its name."""
        self._container(label)
        return label

    def list_containers(self) -> list[str]:
        """Names in order."""
        return sorted(self.containers)

    def remove_containers(self, labels: list[str]) -> list[str]:
        """Those that could not be removed."""
        for label in labels:
            self.containers.pop(label, None)
        return []

    def put(self, label: str, name: str, kept: Kept) -> None:
        """A whole object."""
        self._container(label)[name] = kept

    def begin(self, number: int, label: str, name: str, kept: Kept) -> None:
        """An upload, with its first bytes; another one of the number is cancelled, for stores bound how many there are."""
        if number in self.streams:
            self.streams.pop(number).ended = True
        self._container(label)
        self.streams[number] = Stream(label, name, kept)

    def chunk(self, number: int, offset: int, data: bytes, last: bool) -> None:
        """The next bytes of an upload."""
        stream = self._stream(number)
        if offset != len(stream.kept.data):
            raise OutOfRange(str(offset))
        stream.kept = stream.kept._replace(data=stream.kept.data + data)
        if last:
            stream.ended = True
            self.put(stream.container, stream.name, stream.kept)

    def cancel(self, number: int) -> None:
        """End an upload without an object."""
        self._stream(number).ended = True

    def _stream(self, number: int) -> Stream:
        if number not in self.streams or self.streams[number].ended:
            raise NotFound(str(number))
        return self.streams[number]

    def exists(self, label: str, name: str) -> bool:
        """Whether an object is there."""
        return name in self.containers.get(label, {})

    def info(self, label: str, name: str) -> tuple[int, str | None, str | None]:
        """Size, type, encoding."""
        kept = self._object(label, name)
        return len(kept.data), kept.content_type, kept.content_encoding

    def get(self, label: str, name: str, start: int | None, end: int | None) -> Found:
        """An object or a range."""
        kept = self._object(label, name)
        if end is not None and end < (start or 0):
            raise InvalidArgument(f"{start} to {end}")
        data = kept.data[start or 0 : None if end is None else end + 1]
        return data, len(data), kept.content_type, kept.content_encoding

    def objects(
        self, label: str, start_with: str | None, end_with: str | None, end_before: str | None, most: int | None
    ) -> list[list[tuple[str, int]]]:
        """Pages of names and sizes."""
        held = self._container(label)
        names = sorted((name for name in held if name.encode() >= (start_with or "").encode()), key=str.encode)
        if end_with:
            names = [name for name in names if name.encode() <= end_with.encode()]
        if end_before:
            names = [name for name in names if name.encode() < end_before.encode()]
        items = [(name, len(held[name].data)) for name in names]
        size = most or 1000
        return [items[at : at + size] for at in range(0, len(items), size)] or [[]]

    def remove(self, label: str, names: list[str]) -> list[str]:
        """Those that could not be removed."""
        held = self._container(label)
        for name in names:
            held.pop(name, None)
        return []
