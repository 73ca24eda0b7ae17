"""The component, built from its sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop import probe


@pytest.mark.needs("apt-get", "dpkg-deb", "npm", "cargo")
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_its_sources_give_the_prebuilt_bytes(tmp_path: Path) -> None:
    assert probe.build(tmp_path / "probe.wasm").read_bytes() == probe.COMPONENT.read_bytes()
