"""Accepts that arrive, and answers that are not sent before their caller listens (wrpc-1x.md §3.7).

Hosts of v1.4.1 to v1.9.2 drop what comes before their own subscriptions are in force: under load the accept of a call, and its answer with
it, although the call was carried out, and the component waits for ever. So an accept is repeated until the caller is heard, and no answer
is sent before the end of the parameters has come: by then the caller listens. A caller that never sends an end is answered late.

One sweep repeats, for all calls: the usual call is heard within a millisecond and must cost nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from provider_sdk.errors import DeadlineExceeded, ProviderError, Unavailable
from provider_sdk.hosts.wrpc.inbox import Inbox
from provider_sdk.hosts.wrpc.outgoing import reach, send_value
from provider_sdk.transport.base import Transport

log = logging.getLogger("provider.calls")

SWEEP = 0.02
FIRST_REPEAT = 0.02
TIMES = 4
LATE = 3
"""Repeats after which an answer is sent to a caller that was never heard: 0.42 s."""
GIVE_UP = 10.0
ENDLESS = 0.5
"""Seconds of silence after which streams go to a caller, in place of GIVE_UP, where nobody has sent an end yet: old hosts may send none."""
MOST_HELD = 256 << 20
"""Bytes of answers that wait, of all calls; one beyond is sent at once."""
SETTLING = 0.002


class Acceptance:
    """The accept of one call: whether the caller was heard since, and whether its parameters are at an end."""

    __slots__ = (
        "_answer",
        "_error",
        "_last",
        "_next",
        "_owner",
        "_repeats",
        "_waiter",
        "ended",
        "has_end",
        "inbox",
        "is_complete",
        "late",
        "reply",
        "unheard",
    )

    def __init__(self, owner: Acceptances, reply: str, inbox: str, now: float, *, waits: bool) -> None:
        self._owner = owner
        self.reply = reply
        self.inbox = inbox
        self.has_end = waits
        self.unheard = waits
        self.is_complete = not waits
        self.ended = False
        self.late = False
        self._last = now
        self._repeats = 0
        self._next = now + FIRST_REPEAT
        self._waiter: asyncio.Future[None] | None = None
        self._error: ProviderError | None = None
        self._answer: tuple[str, bytes] | None = None

    @property
    def holds(self) -> bool:
        """Whether an answer waits for its caller."""
        return self._answer is not None

    def heard(self) -> None:
        """The caller has sent something: it has the accept."""
        if self.unheard:
            self.unheard = self.late = False
        if not self.ended:
            self._last = self._owner.now()

    def complete(self) -> None:
        """The parameters are at an end, and with them what has to be waited for."""
        self.is_complete = self._owner.ends_come = True
        if self._answer is not None:
            self._owner.send(*self._answer)
            self._owner.forget(self)
            return
        self._owner.done(self)
        self.wake()

    def answer(self, subject: str, data: bytes) -> None:
        """Send an answer as soon as its caller listens, so perhaps when the call is over already. At the latest after GIVE_UP."""
        if self.is_complete or (self._error is not None and not self.unheard) or not self._owner.hold(len(data)):
            self._owner.send(subject, data)
        else:
            self._answer = (subject, data)

    def let_go(self) -> int:
        """The answer waits no more: its size."""
        answer, self._answer = self._answer, None
        return 0 if answer is None else len(answer[1])

    def fail(self, error: ProviderError) -> None:
        """The end of the parameters will not come."""
        self._error = error
        self.wake()

    async def more(self) -> bool:
        """True at the end of the parameters; where callers send none, False for more of them. DeadlineExceeded; what `fail` was told."""
        if not self.has_end:
            try:
                async with asyncio.timeout(GIVE_UP):
                    await self._wait()
            except TimeoutError:
                raise _silent() from None
        while not self.is_complete and self._error is None:
            if self._owner.now() - self._last > GIVE_UP:
                raise _silent()
            await self._wait()
        if self._error is not None:
            raise self._error
        return self.has_end

    async def may_stream(self) -> None:
        """Returns when an answer with streams may be sent, which cannot be sent twice: at the end of the parameters, or without it late."""
        owner = self._owner
        while not self.is_complete and (self._error is None or self.unheard) and owner.now() - self._last <= owner.patience:
            await self._wait()

    def renew(self, now: float) -> None:
        """There is another connection: what went over the lost one, or met none, begins anew."""
        self.late = False
        self._last = now
        self._repeats = 0
        self._next = now + FIRST_REPEAT

    def look(self, now: float) -> None:
        """Do what is due of it; called once a sweep."""
        owner, silence = self._owner, now - self._last
        if silence > owner.patience:
            self.wake()
        if silence > GIVE_UP and self._answer is not None:
            self.close()
            return
        if self._answer is not None and self.unheard and self._repeats >= LATE and not self.late:
            # One who begins to listen between the two must not see an end alone: it comes when the caller is heard, or given up.
            self.late = owner.transport.send(*self._answer)
        if self.unheard and now >= self._next and owner.repeat(self.reply, self.inbox):
            self._repeats += 1
            self._next = now + FIRST_REPEAT * TIMES**self._repeats

    def close(self) -> None:
        """Wait for the caller no more: an answer that does is sent, or the end that a late one lacks."""
        if self._answer is not None:
            subject, data = self._answer
            self._owner.send(subject, b"" if self.late else data)
            self._owner.forget(self)

    async def _wait(self) -> None:
        self._waiter = self._owner.future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """There is something new for whoever waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _silent() -> DeadlineExceeded:
    return DeadlineExceeded(f"the caller has sent nothing of its parameters for {GIVE_UP:g} s")


class Acceptances:
    """The acceptances of a process."""

    def __init__(self, transport: Transport, inbox: Inbox) -> None:
        self.transport = transport
        self._inbox = inbox
        self._loop = asyncio.get_running_loop()
        self._open: dict[Acceptance, None] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._connection = transport.reconnects
        self._tasks: set[asyncio.Task[None]] = set()
        self.now = self._loop.time
        self.future = self._loop.create_future
        self.repeats = 0
        self.held = 0
        self.ends_come = False

    @property
    def patience(self) -> float:
        """Seconds of a caller's silence after which streams go to it."""
        return GIVE_UP if self.ends_come else ENDLESS

    def begin(self, reply: str, inbox: str, *, waits: bool) -> Acceptance:
        """An accept is about to be sent. Callers of the first era send no end of parameters: `waits` is false, and nothing is repeated."""
        acceptance = Acceptance(self, reply, inbox, self.now(), waits=waits)
        if waits:
            self._open[acceptance] = None
            if self._sweeping is None:
                self._sweeping = self._loop.call_later(SWEEP, self._sweep)
        return acceptance

    def end(self, acceptance: Acceptance) -> None:
        """The call is over: nothing more is taken from its caller, unless its answer still waits."""
        acceptance.ended = True
        if not acceptance.holds:
            self.forget(acceptance)

    def done(self, acceptance: Acceptance) -> None:
        """Nothing is to be repeated any more."""
        self._open.pop(acceptance, None)

    def forget(self, acceptance: Acceptance) -> None:
        """The call is over for good."""
        self.done(acceptance)
        self.held -= acceptance.let_go()
        self._inbox.end(acceptance.inbox)

    def hold(self, size: int) -> bool:
        """Whether there is room for an answer that waits; it is taken."""
        if self.held + size > MOST_HELD:
            return False
        self.held += size
        return True

    def send(self, subject: str, data: bytes) -> None:
        """Send an answer and its end, at once where that is possible."""
        transport = self.transport
        if len(data) > transport.max_payload or (data and not transport.send(subject, data)):
            self._spawn(self._send_later(subject, data))
        elif not transport.send(subject, b""):
            self._spawn(self._send_later(subject, b""))

    async def _send_later(self, subject: str, data: bytes) -> None:
        """What meets a lost connection waits for the next; an answer in several messages, without room, or broken off already, is ended."""
        transport = self.transport
        if transport.connected:
            with suppress(Unavailable):
                await send_value(transport, subject, data)
                return
            data = b""
        elif len(data) > transport.max_payload or not self.hold(len(data)):
            data = b""
        try:
            await reach(transport, subject, data)
        finally:
            self.held -= len(data)
        if data:
            await send_value(transport, subject, b"")

    async def settle(self, within: float) -> None:
        """Wait no longer for callers than half of `within` seconds, and as long for what is being sent then; the rest is given up."""
        until = self.now() + within
        while any(acceptance.holds for acceptance in self._open) and self.now() < until - within / 2:
            await asyncio.sleep(SETTLING)
        for acceptance in list(self._open):
            acceptance.close()
        if self._tasks:
            _, unsent = await asyncio.wait(self._tasks, timeout=until - self.now())
            for task in unsent:
                task.cancel()

    def repeat(self, reply: str, inbox: str) -> bool:
        """Send an accept again; False where that is not possible now."""
        sent = self.transport.send(reply, b"", inbox)
        self.repeats += sent
        return sent

    def _sweep(self) -> None:
        if self.transport.connected:
            self._look(self.now())
        self._sweeping = self._loop.call_later(SWEEP, self._sweep) if self._open else None

    def _look(self, now: float) -> None:
        renewed = self._connection != self.transport.reconnects
        self._connection = self.transport.reconnects
        for acceptance in list(self._open):
            if renewed:
                acceptance.renew(now)
            acceptance.look(now)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work, name="answer")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("an answer could not be sent: %s", error)
