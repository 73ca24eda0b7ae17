"""Carries out calls: bounded in all and per link, under a deadline, with an answer for every outcome.

This is the hot path. One sweep over the calls in flight enforces deadlines: a timer a call would cost as much as the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from provider_sdk.context import Context
from provider_sdk.errors import Code, DeadlineExceeded, Internal, ProviderError, ResourceExhausted
from provider_sdk.hosts.base import Call
from provider_sdk.link import LinkKey
from provider_sdk.metrics import Metrics
from provider_sdk.runtime.links import LinkTable, Serving
from provider_sdk.runtime.telemetry import Tracing

log = logging.getLogger("provider.calls")

SWEEP = 0.02
_CALLERS = frozenset(
    {Code.NOT_FOUND, Code.ALREADY_EXISTS, Code.PRECONDITION_FAILED, Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE, Code.UNSUPPORTED}
)


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
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadlines: dict[asyncio.Task[Any], Context] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._calls = metrics.counter(
            "provider_calls_total", "Calls answered, by operation and code (ok or an error's).", "operation", "code"
        )
        self._seconds = metrics.histogram("provider_call_seconds", "Time from receipt to result.", "operation")
        self._refused = metrics.counter("provider_overload_total", "Calls refused at once because too many were being served.")
        metrics.gauge("provider_calls_in_flight", "Calls being served.", lambda: {(): float(len(self._tasks))})

    @property
    def full(self) -> bool:
        """Whether the total of concurrent calls is reached; a call that is refused for it is counted."""
        if len(self._tasks) < self._most:
            return False
        self._refused.add()
        return True

    def start(self, serve: Coroutine[Any, Any, None]) -> None:
        """Serve a call in a task of its own."""
        # Not create_task, and with one name for all: what that adds is a tenth of the way of a call.
        self._tasks.add(asyncio.Task(serve, loop=self._loop, name="call"))

    def end(self) -> None:
        """The running task's call is answered. Cheaper than a done callback, which the event loop would schedule for each call."""
        self._tasks.discard(asyncio.current_task(self._loop))

    async def run(self, call: Call) -> Any:
        """The result of the call; every failure is a ProviderError, whose message the caller may see."""
        name = call.operation.name
        code = Code.UNAVAILABLE.value  # what a call that is cut off by a stop is answered
        link: LinkKey | None = None
        try:
            serving = self._links.serving(call.caller, call.contract, call.link_name)
            if serving is None:
                serving = await self._links.find(call.caller, call.contract, self._link_wait, call.link_name)
            if serving.in_flight >= self._most_per_link:
                raise ResourceExhausted(f"{serving.in_flight} calls of this link are being served, the most that max_calls_per_link allows")
            link = serving.spec.key
            context = Context(name, call.caller, link, call.call_id, call.received + self._timeout, call.trace)
            serving.in_flight += 1
            try:
                if self._tracing.active:
                    with self._tracing.span(name, call.trace, _attributes(call)) as context.trace:
                        result = await self._under_deadline(call, serving, context)
                else:
                    result = await self._under_deadline(call, serving, context)
                code = "ok"
                if call.deliver is not None:
                    task = asyncio.current_task(self._loop)
                    assert task is not None
                    serving.delivering.add(task)
                    try:
                        await call.deliver(result)
                    finally:
                        serving.delivering.discard(task)
            finally:
                serving.end_call()
            return result
        except ProviderError as error:
            code = error.code.value
            _tell(name, error, _fields(call, link))
            raise
        except Exception as error:
            code = "internal"
            log.error("%s failed: %s", name, error, extra=_fields(call, link), exc_info=error)
            raise Internal(f"{name} failed inside the provider; its log has call {call.call_id}") from error
        finally:
            self._calls.add(name, code)
            self._seconds.observe(self._loop.time() - call.received, name)

    async def _under_deadline(self, call: Call, serving: Serving, context: Context) -> Any:
        method = serving.method(call.operation)
        context.enter()
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._deadlines[task] = context
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(SWEEP, self._sweep)
        try:
            return await method(*call.arguments)
        except asyncio.CancelledError:
            if task in self._overdue and not task.uncancel():
                raise DeadlineExceeded(f"{call.operation.name} took longer than {self._timeout:g} s") from None
            if not task.cancelling():
                raise RuntimeError("something that it waited for was cancelled") from None
            raise
        except TimeoutError as error:
            raise DeadlineExceeded(f"{call.operation.name}: {error or 'something it waited for timed out'}") from error
        finally:
            self._overdue.discard(task)
            del self._deadlines[task]

    def _sweep(self) -> None:
        """Cancel what is overdue; go on while calls are in flight."""
        now = self._loop.time()
        for task, context in self._deadlines.items():
            if context.deadline <= now and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        self._sweeping = self._loop.call_later(SWEEP, self._sweep) if self._deadlines else None

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


def _tell(name: str, error: ProviderError, fields: dict[str, str]) -> None:
    """A line of what the caller is not told; where it is about the caller's own doing, only for whoever looks at everything."""
    cause = error.__cause__
    if not error.detail and cause is None:
        return
    level = logging.DEBUG if error.code in _CALLERS and not error.detail else logging.WARNING
    because = "" if cause is None else f" ({type(cause).__name__}: {str(cause)[:1000]})"
    trace = cause if error.code is Code.INTERNAL or log.isEnabledFor(logging.DEBUG) else None
    log.log(level, "%s failed: %s %s%s", name, error, error.detail, because, extra=fields, exc_info=trace)


def _attributes(call: Call) -> dict[str, str]:
    return {
        "rpc.system": "wrpc" if call.link_name else "wasmbus",
        "rpc.method": call.operation.name,
        "wasmcloud.caller": call.caller,
        "wasmcloud.invocation": call.call_id,
    }


def _fields(call: Call, link: LinkKey | None) -> dict[str, str]:
    fields = {"operation": call.operation.name, "caller": call.caller, "call_id": call.call_id}
    return fields if link is None else fields | {"link": str(link)}
