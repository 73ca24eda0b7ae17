"""What the tests of a module share: one httpserver, and the requests of others."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.foreign import corpus
from tests.foreign.door import Doors, open_doors

# The suites there come with a hundred packages: .ci/foreign-stores installs these elsewhere and runs them.
collect_ignore = [] if importlib.util.find_spec("langchain_tests") else ["stores"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors() -> AsyncIterator[Doors]:
    async with open_doors() as found:
        yield found


@pytest.fixture(scope="session")
def folder() -> Path:
    return corpus.fetch()
