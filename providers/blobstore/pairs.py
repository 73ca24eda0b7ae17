"""Two stores walked side by side, in the order of their names, a page of each in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from provider_sdk import NotFound
from providers.blobstore.backend import Backend, ObjectInfo


@dataclass(frozen=True, slots=True)
class Pair:
    """An object on both sides, or on one of them."""

    source: ObjectInfo | None
    target: ObjectInfo | None


async def listing(backend: Backend, container: str, prefix: str = "") -> AsyncIterator[ObjectInfo]:
    """All objects whose names begin with `prefix`; NotFound for the container."""
    after = ""
    while True:
        page = await backend.objects(container, prefix=prefix, after=after)
        for info in page.objects:
            yield info
        if not page.more or not page.objects:
            return
        after = page.objects[-1].name


async def pairs(source: AsyncIterator[ObjectInfo], target: AsyncIterator[ObjectInfo]) -> AsyncIterator[Pair]:
    """What is on either side, paired by name. A target that is not there counts as empty."""
    ours, theirs = await anext(source, None), await _first(target)
    while ours is not None or theirs is not None:
        mine, other = _key(ours), _key(theirs)
        if ours is not None and (other is None or (mine is not None and mine < other)):
            yield Pair(ours, None)
            ours = await anext(source, None)
        elif theirs is not None and (mine is None or (other is not None and other < mine)):
            yield Pair(None, theirs)
            theirs = await anext(target, None)
        else:
            yield Pair(ours, theirs)
            ours, theirs = await anext(source, None), await anext(target, None)


async def _first(listed: AsyncIterator[ObjectInfo]) -> ObjectInfo | None:
    try:
        return await anext(listed, None)
    except NotFound:
        return None


def _key(info: ObjectInfo | None) -> bytes | None:
    return None if info is None else info.name.encode()
