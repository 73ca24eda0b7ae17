"""What one link serves: the rules that every request of it passes, and the requests in progress."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import ssl
from collections.abc import Awaitable, Callable

from provider_sdk import LinkKey, Role
from providers.httpserver import gzip
from providers.httpserver.access import AccessLog, Entry
from providers.httpserver.answer import Answer, Lines, Refused
from providers.httpserver.config import HttpServerConfig
from providers.httpserver.cors import Cors
from providers.httpserver.counts import Counts
from providers.httpserver.exchange import Exchange
from providers.httpserver.forwarded import Client, Proxies
from providers.httpserver.tls import Certificates

Handler = Callable[[Exchange], Awaitable[Answer]]
"""Has a request answered by the link's program; Refused where the answer is ours."""

CUT_WITHIN = 0.05
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


class Site:
    """The front of one link, which listens at `bind`. On 1.x, where the provider is its source, it waits while another has its route."""

    def __init__(
        self,
        key: LinkKey,
        config: HttpServerConfig,
        handle: Handler,
        counts: Counts,
        certificates: Certificates | None,
        access: AccessLog | None,
    ) -> None:
        second = key.role is Role.SOURCE
        self.owner = str(key)
        self.turn = key.name if second else ""
        self.bind = config.bind_for(key.role)
        self.config = config
        self.certificates = certificates
        self.proxies = Proxies.of(config)
        self._handle = handle
        self._cors = Cors(config.cors, second=second)
        self._counts = counts
        self._access = access
        self._in_progress: set[Exchange] = set()
        self._idle = asyncio.Event()
        self._id_header = config.request_id_header.lower()

    def client(self, exchange: Exchange) -> Client:
        """Who asks."""
        if exchange.client is None:
            connection = exchange.connection
            exchange.client = self.proxies.client(connection.peer, "https" if self.certificates else "http", exchange.request.headers)
        return exchange.client

    async def respond(self, exchange: Exchange) -> Answer:
        """The answer to a request, whatever happens."""
        given = exchange.request.headers.get(self._id_header, "") if self._id_header else ""
        exchange.request_id = given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
        if self.proxies.configured:
            self.client(exchange)
        judged = self._cors.judge(exchange.method, exchange.request.headers)
        if len(self._in_progress) >= self.config.max_requests:
            return self._dressed(exchange, exchange.page(503), judged)
        task = exchange.task = asyncio.current_task()
        assert task is not None
        answer: Answer | None = None
        self._in_progress.add(exchange)
        self._counts.in_progress += 1
        try:
            answer = await self._answer(exchange, judged)
        except Refused as refused:
            answer = refused.answer
        except asyncio.CancelledError:
            if not exchange.cut or task.uncancel():
                exchange.over()
                raise
            answer = exchange.page(503, end=True)
        except BaseException:
            exchange.over()
            raise
        finally:
            if answer is None or not answer.comes_later:
                self._finish(exchange)
        return self._dressed(exchange, answer, judged)

    def _finish(self, exchange: Exchange) -> None:
        exchange.task = None
        self._in_progress.discard(exchange)
        self._counts.in_progress -= 1
        if not self._in_progress:
            self._idle.set()

    async def _answer(self, exchange: Exchange, judged: Answer | Lines) -> Answer:
        config = self.config
        self._check_connection(exchange)
        if isinstance(judged, Answer):
            return judged
        if config.readonly_mode and exchange.method not in ("GET", "HEAD"):
            answer = exchange.page(405)
            answer.lines.append(("allow", "GET, HEAD"))
            return answer
        answer = await self._handle(exchange)
        exchange.hold(len(answer.whole), config.max_body_memory)
        if config.gzip:
            accepted = ", ".join(exchange.request.headers.getall("Accept-Encoding", ()))
            await gzip.compress(answer, accepted, config.gzip_min_size)
        return answer

    def _check_connection(self, exchange: Exchange) -> None:
        """Connections may be older than the link's settings, and made with the certificate of another link at the address."""
        found, certificates = exchange.connection.tls_object(), self.certificates
        if (found is None) != (certificates is None):
            raise exchange.refuse(421, end=True)
        if found is None or certificates is None or not certificates.asks_clients:
            return
        if not certificates.accepts(found.context):
            raise exchange.refuse(421, end=True)
        if certificates.requires_clients and not _shown(found):
            raise exchange.refuse(403, detail="A client certificate is needed here.", end=True)

    def _dressed(self, exchange: Exchange, answer: Answer, judged: Answer | Lines) -> Answer:
        if judged and not isinstance(judged, Answer):
            ours = "Origin" in exchange.request.headers
            answer.lines = [line for line in answer.lines if not (ours and self._cors.owns(line[0]))] + judged
        if self._id_header:
            answer.lines = [line for line in answer.lines if line[0] != self._id_header]
            answer.lines.append((self._id_header, exchange.request_id))
        answer.tell = lambda sent: self._sent(exchange, sent)
        return answer

    def _sent(self, exchange: Exchange, answer: Answer) -> None:
        if answer.comes_later:
            self._finish(exchange)
        exchange.over()
        seconds = exchange.connection.now() - exchange.since
        self._counts.seconds.observe(seconds)
        if self._access is not None:
            request, client = exchange.request, self.client(exchange)
            agent, referer = request.headers.get("User-Agent", ""), request.headers.get("Referer", "")
            version = f"HTTP/{request.version.major}.{request.version.minor}"
            asked = (client.address, exchange.method, request.target, version, client.host, referer, agent)
            self._access.write(Entry(*asked, answer.status, answer.sent, seconds, exchange.request_id))

    async def finished(self) -> None:
        """Returns when no request is in progress."""
        while self._in_progress:
            self._idle.clear()
            await self._idle.wait()

    async def cut_off(self) -> None:
        """Have the requests in progress answered 503 now."""
        for exchange in self._in_progress:
            exchange.cut = True
            if exchange.task is not None:
                exchange.task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CUT_WITHIN):
                await self.finished()
        # Their answers are written in the same turn.
        await asyncio.sleep(0)


def _shown(connection: ssl.SSLObject) -> bool:
    return connection.getpeercert(binary_form=True) is not None
