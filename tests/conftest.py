"""Which tests run: those whose needs this machine meets, at the size of the running tier. What is left out is named at the end.

STRICT_NEEDS=1 (or CI=true; STRICT_NEEDS=0 overrides) makes a missing need, or a skipped test, a failure of the run.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.contract.matrix import Matrix
from tests.interop import host1x
from tests.servers import built
from tests.tiers import scale
from tests.tools import provider_archive, wrpc_codec

settings.register_profile(
    "tier",
    max_examples=scale(test=100, ci=300, soak=5000),
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # it watches the clock, and other lanes have the processor as well
)
settings.load_profile("tier")

LEFT_OUT = pytest.StashKey[Counter[str]]()
MISSING = pytest.StashKey[set[str]]()
STRICT = os.environ.get("STRICT_NEEDS", "1" if os.environ.get("CI") == "true" else "0") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="also run the tests that are only worth their hours at full size")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = Counter()
    config.stash[MISSING] = set()
    if folder := os.environ.get("CONFORMANCE_MATRIX"):
        config.pluginmanager.register(Matrix(Path(folder)), "matrix")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    for item in items:
        reason = _reason_to_leave_out(item)
        (deselected if reason else kept).append(item)
        if reason:
            config.stash[LEFT_OUT][reason] += 1
    items[:] = kept
    if deselected:
        config.hook.pytest_deselected(items=deselected)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _broken_promises(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = config.stash[LEFT_OUT]
    if left_out:
        terminalreporter.write_line(f"left out: {'; '.join(f'{reason} ({count})' for reason, count in sorted(left_out.items()))}")
    for line in _broken_promises(config):
        terminalreporter.write_line(f"error: {line}", red=True)


def _reason_to_leave_out(item: pytest.Item) -> str:
    if item.get_closest_marker("soak") and not item.config.getoption("--soak"):
        return "worth its time only at full size, make soak"
    missing = sorted({name for marker in item.iter_markers("needs") for name in marker.args if not _found(name)})
    if missing:
        item.config.stash[MISSING].update(missing)
        return f"needs {', '.join(missing)}, not to be had here"
    return ""


def _found(need: str) -> bool:
    if need == "unprivileged":
        return os.geteuid() != 0
    if need in built.BUILT:
        return built.found(need) is not None
    if need == host1x.NAME:
        return host1x.found() is not None
    for tool in (provider_archive.TOOL, wrpc_codec.TOOL):
        if need == tool.name:
            return tool.found() is not None
    # Debian keeps the programs of PostgreSQL's server outside of PATH.
    return shutil.which(need) is not None or any(Path("/usr/lib/postgresql").glob(f"*/bin/{need}"))


def _broken_promises(config: pytest.Config) -> list[str]:
    """What a strict run does not let pass, a line each."""
    if not STRICT:
        return []
    lines = []
    missing = config.stash[MISSING]
    if missing:
        lines.append(f"this run may leave nothing out, and these are missing: {', '.join(sorted(missing))}")
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = sum(len(reporter.stats.get(outcome, ())) for outcome in ("skipped", "xfailed", "xpassed")) if reporter else 0
    if skipped:
        lines.append(f"this run may skip nothing, and {skipped} tests were skipped")
    return lines
