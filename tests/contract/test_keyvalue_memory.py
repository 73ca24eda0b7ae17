"""The backend memory: what it has is gone with its process and seen by nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider_sdk import InvalidArgument
from provider_sdk.testing.conformance.keyvalue import Capability
from providers.keyvalue.stores import Stores
from tests.contract.doors import Direct, InProcess, Process, direct

CAPABILITIES = frozenset(Capability) - {Capability.DURABLE, Capability.SHARED}


class TestDirect(Direct):
    __test__ = True
    backend = "memory"
    capabilities = CAPABILITIES


class TestInProcess(InProcess):
    __test__ = True
    backend = "memory"
    capabilities = CAPABILITIES


class TestProcess(Process):
    __test__ = True
    backend = "memory"
    capabilities = CAPABILITIES


async def test_what_is_no_unicode_text_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    half = "half a pair: \ud800"
    async with direct(Stores(tmp_path), {"url": "memory://"}) as store:
        for call in (
            store.set("a", half, 0),
            store.set(half, "a", 0),
            store.list_add("a", half),
            store.set_add("a", half),
            store.get(half),
        ):
            with pytest.raises(InvalidArgument, match="ud800"):
                await call
        assert await store.contains("a") is False
