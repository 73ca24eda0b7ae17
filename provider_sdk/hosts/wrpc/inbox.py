"""The inbox of a process (wrpc-1x.md §3.1, §3.7): one subscription for all calls in and out; what comes is handed to its call.

A subscription a call would cost two messages to the server each, and time in which an answer could be lost.
"""

from __future__ import annotations

import itertools
import secrets
from typing import Protocol

from provider_sdk.errors import Unavailable
from provider_sdk.transport.base import Message, Transport


class Receiver(Protocol):
    """A call that receives. Both are called as messages are read and must not wait."""

    def received(self, path: str, message: Message) -> None:
        """A message below the call's own subject: `path` is what follows it, empty for the subject itself."""

    def lost(self, error: Unavailable) -> None:
        """The connection was lost, and with it what was on its way: no more bytes of this call can be trusted."""


class Inbox:
    """Subjects of calls below one wildcard subscription."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._prefix = f"_INBOX.{secrets.token_hex(11)}."
        self._cut = len(self._prefix)
        self._numbers = itertools.count(1)
        self._calls: dict[str, Receiver] = {}
        self._subscribed = False

    async def open(self) -> None:
        """Subscribe; may be done again."""
        if not self._subscribed:
            self._subscribed = True
            self._transport.on_lost(self._lost)
            await self._transport.subscribe(f"{self._prefix}>", self._received)

    def begin(self, receiver: Receiver) -> str:
        """A subject of its own for a call; `end` follows."""
        number = str(next(self._numbers))
        self._calls[number] = receiver
        return self._prefix + number

    def end(self, subject: str) -> None:
        """What comes there is dropped from now on; may be done twice."""
        self._calls.pop(subject[self._cut :], None)

    def _received(self, message: Message) -> None:
        number, _, path = message.subject[self._cut :].partition(".")
        receiver = self._calls.get(number)
        if receiver is not None:
            receiver.received(path, message)

    def _lost(self, reason: str) -> None:
        for receiver in list(self._calls.values()):
            receiver.lost(Unavailable(reason))
