"""The blobstore on S3 servers: what of S3 a caller of the blobstore does not see, on each of them and in both ways to have containers."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import string
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from provider_sdk import InvalidArgument, NotFound, PreconditionFailed
from providers.blobstore.backend import NO_DETAILS, Backend, Capability, Details
from providers.blobstore.backends.memory import MemoryStore
from providers.blobstore.backends.s3 import listing, objects
from providers.blobstore.backends.s3.containers import escaped, unescaped
from providers.blobstore.backends.s3.writing import MOST_PARTS, grown
from tests.integration.blob_s3 import BUCKET, PART, Relay, a_store, make_bucket, refusal, until, uploads, whole
from tests.servers import built, s3
from tests.servers.s3 import S3Server
from tests.tiers import scale

MANY = 64
NAMES = [
    *("a", "a b", "a+b", "a-b", "a.b", "a%41", "a&<>\"'", "a:b", "a=b;c", "a\\b", "a~", "ab", "A", ".hid", "[1]", "x.", "x" * 255),
    *("d/b", "d/ b /c", "d/c/d", "é", "e\u0301", "日本", "z/..z", "🎉/🎉", " lead", "trail ", "%2F", "\u2028"),
]
BOUNDS = [
    *(
        "",
        "a",
        "a-",
        "a/b",
        "a//",
        "b",
        "d",
        "d/",
        "d/b",
        "d/.",
        "d/../x",
        "d/c",
        "..",
        "../x",
        "/",
        ".",
        "A",
        "zzz",
        "日",
        "\x01",
        "a\x01",
    ),
    *("x" * 300, "x" * 2000, "d/" + "x" * 300 + "/y", "\U0010ffff"),
]


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, S3Server]]:
    """Those that a test has asked for so far."""
    with ExitStack() as stack:

        class Started(dict[str, S3Server]):
            def __missing__(self, name: str) -> S3Server:
                make: AbstractContextManager[S3Server] = s3.SERVERS[name](tmp_path_factory.mktemp(name))
                self[name] = make_bucket(stack.enter_context(make))
                return self[name]

        yield Started()


# Where the real ones are, moto has nothing to add.
EACH = [
    *([] if all(built.found(name) for name in s3.BUILT) else [pytest.param("moto", id="moto")]),
    pytest.param("minio", marks=pytest.mark.needs("minio"), id="minio"),
    pytest.param("versitygw", marks=pytest.mark.needs("versitygw"), id="versitygw"),
]


@pytest.fixture(params=EACH)
def server(request: pytest.FixtureRequest, servers: dict[str, S3Server]) -> S3Server:
    return servers[request.param]


@dataclass
class Place:
    """A container in which nothing is yet, and what is seen of it by the test itself."""

    server: S3Server
    backend: Backend
    container: str
    bucket: str
    base: str

    def on_server(self) -> list[str]:
        """What the server has there, without its beginning."""
        found = self.server.client().list_objects_v2(Bucket=self.bucket, Prefix=self.base).get("Contents", ())
        return [item["Key"].removeprefix(self.base) for item in found]


@pytest.fixture(params=["folder", "bucket"])
async def place(request: pytest.FixtureRequest, server: S3Server) -> AsyncIterator[Place]:
    container = f"box-{secrets.token_hex(6)}"
    one = request.param == "folder"
    where: dict[str, Any] = {"bucket": BUCKET, "prefix": "blobs/of all"} if one else {"bucket": None}
    async with a_store(server, part_size=PART, **where) as store:
        backend = store.view("MACTOR" if one else "")
        await backend.create_container(container)
        yield Place(server, backend, container, *((BUCKET, f"blobs/of all/MACTOR/{container}/") if one else (container, "")))
        await backend.remove_container(container)


async def filled(backend: Backend, container: str) -> Backend:
    await asyncio.gather(*(backend.put(container, name, name.encode(), NO_DETAILS) for name in NAMES))
    return backend


@pytest.mark.parametrize("first", [5 << 20, 8 << 20, 5 << 30])
def test_the_largest_object_of_s3_fits_in_as_many_parts_as_it_takes(first: int) -> None:
    sizes = [first]
    while len(sizes) < MOST_PARTS:
        sizes.append(grown(sizes[-1], len(sizes)))
    assert sum(sizes) >= 5 << 40 and max(sizes) <= 5 << 30


async def test_a_listing_from_any_text_on_is_that_of_a_plain_dictionary(place: Place) -> None:
    model, at = MemoryStore().view(""), place.container
    await model.create_container(at)
    for backend in (model, place.backend):
        await filled(backend, at)
    sizes = itertools.cycle((1, 2, 5, 1000))
    for number, (prefix, start) in enumerate(itertools.product(BOUNDS, BOUNDS)):
        if number % scale(test=11, ci=7, soak=1):
            continue
        after, most = (start, "")[number % 2], next(sizes)
        pages = [
            await backend.objects(at, prefix=prefix, start="" if after else start, after=after, most=most)
            for backend in (model, place.backend)
        ]
        found, more = [[(info.name, info.size) for info in page.objects] for page in pages], [page.more for page in pages]
        assert (found[1], more[1]) == (found[0], more[0]), (prefix, start, after, most)


async def test_more_objects_than_one_answer_of_the_server_holds(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (objects, listing):
        monkeypatch.setattr(module, "BATCH", MANY // 4 - 1)
    names = [f"many/{number:05}" for number in range(MANY)]
    await asyncio.gather(*(place.backend.put(place.container, name, b"", NO_DETAILS) for name in names))
    for most, expected in ((MANY // 4 - 1, MANY // 4 - 1), (MANY // 4, MANY // 4), (MANY - 1, MANY - 1), (MANY, MANY), (2 * MANY, MANY)):
        page = await place.backend.objects(place.container, most=most)
        assert [info.name for info in page.objects] == names[:expected] and page.more == (expected < MANY)
    assert await place.backend.remove(place.container, names[1:]) == {}
    assert [info.name for info in (await place.backend.objects(place.container)).objects] == names[:1]


async def test_times_of_a_listing_are_those_of_the_objects(place: Place) -> None:
    await place.backend.put(place.container, "a", b"1", NO_DETAILS)
    [listed] = (await place.backend.objects(place.container)).objects
    assert listed == await place.backend.info(place.container, "a") and listed.modified is not None


DETAILS = [
    NO_DETAILS,
    Details("text/plain; charset=utf-8", "gzip"),
    Details("application/octet-stream", "br, gzip"),
    Details("binary/octet-stream"),
    Details(" odd  spaces ", "é\n\0"),
    Details("a/" + "x" * 400, "aws-chunked"),
    Details(None, "aws-chunked,gzip"),
]


async def test_what_an_object_carries_comes_back_as_it_was(place: Place) -> None:
    at, backend = place.container, place.backend
    for number, details in enumerate(DETAILS):
        await backend.put(at, f"put{number}", b"1", details)
        writing = await backend.create(at, f"written{number}", details)
        await writing.write(b"3")
        await writing.commit()
        for name in (f"put{number}", f"written{number}"):
            assert (await backend.info(at, name)).details == details
            reading = await backend.open(at, name, 0, None, lambda length: length)
            assert reading.info.details == details
            await reading.close()


async def test_an_object_in_parts_is_there_as_a_whole_or_not_at_all(place: Place) -> None:
    data, at, backend = secrets.token_bytes(2 * PART + 12345), place.container, place.backend
    details = Details("image/png", "br")
    await backend.put(at, "large", b"old", NO_DETAILS)
    writing = await backend.create(at, "large", details)
    for start in range(0, len(data), 1_000_000):
        await writing.write(data[start : start + 1_000_000])
    assert await whole(backend, at, "large") == b"old"
    await writing.commit()
    await writing.abort()
    assert await whole(backend, at, "large") == data
    assert (await backend.info(at, "large")).details == details
    reading = await backend.open(at, "large", PART - 3, PART + 2, lambda length: 2)
    assert (reading.first + await reading.read(100), reading.length) == (data[PART - 3 : PART + 3], 6)
    await reading.close()


async def test_an_upload_that_is_given_up_leaves_nothing_on_the_server(place: Place) -> None:
    writing = await place.backend.create(place.container, "large", NO_DETAILS)
    for _ in range(4):
        await writing.write(bytes(PART))
    await until(lambda: bool(uploads(place.server, place.bucket, f"{place.base}large")))
    for _ in range(2):
        await writing.abort()
    assert uploads(place.server, place.bucket, f"{place.base}large") == []
    assert [key for key in place.on_server() if key] == []


async def test_a_removed_container_ends_what_is_on_its_way_there(place: Place) -> None:
    at, large = place.container, f"{place.base}large"
    small = await place.backend.create(at, "small", NO_DETAILS)
    await small.write(b"1")
    writing = await place.backend.create(at, "large", NO_DETAILS)
    await writing.write(bytes(PART + 1))
    client = place.server.client()
    await until(lambda: bool(uploads(place.server, place.bucket, large)))
    [upload] = uploads(place.server, place.bucket, large)
    await until(lambda: bool(client.list_parts(Bucket=place.bucket, Key=large, UploadId=upload).get("Parts")))
    await place.backend.remove_container(at)
    for one in (small, writing):
        assert isinstance(await refusal(one.commit()), NotFound)
        await one.abort()
    assert at not in [info.name for info in await place.backend.containers()]


async def test_a_and_a_slash_b_are_both_there_or_one_is_refused(place: Place) -> None:
    """minio has both and lists one: then it is found by its name, and gone with the container."""
    assert Capability.SIDE_BY_SIDE not in place.backend.capabilities
    await place.backend.put(place.container, "a", b"1", NO_DETAILS)
    try:
        await place.backend.put(place.container, "a/b", b"2", NO_DETAILS)
    except PreconditionFailed as error:
        assert "with a slash" in error.message
    else:
        assert await whole(place.backend, place.container, "a/b") == b"2"
    assert await whole(place.backend, place.container, "a") == b"1"
    await place.backend.remove_container(place.container)
    await place.backend.create_container(place.container)
    assert isinstance(await refusal(place.backend.info(place.container, "a/b")), NotFound)


CONTAINERS = ["a/b", ".", "..", "%2F", "%", "é ü", " ", "a\x01\n", "A" * 255, "/" * 255, "日" * 85, "ends%", "x" * 240, "x" * 241, "x" * 60]


async def test_a_container_in_a_bucket_may_have_any_name(server: S3Server) -> None:
    async with a_store(server, prefix="any") as store:
        backend = store.view("")
        assert Capability.ANY_CONTAINER in backend.capabilities
        for name in CONTAINERS:
            await backend.create_container(name)
            await backend.create_container(name)
            assert (await backend.objects(name)).objects == []
            await backend.put(name, "object", name.encode(), NO_DETAILS)
        assert [info.name for info in await backend.containers()] == sorted(CONTAINERS, key=str.encode)
        for name in CONTAINERS:
            assert await whole(backend, name, "object") == name.encode()
            assert [info.name for info in (await backend.objects(name)).objects] == ["object"]
            await backend.remove_container(name)
            assert isinstance(await refusal(backend.container(name)), NotFound)
        assert await backend.containers() == []


@pytest.mark.parametrize("name", [*CONTAINERS, *string.printable])
def test_names_of_containers_are_told_apart_by_their_folders(name: str) -> None:
    assert unescaped(escaped(name)) == name
    assert all(part not in ("", ".", "..") and len(part.encode()) <= 244 for part in escaped(name).split("/"))


async def test_objects_that_others_put_make_a_container(server: S3Server) -> None:
    client = server.client()
    client.put_object(Bucket=BUCKET, Key="theirs/box/a", Body=b"1")
    client.put_object(Bucket=BUCKET, Key="theirs/box/folder/", Body=b"")
    async with a_store(server, prefix="theirs") as store:
        backend = store.view("")
        assert [info.name for info in await backend.containers()] == ["box"]
        assert (await backend.container("box")).created is None
        assert [info.name for info in (await backend.objects("box")).objects] == ["a"]
        await backend.create_container("box")
        assert (await backend.container("box")).created is not None


async def test_names_that_a_bucket_has_no_room_for_are_refused(server: S3Server) -> None:
    async with a_store(server, prefix="p" * 50) as store:
        backend = store.view("")
        await backend.create_container("box")
        error = await refusal(backend.put("box", "n/" * 500, b"", NO_DETAILS))
        assert isinstance(error, InvalidArgument) and "more than the 969 that S3 has left behind prefix and container" in error.message


async def test_a_small_object_is_one_request_each_way(server: S3Server) -> None:
    async with Relay(server).running() as relay, a_store(server, endpoint=relay.endpoint, bucket=None) as store:
        backend = store.view("")
        name = f"box-{secrets.token_hex(6)}"
        await backend.create_container(name)
        relay.requests.clear()
        await backend.put(name, "a", b"hello", NO_DETAILS)
        assert await whole(backend, name, "a") == b"hello"
        assert [line.split()[0] for line in relay.requests] == ["PUT", "GET"]
        relay.requests.clear()
        reading = await backend.open(name, "a", 1, 2, lambda length: length)
        assert reading.first == b"el"
        await reading.close()
        assert [line.split()[0] for line in relay.requests] == ["GET"]
        await backend.remove(name, ["a", "b"])
        # Servers that do not know newer checksums want this one here.
        assert b"\r\nContent-MD5: " in relay.sent


async def test_a_removal_in_a_bucket_that_has_gone_is_refused_as_a_whole(server: S3Server) -> None:
    name = f"box-{secrets.token_hex(6)}"
    async with a_store(server, bucket=None) as store:
        backend = store.view("")
        for names in (["a"], ["a", "b"]):
            await backend.create_container(name)
            server.client().delete_bucket(Bucket=name)
            assert isinstance(await refusal(backend.remove(name, names)), NotFound)


async def test_a_container_is_looked_at_once_for_many_objects(server: S3Server) -> None:
    async with Relay(server).running() as relay, a_store(server, endpoint=relay.endpoint) as store:
        backend = store.view("")
        await backend.create_container("counted")
        relay.requests.clear()
        for number in range(5):
            await backend.put("counted", f"{number}", b"hello", NO_DETAILS)
        assert (relay.count("PUT"), relay.count("HEAD")) == (5, 0)


async def test_a_slow_reader_holds_no_thread(server: S3Server) -> None:
    data = secrets.token_bytes(3 << 20)
    async with a_store(server, connections=2) as store:
        backend = store.view("")
        await backend.create_container("slow")
        await backend.put("slow", "large", data, NO_DETAILS)
        readings = [await backend.open("slow", "large", 0, None, lambda length: 1000) for _ in range(6)]
        async with asyncio.timeout(10):
            for number in range(4):
                await backend.put("slow", f"{number}", b"1", NO_DETAILS)
        for reading in readings[:3]:
            assert await reading.read(1 << 20) == data[1000 : 1000 + (1 << 20)]
        for reading in readings:
            await reading.close()
            await reading.close()
