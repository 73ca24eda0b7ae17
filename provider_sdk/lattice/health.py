"""Health of a provider as a 0.x host sees it (wasmbus-0x.md §7.1)."""

from __future__ import annotations

from dataclasses import dataclass

import msgpack

from provider_sdk.lattice.manner import Manner


@dataclass(frozen=True, slots=True)
class Health:
    """The last answer to a health request; `healthy` None before the first."""

    healthy: bool | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class HealthTimes:
    """Seconds from the start to the first health request, and between requests."""

    first: float = 5.0
    every: float = 30.0


def read_health(data: bytes) -> Health:
    """A health answer; one that cannot be read says so and is unhealthy."""
    try:
        value = msgpack.unpackb(data, raw=False)
        return Health(value.get("healthy") is True, str(value.get("message") or ""))
    except Exception as error:
        return Health(False, f"the health answer cannot be read: {error}")


def event_name(manner: Manner, before: bool | None, now: bool) -> str:
    """The event that follows a check; a first answer that is unhealthy is no failure to the Rust host."""
    if now and before is not True:
        return "health_check_passed"
    if not now and (before is True or (before is None and manner is Manner.OTP)):
        return "health_check_failed"
    return "health_check_status"
