"""Targets other than this machine's, as far as they can be tried on it: with what they lack taken away."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from provider_sdk.contracts.numbergen import NumberGen
from provider_sdk.testing import a_lattice
from tests.integration.http_front import CONTRACT, Running, ask, greet
from tests.waiting import until

HERE = Path(__file__).parent


async def test_a_provider_serves_and_ends_cleanly_without_what_windows_lacks() -> None:
    async with a_lattice(rpc_timeout=15.0) as lattice:
        provider = await lattice.process(HERE / "package_posixless.py", contract=NumberGen.__identity__.contract)
        assert await NumberGen.at(await lattice.link(provider)).random_in_range(7, 7) == 7
        assert provider.pid
        os.kill(provider.pid, signal.SIGTERM)
        await until(lambda: any("SIGTERM received" in line for line in provider.output))


async def test_the_httpserver_serves_without_what_macos_lacks() -> None:
    async with a_lattice(rpc_timeout=15.0) as lattice:
        it = Running(lattice, await lattice.process(HERE / "package_linuxless.py", contract=CONTRACT))
        _, port = await it.serve(greet)
        assert (await ask(port)).body == b"hello"
