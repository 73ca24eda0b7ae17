"""Calls carried out by implementations in this program: what stands in for an actor or a component."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from provider_sdk.context import Context
from provider_sdk.errors import Unsupported
from provider_sdk.hosts.base import Call
from provider_sdk.interface import Interface
from provider_sdk.link import LinkKey

TIME = 5.0


class Answers:
    """A Calls (see hosts/base.py) without links: each call goes straight to the implementation. `time` bounds one, seconds."""

    full = False

    def __init__(self, implementations: tuple[Interface, ...], *, time: float = TIME) -> None:
        self._implementations = implementations
        self._time = time
        self._tasks: set[asyncio.Task[None]] = set()

    def start_call(self, serve: Coroutine[Any, Any, None]) -> None:
        """See Calls."""
        self._tasks.add(asyncio.create_task(serve))

    def end_call(self) -> None:
        """See Calls."""
        self._tasks.discard(asyncio.current_task())

    async def run_call(self, call: Call) -> Any:
        """See Calls."""
        deadline = call.received + self._time
        Context(call.operation.name, call.caller, LinkKey(call.caller, call.contract, ""), call.call_id, deadline, call.trace).enter()
        found = next((item for item in self._implementations if isinstance(item, call.operation.interface)), None)
        if found is None:
            raise Unsupported(f"{call.operation.name}: nobody implements it")
        result = await getattr(found, call.operation.method)(*call.arguments)
        if call.deliver is not None:
            await call.deliver(result)
        return result

    async def close(self) -> None:
        """Cut off what is being served."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
