"""Entries out of a namespace into a dump, and back into another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from provider_sdk import AlreadyExists, ProviderError
from providers.keyvalue.backend import Backend, Entry
from providers.keyvalue.dump import DumpWriter

AT_ONCE = 32
BYTES_AT_ONCE = 4 << 20
Tell = Callable[[int], None]
"""Told how many entries more are done."""


class Existing(StrEnum):
    """What an import does where the namespace holds something already."""

    REFUSE = "refuse"
    REPLACE = "replace"
    KEEP = "keep"


@dataclass
class Imported:
    """What became of the entries of a dump: written; kept: the key was there and stays; expired: its time was over."""

    written: int = 0
    kept: int = 0
    expired: int = 0


async def export_entries(backend: Backend, write: Callable[[bytes], object], tell: Tell) -> int:
    """Write a dump of everything in the namespace; the number of entries."""
    dump = DumpWriter(write)
    async for entry in backend.entries():
        dump.add(entry)
        tell(1)
    dump.finish()
    return dump.entries


async def import_entries(backend: Backend, entries: Iterable[Entry], existing: Existing, tell: Tell) -> Imported:
    """Put the entries, some at once, since a store may commit those together.

    AlreadyExists, before anything is written, where the namespace is not empty and `existing` is REFUSE. An error on the way says how
    far it came.
    """
    if existing is Existing.REFUSE and not await _empty(backend):
        raise AlreadyExists("the namespace is not empty: --replace puts the entries over what is there, --keep adds those that are missing")
    done = Imported()
    try:
        for batch in _batches(entries):
            results = await asyncio.gather(*(_put(backend, entry, existing, done) for entry in batch), return_exceptions=True)
            for result in results:
                if result is not None:
                    raise result
            tell(len(batch))
    except ProviderError as error:
        told = f"{error.message}; by then {done.written} entries were written, and they stay"
        raise ProviderError.of(error.code, told) from error
    return done


async def _empty(backend: Backend) -> bool:
    async for _ in backend.entries():
        return False
    return True


async def _put(backend: Backend, entry: Entry, existing: Existing, done: Imported) -> None:
    if entry.expires and entry.expires <= time.time():
        done.expired += 1
    elif existing is Existing.KEEP and await backend.contains(entry.key):
        done.kept += 1
    else:
        await backend.put(entry)
        done.written += 1


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += sum(map(len, entry.items))
        if len(batch) == AT_ONCE or size >= BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
