"""A component in Python: a web page that counts its visitors. It stands in for a WebAssembly component in a 1.x lattice in a box.

GET /          greets, and says how many came before
GET /random    a random number
POST /echo     the body, as it comes
"""

from collections.abc import AsyncIterator

from provider_sdk import Interface
from provider_sdk.contracts.numbergen import NumberGen
from provider_sdk.contracts.wasi_http import IncomingHandler, NoTrailers, Request, Response, method_name
from provider_sdk.contracts.wasi_keyvalue import Atomics
from provider_sdk.lattice import Component


class Hello(IncomingHandler):
    def __init__(self, counters: Atomics, numbers: NumberGen) -> None:
        self.counters = counters
        self.numbers = numbers

    async def handle(self, request: Request) -> Response:
        path = (request.path_with_query or "/").partition("?")[0]
        match method_name(request.method), path:
            case "GET", "/":
                visits = await self.counters.increment("visits", path, 1)
                return page(200, f"Hello! You are visitor {visits}.\n")
            case "GET", "/random":
                return page(200, f"{await self.numbers.random_in_range(1, 6)}\n")
            case "POST", "/echo":
                return Response(request.body, NoTrailers(), 200, [])
        return page(404, "There is /, /random and /echo.\n")


def page(status: int, text: str) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield text.encode()

    return Response(body(), NoTrailers(), status, [("content-type", [b"text/plain; charset=utf-8"])])


def component(me: Component) -> tuple[Interface, ...]:
    """What this component exports, made of what it imports: `me` goes where its links lead."""
    return (Hello(Atomics.at(me), NumberGen.at(me)),)
