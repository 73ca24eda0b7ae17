"""What bounds connections and bodies: the limits of an address, and the memory that all bodies together may take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from providers.httpserver.config import HttpServerConfig


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that count before it is known whose request it is; each is named as its setting."""

    header_timeout: float
    body_timeout: float
    send_timeout: float
    min_rate: int
    idle_timeout: float
    max_uri: int
    max_header: int
    max_header_line: int
    max_header_count: int
    max_connections: int
    max_connections_per_client: int

    @staticmethod
    def of(configs: Iterable[HttpServerConfig]) -> Limits:
        """The strictest of the links that share an address."""
        given = list(configs)
        strictest = {field.name: max if field.name == "min_rate" else min for field in fields(Limits)}
        return Limits(**{name: choose(getattr(config, name) for config in given) for name, choose in strictest.items()})


class Budget:
    """Bytes of bodies that the process holds now."""

    def __init__(self) -> None:
        self.held = 0

    def take(self, size: int, limit: int) -> bool:
        """Hold `size` more bytes, unless that makes more than `limit`."""
        if self.held + size > limit:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        """Let go of `size` bytes."""
        self.held -= size
