"""Requests that await their answers, on one inbox: whose answer has come, and whose time is over."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import NamedTuple

from provider_sdk.errors import DeadlineExceeded, Unavailable
from provider_sdk.transport.base import Message

SWEEP = 0.02


class _Waiting(NamedTuple):
    answer: asyncio.Future[Message]
    timeout: float
    until: float


class Requests:
    """The requests of one transport. One sweep ends those that are overdue: a timer each would cost as much as the rest of a request."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbox = f"_INBOX.{secrets.token_hex(11)}."
        self._tokens = itertools.count()
        self._waiting: dict[str, _Waiting] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def subject(self) -> str:
        """What to subscribe to."""
        return f"{self._inbox}*"

    def begin(self, timeout: float) -> tuple[str, asyncio.Future[Message]]:
        """A reply subject, and the answer that comes there; DeadlineExceeded in it after `timeout` seconds. `end` follows."""
        token = f"{self._inbox}{next(self._tokens)}"
        answer: asyncio.Future[Message] = self._loop.create_future()
        self._waiting[token] = _Waiting(answer, timeout, self._loop.time() + timeout)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(min(SWEEP, timeout), self._sweep)
        return token, answer

    def end(self, token: str) -> None:
        """Nobody waits there any more."""
        answer = self._waiting.pop(token).answer
        # A publish that failed with the connection leaves an error in the answer, which nobody would look at.
        if answer.done() and not answer.cancelled():
            answer.exception()

    def answered(self, message: Message) -> None:
        """The subscription's handler."""
        waiting = self._waiting.get(message.subject)
        if waiting is not None and not waiting.answer.done():
            waiting.answer.set_result(message)

    def give_up(self, reason: str) -> None:
        """No answer will come to any of them."""
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(Unavailable(reason))

    def _sweep(self) -> None:
        now = self._loop.time()
        for waiting in self._waiting.values():
            if waiting.until <= now and not waiting.answer.done():
                waiting.answer.set_exception(DeadlineExceeded(f"no answer within {waiting.timeout:g} s"))
        self._sweeping = self._loop.call_later(SWEEP, self._sweep) if self._waiting else None
