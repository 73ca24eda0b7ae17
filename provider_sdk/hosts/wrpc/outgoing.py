"""What goes out for one call: values in pieces that a message can carry, then streams and futures, each on its path (wrpc-1x.md §3.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from provider_sdk.context import Context
from provider_sdk.errors import ProviderError
from provider_sdk.hosts.wrpc.channels import Pending
from provider_sdk.transport.base import Transport

log = logging.getLogger("provider.calls")

AHEAD = 4 << 20
TAKEN_WITHIN = 30.0
# The NATS server slows a fast sender down message by message. Large ones would fill the 64 MiB that it keeps for a slow reader before that
# helps, and the reader loses its connection with all that goes over it.
LARGEST_PIECE = 64 << 10


async def send_value(transport: Transport, subject: str, data: bytes | memoryview) -> None:
    """Send the values on their root subject, and its end."""
    limit = transport.max_payload
    if len(data) > limit:
        view = memoryview(data)
        for start in range(0, len(view), limit):
            await transport.publish(subject, view[start : start + limit])
    elif data:
        await transport.publish(subject, data)
    await transport.publish(subject, b"")


async def send_pending(transport: Transport, root: str, pending: Sequence[Pending]) -> None:
    """Send streams and futures, all at once; what one of them raises is raised when all have ended."""
    if len(pending) == 1:
        await _send(transport, root, pending[0])
        return
    tasks = [asyncio.create_task(_send(transport, root, item), name=f"stream {item.path}") for item in pending]
    try:
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


async def _send(transport: Transport, root: str, item: Pending) -> None:
    """One path to its end. A source that fails ends it early, which the other side sees by what is missing."""
    Context.lift_deadline()
    subject = f"{root}.{item.path}"
    ahead = 0
    try:
        async for piece in item.pieces(min(LARGEST_PIECE, transport.max_payload)):
            await transport.publish(subject, piece)
            ahead += len(piece)
            if ahead > AHEAD:
                # The other side cannot say that it is slow, but the server takes less from who sends more than is taken.
                await transport.flush(TAKEN_WITHIN)
                ahead = 0
    except ProviderError as error:
        log.debug("%s: broken off: %s", subject, error)
        raise
    finally:
        await transport.publish(subject, b"")
