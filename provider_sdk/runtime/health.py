"""Health: the provider's own word and that of its links, as one answer."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from provider_sdk.hosts.base import Health
from provider_sdk.link import LinkState
from provider_sdk.provider import Provider
from provider_sdk.runtime.links import LinkTable

log = logging.getLogger("provider.health")
WITHIN = 1.0
MOST_LINES = 5
LONGEST_LINE = 1024


async def health(provider: Provider[Any], links: LinkTable, refused: str = "") -> Health:
    """Unhealthy when the provider says so, a link is failed, or a link's backend is in trouble.

    A change that was refused while the old one goes on serving is told, but does not make it unhealthy: of a link, or of the provider's
    own configuration (`refused`).
    """
    faults, notes = [], [f"change of the configuration refused, as before: {refused}"] if refused else []
    own = await _own_word(provider)
    if own:
        faults.append(own)
    for entry in links:
        if entry.state is LinkState.FAILED:
            note = f" ({entry.wanted.note})" if entry.wanted is not None and entry.wanted.note else ""
            faults.append(f"link {entry.key}: failed: {entry.reason}{note}")
        elif entry.serving is not None and entry.serving.link.trouble:
            faults.append(f"link {entry.key}: {entry.serving.link.trouble}")
        elif entry.serving is not None and entry.serving.spec.note:
            notes.append(f"link {entry.key}: {entry.serving.spec.note}")
        elif entry.reason:
            notes.append(f"link {entry.key}: change refused, serving as before: {entry.reason}")
    lines = faults + notes
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more"]
    # A reason may be of any length, and an answer that no message can carry would be none.
    return Health(not faults, "; ".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in lines))


async def _own_word(provider: Provider[Any]) -> str:
    try:
        async with asyncio.timeout(WITHIN):
            return await provider.health()
    except TimeoutError:
        return f"the provider's health check gave no answer within {WITHIN:g} s"
    except Exception as error:
        log.error("the provider's health check failed", exc_info=error)
        return f"the provider's health check failed: {error}"
