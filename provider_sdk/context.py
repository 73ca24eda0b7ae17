"""Context of the current call: who asks, over which link, until when, in which trace.

A handler reads it with `Context.current()`; the SDK sets it for the task that serves the call.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Protocol

from provider_sdk.link import LinkKey

_current: ContextVar[Context | None] = ContextVar("provider_sdk.context", default=None)
_log = logging.getLogger("provider")
LONGEST_TRACESTATE = 4096
# W3C Trace Context, version 00, and what later versions add behind it.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]{0,256})?")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A W3C trace context: `traceparent` as in its header, `tracestate` possibly empty."""

    traceparent: str
    tracestate: str = ""

    @staticmethod
    def parse(parent: str, state: str = "") -> TraceContext | None:
        """The context that two headers carry; None where the first is none, without the second where that cannot be handed on."""
        if not parent or not _TRACEPARENT.fullmatch(parent):
            return None
        return TraceContext(parent, state if len(state) <= LONGEST_TRACESTATE and state.isprintable() else "")


class Tracer(Protocol):
    """Makes spans while `active`, which it is when the host asks for traces."""

    active: bool

    def span(self, name: str, parent: TraceContext | None, attributes: Mapping[str, str]) -> AbstractContextManager[TraceContext | None]:
        """A server span around a piece of work; gives the context to hand on to calls made on its behalf."""


@dataclass(slots=True)
class Context:
    """One call in. `deadline` is in the event loop's time, seconds; `call_id` is the host's id of the invocation.

    A provider whose work does not begin with a call (an HTTP request, a message) makes one of its own and enters it, so that the
    calls which it makes and the lines which it logs belong together.
    """

    operation: str
    caller: str
    link: LinkKey
    call_id: str
    deadline: float
    trace: TraceContext | None = None

    @staticmethod
    def current() -> Context:
        """The context of the call that this task serves; LookupError outside of a call."""
        context = _current.get()
        if context is None:
            raise LookupError("no call is being served here: Context.current() works inside an operation")
        return context

    @staticmethod
    def or_none() -> Context | None:
        """The context of the current call, None outside of a call."""
        return _current.get()

    @staticmethod
    def detach() -> None:
        """Leave the call: for a task that was started in one and outlives it, which would else be bound by its deadline."""
        _current.set(None)

    def without_deadline(self) -> None:
        """The call takes as long as it takes: for one that waits for a stream, which has limits of its own."""
        self.deadline = math.inf

    @staticmethod
    def lift_deadline() -> None:
        """Stay in the call without its deadline: for a task that delivers what the call has begun, such as a stream."""
        context = _current.get()
        if context is not None:
            _current.set(replace(context, deadline=math.inf))

    def remaining(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())

    @property
    def log(self) -> logging.LoggerAdapter[Any]:
        """A logger that adds link, caller and call id to each line."""
        return logging.LoggerAdapter(_log, self.fields())

    def fields(self) -> dict[str, str]:
        """What a log line of this call carries."""
        fields = {"operation": self.operation, "caller": self.caller, "link": str(self.link), "call_id": self.call_id}
        if self.trace is not None:
            fields["traceparent"] = self.trace.traceparent
        return fields

    def enter(self) -> None:
        """Make this the context of the running task, which serves one call and ends with it."""
        _current.set(self)
