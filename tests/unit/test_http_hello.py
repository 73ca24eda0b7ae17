"""What a TLS client asks for, read from its first bytes, which stay where they are for the handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.httpserver.hello import LONGEST, Hello, NotTls, parsed, read_hello

X25519, P256 = 0x1D, 0x17


def greeting(name: str | None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, curve: str | None = None) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    if curve:
        context.set_ecdh_curve(curve)
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
    return sent.read()


def in_records(greeted: bytes, size: int) -> bytes:
    """The same message in records of at most `size` bytes (RFC 8446 §5.1 allows any)."""
    message = greeted[5:]
    pieces = (message[at : at + size] for at in range(0, len(message), size))
    return b"".join(greeted[:3] + len(piece).to_bytes(2) + piece for piece in pieces)


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's and a server's end of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server, _ = listening.accept()
        server.setblocking(False)
        with server:
            yield client, server


async def heard(sent: bytes, *, ends: bool = False) -> Hello:
    with connected() as (client, server):
        client.sendall(sent)
        if ends:
            client.shutdown(socket.SHUT_WR)
        return await asyncio.wait_for(read_hello(server), 10)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("name", "found"), [("www.example.com", "www.example.com"), ("WWW.Example.COM", "www.example.com"), (None, "")])
async def test_the_server_name_is_found(newest: ssl.TLSVersion, name: str | None, found: str) -> None:
    assert (await heard(greeting(name, newest))).name == found


async def test_the_groups_are_those_with_a_key_and_then_all() -> None:
    assert (await heard(greeting("a.test"))).groups[:2] == (X25519, X25519)
    assert (await heard(greeting("a.test", curve="prime256v1"))).groups == (P256, P256)
    assert P256 in (await heard(greeting("a.test", ssl.TLSVersion.TLSv1_2))).groups


async def test_whether_tls_1_3_is_spoken_is_known() -> None:
    assert (await heard(greeting("a.test"))).speaks_1_3
    assert not (await heard(greeting("a.test", ssl.TLSVersion.TLSv1_2))).speaks_1_3


@pytest.mark.parametrize("size", [1, 3, 4, 5, 64, 16_000])
async def test_a_greeting_in_many_records_is_put_together(size: int) -> None:
    assert (await heard(in_records(greeting("a.test"), size))).name == "a.test"


async def test_a_greeting_that_comes_byte_by_byte_is_waited_for() -> None:
    sent = in_records(greeting("a.test"), 100)
    with connected() as (client, server):
        reading = asyncio.create_task(read_hello(server))
        for byte in sent:
            assert not reading.done()
            client.sendall(bytes([byte]))
            await asyncio.sleep(0)
        assert (await asyncio.wait_for(reading, 10)).name == "a.test"
        assert server.recv(LONGEST) == sent


async def test_waiting_for_the_rest_of_a_greeting_costs_nothing() -> None:
    with connected() as (client, server):
        client.sendall(greeting("a.test")[:50])
        reading = asyncio.create_task(read_hello(server))
        await asyncio.sleep(0.05)
        before = time.process_time()
        await asyncio.sleep(0.5)
        spent = time.process_time() - before
        assert not reading.done()
        reading.cancel()
    assert spent < 0.25, "it turned round and round"


async def test_a_connection_that_does_not_wait_for_as_much_as_it_was_told_is_asked_again() -> None:
    client, server = socket.socketpair()  # such is a local one
    with client, server:
        server.setblocking(False)
        reading = asyncio.create_task(read_hello(server))
        sent = greeting("a.test")
        for piece in (sent[:3], sent[3:100], sent[100:]):
            client.sendall(piece)
            await asyncio.sleep(0.02)
        assert (await asyncio.wait_for(reading, 10)).name == "a.test"


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"]
)
async def test_what_is_no_greeting_is_told_apart(sent: bytes) -> None:
    with pytest.raises(NotTls):
        await heard(sent)


@pytest.mark.parametrize("cut", [0, 1, 4, 5, 100])
async def test_a_client_that_goes_before_it_has_greeted_is_not_waited_for(cut: int) -> None:
    with pytest.raises(ConnectionResetError):
        await heard(greeting("a.test")[:cut], ends=True)


async def test_a_greeting_without_an_end_is_broken_off() -> None:
    endless = b"\x01\xff\xff\xff" + bytes(LONGEST)
    with pytest.raises(ConnectionAbortedError):
        await heard(in_records(b"\x16\x03\x01\x00\x00" + endless, 8000))


async def test_a_name_that_is_not_text_is_only_a_name_that_nobody_has() -> None:
    assert (await heard(greeting("a.test").replace(b"a.test", b"\xff\n\x00\x1b.t"))).name == "\xff\n\x00\x1b.t"


@given(st.data())
def test_no_bytes_at_all_do_harm(data: st.DataObject) -> None:
    sent = bytearray(greeting("www.example.com")[5:])
    for at in data.draw(st.lists(st.integers(1, len(sent) - 1), max_size=8)):
        sent[at] = data.draw(st.integers(0, 255))
    found = parsed(bytes(sent[: data.draw(st.integers(1, len(sent)))]))
    assert len(found.name) <= len(sent)


@given(st.binary(min_size=1, max_size=200), st.integers(1, 64))
def test_no_message_at_all_does(message: bytes, size: int) -> None:
    framed = in_records(b"\x16\x03\x01\x00\x00" + message[:1] + len(message[1:]).to_bytes(3) + message[1:], size)
    if message[0] == 1:
        asyncio.run(heard(framed))
    else:
        with pytest.raises(NotTls):
            asyncio.run(heard(framed))
