"""A world a test, and the archives that are put into it, each packed once a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import pytest

from tests.interop import archives
from tests.interop.archives import Archive
from tests.interop.world import World, a_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """The archive of a name (archives.py)."""
    folder = tmp_path_factory.mktemp("archives")
    return cache(lambda name: archives.of(name, folder))
