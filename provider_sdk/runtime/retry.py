"""Backoff between attempts."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Seconds to wait before the next attempt: doubling from `first` to `highest`, each shortened by up to half at random."""

    first: float = 0.25
    highest: float = 5.0
    _next: float = field(default=0.0, init=False)

    def next(self) -> float:
        """The next wait."""
        self._next = min(self.highest, self._next * 2 or self.first)
        return self._next * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again at `first`."""
        self._next = 0.0
