"""Which server has a key: the one, the one that the sentinels name, or the one of the key's slot in a cluster."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from hiredis import ReplyError
from redis.asyncio.connection import Connection, SSLConnection
from redis.crc import key_slot
from redis.exceptions import ResponseError

from provider_sdk import Context, InvalidArgument, ProviderError, Unavailable
from providers.keyvalue.backends.redis_errors import ASK, CLUSTER_DOWN, MOVED, READ_ONLY, not_connected, refusal
from providers.keyvalue.backends.redis_lanes import PATIENCE, TICK, Node, Reply, pack, time_left
from providers.keyvalue.backends.redis_target import Address, Login, Target, shown_address

SLOTS = 16384
HOPS = 5
LOOK_AGAIN = 0.2
"""Seconds between two looks at which server of a cluster has what."""
PING_PATIENCE = 0.4
_T = TypeVar("_T")


class Route(ABC):
    """The way to the server of a key."""

    @abstractmethod
    async def ask(self, key: bytes, payload: bytes, again: bool = False) -> Reply:
        """The reply of the key's server to a packed command; `again`: it may be sent twice."""

    @abstractmethod
    async def nodes(self) -> list[Node]:
        """The servers that together have all keys."""

    @abstractmethod
    def together(self, keys: list[bytes]) -> bool:
        """Whether one command may name all of these keys."""

    @abstractmethod
    async def trouble(self) -> str:
        """What is wrong, as a line; empty where all is well."""

    @abstractmethod
    async def close(self) -> None:
        """End all connections."""


class Dialler:
    """Makes connections that are logged in; the library's own retries are off, so that an attempt ends within connect_timeout."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._context: ssl.SSLContext | None = None

    async def dial(self, address: Address) -> asyncio.StreamWriter:
        """A connection to a server of data."""
        connection = await self.connect(address, self._target.login, self._target.database)
        return connection.hand_over()

    async def connect(self, address: Address, login: Login, database: int = 0) -> _Plain | _Tls:
        """A connection of redis-py."""
        seconds = self._target.connect_timeout
        connection = (_Tls if self._target.tls else _Plain)(
            host=address[0],
            port=address[1],
            db=database,
            username=login.username,
            password=login.password.reveal() if login.password else None,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            protocol=2,
            driver_info=None,
        )
        try:
            async with asyncio.timeout(seconds):
                if isinstance(connection, _Tls):
                    connection.ssl_context.context = await self._tls_context()
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has no types here
                await _answers(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _tls_context(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = await asyncio.to_thread(ssl.create_default_context, cafile=self._target.ca_file)
            except OSError as error:
                raise InvalidArgument(f"ca_file: {self._target.ca_file} cannot be used: {error.strerror or error}") from error
        return self._context


class _HandOver(Connection):
    def hand_over(self) -> asyncio.StreamWriter:
        """The stream without this object, which would close it."""
        reader, writer = self._reader, self._writer
        self._reader = self._writer = None
        if reader is None or writer is None or reader.at_eof():
            raise ConnectionResetError("the server closed the connection")
        return writer


class _Plain(_HandOver):
    """In the clear."""


class _Tls(_HandOver, SSLConnection):
    """Encrypted."""


class OneServer(Route):
    """All keys are on one server."""

    def __init__(self, target: Target) -> None:
        dialler = Dialler(target)
        self._node = Node(target.name, lambda: dialler.dial(target.addresses[0]), target.connections)

    async def ask(self, key: bytes, payload: bytes, again: bool = False) -> Reply:
        return await self._node.ask(payload, again)

    async def nodes(self) -> list[Node]:
        return [self._node]

    def together(self, keys: list[bytes]) -> bool:
        return True

    async def trouble(self) -> str:
        return await self._node.trouble(PING_PATIENCE)

    async def close(self) -> None:
        await self._node.close()


class Sentinels(OneServer):
    """All keys are on one server, and sentinels know which one that is."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._dialler = Dialler(target)
        self._node = Node(f"{target.service} of the sentinels {target.name}", self._dial, target.connections)

    async def ask(self, key: bytes, payload: bytes, again: bool = False) -> Reply:
        reply = await self._node.ask(payload, again)
        if isinstance(reply, ReplyError) and str(reply).startswith(READ_ONLY):
            self._node.drop()
            reply = await self._node.ask(payload, again)
        return reply

    async def _dial(self) -> asyncio.StreamWriter:
        tasks = [asyncio.ensure_future(self._told(sentinel)) for sentinel in self._target.addresses]
        failed: ProviderError | None = None
        try:
            async with asyncio.timeout(self._target.connect_timeout):
                for told in asyncio.as_completed(tasks):
                    try:
                        address = await told
                    except ProviderError as error:
                        failed = failed or error
                        continue
                    try:
                        return await self._primary(address)
                    except ProviderError as error:
                        failed = error
        finally:
            for task in tasks:
                task.cancel()
        raise failed or Unavailable("no sentinel is named")

    async def _primary(self, address: Address) -> asyncio.StreamWriter:
        name = shown_address(address)
        try:
            connection = await self._dialler.connect(address, self._target.login, self._target.database)
            await connection.send_command("ROLE")
            role = await connection.read_response()
        except Exception as error:
            raise not_connected(name, error) from error
        if role[0] != b"master":
            await connection.disconnect(nowait=True)
            raise Unavailable(f"redis at {name} is no primary, and a sentinel says it is")
        return connection.hand_over()

    async def _told(self, sentinel: Address) -> Address:
        name = shown_address(sentinel)
        try:
            connection = await self._dialler.connect(sentinel, self._target.sentinel_login)
            try:
                await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._target.service)
                found = await connection.read_response()
            finally:
                await connection.disconnect(nowait=True)
        except Exception as error:
            raise not_connected(f"{name} (a sentinel)", error) from error
        if not found:
            raise InvalidArgument(f"url: the sentinel at {name} knows no service {self._target.service!a}")
        return found[0].decode(), int(found[1])


class Cluster(Route):
    """Keys are spread over servers by their slot. Which server has which is asked at first use, and again when a server says otherwise."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._dialler = Dialler(target)
        self._nodes: dict[Address, Node] = {}
        self._slots: list[Node | None] = []
        self._looked = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._stale = True

    def _node(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = Node(shown_address(address), lambda: self._dialler.dial(address), self._target.connections)
        return node

    async def ask(self, key: bytes, payload: bytes, again: bool = False) -> Reply:
        slot = key_slot(key)
        node = await self._owner(slot)
        prefix, skip = b"", 0
        for _ in range(HOPS):
            try:
                reply = await node.ask(prefix + payload, again, skip)
            except Unavailable:
                self._stale = True
                raise
            text = str(reply) if isinstance(reply, ReplyError) else ""
            if not text.startswith((MOVED, ASK, CLUSTER_DOWN)):
                break
            self._stale = not text.startswith(ASK)
            if text.startswith(CLUSTER_DOWN):
                break
            node = self._node(_address_in(text, node.name))
            prefix, skip = (ASKING, 1) if text.startswith(ASK) else (b"", 0)
        return reply

    async def _owner(self, slot: int) -> Node:
        await self._look()
        node = self._slots[slot]
        if node is None:
            self._stale = True
            raise Unavailable(f"redis cluster at {self._target.name}: no server has the slot of the key")
        return node

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if self._stale and (not self._slots or loop.time() - self._looked > LOOK_AGAIN):
            if self._looking is None:
                self._looking = loop.create_task(self._ask_slots(), name="slots of the cluster")
                self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())
            try:
                async with asyncio.timeout(time_left(PATIENCE)):
                    await asyncio.shield(self._looking)
            except TimeoutError:
                raise Unavailable(f"redis cluster at {self._target.name}: no answer in time") from None

    async def _ask_slots(self) -> None:
        Context.detach()
        try:
            known = [*self._nodes.values(), *(self._node(address) for address in self._target.addresses if address not in self._nodes)]
            name, ranges = await _first(_slots_of(node, self._target.connect_timeout) for node in known)
            slots: list[Node | None] = [None] * SLOTS
            for first, last, primary, *_ in ranges:
                node = self._node((primary[0].decode() or name.rpartition(":")[0].strip("[]"), int(primary[1])))
                slots[first : last + 1] = [node] * (last + 1 - first)
            self._slots, self._stale = slots, False
            await self._forget()
        finally:
            self._looked = asyncio.get_running_loop().time()
            self._looking = None

    async def _forget(self) -> None:
        used = {id(node) for node in self._slots}
        for address, node in list(self._nodes.items()):
            if id(node) not in used and address not in self._target.addresses and node.idle:
                del self._nodes[address]
                await node.close()

    async def nodes(self) -> list[Node]:
        await self._look()
        return list({id(node): node for node in self._slots if node is not None}.values())

    def together(self, keys: list[bytes]) -> bool:
        return len({key_slot(key) for key in keys}) == 1

    async def trouble(self) -> str:
        try:
            async with asyncio.timeout(PING_PATIENCE):
                nodes = await self.nodes()
                lines = await asyncio.gather(*(node.trouble(PING_PATIENCE - 2 * TICK) for node in nodes))
        except TimeoutError:
            return f"redis cluster at {self._target.name}: no answer in time"
        except ProviderError as error:
            return str(error)
        troubles = [*filter(None, lines), *self._gap()]
        self._stale = self._stale or bool(troubles)
        return troubles[0] if troubles else ""

    def _gap(self) -> list[str]:
        return [f"redis cluster at {self._target.name}: some slots have no server"] if None in self._slots else []

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(*(node.close() for node in self._nodes.values()))


def route(target: Target) -> Route:
    """The way that fits the form of the target."""
    return {"": OneServer, "sentinel": Sentinels, "cluster": Cluster}[target.form](target)


ASKING, CLUSTER_SLOTS = pack("ASKING"), pack("CLUSTER", "SLOTS")


async def _answers(connection: Connection) -> None:
    """A first round trip: a server that takes no more clients, wants a password or speaks TLS says so to the first command only."""
    await connection.send_command("PING")
    try:
        await connection.read_response()
    except ResponseError:
        return


async def _slots_of(node: Node, patience: float) -> tuple[str, list[Any]]:
    reply = await node.ask(CLUSTER_SLOTS, again=True, patience=patience)
    if isinstance(reply, ReplyError):
        raise refusal(node.name, reply)
    return node.name, reply


def _address_in(redirection: str, asked: str) -> Address:
    """The address in `MOVED 3999 host:port`; without a host it is that of the server which was asked."""
    host, _, port = redirection.split(" ")[2].rpartition(":")
    return host.strip("[]") or asked.rpartition(":")[0].strip("[]"), int(port)


async def _first(asked: Iterable[Coroutine[Any, Any, _T]]) -> _T:
    """The result of the first attempt that succeeds, the others being called off; where all fail, an error of one of them."""
    tasks = [asyncio.ensure_future(one) for one in asked]
    error: BaseException | None = None
    try:
        for done in asyncio.as_completed(tasks):
            try:
                return await done
            except Exception as failed:
                error = error or failed
    finally:
        for task in tasks:
            task.cancel()
    raise error or Unavailable("redis: there is no server to ask")
