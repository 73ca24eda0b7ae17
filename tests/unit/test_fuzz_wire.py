"""Hostile bytes: whatever comes in, a decoder gives a value or a ProviderError that can be answered with, soon and in little memory.

FUZZ_SECONDS is the time for all of it (default 2), FUZZ_SEED repeats a run: each input follows from the seed and its number.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import random
import secrets
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from provider_sdk.errors import ProviderError, error_text
from provider_sdk.hosts.line import decode_line
from provider_sdk.hosts.wasmbus.actor_claims import module_hash, verify_actor
from provider_sdk.hosts.wasmbus.claims import decode_claims, verify
from provider_sdk.hosts.wasmbus.envelope import decode_invocation, decode_response, encode_invocation, encode_response
from provider_sdk.hosts.wasmbus.hostdata import parse_host_data
from provider_sdk.hosts.wasmbus.links_wire import decode_link, encode_link
from provider_sdk.hosts.wasmbus.values import Form, codec
from provider_sdk.nkeys import KeyPair, decode_public, decode_seed
from provider_sdk.types import Timestamp
from tests.unit import golden
from tests.unit.golden import ACCOUNT, CLUSTER, PROVIDER
from tests.unit.test_wire_properties import Colour, Empty, Everything, Num, Pair

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbits(32))
LEAST = 50
LONGEST_CPU_SECONDS = 1.0
MOST_MEMORY = 8 << 20
LONGEST_INPUT = 8192

GET = decode_invocation(golden.GET_INVOCATION)
CLUSTER_KEY, ACCOUNT_KEY = KeyPair.from_seed(CLUSTER.seed), KeyPair.from_seed(ACCOUNT.seed)
HEADER = golden.GET_TOKEN.partition(".")[0]
LEAF = Everything(
    text="text",
    flag=True,
    number=-1,
    ratio=1.5,
    small=0.5,
    data=b"\xff\0",
    blobs=[b"\1", b""],
    maybe=None,
    colour=Colour.RED,
    shapes=[Num(-7), Empty(), Pair(1, 2)],
    by_name={"k": Pair(-1, 1 << 40)},
    by_number={1: b"\xff"},
    row=(5, "é"),
    names=frozenset({"a"}),
    made=Timestamp(1_700_000_000, 5),
    changed=None,
    children=[],
)
TREE = dataclasses.replace(LEAF, maybe="m" * 40, changed=Timestamp(0), children=[LEAF, LEAF], count=255)


def token(claims: bytes, key: KeyPair) -> str:
    """A token over any bytes, so that what is inside a signature is reached as well."""
    content = f"{HEADER}.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}"
    return f"{content}.{base64.urlsafe_b64encode(key.sign(content.encode())).rstrip(b'=').decode()}"


def module(section: bytes, content: bytes) -> bytes:
    body = bytes([len(section)]) + section + content
    return golden.EMPTY_MODULE + b"\0" + bytes([len(body) & 127 | 128, len(body) >> 7 & 127 | 128, len(body) >> 14]) + body


def read_line(data: bytes) -> None:
    found = parse_host_data(decode_line(data))
    f"wasmbus.rpc.{found.lattice_rpc_prefix}.{found.provider_key}.{found.link_name}".encode()


def read_members(data: bytes) -> None:
    read_line(base64.b64encode(data) + b"\n")


def read_token(data: bytes) -> None:
    text = data.decode("latin-1")
    decode_claims(text)
    verify(replace(GET, encoded_claims=text), GET.msg, own_key=PROVIDER.public, issuers={CLUSTER.public}, now=0.0)


def read_claims(data: bytes) -> None:
    read_token(token(data, CLUSTER_KEY).encode())


def read_module(data: bytes) -> None:
    module_hash(data)
    verify_actor(data)


def read_actor_claims(data: bytes) -> None:
    verify_actor(module(b"jwt", token(data, ACCOUNT_KEY).encode()))


def read_keys(data: bytes) -> None:
    text = data.decode("latin-1")
    (decode_seed if text.startswith("S") else decode_public)(text)


def both_ways(annotation: Any, form: Form) -> Callable[[bytes], object]:
    values = codec(annotation)
    return lambda data: values.encode(values.decode(data, form), form)


def written(form: Form) -> tuple[bytes, ...]:
    start = 1 if form is Form.CBOR else 0
    return tuple(codec(Everything).encode(value, form)[start:] for value in (LEAF, TREE))


class Target(NamedTuple):
    """What reads the bytes, and good ones to begin with."""

    name: str
    read: Callable[[bytes], object]
    good: tuple[bytes, ...]


JSON_LINES = (golden.OTP_HOST_DATA.encode(), golden.RUST_HOST_DATA.encode())
ACTOR_MODULES = tuple(golden.EMPTY_MODULE + start + golden.ACTOR_TOKEN.encode() for start, _ in golden.ACTOR_SECTIONS.values())
INVOCATIONS = (golden.GET_INVOCATION, golden.SET_INVOCATION, golden.REQUEST_INVOCATION)
RESPONSES = (golden.GET_RESPONSE, golden.ERROR_RESPONSE, golden.OTP_REPLY, golden.RUST_REPLY, golden.CHUNKED_RESPONSE)
TARGETS = [
    Target("host data, line", read_line, tuple(base64.b64encode(line) + b"\r\n" for line in JSON_LINES)),
    Target("host data, JSON", read_members, JSON_LINES),
    Target("invocation", lambda data: encode_invocation(decode_invocation(data)), INVOCATIONS),
    Target("response", decode_response, RESPONSES),
    Target("response, written again", lambda data: encode_response(decode_response(data)._replace(invocation_id="")), RESPONSES),
    Target("link definition", lambda data: encode_link(decode_link(data)), (golden.OTP_LINK, golden.RUST_LINK)),
    Target("link definition, JSON", decode_link, (json.dumps(decode_link(golden.RUST_LINK).members()).encode(),)),
    Target("values, msgpack", both_ways(Everything, Form.MSGPACK), written(Form.MSGPACK)),
    Target("values, CBOR", both_ways(Everything, Form.CBOR), written(Form.CBOR)),
    Target("free values, msgpack", both_ways(Any, Form.MSGPACK), (*written(Form.MSGPACK), *INVOCATIONS)),
    Target("free values, CBOR", both_ways(Any, Form.CBOR), (codec(Any).encode(json.loads(golden.OTP_HOST_DATA), Form.CBOR)[1:],)),
    Target("sets of free values, msgpack", both_ways(set[Any], Form.MSGPACK), (bytes.fromhex("9301a161c402ff00"),)),
    Target("maps by free values, CBOR", both_ways(dict[Any, Any], Form.CBOR), (bytes.fromhex("a301f5616141ff20f6"),)),
    Target("token", read_token, (golden.GET_TOKEN.encode(),)),
    Target("claims under a signature", read_claims, (golden.GET_CLAIMS.encode(),)),
    Target("actor module", read_module, ACTOR_MODULES),
    Target("actor's claims under a signature", read_actor_claims, (golden.ACTOR_CLAIMS.encode(),)),
    Target("keys", read_keys, tuple(text.encode() for key in golden.KEYS for text in (key.public, key.seed))),
]

HEADS = tuple(
    map(bytes.fromhex, ("c4", "c6", "c7", "c9", "d9", "db", "dc", "dd", "de", "df", "5a", "5b", "7a", "7b", "9a", "9b", "ba", "bb", "d6ff"))
)
NESTS = (b"\x91", b"\x81\xa1a", b"\x81", b"\xc0", b"\xa1\x00", b"[", b'{"a":', b"\x82\xa8children\x91")
WORDS = (
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b'"\\ud800"',
    b"9" * 30,
    b"\xff",
    b"\0",
    b"=",
    b".",
    b"\xc1",
    b"\xf9",
)


def flip(data: bytearray, source: random.Random, _: Target) -> None:
    for _i in range(source.randint(1, 4)):
        if data:
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def cut(data: bytearray, source: random.Random, _: Target) -> None:
    del data[source.randint(0, len(data)) :]


def drop(data: bytearray, source: random.Random, _: Target) -> None:
    start = source.randint(0, len(data))
    del data[start : start + source.randint(1, 16)]


def splice(data: bytearray, source: random.Random, target: Target) -> None:
    other = source.choice(target.good)
    start, at = source.randint(0, len(other)), source.randint(0, len(data))
    data[at : at + source.randint(0, 64)] = other[start : start + source.randint(1, 256)]


def inflate(data: bytearray, source: random.Random, _: Target) -> None:
    size = source.choice((b"\xff", b"\xff\xff", b"\xff" * 4, b"\x7f" + b"\xff" * 7, source.randbytes(4), (1 << 20).to_bytes(4, "big")))
    at = source.randint(0, len(data))
    data[at : at + source.randint(0, 5)] = source.choice(HEADS) + size


def nest(data: bytearray, source: random.Random, _: Target) -> None:
    at = source.randint(0, len(data))
    data[at:at] = source.choice(NESTS) * source.choice((1, 2, 50, 70, 500, 1500))


def repeat(data: bytearray, source: random.Random, _: Target) -> None:
    start = source.randint(0, len(data))
    data[start:start] = data[start : start + source.randint(1, 16)] * source.choice((1, 2, 30, 300))


def insert(data: bytearray, source: random.Random, _: Target) -> None:
    at = source.randint(0, len(data))
    data[at : at + source.choice((0, 1, 4))] = source.choice((source.randbytes(source.randint(1, 8)), source.choice(WORDS)))


MUTATIONS = (flip, flip, cut, drop, splice, inflate, nest, repeat, insert, insert)


def hostile(target: Target, number: int) -> bytes:
    """The input of that number: good bytes changed one to four times, or now and then random ones."""
    source = random.Random(f"{SEED} {target.name} {number}")
    if source.random() < 0.05:
        return source.randbytes(source.randint(0, 64))
    data = bytearray(source.choice(target.good))
    for _ in range(source.randint(1, 4)):
        source.choice(MUTATIONS)(data, source, target)
    return bytes(data[:LONGEST_INPUT])


class Hung(Exception):
    pass


@contextmanager
def watched() -> Iterator[None]:
    """Memory is traced, and what computes for longer than it may is interrupted."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Hung(f"took more than {LONGEST_CPU_SECONDS:g} s")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    tracemalloc.start()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        tracemalloc.stop()
        signal.signal(signal.SIGVTALRM, before)


def fault(target: Target, data: bytes) -> str:
    """What is wrong with the outcome; empty where it is one of the two that may be."""
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_CPU_SECONDS)
    try:
        target.read(data)
    except ProviderError as error:
        error_text(error).encode()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    used = tracemalloc.get_traced_memory()[1] - held
    return f"used {used} bytes" if used > MOST_MEMORY else ""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_bytes_to_begin_with_are_good(target: Target) -> None:
    for data in target.good:
        target.read(data)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_hostile_bytes_give_a_value_or_an_error_that_can_be_answered_with(target: Target) -> None:
    print(f"FUZZ_SEED={SEED}")
    until = time.monotonic() + SECONDS / len(TARGETS)
    number = 0
    with watched():
        while number < LEAST or time.monotonic() < until:
            data = hostile(target, number)
            wrong = fault(target, data)
            if wrong:
                pytest.fail(f"{target.name}, FUZZ_SEED={SEED}, input {number}: {wrong}\n{data.hex()}")
            number += 1
