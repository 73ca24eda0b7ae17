"""The blobstore over a real lattice: streams, stores that are changed while it serves, faults, and how much memory a stream takes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cbor2
import msgpack
import pytest
import pytest_asyncio

from provider_sdk import DeadlineExceeded, NotFound, PermissionDenied, ProviderError, Unavailable
from provider_sdk.contracts.blobstore import Blobstore, Chunk, ContainerObject, GetObjectRequest, PutChunkRequest, PutObjectRequest
from provider_sdk.hosts.wasmbus.client import LatticeTarget
from provider_sdk.hosts.wasmbus.envelope import Entity, InvocationResponse, decode_invocation, encode_response
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.testing import Provided, TestLattice, a_lattice
from provider_sdk.transport.base import Message
from providers.blobstore.config import NO_STORE
from tests.integration.blob_actors import CONTRACT, PIECE, Actor, an_actor, content, started
from tests.tiers import scale
from tests.waiting import alive, until

STUCK = Path(__file__).with_name("stuck_blobstore.py")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lattice() -> AsyncIterator[TestLattice]:
    async with a_lattice(rpc_timeout=15.0) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(lattice: TestLattice, tmp_path_factory: pytest.TempPathFactory) -> Provided:
    return await started(lattice, tmp_path_factory.mktemp("data"))


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too, but for the store's own locks; a store may be taking some away meanwhile."""
    found = {}
    for inner, _, names in os.walk(folder):
        for path in (Path(inner, name) for name in names if name != ".lock"):
            with suppress(FileNotFoundError):
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def resident(pid: int, which: str) -> int:
    found = re.search(rf"^{which}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) << 10


pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestStreams:
    @pytest.mark.parametrize(("as_process", "url"), [(True, "file://{}/blobs"), (False, "memory://")], ids=["process", "in process"])
    async def test_an_object_goes_up_and_comes_down_in_chunks(
        self, lattice: TestLattice, tmp_path: Path, as_process: bool, url: str
    ) -> None:
        provider = await started(lattice, tmp_path, as_process=as_process)
        values = {"url": url.format(tmp_path)}
        async with an_actor(lattice, provider, values) as actor:
            size = 9 * PIECE + 12_345
            digest = await actor.upload("some/where/o", size)
            assert await actor.download("some/where/o") == (size, digest)
            info = await actor.blobs.get_object_info(ContainerObject("c", "some/where/o"))
            assert info.content_length == size

    async def test_sixteen_chunks_at_once_are_put_in_order_whichever_comes_first(
        self, lattice: TestLattice, provider: Provided, tmp_path: Path
    ) -> None:
        async with an_actor(lattice, provider, {"url": f"file://{tmp_path}"}) as actor:
            piece = 1 << 20  # each beside the messages, by the object store
            stream = await actor.begin("o", b"")
            await asyncio.gather(*(actor.chunk("o", stream, at * piece, content(at * piece, piece)) for at in reversed(range(16))))
            await actor.chunk("o", stream, 16 * piece, b"", last=True)
            assert files(tmp_path)[f"{actor.identity}/c/o"] == content(0, 16 * piece)

    async def test_calls_and_answers_larger_than_a_message_are_whole(
        self, lattice: TestLattice, provider: Provided, tmp_path: Path
    ) -> None:
        async with an_actor(lattice, provider, {"url": f"file://{tmp_path}"}) as actor:
            data = content(0, 5 << 20)
            await actor.put("o", data)
            answer = await actor.blobs.get_object(GetObjectRequest("o", "c", 7, (4 << 20) + 6))
            assert answer.initial_chunk == Chunk("o", "c", data[7 : (4 << 20) + 7], 7, is_last=True)

    async def test_a_cancelled_download_stops_and_a_cancelled_upload_leaves_nothing(
        self, lattice: TestLattice, provider: Provided, tmp_path: Path
    ) -> None:
        async with an_actor(lattice, provider, {"url": f"file://{tmp_path}"}) as actor:
            await actor.upload("o", 20 * PIECE)
            actor.taken.most = 3
            await actor.open("o")
            await until(lambda: actor.taken.chunks == 3)
            before = files(tmp_path).keys()
            stream = await actor.begin("p", content(0, PIECE))
            assert files(tmp_path).keys() != before
            with pytest.raises(NotFound, match="no upload"):
                await actor.chunk("p", "nonsense", PIECE, b"x")
            async with an_actor(lattice, provider, {"url": f"file://{tmp_path}"}) as other:
                with pytest.raises(NotFound, match="no upload"):
                    await other.chunk("p", stream, PIECE, b"x")
            await actor.blobs.put_chunk(_cancel(stream))
            assert files(tmp_path).keys() == before
            assert actor.taken.chunks == 3

    async def test_who_asks_in_cbor_gets_its_chunks_in_cbor(self, lattice: TestLattice, provider: Provided, tmp_path: Path) -> None:
        identity, sent = KeyPair.generate(Prefix.MODULE).public, list[list[Any]]()

        async def answer(message: Message) -> None:
            asked = decode_invocation(message.data)
            assert asked.operation == "ChunkReceiver.ReceiveChunk" and asked.msg[:2] == b"\x7f\x85"
            sent.append(cbor2.loads(asked.msg[1:]))
            await lattice.transport.publish(message.reply, encode_response(InvocationResponse(b"\x7f\x81\xf4", asked.id, None, 3)))

        subscription = await lattice.transport.subscribe(f"wasmbus.rpc.{lattice.host.core.lattice}.{identity}", answer)
        target = await lattice.link(provider, {"url": f"file://{tmp_path}"}, actor=identity)
        assert isinstance(target, LatticeTarget)
        await Blobstore.at(target).create_container("c")
        await Blobstore.at(target).put_object(PutObjectRequest(Chunk("o", "c", content(0, 4 * PIECE), is_last=True)))
        asked = b"\x7f" + cbor2.dumps(["o", "c", None, None])
        found = await lattice.client.invoke(target.origin, target.entity, "Blobstore.GetObject", asked)
        assert found[:1] == b"\x7f" and cbor2.loads(found[1:])[2][2] == content(0, PIECE)
        await until(lambda: sent and sent[-1][4])
        assert b"".join(chunk[2] for chunk in sent) == content(PIECE, 3 * PIECE)
        await subscription.unsubscribe()
        await lattice.unlink(provider, target)


class TestOtherActors:
    async def test_one_that_takes_its_time_stalls_nobody(self, lattice: TestLattice, provider: Provided, tmp_path: Path) -> None:
        values = {"url": f"file://{tmp_path}?per_actor=no"}
        async with an_actor(lattice, provider, values) as slow, an_actor(lattice, provider, values) as quick:
            digest = await slow.upload("o", 20 * PIECE)
            slow.taken.gate.clear()
            for _ in range(5):
                await slow.open("o")
            assert await quick.download("o") == (20 * PIECE, digest)
            await quick.upload("p", 20 * PIECE)
            await slow.put("q", b"still served")
            assert slow.taken.chunks == 1

    @pytest.mark.parametrize("error", [NotFound("no such thing"), ValueError("a fault")], ids=["refuses", "fails"])
    async def test_one_that_refuses_a_chunk_gets_no_more_of_that_object(
        self, lattice: TestLattice, provider: Provided, tmp_path: Path, error: Exception
    ) -> None:
        async with an_actor(lattice, provider, {"url": f"file://{tmp_path}"}) as actor:
            digest = await actor.upload("o", 8 * PIECE)
            told, actor.taken.error = len(provider.output), error
            await actor.open("o")
            await until(lambda: any("download of 'o' from 'c' ended before its end" in line for line in provider.output[told:]))
            assert actor.taken.chunks == 1
            actor.taken.error = None
            assert await actor.download("o") == (8 * PIECE, digest)

    async def test_one_that_does_not_answer_is_given_up_after_chunk_timeout(
        self, lattice: TestLattice, provider: Provided, tmp_path: Path
    ) -> None:
        async with an_actor(lattice, provider, {"url": f"file://{tmp_path}", "chunk_timeout": "200ms"}) as actor:
            await actor.upload("o", 8 * PIECE)
            told = len(provider.output)
            actor.taken.gate.clear()
            await actor.open("o")
            await until(lambda: any("ended before its end" in line for line in provider.output[told:]))


class TestSwap:
    async def test_what_began_on_the_old_store_ends_there_and_what_begins_goes_to_the_new(
        self, lattice: TestLattice, provider: Provided, tmp_path: Path
    ) -> None:
        old, new = tmp_path / "old", tmp_path / "new"
        async with an_actor(lattice, provider, {"url": f"file://{old}", "alias_pictures": "c"}) as actor:
            digest = await actor.upload("o", 20 * PIECE)
            stream = await actor.begin("p", content(0, PIECE), container="pictures")
            actor.taken.gate.clear()
            await actor.open("o")
            await actor.change({"url": f"file://{new}", "alias_pictures": "d"})
            await self._serves(actor, new)
            await actor.blobs.create_container("d")
            await actor.put("q", b"new", container="pictures")
            await asyncio.gather(
                *(actor.chunk("p", stream, at * PIECE, content(at * PIECE, PIECE), container="pictures") for at in (1, 2, 3))
            )
            await actor.chunk("p", stream, 4 * PIECE, b"end", last=True, container="pictures")
            actor.taken.gate.set()
            async with asyncio.timeout(20):
                await actor.taken.ended.wait()
            assert (actor.taken.size, actor.taken.digest.hexdigest()) == (20 * PIECE, digest)
            kept = {f"{actor.identity}/c/o": content(0, 20 * PIECE), f"{actor.identity}/c/p": content(0, 4 * PIECE) + b"end"}
            await until(lambda: files(old) == kept)
            await until(lambda: files(new) == {f"{actor.identity}/d/q": b"new"})

    async def test_under_load_no_call_fails_and_no_stream_mixes_two_stores(
        self, lattice: TestLattice, provider: Provided, tmp_path: Path
    ) -> None:
        stores = [{"url": f"file://{tmp_path}/{name}?per_actor=no&durability=normal"} for name in ("a", "b")]
        async with an_actor(lattice, provider, stores[0]) as actor, an_actor(lattice, provider, stores[1]) as other:
            for whose in (actor, other):
                await whose.put("which", whose.identity.encode() * 20_000)
            stop = asyncio.get_running_loop().time() + scale(test=2, ci=3, soak=120)
            done = 0

            async def uploads(name: str) -> None:
                nonlocal done
                while asyncio.get_running_loop().time() < stop:
                    await actor.upload(name, 3 * PIECE + 1)
                    done += 1

            async def downloads() -> None:
                while asyncio.get_running_loop().time() < stop:
                    size, digest = await actor.download("which")
                    assert digest in {hashlib.sha256(whose.identity.encode() * 20_000).hexdigest() for whose in (actor, other)} and size

            async def changes() -> None:
                for number in range(1, 1000):
                    if asyncio.get_running_loop().time() >= stop:
                        return
                    await actor.change({**stores[number % 2], "max_streams": str(100 + number)})
                    await asyncio.sleep(0.05)

            await asyncio.gather(uploads("x"), uploads("y"), downloads(), changes())
            assert done > 4
            found = files(tmp_path)
            whole = {f"{store}/c/{name}": content(0, 3 * PIECE + 1) for store in "ab" for name in "xy"}
            assert {name: data for name, data in found.items() if not name.endswith("which")}.items() <= whole.items()

    async def test_a_change_that_cannot_be_leaves_the_old_store_in_place(
        self, lattice: TestLattice, provider: Provided, tmp_path: Path
    ) -> None:
        async with an_actor(lattice, provider, {"url": f"file://{tmp_path}"}) as actor:
            stream = await actor.begin("o", b"one")
            await actor.change({"url": "nonsense"})
            async with asyncio.timeout(10):
                while b"change refused, serving as before" not in await lattice.health(provider):
                    await asyncio.sleep(0.05)
            await actor.chunk("o", stream, 3, b"two", last=True)
            await until(lambda: files(tmp_path) == {f"{actor.identity}/c/o": b"onetwo"})

    async def test_a_link_that_is_deleted_ends_its_streams(self, lattice: TestLattice, provider: Provided, tmp_path: Path) -> None:
        async with an_actor(lattice, provider, {"url": f"file://{tmp_path}"}) as actor:
            await actor.upload("o", 20 * PIECE)
            stream = await actor.begin("p", content(0, PIECE))
            actor.taken.gate.clear()
            await actor.open("o")
        await until(lambda: files(tmp_path).keys() == {f"{actor.identity}/c/o"})
        actor.taken.gate.set()
        with pytest.raises(PermissionDenied, match="unlinked actor"):
            await actor.chunk("p", stream, PIECE, b"x", last=True)
        await lattice.link(provider, {"url": f"file://{tmp_path}"}, actor=actor.identity)
        with pytest.raises(NotFound, match="no upload"):
            await actor.chunk("p", stream, PIECE, b"x", last=True)
        assert actor.taken.chunks <= 2
        await lattice.unlink(provider, actor.target)

    async def _serves(self, actor: Actor, folder: Path) -> None:
        """Wait until calls go to the store in that folder."""
        async with asyncio.timeout(10):
            while True:
                await actor.blobs.create_container("new")
                if (folder / actor.identity / "new").exists():
                    return
                await asyncio.sleep(0.02)


class TestEnds:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    async def test_a_process_that_ends_in_the_middle_leaves_whole_objects_only(
        self, lattice: TestLattice, tmp_path: Path, number: signal.Signals
    ) -> None:
        provider = await started(lattice, tmp_path / "data")
        values = {"url": f"file://{tmp_path}/blobs"}
        async with an_actor(lattice, provider, values) as actor:
            await actor.put("o", b"old")
            await actor.upload("p", 8 * PIECE)
            stream = await actor.begin("o", content(0, PIECE))
            actor.taken.gate.clear()
            await actor.open("p")
            os.kill(provider.pid, number)
            await until(lambda: not alive(provider.pid))
            actor.taken.gate.set()
            whole = {f"{actor.identity}/c/o": b"old", f"{actor.identity}/c/p": content(0, 8 * PIECE)}
            if number == signal.SIGTERM:
                await until(lambda: files(tmp_path / "blobs") == whole)
            again = await started(lattice, tmp_path / "data")
            await lattice.link(again, values, actor=actor.identity)
            actor.target = LatticeTarget(lattice.client, actor.target.origin, Entity(again.key, again.link_name, again.contract))
            with pytest.raises(NotFound, match="another instance of the provider has it"):
                await actor.chunk("o", stream, PIECE, b"x", last=True)
            await actor.put("q", b"")
            await until(lambda: files(tmp_path / "blobs") == {**whole, f"{actor.identity}/c/q": b""})
            await lattice.unlink(again, actor.target)

    async def test_a_store_that_is_stuck_keeps_neither_a_caller_nor_the_process(self, lattice: TestLattice, tmp_path: Path) -> None:
        settings = {"drain_timeout": "200ms", "call_timeout": "500ms"}
        provider = await lattice.process(STUCK, contract=CONTRACT, configuration=settings)
        async with an_actor(lattice, provider, {"url": "memory://"}) as actor:
            stream = await actor.begin("o", b"")
            with pytest.raises(DeadlineExceeded):
                await actor.chunk("o", stream, 0, b"x")
            with pytest.raises(DeadlineExceeded):
                await actor.blobs.put_chunk(PutChunkRequest(Chunk("o", "c", b""), stream, cancel_and_remove=True))
            with pytest.raises(DeadlineExceeded):
                await actor.put("p", b"x")
            assert await actor.blobs.list_containers()
            os.kill(provider.pid, signal.SIGTERM)
            await until(lambda: not alive(provider.pid))


class TestWords:
    async def test_health_tells_of_a_store_in_trouble_and_when_it_is_over(
        self, lattice: TestLattice, provider: Provided, tmp_path: Path
    ) -> None:
        (tmp_path / "blobs").write_text("in the way")
        async with an_actor(lattice, provider, {"url": f"file://{tmp_path}/blobs"}, container=False) as actor:
            await self._healthy(lattice, provider, f"{tmp_path}/blobs is no folder")
            with pytest.raises(ProviderError):
                await actor.blobs.create_container("c")
            (tmp_path / "blobs").unlink()
            await self._healthy(lattice, provider, "")
            await actor.blobs.create_container("c")

    async def test_a_link_without_any_setting_keeps_objects_in_data_dir_and_says_so(self, lattice: TestLattice, tmp_path: Path) -> None:
        provider = await started(lattice, tmp_path)
        async with an_actor(lattice, provider, {"ROOOT": "/nowhere"}) as actor:
            await actor.put("o", b"x")
            assert files(tmp_path / "blobs") == {f"{actor.identity}/c/o": b"x"}
        await until(lambda: f"objects are in {tmp_path}/blobs/{actor.identity}" in "\n".join(provider.output))
        said = "\n".join(provider.output)
        assert NO_STORE in said
        assert 'link values: unknown setting "ROOOT" is ignored: did you mean "ROOT"?' in said or 'did you mean "root"?' in said

    async def test_a_wrong_setting_fails_that_link_only(self, lattice: TestLattice, provider: Provided, tmp_path: Path) -> None:
        target = await lattice.link(provider, {"url": "s3://acme", "access_key_id": "hunter2"})
        with pytest.raises(Unavailable, match="access_key_id and secret_access_key: one is there without the other"):
            await Blobstore.at(target).list_containers()
        async with an_actor(lattice, provider, {"url": f"file://{tmp_path}"}) as actor:
            await actor.put("o", b"x")
        assert b"one is there without the other" in await lattice.health(provider)
        await lattice.unlink(provider, target)
        await self._healthy(lattice, provider, "")
        assert not any("hunter2" in line for line in provider.output)

    async def _healthy(self, lattice: TestLattice, provider: Provided, line: str) -> None:
        """Wait until health says that line, or nothing."""
        async with asyncio.timeout(10):
            while True:
                answer = msgpack.unpackb(await lattice.health(provider))
                if answer["healthy"] is not bool(line) and line in (answer.get("message") or ""):
                    return
                await asyncio.sleep(0.05)


async def test_memory_does_not_grow_with_an_object(lattice: TestLattice, tmp_path: Path) -> None:
    provider = await started(lattice, tmp_path / "data")
    size = scale(test=64 << 20, ci=128 << 20, soak=5 << 30)
    async with an_actor(lattice, provider, {"url": f"file://{tmp_path}/blobs?durability=normal"}) as actor:
        await actor.upload("small", 4 * PIECE)
        await actor.download("small")
        before = resident(provider.pid, "VmRSS")
        digest = await actor.upload("o", size)
        assert await actor.download("o", seconds=3600) == (size, digest)
        grown = resident(provider.pid, "VmHWM") - before
        print(f"{size >> 20} MiB up and down: the provider grew by {grown >> 20} MiB")
        assert grown <= 64 << 20


def _cancel(stream: str) -> PutChunkRequest:
    return PutChunkRequest(Chunk("p", "c", b""), stream, cancel_and_remove=True)
