"""The component in WebAssembly that the tests under a real host call."""

from __future__ import annotations

from tests.interop import probe
from tests.tools import cargo


def test_the_prebuilt_component_is_of_its_sources() -> None:
    assert probe.STAMP.read_text("utf-8").strip() == cargo.digest(probe.SOURCES), "python -m tests.interop.probe makes it anew"
