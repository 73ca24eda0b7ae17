"""Where the stores of a test are: what a link is told so that it has one in which nothing is yet."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from pathlib import Path


class Place(ABC):
    """One kind of backend, ready to be used."""

    @abstractmethod
    def url(self) -> str:
        """The store of a new test."""

    def namespace(self) -> str:
        """A namespace of it in which nothing is: the one without a name, unless others use the store as well."""
        return ""


class Memory(Place):
    def url(self) -> str:
        return f"memory://{secrets.token_hex(8)}"


class Files(Place):
    """sqlite: a file a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self) -> str:
        return f"sqlite://{self.folder}/{secrets.token_hex(8)}.db"


class Server(Place):
    """A server that all tests use, each with a namespace of its own."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self) -> str:
        return self._url

    def namespace(self) -> str:
        return secrets.token_hex(8)
