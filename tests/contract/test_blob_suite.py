"""The suite for blobstore as a product: a third party's store passes it as the page says, and each kind of fault is found."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from provider_sdk import ProviderError
from provider_sdk.contracts.blobstore import (
    Blobstore,
    ChunkReceiver,
)
from provider_sdk.testing.conformance.blobstore import BlobstoreConformance, Capability
from provider_sdk.testing.conformance.blobstore.corpus import ANY_CONTAINERS, BUCKETS, NAMES, NO_BUCKETS, ODD_NAMES
from provider_sdk.testing.conformance.blobstore.history import PLAIN, Player, a_history, expected, first_difference
from provider_sdk.testing.conformance.blobstore.model import Model
from tests.contract import blob_faults
from tests.contract.blob_faults import FAULTS, Streaming

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"
FOUND_BY_HISTORIES = (
    *(blob_faults.LeavesOutTheEnd, blob_faults.KeepsOldDetails, blob_faults.RefusesEmptyObjects),
    *(blob_faults.RemovesWhatIsCancelled, blob_faults.MakesContainersAnew),
)


def snippet() -> str:
    found: list[str] = [
        text for text in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if "BlobstoreConformance" in text
    ]
    assert len(found) == 1
    return found[0]


def test_a_third_partys_store_passes_with_the_lines_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "acme_blobs.py").write_text((Path(__file__).parent / "acme_blobs.py").read_text("utf-8"), "utf-8")
    (tmp_path / "test_acme.py").write_text(snippet(), "utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n", "utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.splitlines()[-1]
    count = re.match(r"(\d+) passed in ", summary)
    assert count and int(count[1]) > 70, summary


class Acme(BlobstoreConformance):
    """As on the page, and in chunks; SHARED so that histories are of two instances."""

    __test__ = False

    capabilities = frozenset(Capability) - {Capability.CREATED_AT, Capability.BARE_NAMES, Capability.PIPELINES}
    in_one, in_several, large, piece, many, resolution = 10, 45, 1000, 99, 30, 0.01
    examples = 60
    store_class: type[Streaming] = Streaming

    @asynccontextmanager
    async def store(self, receiver: ChunkReceiver) -> AsyncIterator[Blobstore]:
        self.acme = self.store_class(receiver)
        yield self.acme

    @asynccontextmanager
    async def second(self, receiver: ChunkReceiver) -> AsyncIterator[Blobstore]:
        other = self.store_class(receiver)
        other.containers = self.acme.containers
        yield other

    reopened = second


@pytest.fixture
def unshrunk() -> Iterator[None]:
    """A fault is found, not made small, and not remembered for the next run."""
    settings.register_profile("unshrunk", phases=[Phase.generate], derandomize=True, database=None)
    before = settings.get_current_profile_name()
    settings.load_profile("unshrunk")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(("fault", "test"), FAULTS)
async def test_a_fault_is_found(fault: type[Streaming], test: str) -> None:
    suite = Acme()
    suite.store_class = fault
    with pytest.raises((AssertionError, ExceptionGroup, pytest.fail.Exception, ProviderError)):
        await getattr(suite, test)()


@pytest.mark.parametrize("test", sorted({test for _, test in FAULTS}))
async def test_the_store_without_the_fault_passes(test: str) -> None:
    await getattr(Acme(), test)()


async def test_two_stores_are_compared_call_by_call() -> None:
    steps = a_history(random.Random(3), 300)
    assert len({step.operation for step in steps}) == 14

    async def compared(fault: type[Streaming]) -> str:
        suite, other = Acme(), Acme()
        other.store_class = fault
        async with suite.box() as one, other.box() as two:
            return await first_difference(Player(one, "s-"), Player(two, "s-"), steps)

    assert await compared(Streaming) == ""
    for fault in FOUND_BY_HISTORIES:
        assert re.search(r"\) is .* on the one and .* on the other$", await compared(fault)), fault


async def test_a_history_does_on_the_model_what_it_does_on_a_store() -> None:
    model, steps = Model(), a_history(random.Random(4), 300)
    async with Acme().box() as box:
        player = Player(box, "s-")
        for step in steps:
            assert await player.play(step) == expected(model, step), step


def test_no_name_that_every_store_takes_is_the_folder_of_another() -> None:
    for names in (NAMES, PLAIN):
        assert len(set(names)) == len(names)
        assert [name for name in names if any(other.startswith(f"{name}/") for other in names)] == []
        assert [name for name in names if set(name.split("/")) & {"", ".", ".."} or (not name.isprintable() and "\0" in name)] == []
    assert not set(NAMES) & set(ODD_NAMES)
    assert not set(BUCKETS) & set(NO_BUCKETS)
    assert len(set(ANY_CONTAINERS)) == len(ANY_CONTAINERS)
    assert list(BUCKETS) == sorted(BUCKETS)


def collected(suite: type[BlobstoreConformance]) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test_") and callable(getattr(suite, name))}


def test_a_capability_that_is_not_declared_brings_its_counterpart() -> None:
    class Plain(BlobstoreConformance):
        __test__ = False

    class Forgetful(Plain):
        reopened = Plain.store

    durable, gone = (
        "test_what_was_written_is_there_when_the_store_is_opened_again",
        "test_what_is_not_durable_is_gone_when_the_store_is_opened_again",
    )
    assert {durable, gone} & collected(Acme) == {durable}
    assert {durable, gone} & collected(Plain) == set()
    assert {durable, gone} & collected(Forgetful) == {gone}
    odd = {"test_no_two_odd_names_are_one", "test_an_odd_name_is_refused_by_every_operation"}
    assert odd & collected(Acme) == {"test_no_two_odd_names_are_one"}
    assert odd & collected(Plain) == {"test_an_odd_name_is_refused_by_every_operation"}


def test_of_what_needs_one_capability_and_lacks_another_both_are_looked_at() -> None:
    whole, early = (
        "test_a_download_goes_on_with_the_object_that_it_began_with",
        "test_a_download_has_no_bytes_of_another_version",
    )

    class InOneChunk(BlobstoreConformance):
        __test__ = False

    class InChunks(InOneChunk):
        capabilities = frozenset({Capability.CHUNKS})

    class WholeInChunks(InOneChunk):
        capabilities = frozenset({Capability.CHUNKS, Capability.SNAPSHOTS})

    assert [{whole, early} & collected(suite) for suite in (InOneChunk, InChunks, WholeInChunks)] == [set(), {early}, {whole}]


def test_a_capability_without_its_method_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"Promising declares .* durable: reopened\(\), shared: second\(\)"):

        class Promising(BlobstoreConformance):
            capabilities = frozenset({Capability.DURABLE, Capability.SHARED})
