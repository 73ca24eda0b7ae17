"""Changes as a server tells them: its keyspace events, on a connection for each server that has keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

import hiredis

from provider_sdk import PreconditionFailed, Unavailable
from providers.keyvalue.backends.redis_errors import refusal
from providers.keyvalue.backends.redis_lanes import PING, Node, Reply, pack
from providers.keyvalue.backends.redis_routes import Route
from providers.keyvalue.changes import Change, Interest, Tell

LOOK_EVERY, SILENT = 1.0, 3.5
EVENTS = {
    **dict.fromkeys(("set", "incrby", "incrbyfloat", "append", "setrange", "setbit", "restore", "rename_to", "copy_to"), Change.SET),
    **dict.fromkeys(("del", "expired", "evicted", "rename_from", "move_from"), Change.DELETE),
}
SETTING, WANTED, ALL = "notify-keyspace-events", "Kg$xe", "A"
_log = logging.getLogger("provider")


class Subscription(asyncio.Protocol):
    """One connection that hears of keys: `heard` is when it last did."""

    def __init__(self, writer: asyncio.StreamWriter, space: bytes, subscriptions: int, tell: Tell) -> None:
        self._transport = writer.transport
        self._writer = writer  # its end would close the transport
        self._reader = hiredis.Reader()
        self._awaited = subscriptions
        self._space, self._tell = space, tell
        self.begun = asyncio.get_running_loop().create_future()
        self.heard = asyncio.get_running_loop().time()
        self.lost = False
        self.refused: hiredis.ReplyError | None = None
        self._transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Tell of what it says."""
        self.heard = asyncio.get_running_loop().time()
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._take(reply)

    def _take(self, reply: Reply) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self.refused = reply
            self._transport.abort()
        elif reply[0] in (b"subscribe", b"psubscribe"):
            self._awaited -= 1
            if not self._awaited and not self.begun.done():
                self.begun.set_result(None)
        elif reply[0] in (b"message", b"pmessage"):
            change = EVENTS.get(reply[-1].decode("ascii", "replace"))
            if change is not None:
                self._tell(change, reply[-2][len(self._space) :])

    def connection_lost(self, error: Exception | None) -> None:
        """Note it."""
        self.lost = True
        if not self.begun.done():
            self.begun.set_result(None)

    def ping(self) -> None:
        """Ask whether it is still there."""
        self._transport.write(PING)

    def close(self) -> None:
        """End it."""
        self._transport.abort()


async def follow(way: Route, database: int, prefix: bytes, interest: Interest, tell: Tell, ready: Callable[[], None]) -> NoReturn:
    """Tell of changes of keys with the prefix. Unavailable when a connection ends, or other servers have the keys."""
    nodes = await way.nodes()
    space = b"__keyspace@%d__:%b" % (database, prefix)
    open_: list[Subscription] = []
    try:
        for node in nodes:
            await switched_on(node)
            open_.append(await subscribe(node, space, interest, tell))
        ready()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = asyncio.get_running_loop().time()
            for node, subscription in zip(nodes, open_, strict=True):
                if subscription.lost or now - subscription.heard > SILENT:
                    raise Unavailable(f"the connection on which redis at {node.name} tells of changes broke")
                subscription.ping()
            if {node.name for node in await way.nodes()} != {node.name for node in nodes}:
                raise Unavailable("other servers of the redis cluster have the keys now")
    finally:
        for subscription in open_:
            subscription.close()


async def subscribe(node: Node, space: bytes, interest: Interest, tell: Tell) -> Subscription:
    """A connection that tells of what is of interest; `space` is what the channels of all keys begin with."""
    names = [space + name for name in interest.names]
    patterns = [escaped(space + start) + b"*" for start in interest.starts]
    writer = await node.connection()
    subscription = Subscription(writer, space, len(names) + len(patterns), tell)
    if names:
        writer.transport.write(pack("SUBSCRIBE", *names))
    if patterns:
        writer.transport.write(pack("PSUBSCRIBE", *patterns))
    try:
        async with asyncio.timeout(SILENT):
            await subscription.begun
    except TimeoutError:
        subscription.close()
        raise Unavailable(f"redis at {node.name} did not answer in time") from None
    if subscription.refused is not None:
        raise refusal(node.name, subscription.refused)
    return subscription


async def switched_on(node: Node) -> None:
    """See to it that the server tells of changes; PreconditionFailed, which says what to set, where it does not and may not be told to."""
    found = await node.ask(pack("CONFIG", "GET", SETTING), again=True)
    if not isinstance(found, list) or len(found) < 2:
        _log.warning("redis at %s does not say whether it tells of changes: %s has to have %s or KA", node.name, SETTING, WANTED)
        return
    flags = found[1].decode()
    missing = [flag for flag in WANTED if flag not in flags and not (ALL in flags and flag != "K")]
    if not missing:
        return
    needed = flags + "".join(missing)
    reply = await node.ask(pack("CONFIG", "SET", SETTING, needed), again=True)
    if isinstance(reply, hiredis.ReplyError):
        raise PreconditionFailed(f"redis at {node.name} does not tell of changes: set {SETTING} to {needed} there") from reply
    _log.info("redis at %s: %s was %r and is now %r, so that it tells of changes", node.name, SETTING, flags, needed)


def escaped(text: bytes) -> bytes:
    """A pattern that only this matches."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]^\\" else bytes([byte]) for byte in text)
