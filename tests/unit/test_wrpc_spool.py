"""What holds the unread bytes of 1.x streams: nothing of it is left when a stream is let go of, whatever is at work at that moment."""

from __future__ import annotations

import asyncio
import resource
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provider_sdk import ResourceExhausted
from provider_sdk.errors import Unavailable
from provider_sdk.hosts.base import StreamLimits
from provider_sdk.hosts.wrpc.incoming import Incoming
from provider_sdk.hosts.wrpc.spool import Budget, Spool

PIECE = bytes(64 << 10)


def small() -> Budget:
    return Budget(StreamLimits(memory=64 << 10, spool=64 << 20))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def none_held(budget: Budget) -> None:
    async with asyncio.timeout(30):
        while (budget.memory, budget.spooled) != (0, 0):
            await asyncio.sleep(0.01)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may be longer than some kilobytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def filed(spool: Spool, pieces: int = 20) -> None:
    """Fill it, and wait until what does not stand in memory is in its file."""
    for _ in range(pieces):
        spool.put(PIECE)
    async with asyncio.timeout(30):
        while spool._writing is not None:  # noqa: SLF001 # nothing else shows it
            await asyncio.sleep(0.01)


async def test_a_stream_that_is_let_go_of_while_it_is_read_from_its_file_leaves_nothing() -> None:
    budget = small()
    files = open_files()
    for _ in range(20):
        spool = Spool(budget)
        await filed(spool)
        await spool.take()
        reading = asyncio.create_task(spool.take())
        await asyncio.sleep(0)
        spool.close()
        assert await reading == b""
    await none_held(budget)
    assert open_files() <= files


async def test_a_stream_that_is_let_go_of_while_it_is_written_leaves_nothing() -> None:
    budget = small()
    files = open_files()
    for _ in range(20):
        spool = Spool(budget)
        for _ in range(20):
            spool.put(PIECE)
        spool.close()
    await none_held(budget)
    assert open_files() <= files


async def test_a_full_disk_ends_the_stream_and_leaves_nothing() -> None:
    budget = small()
    files = open_files()
    with full_disk():
        call = Incoming(budget)
        stream = call.open("0")
        for _ in range(20):
            call.feed("0", PIECE)
        with pytest.raises(ResourceExhausted, match="could not be kept in a file"):
            async with asyncio.timeout(30):
                while await stream.read():
                    pass
        call.close()
    await none_held(budget)
    assert open_files() <= files


async def test_a_connection_that_is_lost_while_a_file_is_read_is_the_error_of_the_stream() -> None:
    budget = small()
    call = Incoming(budget)
    stream = call.open("0")
    for _ in range(20):
        call.feed("0", PIECE)
    await stream.read()
    await filed(stream._spool, 0)  # noqa: SLF001 # nothing else leads there
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    call.fail(Unavailable("the connection was lost"))
    with pytest.raises(Unavailable, match="the connection was lost"):
        await reading
    await none_held(budget)


async def test_what_comes_for_a_call_that_is_over_is_not_kept() -> None:
    budget = small()
    call = Incoming(budget)
    call.close()
    call.feed("0", PIECE)
    assert (budget.memory, budget.spooled) == (0, 0)


async def test_nothing_is_kept_of_the_paths_of_a_call_that_are_over() -> None:
    call = Incoming(small())
    read, unread = call.open("0.0"), call.open("0.1")
    call.feed("0.0", b"a")
    call.feed("0.0", b"")
    assert [await read.read(), await read.read()] == [b"a", b""]
    unread.close()
    call.feed("0.1", b"more")
    call.feed("0.1", b"")
    paths = [weakref.ref(read), weakref.ref(unread)]
    del read, unread
    assert [path() for path in paths] == [None, None]
