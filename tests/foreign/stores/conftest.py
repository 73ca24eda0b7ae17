"""What the foreign suites of stores run on. They need packages of their own: .ci/foreign-stores installs them and runs this folder."""

from __future__ import annotations

import pytest

from tests.contract.backends import memory, postgres, redis, sqlite

__all__ = ["memory", "postgres", "redis", "sqlite"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "time_intensive: dogpile's own mark of what takes seconds")
