"""The pages say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider_sdk import Config
from provider_sdk.runtime.settings import RuntimeSettings
from providers.blobstore.config import BlobstoreConfig
from providers.httpserver.config import HttpServerConfig
from providers.keyvalue.config import KeyValueConfig

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("settings", [RuntimeSettings, HttpServerConfig, KeyValueConfig, BlobstoreConfig])
def test_the_settings_page_has_every_setting_as_it_is(settings: type[Config]) -> None:
    assert settings.describe().strip() in (DOCS / "providers.md").read_text()
