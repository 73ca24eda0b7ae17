"""HTTP requests handed to an actor: the contract httpserver (wasmbus-0x.md §8.1). The provider calls, the actor answers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

from provider_sdk.interface import Interface
from provider_sdk.types import U16


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, body and all.

    `method` is upper-case; `path` is percent-encoded as it was sent, without the query; `query_string` is without its
    question mark; the names in `header` are lower-case, with one value for each line.
    """

    method: str
    path: str
    query_string: str
    header: dict[str, list[str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The answer to one request, body and all."""

    status_code: U16 = 200
    header: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""


class HttpServer(Interface, contract="wasmcloud:httpserver"):
    """What an actor offers to be reached over HTTP."""

    @abstractmethod
    async def handle_request(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
