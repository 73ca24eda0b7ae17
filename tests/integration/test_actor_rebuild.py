"""The prebuilt example actors are what their sources build."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from provider_sdk.hosts.wasmbus.actor_claims import verify_actor

EXAMPLES = Path(__file__).parents[2] / "examples"
PREBUILT = {
    "hello/hello.wasm": (("wasmcloud:httpserver", "wasmcloud:numbergen", "wasmcloud:keyvalue"), ""),
    "primes/asker.wasm": (("wasmcloud:httpserver", "wasmcloud:numbergen"), "asker"),
    "primes/primes.wasm": (("wasmcloud:builtin:numbergen",), "wasmcloud:numbergen"),
    "greeter/greeter_actor.wasm": (("wasmcloud:httpserver", "acme:greeter"), ""),
    "swap-blobs/drop_box.wasm": (("wasmcloud:httpserver", "wasmcloud:blobstore"), ""),
}


@pytest.mark.needs("npm")
def test_rebuilding_the_example_actors_gives_the_same_bytes(tmp_path: Path) -> None:
    rebuilt = runpy.run_path(str(EXAMPLES / "actors" / "build.py"), run_name="build_example_actors")["build"](tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in rebuilt} == set(PREBUILT)
    assert [name for name in PREBUILT if (tmp_path / name).read_bytes() != (EXAMPLES / name).read_bytes()] == []


@pytest.mark.parametrize("name", PREBUILT)
def test_an_example_actor_claims_just_the_contracts_that_it_uses(name: str) -> None:
    claims = verify_actor((EXAMPLES / name).read_bytes())
    assert (claims.capabilities, claims.call_alias) == PREBUILT[name]


def test_example_actors_are_small() -> None:
    limits = {"hello/hello.wasm": 60_000}  # a page, its style and its script are in it
    assert all((EXAMPLES / name).stat().st_size < limits.get(name, 20_000) for name in PREBUILT)
