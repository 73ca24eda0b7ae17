"""Calls while the NATS server is killed and restarted, on either generation of hosts."""

from __future__ import annotations

import asyncio

from provider_sdk import ProviderError
from provider_sdk.lattice.nats_server import NatsServer
from tests.faults.echo import Echo
from tests.tiers import scale
from tests.waiting import until


async def restarted_under_load(server: NatsServer, echo: Echo) -> list[tuple[float, bool]]:
    """Of each call when it began, in seconds after the first answer behind the server's return, and whether it was answered.

    TimeoutError where no call is answered any more.
    """
    outcomes: list[tuple[float, bool]] = []
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    async def caller() -> None:
        while not stop.is_set():
            began = loop.time()
            try:
                assert await echo.echo("x") == "x"
                outcomes.append((began, True))
            except ProviderError:
                outcomes.append((began, False))
            await asyncio.sleep(0.001)

    callers = [asyncio.create_task(caller()) for _ in range(8)]
    await asyncio.sleep(1.0)
    await server.restart()
    back = loop.time()
    await until(lambda: any(good and began > back for began, good in outcomes))
    recovered = loop.time()
    await asyncio.sleep(scale(test=4, ci=6, soak=60))
    stop.set()
    await asyncio.gather(*callers)
    lost = sum(not good for _, good in outcomes)
    print(f"server restarted under load: {len(outcomes)} calls, {lost} lost, answered again {recovered - back:.2f} s after its return")
    return [(began - recovered, good) for began, good in outcomes]
