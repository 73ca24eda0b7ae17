"""Interfaces against the packages that components are made with: the same functions, members and cases in the same order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provider_sdk import Interface
from provider_sdk.cli.wit.of_interface import packages_of
from provider_sdk.cli.wit.text import package_text
from provider_sdk.contracts.numbergen import NumberGen
from provider_sdk.contracts.wasi_blobstore import WasiBlobstore
from provider_sdk.contracts.wasi_http import IncomingHandler, OutgoingHandler
from provider_sdk.contracts.wasi_keyvalue import Atomics, Batch, Store, Watcher
from tests.interop.codec_interfaces import Echo, Things
from tests.tools.wasm_tools import meaning

SAMPLES = Path(__file__).with_name("wit")
COMPONENT = Path(__file__).parents[1] / "interop" / "component" / "wit" / "deps"


def shape(type_: Any) -> Any:
    """A type without the names of types, which are in no message, and with those of cases in lower case."""
    if not isinstance(type_, tuple):
        return type_
    what, *parts = type_
    if what in ("record", "variant", "enum", "flags"):
        return what, *((name.lower(), shape(inner)) for name, inner in parts[1:])
    return what, *map(shape, parts)


@pytest.mark.parametrize(("name", "interfaces"), [("codec", (Echo, Things)), ("numbergen", (NumberGen,))])
def test_an_interface_is_what_the_component_imports(name: str, interfaces: tuple[type[Interface], ...], tmp_path: Path) -> None:
    (package,) = packages_of(interfaces)
    (tmp_path / "ours.wit").write_text(package_text(package))
    assert meaning(tmp_path / "ours.wit", package.id) == meaning(COMPONENT / name, package.id)


@pytest.mark.parametrize(
    ("sample", "interfaces"),  # the samples are those of wrpc-1x.md §5
    [
        ("http", (IncomingHandler, OutgoingHandler)),
        ("keyvalue", (Store, Atomics, Batch, Watcher)),
        ("blobstore", (WasiBlobstore,)),
    ],
)
def test_a_contract_is_what_hosts_call(sample: str, interfaces: tuple[type[Interface], ...], tmp_path: Path) -> None:
    (package,) = packages_of(interfaces)
    (tmp_path / "ours.wit").write_text(package_text(package))
    ours, theirs = meaning(tmp_path / "ours.wit", package.id), meaning(SAMPLES / f"{sample}.wit", package.id)
    assert ours.keys() == theirs.keys()
    for name, (parameters, result) in theirs.items():
        assert [(key, shape(type_)) for key, type_ in ours[name][0]] == [(key, shape(type_)) for key, type_ in parameters], name
        assert shape(ours[name][1]) == shape(result), name
