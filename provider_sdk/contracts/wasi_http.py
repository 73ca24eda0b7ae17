"""HTTP on 1.x hosts: wrpc:http@0.1.0 (wrpc-1x.md §5.1). Bodies are streams; a component that serves requests is an `IncomingHandler`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Generator
from dataclasses import dataclass

from provider_sdk.contracts.wasi_http_errors import ErrorCode, HttpFailure, error_code
from provider_sdk.interface import Interface, fails
from provider_sdk.types import U16, U64, Case

Fields = list[tuple[str, list[bytes]]]
"""Headers or trailers: names in lower case, each once, with its values as they were sent."""


@dataclass(frozen=True, slots=True)
class Get:
    """GET."""


@dataclass(frozen=True, slots=True)
class Head:
    """HEAD."""


@dataclass(frozen=True, slots=True)
class Post:
    """POST."""


@dataclass(frozen=True, slots=True)
class Put:
    """PUT."""


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""


@dataclass(frozen=True, slots=True)
class Connect:
    """CONNECT."""


@dataclass(frozen=True, slots=True)
class Options:
    """OPTIONS."""


@dataclass(frozen=True, slots=True)
class Trace:
    """TRACE."""


@dataclass(frozen=True, slots=True)
class Patch:
    """PATCH."""


class Other(Case[str]):
    """A method or scheme by its name."""


@dataclass(frozen=True, slots=True)
class Http:
    """http."""


@dataclass(frozen=True, slots=True)
class Https:
    """https."""


Method = Get | Head | Post | Put | Delete | Connect | Options | Trace | Patch | Other
"""What is to be done."""

Scheme = Http | Https | Other
"""How the request came."""


class NoTrailers(Awaitable[None]):
    """Trailers that are known not to come."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


@dataclass(slots=True)
class Request:
    """A request. Hosts end the call at once where `scheme` or `authority` is missing; `trailers` have to come to an end."""

    body: AsyncIterator[bytes]
    trailers: Awaitable[Fields | None]
    method: Method
    path_with_query: str | None
    scheme: Scheme | None
    authority: str | None
    headers: Fields


@dataclass(slots=True)
class Response:
    """A response: the body may come long after the rest."""

    body: AsyncIterator[bytes]
    trailers: Awaitable[Fields | None]
    status: U16
    headers: Fields


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """How long a request may take, in nanoseconds."""

    connect_timeout: U64 | None = None
    first_byte_timeout: U64 | None = None
    between_bytes_timeout: U64 | None = None


class IncomingHandler(Interface, wit="wrpc:http/incoming-handler@0.1.0"):
    """What a component offers to be reached over HTTP."""

    @abstractmethod
    @fails(ErrorCode, encode=error_code, decode=HttpFailure)
    async def handle(self, request: Request) -> Response:
        """Answer one request; HttpFailure with the reason where there is no answer."""


class OutgoingHandler(Interface, wit="wrpc:http/outgoing-handler@0.1.0"):
    """What a provider offers to components that ask others over HTTP."""

    @abstractmethod
    @fails(ErrorCode, encode=error_code, decode=HttpFailure)
    async def handle(self, request: Request, options: RequestOptions | None) -> Response:
        """Have one request answered by whom it is for."""


_METHODS: dict[str, Method] = {
    "GET": Get(),
    "HEAD": Head(),
    "POST": Post(),
    "PUT": Put(),
    "DELETE": Delete(),
    "CONNECT": Connect(),
    "OPTIONS": Options(),
    "TRACE": Trace(),
    "PATCH": Patch(),
}


def method_of(name: str) -> Method:
    """A method by its name as it is sent."""
    return _METHODS.get(name) or Other(name)


def method_name(method: Method) -> str:
    """A method's name as it is sent."""
    return method.value if isinstance(method, Other) else type(method).__name__.upper()
