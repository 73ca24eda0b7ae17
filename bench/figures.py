"""The rows of the table: what each figure is, and its goal."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass
class Figure:
    """One row: what was measured, against what, and the goal. `left_out` says why there is no figure."""

    id: str
    what: str
    unit: str
    goal: float
    at_most: bool
    values: list[float] = field(default_factory=list)
    left_out: str = ""

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.median <= self.goal if self.at_most else self.median >= self.goal

    def row(self) -> str:
        """The printed line."""
        head = f"{self.id:4} {self.what:52}"
        if not self.values:
            return f"{head} left out: {self.left_out}"
        sign = "≤" if self.at_most else "≥"
        spread = f"{min(self.values):.3g}–{max(self.values):.3g}"
        verdict = "met" if self.met else "MISSED"
        return f"{head} {self.median:8.3g} {self.unit:4} {spread:>15}   {sign} {self.goal:<5g} {verdict}"


def figures() -> dict[str, Figure]:
    """All rows with the goals of the first stage."""
    rows = [
        Figure("R1", "RPC round trip p50, 1 in flight / C echo", "×", 1.6, True),
        Figure("R2", "RPC round trip p99, 1 in flight / C echo", "×", 1.5, True),
        Figure("R4", "RPC throughput, unsigned, 64 in flight / C echo", "×", 0.28, False),
        Figure("R5", "CPU of one unsigned RPC in the provider", "µs", 22, True),
        Figure("R6", "RPC throughput, signed × libsodium verify time", "×", 0.65, False),
        Figure("R7", "CPU of one outgoing request", "µs", 32, True),
        Figure("W1", "wRPC call p50, 1 in flight / C", "×", 1.6, True),
        Figure("W2", "wRPC call p99, 1 in flight / C", "×", 1.5, True),
        Figure("W4", "wRPC throughput, 64 in flight / C", "×", 0.28, False),
        Figure("W5", "CPU of one wRPC call in the provider", "µs", 44, True),
        Figure("W6r", "wRPC stream received, 256 KiB pieces / C messages", "×", 0.55, False),
        Figure("W6s", "wRPC stream sent, 256 KiB pieces / C messages", "×", 0.55, False),
        Figure("H1", "HTTP answered at once, 32 connections / nginx", "×", 0.18, False),
        Figure("H2", "HTTP → NATS → HTTP, 32 connections, unsigned / C", "×", 0.24, False),
        Figure("H4", "HTTP → NATS → HTTP, the same, p99 / C", "×", 1.5, True),
        Figure("H5", "CPU of one signed HTTP request, 32 connections", "µs", 190, True),
        Figure("B1rs", "local object read in blocks of 64 KiB / dd", "×", 0.25, False),
        Figure("B1rl", "local object read in blocks of 1 MiB / dd", "×", 0.25, False),
        Figure("B1ws", "local object written in blocks of 64 KiB / dd", "×", 0.7, False),
        Figure("B1wl", "local object written in blocks of 1 MiB / dd", "×", 0.7, False),
        Figure("B2r", "256 KiB chunks received, 16 in flight / C", "×", 0.55, False),
        Figure("B2s", "256 KiB chunks sent, 16 in flight / C", "×", 0.55, False),
        Figure("B3u", "S3 object of 256 MiB up / curl", "×", 0.55, False),
        Figure("B3d", "S3 object of 256 MiB down / curl", "×", 0.55, False),
        Figure("B4", "CPU of S3 objects of 4 KiB, 32 callers / boto3", "×", 1.1, True),
        Figure("K1", "durable set in a file, 32 callers / fdatasync", "×", 4, False),
        Figure("K2", "durable set in a file, 1 caller / fdatasync", "×", 0.5, False),
        Figure("K4", "get and set on Redis, 32 callers / redis-benchmark", "×", 0.2, False),
        Figure("K6g", "get on PostgreSQL, 32 callers, 10 connections/pgbench", "×", 0.5, False),
        Figure("K6s", "set on PostgreSQL, 32 callers, 10 connections/pgbench", "×", 0.5, False),
        Figure("K7", "CPU of one signed get on memory, 32 callers", "µs", 170, True),
        Figure("S1", "start to first health answer, numbergen, over python", "ms", 350, True),
        Figure("S1s", "start to subscribed, numbergen, over python", "ms", 350, True),
        Figure("S1f", "start to first health answer, numbergen in one file", "ms", 800, True),
        Figure("S2h", "start to first health answer, httpserver", "ms", 600, True),
        Figure("S2b", "start to first health answer, blobstore on S3", "ms", 600, True),
        Figure("M1", "memory at rest, numbergen", "MB", 50, True),
        Figure("M1h", "memory at rest, httpserver", "MB", 70, True),
        Figure("M2", "memory growth, 1 GiB of objects up and down", "MiB", 64, True),
        Figure("M3", "memory growth, 1 GiB of HTTP bodies, 16 MiB each", "MB", 256, True),
    ]
    return {row.id: row for row in rows}
