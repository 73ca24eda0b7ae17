"""How far a copy has come, on standard error, where that is a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from provider_sdk import ProviderError
from providers.blobstore.backend import Backend
from providers.blobstore.pairs import listing
from providers.blobstore.transfer import Tell, Wish


class Bar:
    """What is shown of one run. `tell` is told of objects and bytes that are done."""

    def __init__(self, tell: Tell, total: Callable[[int], None] | None = None) -> None:
        self.tell = tell
        self._total = total

    @asynccontextmanager
    async def counting(self, source: Backend, wish: Wish) -> AsyncIterator[None]:
        """While the block runs, find out how many objects there are in all: for who looks on only, since it takes a listing more."""
        counting = asyncio.create_task(self._count(source, wish)) if self._total else None
        try:
            yield
        finally:
            if counting is not None:
                counting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await counting

    async def _count(self, source: Backend, wish: Wish) -> None:
        count = 0
        with contextlib.suppress(ProviderError):
            for name, _ in wish.containers:
                async for _ in listing(source, name, wish.prefix):
                    count += 1
            if self._total is not None:
                self._total(count)


@contextmanager
def progress(title: str) -> Iterator[Bar]:
    """A bar that is gone when the block ends."""
    if not sys.stderr.isatty():
        yield Bar(lambda objects, size: None)
        return
    from rich.console import Console
    from rich.filesize import decimal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[size]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, sent = bar.add_task(title, total=None, size=""), 0

        def tell(objects: int, size: int) -> None:
            nonlocal sent
            sent += size
            bar.update(task, advance=objects, size=decimal(sent))

        yield Bar(tell, lambda count: bar.update(task, total=count))
