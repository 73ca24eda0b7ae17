"""The short way of received messages: whatever the pieces in which they arrive, each comes once, whole and in its order."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from provider_sdk.transport.base import Message
from provider_sdk.transport.nats_client import ShortParser

DIRECT, OTHER = 1, 2
WORDS = st.text("abc.*>-", min_size=1, max_size=8)
MESSAGES = st.lists(
    st.one_of(
        st.tuples(st.just("MSG"), st.sampled_from([DIRECT, OTHER]), WORDS, st.one_of(st.just(""), WORDS), st.binary(max_size=40)),
        st.tuples(st.just("HMSG"), st.sampled_from([DIRECT, OTHER]), WORDS, st.one_of(st.just(""), WORDS), st.binary(max_size=40)),
        st.tuples(st.just("PING"), st.just(0), st.just(""), st.just(""), st.just(b"")),
        st.tuples(st.just("MSG"), st.just(DIRECT), WORDS, WORDS, st.just(b"\r\nMSG a 1 1\r\nx\r\nPING\r\n")),
    ),
    max_size=12,
)
HEAD = b"NATS/1.0\r\na: b\r\n\r\n"


class Client:
    """What the parser needs of a client, and what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.direct = {DIRECT: self._take}

    def _take(self, message: Message) -> None:
        self.told.append(("HMSG" if message.headers else "MSG", DIRECT, message.subject, message.reply, message.data))

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.told.append(("HMSG" if headers else "MSG", sid, subject.decode(), reply.decode(), data))

    async def _process_ping(self) -> None:
        self.told.append(("PING", 0, "", "", b""))


Sent = tuple[str, int, str, str, bytes]


def on_the_wire(message: Sent) -> bytes:
    kind, sid, subject, reply, data = message
    words = " ".join(filter(None, (subject, str(sid), reply)))
    if kind == "PING":
        return b"PING\r\n"
    if kind == "HMSG":
        return f"HMSG {words} {len(HEAD)} {len(HEAD) + len(data)}\r\n".encode() + HEAD + data + b"\r\n"
    return f"MSG {words} {len(data)}\r\n".encode() + data + b"\r\n"


@given(MESSAGES, st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_messages_arrive_whole_and_in_order_however_they_are_cut(messages: list[Sent], sizes: list[int]) -> None:
    stream = b"".join(map(on_the_wire, messages))

    async def feed() -> list[tuple[Any, ...]]:
        client = Client()
        parser = ShortParser(client)  # type: ignore[arg-type]  # it has what is asked of it
        at = index = 0
        while at < len(stream):
            size = sizes[index % len(sizes)]
            await parser.parse(stream[at : at + size])
            at, index = at + size, index + 1
        return client.told

    assert asyncio.run(feed()) == messages
