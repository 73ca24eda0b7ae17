"""Listening sockets, shared by the links of a provider, so that a link can be replaced on its address without a gap."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from provider_sdk import AlreadyExists, Unavailable

log = logging.getLogger("provider.http")

KEEP_ALIVE = 75.0
FINISH_WITHIN = 5.0

Respond = Callable[[web.Request], Awaitable[web.Response]]
"""Answers one request."""
Address = tuple[str, int]


class Listener:
    """One listening socket and those who answer there: the last that came does, the others are on their way out."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.serving: list[Respond] = []
        self._runner: web.AppRunner | None = None

    async def open(self, address: Address) -> None:
        """Begin to listen; Unavailable with one line where that is not possible."""
        # A middleware, not a route: it gets every request, `OPTIONS *` too.
        application = web.Application(middlewares=[self._respond])
        application.on_response_prepare.append(_leave_out_what_aiohttp_adds)
        self._runner = web.AppRunner(
            application, access_log=None, auto_decompress=False, keepalive_timeout=KEEP_ALIVE, shutdown_timeout=FINISH_WITHIN
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, *address).start()
        except OSError as error:
            raise Unavailable(_refusal(address, error)) from error
        log.info("listening on http://%s", text(self._runner.addresses[0][:2]), extra={"link": self.owner})

    async def close(self) -> None:
        """Stop listening, then let the requests that came finish within FINISH_WITHIN seconds."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _respond(self, request: web.Request, handler: object) -> web.Response:
        return await self.serving[-1](request)


class Listeners:
    """The listeners of a provider by address."""

    def __init__(self) -> None:
        self._open: dict[tuple[Address, str], Listener] = {}
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def serve(self, address: Address, owner: str, respond: Respond) -> AsyncIterator[None]:
        """Have `respond` answer what comes to `address`, in place of whatever of the same owner answers there.

        AlreadyExists where another owner has the address, Unavailable where the system refuses it.
        """
        # Port 0 is another port for each owner, but the same one again for a changed link of an owner.
        key = (address, owner if address[1] == 0 else "")
        listener = await self._listener(key, owner, respond)
        try:
            yield
        finally:
            # The last one stays until the listener is closed, for the requests that are still to be answered.
            if listener.serving == [respond]:
                del self._open[key]
                await listener.close()
            else:
                listener.serving.remove(respond)

    async def _listener(self, key: tuple[Address, str], owner: str, respond: Respond) -> Listener:
        async with self._opening:
            listener = self._open.get(key)
            if listener is None:
                listener = Listener(owner)
                try:
                    await listener.open(key[0])
                except BaseException:
                    await listener.close()
                    raise
                self._open[key] = listener
            elif listener.owner != owner:
                raise AlreadyExists(f"address {text(key[0])} is taken by the link {listener.owner}: give this one another")
            listener.serving.append(respond)
            return listener


def text(address: Address) -> str:
    """`127.0.0.1:80`, `[::1]:80`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _refusal(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"address {text(address)} is in use: another program listens there; end it or give this link another address"
    return f"cannot listen on {text(address)}: {error.strerror}"


def _is_ours(record: logging.LogRecord) -> bool:
    """What aiohttp logs as an error, unless a client sent what is not HTTP."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        log.debug("refused: %s", " ".join(str(error).split()))
        return False
    return True


logging.getLogger("aiohttp.server").addFilter(_is_ours)


async def _leave_out_what_aiohttp_adds(request: web.Request, response: web.StreamResponse) -> None:
    given = response.get("given", frozenset())
    for name in ("server", "content-type"):
        if name not in given:
            response.headers.popall(name, None)
