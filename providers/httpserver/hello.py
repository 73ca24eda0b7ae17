"""What a TLS client asks for, looked at before the handshake begins and left where it is.

A context that takes another's place in the middle of a handshake (`sni_callback`) brings its certificate along, but neither its
versions nor whether it asks clients for a certificate, and it takes up sessions that were made under other names, with the client
certificate that was shown there. So the name is read first, and a connection has one context from its first byte on.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 32 * 1024
SHORTEST_PAUSE, LONGEST_PAUSE = 0.002, 1.0
_RECORD_HEAD = 5
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _GROUPS, _VERSIONS, _KEY_SHARES = 0, 10, 43, 51
_TLS_1_3 = 0x0304
_HOST_NAME = 0
_BEFORE_SESSION_ID = 4 + 2 + 32


class NotTls(Exception):
    """The client speaks something else."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The server name in lower case, empty where none is asked for; for TLS 1.3 the key exchange groups, those with a key in it first."""

    name: str = ""
    speaks_1_3: bool = False
    groups: tuple[int, ...] = ()


async def read_hello(connection: socket.socket) -> Hello:
    """What the client asks for; NotTls, or ConnectionError when it goes before it has said."""
    needed, pause = _RECORD_HEAD, SHORTEST_PAUSE
    try:
        while True:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, needed)
            await _readable(connection)
            data = connection.recv(LONGEST, socket.MSG_PEEK)
            if data and data[0] != _HANDSHAKE:
                raise NotTls
            if len(data) < needed:
                if not data or _has_gone(connection):
                    raise ConnectionResetError("the client went before it had greeted")
                # This system does not wait for as much as it was told to.
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            message, needed = _first_message(data)
            if not needed:
                return parsed(message)
            if needed > LONGEST:
                raise ConnectionAbortedError("the client greets at great length")
    finally:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    descriptor = connection.fileno()
    loop.add_reader(descriptor, ready.set_result, None)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _has_gone(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, getattr(select, "POLLRDHUP", 0))  # a reset is always told
    return bool(poll.poll(0))


def _first_message(data: bytes) -> tuple[bytes, int]:
    """The first handshake message, put together from its records; and how many bytes are needed to say more, 0 when it is whole."""
    message, at = b"", 0
    while True:
        if len(data) < at + _RECORD_HEAD:
            return b"", at + _RECORD_HEAD
        if data[at] != _HANDSHAKE:
            raise NotTls
        end = at + _RECORD_HEAD + int.from_bytes(data[at + 3 : at + _RECORD_HEAD])
        if len(data) < end:
            return b"", end
        message += data[at + _RECORD_HEAD : end]
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4]):
            return message[: 4 + int.from_bytes(message[1:4])], 0
        at = end


def parsed(message: bytes) -> Hello:
    """A ClientHello (RFC 8446 §4.1.2); NotTls for another message. One that is damaged is left to OpenSSL to refuse."""
    if message[0] != _CLIENT_HELLO:
        raise NotTls
    at = _BEFORE_SESSION_ID
    for size in (1, 2, 1):  # session id, cipher suites, compression methods
        at += size + int.from_bytes(message[at : at + size])
    found = dict(_extensions(message[at + 2 :]))
    groups = [*_key_groups(found.get(_KEY_SHARES, b"")), *_numbers(found.get(_GROUPS, b"")[2:])]
    newest = _TLS_1_3 in _numbers(found.get(_VERSIONS, b"")[1:])
    return Hello(_host_name(found.get(_SERVER_NAME, b"")), newest, tuple(groups))


def _host_name(content: bytes) -> str:
    """Of a list of server names (RFC 6066 §3), which has one."""
    return content[5 : 5 + int.from_bytes(content[3:5])].decode("latin-1").lower() if content[2:3] == bytes([_HOST_NAME]) else ""


def _key_groups(content: bytes) -> Iterator[int]:
    at = 2
    while at + 4 <= len(content):
        yield int.from_bytes(content[at : at + 2])
        at += 4 + int.from_bytes(content[at + 2 : at + 4])


def _numbers(content: bytes) -> Iterator[int]:
    return (int.from_bytes(content[at : at + 2]) for at in range(0, len(content), 2))


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while len(data) >= at + 4:
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4])
        yield int.from_bytes(data[at : at + 2]), data[at + 4 : end]
        at = end
