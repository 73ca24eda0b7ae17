"""Objects in the files of a folder, as the official provider lays them out: root / actor / container / object."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

from providers.blobstore.backend import Store
from providers.blobstore.backends.local.store import LocalStore
from providers.blobstore.config import BlobstoreConfig

FOLDER = "blobs"


def open_store(config: BlobstoreConfig, data_dir: Path) -> Store:
    """The store in the folder that the settings name; a folder that is not there is made when something is written."""
    return LocalStore(_root(config, data_dir), config.connections, full=config.durability == "full")


def store_key(config: BlobstoreConfig, data_dir: Path) -> Hashable:
    """Links with the same folder, and the same settings of how it is used, share one."""
    return _root(config, data_dir), config.connections, config.durability


def _root(config: BlobstoreConfig, data_dir: Path) -> Path:
    return data_dir / (config.root or FOLDER)
