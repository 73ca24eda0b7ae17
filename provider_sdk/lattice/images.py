"""Image references of a manifest, turned into something that runs: files, folders, the standard pack for an OCI image of its name."""

from __future__ import annotations

import hashlib
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote

from provider_sdk.errors import InvalidArgument, NotFound, Unsupported
from provider_sdk.lattice.pack import standard_pack
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.provider_toml import FILE, ProviderToml, read_provider_toml
from provider_sdk.runnable import Runnable

ARCHIVES = "provider_sdk.archives"
_ARCHIVE_ENDINGS = (".par", ".par.gz")
OFFICIAL = {
    "http-server": "httpserver",
    "kvredis": "keyvalue",
    "kv-redis": "keyvalue",
    "keyvalue-redis": "keyvalue",
    "blobstore-fs": "blobstore",
    "blobstore-s3": "blobstore",
}
"""wasmCloud's own providers by the last word of their references, `_` read as `-`, and the one of the pack that takes their settings."""
OWN_ARCHIVE = "name its own archive for real hosts"
_OFFICIAL_PLACE = re.compile(r"(ghcr\.io/wasmcloud|wasmcloud\.azurecr\.io)/", re.IGNORECASE)
_FETCHED = re.compile(r"oci://|[^@]+@sha256:|(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?/", re.IGNORECASE)


def local_path(reference: str, base: Path) -> Path | None:
    """The file or folder that a reference means, relative to `base`; None for an OCI reference."""
    if reference.startswith("file://"):
        return (base / unquote(reference.removeprefix("file://"))).resolve()
    if reference.startswith((".", "/")) or (base / reference).exists():
        return (base / reference).resolve()
    return None


def actor_file(reference: str, base: Path) -> Path:
    """The .wasm file of an actor; NotFound, or Unsupported for what would have to be fetched."""
    path = local_path(reference, base)
    if path is None:
        raise Unsupported(f"{reference}: actors are taken from files here: file://./NAME.wasm")
    if not path.is_file():
        raise NotFound(f"{path} does not exist")
    return path


def provider_program(reference: str, base: Path) -> Runnable:
    """How to start the provider behind a reference; NotFound, InvalidArgument or Unsupported with one line."""
    found = source_program(reference, base)
    if found is None:
        path = local_path(reference, base)
        return _archive(reference if path is None else str(path))
    return found


def source_program(reference: str, base: Path) -> Runnable | None:
    """The same for what is here as a source, or installed; None for an archive, wherever it is, which is not looked at."""
    path = local_path(reference, base)
    if path is None:
        return _stand_in(reference)
    if path.is_dir():
        return _from_source(read_provider_toml(path), "")
    if not path.exists():
        raise NotFound(f"{path} does not exist")
    if path.suffix == ".py":
        return Runnable((sys.executable, str(path)), None, development_key(str(path)), "0.1.0", (path,))
    if path.name.endswith(_ARCHIVE_ENDINGS):
        return None
    raise InvalidArgument(f"{reference}: a provider is a .py file, a folder with a {FILE}, or a provider archive (.par, .par.gz)")


def is_official(reference: str) -> bool:
    """Whether an image is one of wasmCloud's own providers, for which the pack has one."""
    return _word(reference) in OFFICIAL or bool(_OFFICIAL_PLACE.match(reference))


def _stand_in(reference: str) -> Runnable | None:
    """The installed provider that stands in for an image; oci://, a digest or a registry on this machine means the image itself."""
    name = _word(reference)
    found = standard_pack().get(OFFICIAL.get(name, name))
    if found is None or _FETCHED.match(reference):
        return None
    note = f"{found.name} {found.version}, installed here, stands in for {reference}"
    return _from_source(found, f"{note}: {OWN_ARCHIVE}" if is_official(reference) else note)


def _word(reference: str) -> str:
    """The last word of a reference."""
    return reference.rpartition("/")[2].partition("@")[0].partition(":")[0].replace("_", "-").lower()


def _from_source(provider: ProviderToml, note: str) -> Runnable:
    command = (sys.executable, "-m", provider.module)
    key = development_key(provider.name)
    return Runnable(command, provider.root, key, provider.version, (provider.folder,), note, provider.revision)


def _archive(reference: str) -> Runnable:
    for entry in entry_points(group=ARCHIVES):
        fetched: Runnable = entry.load()(reference)
        return fetched
    raise Unsupported(f"{reference}: provider archives are read by an extra that is not installed: pip install provider-sdk[package]")


def development_key(name: str) -> str:
    """The public key that a provider without an archive has: the same for the same name on every run."""
    return KeyPair(Prefix.PROVIDER, hashlib.sha256(f"development provider {name}".encode()).digest()).public
