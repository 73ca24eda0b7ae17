"""Local files and S3 under the same histories: the same answer, call by call, and that of the model."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from provider_sdk import Code, InvalidArgument
from provider_sdk.testing.conformance.blobstore.box import Box, Receiver
from provider_sdk.testing.conformance.blobstore.corpus import NAMES
from provider_sdk.testing.conformance.blobstore.history import PLAIN, Player, a_history, expected, first_difference
from provider_sdk.testing.conformance.blobstore.model import Model
from providers.blobstore.stores import Stores
from tests.contract.blob_doors import direct
from tests.contract.blob_places import BlobPlace
from tests.tiers import scale

STEPS = scale(test=100, ci=250, soak=20_000)
S3 = ["moto_bucket", pytest.param("minio_bucket", marks=pytest.mark.needs("minio"))]
CHUNKS = {"max_chunk_size": "16"}
"""So that downloads are streams."""


@asynccontextmanager
async def on(place: BlobPlace, folder: Path) -> AsyncIterator[Player]:
    receiver, prefix = Receiver(20.0), place.prefix()
    async with direct(Stores(folder), {**place.values(), **CHUNKS}, receiver, place.actor()) as store:
        yield Player(Box(store, receiver, f"{prefix}unused"), prefix)
        receiver.check()


@pytest.fixture
def places(request: pytest.FixtureRequest) -> list[BlobPlace]:
    return [request.getfixturevalue(name) for name in ("local", request.param)]


@pytest.mark.parametrize("places", S3, indirect=True)
@pytest.mark.parametrize(("seed", "names"), [(1, PLAIN), (2, NAMES)], ids=["few names", "many names"])
async def test_the_same_history_has_the_same_answers(places: list[BlobPlace], seed: int, names: tuple[str, ...], tmp_path: Path) -> None:
    steps = a_history(random.Random(seed), STEPS, names=names)
    async with AsyncExitStack() as stack:
        local, s3 = [await stack.enter_async_context(on(place, tmp_path)) for place in places]
        assert await first_difference(local, s3, steps) == ""


def test_a_history_does_every_operation_with_and_without_success() -> None:
    model, done, refused = Model(), Counter[str](), Counter[str]()
    for step in a_history(random.Random(1), 400):
        (refused if isinstance(expected(model, step), Code) else done)[step.operation] += 1
    assert min(done.values()) >= 1 and len(done) == 14, done
    assert {"put", "begin", "chunk", "cancel", "get", "info", "objects"} <= set(refused)
    assert refused.total() < done.total()


@pytest.mark.parametrize("place", ["memory_blobs", "local", *S3])
async def test_a_name_that_is_no_text_is_refused_and_nothing_is_stored(request: pytest.FixtureRequest, place: str, tmp_path: Path) -> None:
    half = "half a pair: \ud800"
    async with on(request.getfixturevalue(place), tmp_path) as player:
        box = player.box("abc")
        await box.store.create_container(box.id)
        for call in (box.put(half, b"text"), box.begin(half), box.get(half), box.exists(half), box.store.create_container(half)):
            with pytest.raises(InvalidArgument, match="ud800"):
                await call
        assert await box.names() == []
