"""Listening sockets: each is shared by the links at its address, which come, change and go without a gap."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from provider_sdk import AlreadyExists, Unavailable
from provider_sdk.metrics import Metrics
from providers.httpserver import tls
from providers.httpserver.answer import Answer
from providers.httpserver.config import HttpServerConfig
from providers.httpserver.connection import Connection
from providers.httpserver.counts import Counts
from providers.httpserver.exact import ExactRoutes
from providers.httpserver.exchange import Exchange
from providers.httpserver.forwarded import plain_address
from providers.httpserver.hello import NotTls, read_hello
from providers.httpserver.limits import Budget, Limits
from providers.httpserver.pages import bare
from providers.httpserver.request import Request, bare_host
from providers.httpserver.routes import Routes
from providers.httpserver.site import Site

log = logging.getLogger("provider.http")

BACKLOG = 1024
AT_A_TIME = 32
FILES_BESIDE = 64
TLS_GOODBYE = 1.0
READ_WITHIN = 0.01
FIRST_REQUEST_WITHIN = 0.1
REFUSED_LINGER = 0.5
OUT_OF_FILES_PAUSE = 0.5
MOST_REFUSED_LINGERING = 128
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Address = tuple[str, int]


class Listener:
    """One listening socket, its connections and its routes: those of routing mode address, and the exact ones of the others."""

    def __init__(self, address: Address, counts: Counts, budget: Budget) -> None:
        self.address = address
        self.routes: Routes[Site] = Routes()
        self.exact: ExactRoutes[Site] = ExactRoutes()
        self.draining = False
        self.counts = counts
        self.connections: set[Connection] = set()
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._limits: Limits | None = None
        self._tls: list[tls.Certificates] = []
        self._socket: socket.socket | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._clients: dict[str, int] = {}
        self._count = 0
        self._lingering = 0
        self._gone = asyncio.Event()

    @property
    def secure(self) -> bool:
        """Whether new connections are TLS."""
        return bool(self._tls)

    @property
    def sites(self) -> list[Site]:
        """Whoever answers here, or waits for its turn."""
        return [*self.routes, *self.exact]

    def open(self) -> None:
        """Begin to listen; Unavailable with one line where that is not possible."""
        host, port = self.address
        try:
            self._socket = _listening(host, port)
        except OSError as error:
            raise Unavailable(_refusal(self.address, error)) from error
        self._begin()

    def tell(self, owner: str) -> None:
        """Log where it listens."""
        assert self._socket is not None
        log.info("listening on %s://%s", "https" if self._tls else "http", text(self._socket.getsockname()[:2]), extra={"link": owner})

    def add(self, site: Site) -> None:
        """Have `site` answer on its routes; AlreadyExists where another link has one of them or the address speaks otherwise."""
        others = [other for other in self.sites if other.owner != site.owner]
        if others and bool(others[0].certificates) != bool(site.certificates):
            speaks = "HTTPS" if others[0].certificates else "HTTP"
            taken = f"address {text(self.address)} speaks {speaks} for the link {others[0].owner}"
            raise AlreadyExists(f"{taken}: give this one another address")
        if site.certificates:
            clash = tls.disagreement(site.certificates, [other.certificates for other in others if other.certificates])
            if clash:
                raise AlreadyExists(clash)
        self._add_route(site, site.config)
        self._settle()

    def _add_route(self, site: Site, config: HttpServerConfig) -> None:
        if config.routing_mode == "path":
            self.exact.add_path(config.path or "", site)
        elif config.routing_mode == "host":
            self.exact.add_value(config.header.lower(), config.host or "", site)
        else:
            self.routes.add(config.hosts, config.path_prefix, site, text(self.address))

    def remove(self, site: Site) -> None:
        """Have `site` get no more requests. After the last one, what is left is closed."""
        self.routes.remove(site)
        self.exact.remove(site)
        if not self.sites:
            self._end()
        elif not self.draining:
            self._settle()

    def _settle(self) -> None:
        sites = self.sites
        self._limits = Limits.of(site.config for site in sites)
        self._tls = [site.certificates for site in reversed(sites) if site.certificates]

    def _accept(self) -> None:
        """Take clients that wait, a few at a time so that the loop gets its turn."""
        assert self._socket is not None
        try:
            for _ in range(AT_A_TIME):
                self._admit(*self._socket.accept())
        except OSError as error:
            if error.errno in _OUT_OF_FILES:
                log.error("no more connections at %s: %s: raise the limit of open files", text(self.address), error.strerror)
                self._loop.remove_reader(self._socket)
                self._loop.call_later(OUT_OF_FILES_PAUSE, self._begin)

    def _begin(self) -> None:
        if self._socket is not None:
            self._loop.add_reader(self._socket, self._accept)

    def _admit(self, accepted: socket.socket, name: tuple[str, int]) -> None:
        accepted.setblocking(False)
        limits = self._limits
        assert limits is not None
        client = plain_address(name[0])
        of_client = self._clients.get(client, 0)
        if self._count >= limits.max_connections:
            self._turn_away(accepted, "address")
        elif of_client >= limits.max_connections_per_client and not any(site.proxies.trusts(client) for site in self.sites):
            self._turn_away(accepted, "client")
        else:
            self._count += 1
            self.counts.connections += 1
            self._clients[client] = of_client + 1
            task = asyncio.create_task(self._take(accepted, client, limits), name="connection")
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _take(self, accepted: socket.socket, client: str, limits: Limits) -> None:
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._release(client)

        secure, options = None, {}
        if self._tls:
            until = self._loop.time() + limits.header_timeout
            secure = await self._greeted(accepted, until)
            if secure is None:
                release()
                return
            options = {"ssl_handshake_timeout": max(0.001, until - self._loop.time()), "ssl_shutdown_timeout": TLS_GOODBYE}
        try:
            await self._loop.connect_accepted_socket(lambda: Connection(self, limits, release), accepted, ssl=secure, **options)
        except (OSError, asyncio.CancelledError) as error:
            # The socket is the transport's, which closes it.
            log.debug("%s: no connection: %s", client, error)
            release()

    async def _greeted(self, accepted: socket.socket, until: float) -> tls.Context | None:
        """What a TLS connection is made with; None where there is none to be made, and the socket is closed."""
        links = self._tls
        tls.alerts_to.set(accepted)
        try:
            async with asyncio.timeout_at(until):
                hello = await read_hello(accepted)
            return tls.pick(links, hello, plain_address(accepted.getsockname()[0]))
        except NotTls:
            self._farewell(accepted, bare(400, "This port speaks HTTPS, and the request is not."))
        except (OSError, asyncio.CancelledError) as error:
            log.debug("no greeting: %s", error)
            accepted.close()
        return None

    def _release(self, client: str) -> None:
        self._count -= 1
        self.counts.connections -= 1
        left = self._clients[client] - 1
        if left:
            self._clients[client] = left
        else:
            del self._clients[client]
        if not self._count:
            self._gone.set()

    def _turn_away(self, accepted: socket.socket, reason: str) -> None:
        self.counts.refused.add(reason)
        self._farewell(accepted, b"" if self._tls else bare(503))

    def _farewell(self, accepted: socket.socket, answer: bytes) -> None:
        """Close with `answer` as the last word. What the client has sent is unread, so that closing now would take it back."""
        if answer:
            with contextlib.suppress(OSError):
                accepted.send(answer)
                accepted.shutdown(socket.SHUT_WR)
        if self._lingering >= MOST_REFUSED_LINGERING:
            accepted.close()
            return
        self._lingering += 1
        self._loop.call_later(REFUSED_LINGER, self._forget, accepted)

    def _forget(self, accepted: socket.socket) -> None:
        self._lingering -= 1
        accepted.close()

    async def respond(self, request: Request) -> Answer:
        """The answer to a request."""
        exchange = Exchange(request, self._budget)
        connection = exchange.connection
        fault = request.fault()
        if fault:
            return exchange.page(fault, end=True)
        if connection.long_head and request.head_size() > connection.limits.max_header:
            return exchange.page(431, end=True)
        host = request.asked_host()
        if host is None:
            return exchange.page(400, detail="The Host header names no host.", end=True)
        if request.method == "CONNECT":
            refused = exchange.page(405, detail="This server is no proxy.", end=True)
            refused.lines.append(("allow", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"))
            return refused
        site = self._site(exchange, host)
        if site is None:
            status, reason = self.exact.refusal(request.headers) if self.exact else (404, "")
            return exchange.page(status, detail=reason)
        return await site.respond(exchange)

    def _site(self, exchange: Exchange, host: str) -> Site | None:
        if self.exact:
            found = self.exact.find(exchange.path, exchange.request.headers)
            if found is not None:
                return found
        found = self.routes.find(host, exchange.path)
        peer = exchange.connection.peer
        believing = found if found is not None else next((site for site in self.routes if site.proxies.trusts(peer)), None)
        if believing is None or not believing.proxies.configured:
            return found
        # A trusted proxy knows better which host was asked for.
        asked = believing.client(exchange).asked_host
        if asked:
            found = self.routes.find(bare_host(asked) or "", exchange.path)
        if found is not believing:
            exchange.client = None  # each link has proxies of its own
        return found

    def answered(self, answer: Answer) -> None:
        """A response has been written."""
        self.counts.answered(answer.status)
        if answer.tell is not None:
            answer.tell(answer)

    async def close(self) -> None:
        """Accept no more, and let the requests that came finish. The last site to be removed ends what is left."""
        if self._socket is not None:
            self._stop_accepting()
            await self._end_idle()
        while self._count:
            self._gone.clear()
            await self._gone.wait()

    async def _end_idle(self) -> None:
        # What the system has received already is read before a connection counts as idle.
        await asyncio.sleep(READ_WITHIN)
        self.draining = True
        self._end_connections(lambda one: one.idle)
        if any(one.fresh for one in self.connections):
            await asyncio.sleep(FIRST_REQUEST_WITHIN)
            self._end_connections(lambda one: one.idle or one.fresh)

    def _end(self) -> None:
        self.draining = True
        self._stop_accepting()
        self._end_connections(lambda one: True)
        for task in self._opening:
            task.cancel()

    def _end_connections(self, which: Callable[[Connection], bool]) -> None:
        for connection in tuple(self.connections):
            if which(connection):
                connection.force_close()

    def _stop_accepting(self) -> None:
        listening, self._socket = self._socket, None
        if listening is None:
            return
        self._loop.remove_reader(listening)
        with contextlib.suppress(OSError):
            while True:
                self._admit(*listening.accept())
        listening.close()


class Listeners:
    """The listeners of a provider by address."""

    def __init__(self, metrics: Metrics, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._open: dict[tuple[Address, str], Listener] = {}
        self.budget = Budget()
        self.counts = Counts(metrics, lambda: self.budget.held)

    @asynccontextmanager
    async def serve(self, site: Site) -> AsyncIterator[None]:
        """Have `site` answer at its address, in place of whatever of the same link answers on its routes.

        AlreadyExists where another link has a route of it, Unavailable where the system refuses the address. Cancelled while leaving:
        what is unfinished is answered 503.
        """
        address = site.bind
        # Port 0 is another port for each owner, but the same one again for a changed link of an owner.
        key = (address, site.owner if address[1] == 0 else "")
        listener = self._open.get(key)
        if listener is None:
            listener = Listener(address, self.counts, self.budget)
            listener.add(site)
            listener.open()
            self._open[key] = listener
            listener.tell(site.owner)
        else:
            listener.add(site)
        try:
            yield
        finally:
            await self._leave(key, listener, site)

    async def _leave(self, key: tuple[Address, str], listener: Listener, site: Site) -> None:
        # The last site of an address, and every one at the end of the process, still answers what comes over the connections there.
        closes = self._stopping() or listener.sites == [site]
        try:
            if closes:
                self._open.pop(key, None)
                await listener.close()
            else:
                listener.remove(site)
            await site.finished()
        except asyncio.CancelledError:
            await site.cut_off()
            raise
        finally:
            if closes:
                listener.remove(site)


def text(address: Address) -> str:
    """`127.0.0.1:80`, `[::1]:80`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listening(host: str, port: int) -> socket.socket:
    _raise_file_limit()
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.setblocking(False)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _raise_file_limit() -> None:
    """A host starts its providers with room for a thousand files; each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
        wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _refusal(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"address {text(address)} is in use: another program listens there; end it or give this link another address"
    if error.errno == errno.EACCES:
        return f"cannot listen on {text(address)}: {error.strerror}: ports below 1024 need a right of their own"
    return f"cannot listen on {text(address)}: {error.strerror}"
