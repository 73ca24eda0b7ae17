"""Whether a history of calls by several callers has an order that explains it (Wing and Gong's search, with Lowe's memory of dead ends).

A history is linearizable when each call can be given one moment between its start and its end, so that the calls carried out one after
the other in the order of these moments give the results that were seen. A call without an end (no answer came) may have happened at any
moment after its start, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `started` and `ended` on one clock, `ended` None where no answer came, and `outcome` then means nothing."""

    operation: str
    arguments: tuple[Any, ...]
    started: int
    ended: int | None
    outcome: Any = None

    def __str__(self) -> str:
        asked = f"{self.operation}({', '.join(map(repr, self.arguments))})"
        return f"{asked} without an answer" if self.ended is None else f"{asked} -> {self.outcome!r}"


Step = Callable[[Hashable, Call], tuple[Hashable, Any]]
"""From a state and a call to the state afterwards and the outcome; it must not change its arguments."""


def linearizable(calls: Sequence[Call], step: Step, state: Hashable) -> bool:
    """Whether some order explains the calls, beginning with `state`."""
    order = sorted(calls, key=lambda call: call.started)
    answered = sum(1 << number for number, call in enumerate(order) if call.ended is not None)
    start = (0, state)
    seen, ahead = {start}, [start]
    while ahead:
        done, state = ahead.pop()
        if done & answered == answered:
            return True
        for number in _next(order, done):
            call = order[number]
            after, outcome = step(state, call)
            node = (done | 1 << number, after)
            if node not in seen and (call.ended is None or outcome == call.outcome):
                seen.add(node)
                ahead.append(node)
    return False


def first_without_order(calls: Sequence[Call], step: Step, state: Hashable) -> list[Call]:
    """The shortest beginning of a history that no order explains: its last call is the first impossible answer. Empty where all is well."""
    if linearizable(calls, step, state):
        return []
    ended = sorted((call for call in calls if call.ended is not None), key=lambda call: call.ended or 0)
    short, long = 0, len(ended)
    while long - short > 1:
        middle = (short + long) // 2
        if linearizable(_until(calls, ended[middle - 1].ended), step, state):
            short = middle
        else:
            long = middle
    last = ended[long - 1]
    return [*(call for call in _until(calls, last.ended) if call.ended != last.ended), last]


def _next(order: list[Call], done: int) -> list[int]:
    """The calls that may come next: those not done yet that began before the first of these ended."""
    found: list[int] = []
    first_end: float = float("inf")
    number = (~done & (done + 1)).bit_length() - 1
    while number < len(order) and order[number].started <= first_end:
        if not done >> number & 1:
            found.append(number)
            ended = order[number].ended
            first_end = first_end if ended is None else min(first_end, ended)
        number += 1
    return [number for number in found if order[number].started <= first_end]


def _until(calls: Sequence[Call], moment: int | None) -> list[Call]:
    """The history as it was known at `moment`."""
    known = [call for call in calls if moment is None or call.started <= moment]
    return [call if moment is None or call.ended is None or call.ended <= moment else replace(call, ended=None) for call in known]
