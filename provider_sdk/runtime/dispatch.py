"""Carries out calls: bounded in all and per link, under a deadline, with an answer for every outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from provider_sdk.context import Context
from provider_sdk.errors import DeadlineExceeded, Internal, ProviderError, ResourceExhausted
from provider_sdk.hosts.base import Call
from provider_sdk.metrics import Metrics
from provider_sdk.runtime.links import LinkTable, Serving
from provider_sdk.runtime.telemetry import Tracing

log = logging.getLogger("provider.calls")


class Dispatcher:
    """Runs calls on their links."""

    def __init__(
        self, links: LinkTable, *, timeout: float, link_wait: float, most: int, most_per_link: int, metrics: Metrics, tracing: Tracing
    ) -> None:
        self._links = links
        self._timeout = timeout
        self._link_wait = min(link_wait, timeout / 2)
        self._most = most
        self._most_per_link = most_per_link
        self._tracing = tracing
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls = metrics.counter("provider_calls_total", "Calls answered, by operation and code (ok or an error's).", "operation", "code")
        self._seconds = metrics.histogram("provider_call_seconds", "Time from receipt to result.", "operation")
        self._refused = metrics.counter("provider_overload_total", "Calls refused at once because too many were being served.")
        metrics.gauge("provider_calls_in_flight", "Calls being served.", lambda: {(): float(len(self._tasks))})

    def start(self, serve: Callable[[], Awaitable[None]]) -> bool:
        """Serve a call in a task of its own; False when the total is reached."""
        if len(self._tasks) >= self._most:
            self._refused.add()
            return False
        task = asyncio.ensure_future(serve())
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return True

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a call could not be answered: %s", error, exc_info=error)

    async def run(self, call: Call) -> Any:
        """The result of the call; every failure is a ProviderError, whose message the caller may see."""
        loop = asyncio.get_running_loop()
        code = "ok"
        try:
            return await self._carry_out(call)
        except ProviderError as error:
            code = error.code.value
            if error.detail or error.__cause__ is not None:
                log.warning("%s failed: %s %s", call.operation.name, error, error.detail, extra=_fields(call), exc_info=error.__cause__)
            raise
        except Exception as error:
            code = "internal"
            log.error("%s failed: %s", call.operation.name, error, extra=_fields(call), exc_info=error)
            raise Internal(f"{call.operation.name} failed inside the provider; its log has call {call.call_id}") from error
        finally:
            self._calls.add(call.operation.name, code)
            self._seconds.observe(loop.time() - call.received, call.operation.name)

    async def _carry_out(self, call: Call) -> Any:
        serving = await self._links.find(call.caller, call.contract, self._link_wait)
        if serving.in_flight >= self._most_per_link:
            raise ResourceExhausted(f"{serving.in_flight} calls of this link are being served, the most that max_calls_per_link allows")
        deadline = call.received + self._timeout
        trace = call.trace
        if self._tracing.active:
            with self._tracing.span(call) as trace:
                return await self._under_deadline(call, serving, Context(*_names(call), serving.spec.key, call.call_id, deadline, trace))
        return await self._under_deadline(call, serving, Context(*_names(call), serving.spec.key, call.call_id, deadline, trace))

    async def _under_deadline(self, call: Call, serving: Serving, context: Context) -> Any:
        method = serving.method(call.operation)
        context.enter()
        with serving.lease():
            try:
                async with asyncio.timeout_at(context.deadline) as limit:
                    return await method(*call.arguments)
            except TimeoutError as error:
                if limit.expired():
                    raise DeadlineExceeded(f"{call.operation.name} took longer than {self._timeout:g} s") from None
                raise DeadlineExceeded(f"{call.operation.name}: {error or 'something it waited for timed out'}") from error

    async def drain(self, limit: float) -> int:
        """Wait for the calls in flight; those that outlast `limit` seconds are cancelled and counted."""
        tasks = self._tasks - {asyncio.current_task()}
        if not tasks:
            return 0
        _, late = await asyncio.wait(tasks, timeout=limit)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=0.1)
        return len(late)


def _names(call: Call) -> tuple[str, str]:
    return call.operation.name, call.caller


def _fields(call: Call) -> dict[str, str]:
    return {"operation": call.operation.name, "caller": call.caller, "call_id": call.call_id}
