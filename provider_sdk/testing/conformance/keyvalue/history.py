"""Histories of text and counters under several callers, recorded and judged key by key."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from time import monotonic_ns
from typing import Any

from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.errors import DeadlineExceeded, ProviderError, Unavailable
from provider_sdk.testing.conformance.keyvalue.model import Model
from provider_sdk.testing.conformance.linearizability import Call, first_without_order


def step(state: Hashable, call: Call) -> tuple[Hashable, Any]:
    """One call on the text that one key holds, None where it does not exist."""
    model = Model({} if state is None else {"": str(state)})
    try:
        outcome: Any = getattr(model, call.operation)("", *call.arguments)
    except ProviderError as error:
        outcome = error.code
    held = model.held.get("")
    return held if isinstance(held, str) else None, outcome


class Recorder:
    """Asks stores and remembers what was asked and answered, and when. `calls` are pairs of key and call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Call]] = []

    async def ask(self, store: KeyValue, operation: str, key: str, *arguments: Any) -> None:
        """One call of get, set, delete, contains or increment."""
        started = monotonic_ns()
        outcome: Any = None
        ended: int | None = None
        try:
            outcome = await getattr(store, operation)(key, *arguments)
            ended = monotonic_ns()
        except (Unavailable, DeadlineExceeded):
            pass  # whether it was carried out is unknown
        except ProviderError as error:
            outcome, ended = error.code, monotonic_ns()
        self.calls.append((key, Call(operation, arguments, started, ended, outcome)))

    async def ask_at_random(self, store: KeyValue, keys: Sequence[str], count: int, chance: random.Random) -> None:
        """`count` calls, one after the other, as one caller makes them."""
        for number in range(count):
            key = chance.choice(keys)
            match chance.choice(("get", "get", "contains", "set", "increment", "increment", "delete")):
                case "set":
                    await self.ask(store, "set", key, str(chance.randrange(1000, 9999) * 1000 + number), 0)
                case "increment":
                    await self.ask(store, "increment", key, chance.choice((1, 10, -3)))
                case operation:
                    await self.ask(store, operation, key)

    def judge(self) -> None:
        """AssertionError with the first answer that no order of the calls explains."""
        for key in sorted({key for key, _ in self.calls}):
            impossible = first_without_order([call for name, call in self.calls if name == key], step, None)
            if impossible:
                *before, last = sorted(impossible, key=lambda call: (call is impossible[-1], call.started))
                lines = "\n".join(f"  {call}" for call in before[-30:])
                raise AssertionError(f"key {key!r}: no order of the calls explains {last}; before it, or at the same time:\n{lines}")
