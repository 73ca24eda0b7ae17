"""The component in WebAssembly that the tests under a real host call."""

from __future__ import annotations

import pytest

from greeter import Greeter
from provider_sdk import Interface
from provider_sdk.cli.wit.of_interface import packages_of
from provider_sdk.cli.wit.packages import read_packages
from provider_sdk.contracts.numbergen import NumberGen
from tests.interop import probe
from tests.tools import cargo


def test_the_prebuilt_component_is_of_its_sources() -> None:
    assert probe.STAMP.read_text("utf-8").strip() == cargo.digest(probe.SOURCES), "python -m tests.interop.probe makes it anew"


@pytest.mark.parametrize(("name", "interface"), [("greeter", Greeter), ("numbergen", NumberGen)])
def test_it_imports_what_our_interfaces_are_in_wit(name: str, interface: type[Interface]) -> None:
    assert read_packages(probe.SOURCES / "wit/deps" / name / f"{name}.wit").main == [*packages_of([interface])]
