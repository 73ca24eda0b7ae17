"""A component in Python: the drop box on a 1.x lattice. It stands in for a WebAssembly component in a lattice in a box.

GET /           the names of what is there
PUT /name       keeps the body, as it comes
GET /name       gives it back
DELETE /name    removes it

Where it is kept is decided by the provider's configuration, not here.
"""

from collections.abc import AsyncIterator, Awaitable
from urllib.parse import unquote

from provider_sdk import Interface, NotFound, ProviderError, Unavailable
from provider_sdk.contracts.wasi_blobstore import ObjectId, Outcome, WasiBlobstore
from provider_sdk.contracts.wasi_http import IncomingHandler, NoTrailers, Request, Response, method_name
from provider_sdk.lattice import Component
from provider_sdk.types import Err

BOX = "drop-box"
WHOLE = (1 << 64) - 1


class DropBox(IncomingHandler):
    def __init__(self, blobs: WasiBlobstore) -> None:
        self.blobs = blobs

    async def handle(self, request: Request) -> Response:
        name = unquote((request.path_with_query or "/").partition("?")[0].removeprefix("/"))
        try:
            match method_name(request.method), name:
                case "GET", "":
                    return page(200, await self.list())
                case "GET", _:
                    return answer(200, checked(*await self.blobs.get_container_data(ObjectId(BOX, name), 0, WHOLE)))
                case "PUT", _ if name:
                    await self.put(name, request.body)
                    return page(201, f"{name}: kept\n")
                case "DELETE", _ if name:
                    await self.blobs.delete_object(ObjectId(BOX, name))
                    return page(200, f"{name}: removed\n")
        except NotFound:
            return page(404, f"nothing is called {name}\n")
        except ProviderError as error:
            return page(502, f"{error.message}\n")
        return page(405, "PUT, GET and DELETE are what a drop box knows\n")

    async def put(self, name: str, body: AsyncIterator[bytes]) -> None:
        if not await self.blobs.container_exists(BOX):
            await self.blobs.create_container(BOX)
        well(await (await self.blobs.write_container_data(ObjectId(BOX, name), body)))

    async def list(self) -> str:
        if not await self.blobs.container_exists(BOX):
            return ""
        names, end = await self.blobs.list_container_objects(BOX, None, None)
        found = [f"{name}\n" async for name in names]
        well(await end)
        return "".join(found)


async def checked(data: AsyncIterator[bytes], end: Awaitable[Outcome]) -> AsyncIterator[bytes]:
    """The stream, which breaks off where the store says that it is not whole."""
    async for part in data:
        yield part
    well(await end)


def well(outcome: Outcome) -> None:
    if isinstance(outcome, Err):
        raise Unavailable(outcome.value)


def page(status: int, text: str) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield text.encode()

    return answer(status, body(), "text/plain; charset=utf-8")


def answer(status: int, body: AsyncIterator[bytes], kind: str = "application/octet-stream") -> Response:
    return Response(body, NoTrailers(), status, [("content-type", [kind.encode()])])


def component(me: Component) -> tuple[Interface, ...]:
    return (DropBox(WasiBlobstore.at(me)),)
