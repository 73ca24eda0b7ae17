"""Calls while the NATS server is killed and restarted, on either generation of hosts."""

from __future__ import annotations

import asyncio

from provider_sdk import ProviderError
from provider_sdk.lattice.nats_server import NatsServer
from tests.faults.echo import Echo
from tests.tiers import scale


async def restarted_under_load(server: NatsServer, echo: Echo) -> list[tuple[float, bool]]:
    """Of each call when it ended, in seconds after the server's return, and whether it was answered."""
    outcomes: list[tuple[float, bool]] = []
    loop = asyncio.get_running_loop()
    stop = loop.time() + scale(test=4, ci=5, soak=60)

    async def caller() -> None:
        while loop.time() < stop:
            try:
                assert await echo.echo("x") == "x"
                outcomes.append((loop.time(), True))
            except ProviderError:
                outcomes.append((loop.time(), False))
            await asyncio.sleep(0.001)

    callers = [asyncio.create_task(caller()) for _ in range(8)]
    await asyncio.sleep(1.0)
    await server.restart()
    back = loop.time()
    await asyncio.gather(*callers)
    return [(moment - back, good) for moment, good in outcomes]
