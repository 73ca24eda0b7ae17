"""The two 0.x hosts side by side: what each does its own way (wasmbus-0x.md §11)."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from enum import StrEnum

FOR_EVER = 86_400.0


class Manner(StrEnum):
    """Which host is emulated: `otp` is 0.63 of the Elixir host, `rust` the wasmbus hosts 0.78 to 0.82."""

    RUST = "rust"
    OTP = "otp"

    @property
    def habits(self) -> Habits:
        """The differences as data."""
        return _HABITS[self]


@dataclass(frozen=True, slots=True)
class Habits:
    """Differences between the hosts. Times in seconds, sizes in bytes; `call_timeout` None means the host's rpc_timeout."""

    line_end: bytes
    clears_environment: bool
    closes_stdin: bool
    shutdown_wait: float
    asks_before_host_stop: bool
    chunks_requests_over: int
    call_timeout: float | None
    chunked_call_timeout: float
    health_request: bytes
    publishes_events_twice: bool
    reports_exit: bool


_HABITS = {
    Manner.RUST: Habits(
        line_end=b"\r\n",
        clears_environment=True,
        closes_stdin=True,
        shutdown_wait=0.3,
        asks_before_host_stop=False,
        chunks_requests_over=921_600,
        call_timeout=FOR_EVER,
        chunked_call_timeout=13.0,
        health_request=b"",
        publishes_events_twice=True,
        reports_exit=False,
    ),
    Manner.OTP: Habits(
        line_end=b"\n",
        clears_environment=False,
        closes_stdin=False,
        shutdown_wait=2.0,
        asks_before_host_stop=True,
        chunks_requests_over=716_800,
        call_timeout=None,
        chunked_call_timeout=15.0,
        health_request=bytes.fromhex("81ab706c616365686f6c646572c3"),
        publishes_events_twice=False,
        reports_exit=True,
    ),
}


def new_id(manner: Manner) -> str:
    """An invocation or instance id as the host makes it: UUIDv4, or a ULID printed as a UUID (§4.4)."""
    if manner is Manner.OTP:
        return str(uuid.uuid4())
    moment = int(time.time() * 1000) & ((1 << 48) - 1)
    return str(uuid.UUID(int=moment << 80 | int.from_bytes(os.urandom(10))))
