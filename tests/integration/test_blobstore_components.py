"""The blobstore on a 1.x lattice: stores that are changed while it serves, links that end, secrets, and how much memory a stream takes."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from provider_sdk import Unavailable
from provider_sdk.contracts.wasi_blobstore import EarlyWasiBlobstore, WasiBlobstore
from provider_sdk.lattice.wrpc.providers import Supervision
from provider_sdk.testing import a_lattice
from provider_sdk.testing.conformance.blobstore.component_box import AnyBlobstore, ComponentBox
from provider_sdk.testing.conformance.blobstore.component_streams import Held
from provider_sdk.testing.wrpc_lattice import WrpcProvided, WrpcTestLattice, a_wrpc_lattice
from tests.integration.blob_actors import an_actor, content, started
from tests.integration.test_blobstore_provider import files, resident
from tests.servers import s3
from tests.tiers import scale
from tests.waiting import until

PIECE = 128 << 10
RATE = 40 << 20

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lattice() -> AsyncIterator[WrpcTestLattice]:
    async with a_wrpc_lattice() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(lattice: WrpcTestLattice, tmp_path_factory: pytest.TempPathFactory) -> WrpcProvided:
    return await _started(lattice, tmp_path_factory.mktemp("data"))


async def _started(lattice: WrpcTestLattice, folder: Path, **settings: str) -> WrpcProvided:
    configuration = {"data_dir": str(folder), "drain_timeout": "200ms", **settings}
    return await lattice.process("providers.blobstore", serves=(WasiBlobstore, EarlyWasiBlobstore), configuration=configuration)


@asynccontextmanager
async def a_box(
    lattice: WrpcTestLattice,
    provider: WrpcProvided,
    values: Mapping[str, str],
    secrets: Mapping[str, str] | None = None,
    version: type[AnyBlobstore] = WasiBlobstore,
    container: str = "c",
) -> AsyncIterator[ComponentBox]:
    """A container of a component that is linked as long as the block runs."""
    target = await lattice.link(provider, values, secrets=secrets, component="painter")
    try:
        store: AnyBlobstore = version.at(target, timeout=300.0)
        await store.create_container(container)
        yield ComponentBox(store, container)
    finally:
        await lattice.unlink(provider, target)


async def _upload(box: ComponentBox, name: str) -> tuple[Held, asyncio.Task[None]]:
    """An upload that has begun, and is going on."""
    held = Held()
    held.pieces.put_nowait(content(0, PIECE))
    task = asyncio.create_task(box.write(name, held))
    await asyncio.sleep(0.2)
    return held, task


class TestPlaces:
    async def test_a_root_that_is_named_is_the_folder_of_the_containers(
        self, lattice: WrpcTestLattice, provider: WrpcProvided, tmp_path: Path
    ) -> None:
        for values in ({"ROOT": str(tmp_path)}, {"root": str(tmp_path)}, {"url": f"file://{tmp_path}"}):
            async with a_box(lattice, provider, values) as box:
                await box.put("a/b", b"text")
                assert files(tmp_path) == {"c/a/b": b"text"}
                await box.store.delete_container("c")
        await until(lambda: sum(f"objects are in {tmp_path}" in line for line in provider.output) == 3)

    async def test_without_one_each_component_has_a_folder(self, lattice: WrpcTestLattice, tmp_path: Path) -> None:
        provider = await _started(lattice, tmp_path)
        async with a_box(lattice, provider, {}) as box:
            await box.put("a", b"text")
            assert (tmp_path / "blobs" / "painter" / "c" / "a").read_bytes() == b"text"
        await until(lambda: f"objects are in {tmp_path}/blobs/painter" in "\n".join(provider.output))

    async def test_actors_of_an_older_lattice_and_components_share_a_folder(
        self, lattice: WrpcTestLattice, provider: WrpcProvided, tmp_path: Path
    ) -> None:
        async with a_lattice() as older:
            values = {"ROOT": str(tmp_path / "blobs"), "per_actor": "no"}
            actors = await started(older, tmp_path / "data")
            async with an_actor(older, actors, values) as actor, a_box(lattice, provider, values) as box:
                await actor.put("a", b"of an actor")
                await box.put("b", b"of a component")
                assert (await box.names(), await box.get("a")) == (["a", "b"], b"of an actor")
                assert await actor.download("b") == (14, hashlib.sha256(b"of a component").hexdigest())


class TestLinks:
    async def test_a_stream_ends_on_the_store_on_which_it_began(
        self, lattice: WrpcTestLattice, provider: WrpcProvided, tmp_path: Path
    ) -> None:
        async with a_box(lattice, provider, {"ROOT": f"{tmp_path}/old"}) as box:
            held, task = await _upload(box, "a")
            async with a_box(lattice, provider, {"ROOT": f"{tmp_path}/new"}) as changed:
                async with asyncio.timeout(30):
                    while not (tmp_path / "new" / "c").exists():
                        await asyncio.sleep(0.05)
                        await changed.store.create_container("c")
                await asyncio.sleep(0.5)
                held.pieces.put_nowait(b"end")
                held.pieces.put_nowait(None)
                await task
                await changed.put("b", b"text")
                await until(lambda: files(tmp_path) == {"old/c/a": content(0, PIECE) + b"end", "new/c/b": b"text"})

    @pytest.mark.parametrize("version", [WasiBlobstore, EarlyWasiBlobstore])
    async def test_a_link_that_is_deleted_ends_its_streams(
        self, lattice: WrpcTestLattice, provider: WrpcProvided, tmp_path: Path, version: type[AnyBlobstore]
    ) -> None:
        async with a_box(lattice, provider, {"ROOT": str(tmp_path)}, version=version) as box:
            _, task = await _upload(box, "a")
        async with asyncio.timeout(30):
            with pytest.raises(Unavailable, match=r"given up|broke off"):
                await task
        await until(lambda: files(tmp_path) == {})

    async def test_a_provider_that_its_host_stops_in_the_middle_leaves_whole_objects_only(self, tmp_path: Path) -> None:
        # A host that waits for 300 ms only may kill it before it has answered the call.
        async with a_wrpc_lattice(supervision=Supervision(shutdown_delay=10.0)) as lattice:
            provider = await _started(lattice, tmp_path / "data")
            async with a_box(lattice, provider, {"ROOT": f"{tmp_path}/blobs"}) as box:
                await box.put("a", b"old")
                _, task = await _upload(box, "a")
                await lattice.host.stop_provider(provider.id)
                # What the kill, which follows the answer, may leave aside is for the next start to remove.
                left = {name: data for name, data in files(tmp_path / "blobs").items() if not name.startswith(".aside/")}
                assert left == {"c/a": b"old"}
                async with asyncio.timeout(20):
                    with pytest.raises(Unavailable):
                        await task

    async def test_a_change_that_cannot_be_leaves_the_old_store_in_place(
        self, lattice: WrpcTestLattice, provider: WrpcProvided, tmp_path: Path
    ) -> None:
        async with a_box(lattice, provider, {"ROOT": str(tmp_path)}) as box:
            await lattice.link(provider, {"url": "nonsense"}, component="painter")
            async with asyncio.timeout(30):
                while b"change refused, serving as before" not in await lattice.health(provider):
                    await asyncio.sleep(0.05)
            await box.put("a", b"text")
            assert files(tmp_path) == {"c/a": b"text"}


@pytest.mark.parametrize("version", [WasiBlobstore, EarlyWasiBlobstore])
async def test_a_stream_may_take_longer_than_a_call(lattice: WrpcTestLattice, tmp_path: Path, version: type[AnyBlobstore]) -> None:
    provider = await _started(lattice, tmp_path / "data", call_timeout="500ms")
    async with a_box(lattice, provider, {"ROOT": f"{tmp_path}/blobs"}, version=version) as box:
        held, task = await _upload(box, "a")
        await asyncio.sleep(1.0)
        held.pieces.put_nowait(b"end")
        held.pieces.put_nowait(None)
        await task
        assert await box.get("a") == content(0, PIECE) + b"end"


class TestS3:
    @pytest.mark.parametrize("key", ["config_json", "secret_access_key"])
    async def test_credentials_are_secrets_of_the_link(
        self, lattice: WrpcTestLattice, provider: WrpcProvided, tmp_path: Path, key: str
    ) -> None:
        with s3.moto(tmp_path) as server:
            server.client().create_bucket(Bucket="paintings-of-acme")
            plain = dict(server.settings)
            secret = plain.pop("secret_access_key")
            if key == "config_json":
                values, secret = {}, json.dumps({**plain, "secret_access_key": secret, "aliases": {"c": "paintings-of-acme"}})
            else:
                values = {**plain, "alias_c": "paintings-of-acme"}
            async with a_box(lattice, provider, values, {key: secret}) as box:
                await box.put("a", b"text")
                assert await box.beside("alias_c").get("a") == b"text"
                assert await box.beside("paintings-of-acme").names() == ["a"]

    async def test_buckets_are_made_in_their_region(self, lattice: WrpcTestLattice, provider: WrpcProvided, tmp_path: Path) -> None:
        with s3.moto(tmp_path) as server:
            values = {**server.settings, "BUCKET_REGION": "eu-west-3"}
            async with a_box(lattice, provider, values, container="paintings"):
                found = server.client().get_bucket_location(Bucket="paintings")
                assert found["LocationConstraint"] == "eu-west-3"


@pytest.mark.parametrize("version", [WasiBlobstore, EarlyWasiBlobstore])
async def test_memory_does_not_grow_with_an_object(lattice: WrpcTestLattice, tmp_path: Path, version: type[AnyBlobstore]) -> None:
    provider = await _started(lattice, tmp_path / "data")
    size = scale(test=64 << 20, ci=64 << 20, soak=1 << 30)
    piece = content(0, PIECE)

    async def data(total: int) -> AsyncIterator[bytes]:
        for _ in range(total // PIECE):
            # Whoever sends faster than the provider's disk takes is stopped by no one, and the NATS server then cuts off the provider.
            await asyncio.sleep(PIECE / RATE)
            yield piece

    async with a_box(lattice, provider, {"ROOT": str(tmp_path / "blobs"), "durability": "normal"}, version=version) as box:
        await box.write("small", data(8 * PIECE))
        assert await box.get("small") == 8 * piece
        before = resident(provider.pid, "VmRSS")
        await box.write("o", data(size))
        up = resident(provider.pid, "VmHWM") - before
        # No more than this is done with the data: a reader that is slower than the sender is cut off by the NATS server.
        count, check = 0, 1
        async for part in await box.open("o"):
            count, check = count + len(part), zlib.adler32(part, check)
        grown = resident(provider.pid, "VmHWM") - before
        print(f"{size >> 20} MiB up and down: the provider grew by {up >> 20} MiB, then by {grown >> 20} MiB")
        assert (count, check) == (size, functools.reduce(lambda so_far, _: zlib.adler32(piece, so_far), range(size // PIECE), 1))
        assert grown <= 64 << 20
