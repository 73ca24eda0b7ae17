"""Which operation of a 1.x lattice a person means with `provider dev call`."""

from __future__ import annotations

import pytest

from provider_sdk import InvalidArgument
from provider_sdk.cli.wrpc_report import operation_named
from provider_sdk.contracts.wasi_blobstore import EarlyWasiBlobstore, WasiBlobstore
from provider_sdk.contracts.wasi_keyvalue import Atomics, Store
from provider_sdk.interface import Interface


@pytest.mark.parametrize("words", ["increment", "atomics.increment", "Atomics.Increment"])
def test_an_operation_goes_by_its_function_with_its_interface_and_by_its_name_on_0x(words: str) -> None:
    found = operation_named([Store, Atomics], words)
    assert (found.interface, found.method) == (Atomics, "increment")


def test_of_two_versions_of_an_interface_the_newer_one_is_meant() -> None:
    both: list[type[Interface]] = [WasiBlobstore, EarlyWasiBlobstore]
    for interfaces in (both, both[::-1]):
        assert operation_named(interfaces, "get_container_info").interface is WasiBlobstore


def test_an_unknown_one_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InvalidArgument, match=r"decrement: there is no such operation: atomics\.increment"):
        operation_named([Atomics], "decrement")
