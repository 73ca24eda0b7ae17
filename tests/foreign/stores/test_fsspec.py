"""fsspec's abstract tests of file systems, on an adapter that needs nothing but the contract blobstore.

Objects have no folders: one is there as long as something is in it, which the suite calls no support of empty directories. Nor has the
contract an exclusive write: the adapter looks first. The suite's tests of moving are left out: the contract has none.
"""

# The packages are not among those that the types are checked with.
# mypy: disable-error-code="import-not-found, no-untyped-call", allow-subclassing-any

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import pytest
from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile
from fsspec.tests import abstract

from provider_sdk.contracts.blobstore import Chunk, PutChunkRequest, PutObjectRequest
from tests.contract.blob_places import BlobPlace
from tests.foreign.background import Background, collected
from tests.foreign.blobs import Blobs, Nobody, direct


class BlobFile(AbstractBufferedFile):
    """Reads ranges; writes an upload, a chunk a block."""

    fs: BlobFileSystem
    stream: str | None = None

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.cat_file(self.path, start, end)

    def _initiate_upload(self) -> None:
        self.link = self.fs.blobs.door(Nobody())

    def _upload_chunk(self, final: bool = False) -> bool:
        container, name = self.fs.split(self.path)
        chunk = Chunk(name, container, self.buffer.getvalue(), self.offset, is_last=final)
        if self.stream is None:
            self.stream = self.fs.background.run(self.link.put_object(PutObjectRequest(chunk))).stream_id
        else:
            self.fs.background.run(self.link.put_chunk(PutChunkRequest(chunk, self.stream)))
        return True


class BlobFileSystem(AbstractFileSystem):
    """Paths are container/name."""

    protocol = "blobstore"
    cachable = False

    def __init__(self, background: Background, blobs: Blobs) -> None:
        super().__init__()
        self.background, self.blobs = background, blobs

    def split(self, path: str) -> tuple[str, str]:
        container, _, name = self._strip_protocol(path).partition("/")
        return container, name

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        container, name = self.split(path)
        below = f"{name}/" if name else ""
        found: dict[str, dict[str, Any]] = {}
        for item in self.background.run(collected(self.blobs.listed(container, name))):
            if item.object_id == name:
                found[name] = self._file(container, name, item.content_length)
            elif item.object_id.startswith(below):
                child, slash, _ = item.object_id.removeprefix(below).partition("/")
                entry = self._folder(container, below + child) if slash else self._file(container, below + child, item.content_length)
                found.setdefault(below + child + slash, entry)
        if not found:
            raise FileNotFoundError(path)
        return list(found.values()) if detail else [entry["name"] for entry in found.values()]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        container, name = self.split(path)
        size = self.background.run(self.blobs.size(container, name)) if name else None
        if size is not None:
            return self._file(container, name, size)
        self.ls(path)
        return self._folder(container, name)

    def _file(self, container: str, name: str, size: int) -> dict[str, Any]:
        return {"name": f"{container}/{name}", "size": size, "type": "file"}

    def _folder(self, container: str, name: str) -> dict[str, Any]:
        return {"name": f"{container}/{name}".rstrip("/"), "size": 0, "type": "directory"}

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        pass

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        pass

    def rm_file(self, path: str) -> None:
        container, name = self.split(path)
        self.background.run(self.blobs.remove(container, [name]))

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        if self.isfile(path1):
            self.pipe_file(path2, self.cat_file(path1))
        elif not self.isdir(path1):
            raise FileNotFoundError(path1)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        container, name = self.split(path)
        if end is not None and end <= (start or 0):
            return b""
        return self.background.run(self.blobs.read(container, name, start, None if end is None else end - 1))

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> BlobFile:
        if mode == "xb" and self.exists(path):
            raise FileExistsError(path)
        return BlobFile(self, path, mode, block_size or "default")


@pytest.fixture(scope="class")
def file_system(
    request: pytest.FixtureRequest, background: Background, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BlobFileSystem]:
    place: BlobPlace = request.getfixturevalue(request.cls.place)
    stack = AsyncExitStack()
    door = background.run(stack.enter_async_context(direct(place.values(), tmp_path_factory.mktemp("fsspec"))))
    yield BlobFileSystem(background, Blobs(door))
    background.run(stack.aclose())


class Suite(
    abstract.AbstractFixtures,
    abstract.AbstractCopyTests,
    abstract.AbstractGetTests,
    abstract.AbstractPutTests,
    abstract.AbstractOpenTests,
    abstract.AbstractPipeTests,
):
    __test__ = False
    place: ClassVar[str]

    @pytest.fixture
    def fs(self, file_system: BlobFileSystem) -> BlobFileSystem:
        return file_system

    @pytest.fixture
    def fs_path(self, file_system: BlobFileSystem) -> Iterator[str]:
        container, calls = f"fsspec-{secrets.token_hex(8)}", file_system.blobs.calls
        file_system.background.run(calls.create_container(container))
        yield container
        file_system.background.run(calls.delete_container(container))

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False

    def test_a_file_of_many_blocks_is_one_upload(self, fs: BlobFileSystem, fs_path: str) -> None:
        content = secrets.token_bytes(300_000)
        with fs.open(f"{fs_path}/large", "wb", block_size=64 << 10) as file:
            for at in range(0, len(content), 10_000):
                assert not fs.exists(f"{fs_path}/large")
                file.write(content[at : at + 10_000])
        with fs.open(f"{fs_path}/large", "rb", block_size=50_000) as file:
            assert file.read() == content


class Shorter(Suite):
    """Without a hundred tests that judge how fsspec reads patterns: what the store is asked for them is always the same."""

    test_copy_glob_edge_cases = test_get_glob_edge_cases = test_put_glob_edge_cases = None


class Shortest(Shorter):
    """Without any tests of patterns: each asks the store hundreds of times for the same."""

    test_copy_glob_to_existing_directory = test_copy_glob_to_new_directory = None
    test_get_glob_to_existing_directory = test_get_glob_to_new_directory = None
    test_put_glob_to_existing_directory = test_put_glob_to_new_directory = None


class TestMemory(Suite):
    __test__ = True
    place = "memory_blobs"


class TestLocal(Shorter):
    __test__ = True
    place = "local"


@pytest.mark.needs("minio")
class TestMinio(Shortest):
    __test__ = True
    place = "minio_bucket"
