"""What was proved: conformance tests that passed, by generation, contract, backend and way to the store.

A run of pytest with CONFORMANCE_MATRIX=FOLDER adds its counts there; `python -m tests.contract.matrix FOLDER` prints them as a table.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

WAYS = ("direct", "from source", "frozen")
Cell = tuple[str, str, str, str]
"""Generation, contract, backend, way."""


class Matrix:
    """A pytest plugin that counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counts: Counter[Cell] = Counter()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        cell = _cell(getattr(item, "cls", None))
        if cell is not None and report.when == "call" and report.passed:
            self._counts[cell] += 1
        return report

    def pytest_sessionfinish(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{os.getpid()}.json"
        path.write_text(json.dumps([[*cell, count] for cell, count in self._counts.items()]))


def _cell(suite: type | None) -> Cell | None:
    backend = getattr(suite, "backend", "")
    generation = getattr(suite, "generation", "")
    if not backend or not generation:
        return None
    way = "frozen" if getattr(suite, "frozen", "") else getattr(suite, "way", "")
    return generation, getattr(suite, "contract_name", ""), backend, way


def table(folder: Path) -> str:
    """The counts of all runs, a line a backend of a generation."""
    counts: Counter[Cell] = Counter()
    for path in sorted(folder.glob("*.json")):
        for *cell, count in json.loads(path.read_text()):
            counts[tuple(cell)] += count
    lines = [f"{'generation':12}{'contract':12}{'backend':20}" + "".join(f"{way:>14}" for way in WAYS)]
    for generation, contract, backend in sorted({cell[:3] for cell in counts}):
        found = (counts.get((generation, contract, backend, way), 0) for way in WAYS)
        lines.append(f"{generation:12}{contract:12}{backend:20}" + "".join(f"{count or '-':>14}" for count in found))
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
