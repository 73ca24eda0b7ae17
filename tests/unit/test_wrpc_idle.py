"""How long a channel of a 1.x call may stand still: it counts what moves of the whole call."""

from __future__ import annotations

import asyncio

import pytest

from provider_sdk import DeadlineExceeded
from provider_sdk.hosts.base import StreamLimits
from provider_sdk.hosts.wrpc.incoming import Incoming
from provider_sdk.hosts.wrpc.spool import Budget

IDLE = 1.0


def incoming() -> Incoming:
    return Incoming(Budget(StreamLimits(idle=IDLE)))


async def test_a_channel_on_which_nothing_comes_is_given_up() -> None:
    with pytest.raises(DeadlineExceeded, match="nothing has come of a stream"):
        async with asyncio.timeout(30):
            await incoming().open("0").read()


async def test_a_future_waits_as_long_as_a_stream_of_its_call_goes_on() -> None:
    call = incoming()
    stream, waiting = call.open("0.0"), asyncio.ensure_future(call.open("0.1").read())
    for _ in range(8):
        call.feed("0.0", b"data")
        assert await stream.read() == b"data"
        await asyncio.sleep(IDLE / 3)
    assert not waiting.done()
    call.feed("0.1", b"end")
    assert await waiting == b"end"


async def test_what_is_sent_meanwhile_counts_and_what_was_sent_does_not() -> None:
    call = incoming()
    waiting = asyncio.ensure_future(call.open("0").read())
    with call.sending():
        await asyncio.sleep(3 * IDLE)
        assert not waiting.done()
    with pytest.raises(DeadlineExceeded):
        async with asyncio.timeout(30):
            await waiting
