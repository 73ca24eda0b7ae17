"""Targets other than this machine's, as far as they can be tried on it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from provider_sdk.contracts.numbergen import NumberGen
from provider_sdk.testing import a_lattice
from tests.integration.blob_actors import until


async def test_a_provider_serves_and_ends_cleanly_without_what_only_posix_has() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.process(Path(__file__).with_name("package_posixless.py"), contract=NumberGen.__identity__.contract)
        assert await NumberGen.at(await lattice.link(provider)).random_in_range(7, 7) == 7
        assert provider.pid
        os.kill(provider.pid, signal.SIGTERM)
        await until(lambda: any("SIGTERM received" in line for line in provider.output))
