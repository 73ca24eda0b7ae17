"""Which program an image of a manifest means: a source, the pack, or an archive that is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider_sdk import NotFound
from provider_sdk.lattice.images import is_official, source_program

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("reference", "provider"),
    [
        ("ghcr.io/wasmcloud/http-server:0.27.0", "httpserver"),
        ("wasmcloud.azurecr.io/httpserver:0.19.1", "httpserver"),
        ("ghcr.io/wasmcloud/keyvalue-redis:0.28.2", "keyvalue"),
        ("wasmcloud.azurecr.io/kvredis:0.22.0", "keyvalue"),
        ("mirror.example/kv-redis:0.21.2", "keyvalue"),
        ("ghcr.io/wasmcloud/blobstore-fs:0.10.1", "blobstore"),
        ("wasmcloud.azurecr.io/blobstore_fs:0.3.2", "blobstore"),
        ("wasmcloud.azurecr.io/blobstore_s3", "blobstore"),
        ("ghcr.io/wasmcloud/blobstore-s3:canary", "blobstore"),
    ],
)
def test_an_official_provider_is_replaced_by_the_one_of_the_pack_that_takes_its_settings(reference: str, provider: str) -> None:
    found = source_program(reference, ROOT)
    assert is_official(reference) and found is not None
    assert found.command[1:] == ("-m", f"providers.{provider}")
    assert found.note == f"{provider} 0.1.0, installed here, stands in for {reference}: name its own archive for real hosts"


def test_an_image_of_a_name_of_the_pack_is_replaced_too() -> None:
    found = source_program("registry.example/wasmcloud/numbergen:0.1.0", ROOT)
    assert found is not None
    assert found.note == "numbergen 0.1.0, installed here, stands in for registry.example/wasmcloud/numbergen:0.1.0"


@pytest.mark.parametrize(
    "reference",
    [
        "ghcr.io/wasmcloud/messaging-nats:0.23.1",
        "registry.example/keyvalue-nats:0.3.1",
        "oci://ghcr.io/wasmcloud/http-server:0.27.0",
        f"ghcr.io/wasmcloud/http-server@sha256:{'0' * 64}",
        "localhost:5055/keyvalue:0.1.0",
    ],
)
def test_what_means_an_archive_is_no_source(reference: str) -> None:
    assert source_program(reference, ROOT) is None


def test_a_source_is_a_file_or_a_folder_and_an_archive_here_is_none(tmp_path: Path) -> None:
    found = source_program("file://./examples/greeter/greeter.py", ROOT)
    assert found is not None and found.sources == (ROOT / "examples/greeter/greeter.py",)
    assert source_program("providers/numbergen", ROOT) is not None
    (tmp_path / "tea.par.gz").touch()
    assert source_program("file://./tea.par.gz", tmp_path) is None
    with pytest.raises(NotFound, match=r"none\.par\.gz does not exist"):
        source_program("file://./none.par.gz", tmp_path)
