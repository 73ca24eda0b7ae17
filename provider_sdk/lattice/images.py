"""Image references of a manifest, turned into something that runs: files, folders, the standard pack for an OCI image of its name."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote

from provider_sdk.errors import InvalidArgument, NotFound, Unsupported
from provider_sdk.lattice.pack import PackProvider, read_provider_toml, standard_pack
from provider_sdk.nkeys import KeyPair, Prefix

ARCHIVES = "provider_sdk.archives"
_ARCHIVE_ENDINGS = (".par", ".par.gz")


@dataclass(frozen=True, slots=True)
class Runnable:
    """How a provider is started. A change of its `sources` asks for a restart; `note` says what stands in for the image."""

    command: tuple[str, ...]
    cwd: Path | None
    key: str
    version: str
    sources: tuple[Path, ...]
    note: str = ""


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
    path = local_path(reference, base)
    if path is None:
        return _image(reference)
    if path.is_dir():
        return _from_source(read_provider_toml(path / "provider.toml"), "")
    if not path.exists():
        raise NotFound(f"{path} does not exist")
    if path.suffix == ".py":
        return Runnable((sys.executable, str(path)), None, development_key(str(path)), "0.1.0", (path,))
    if path.name.endswith(_ARCHIVE_ENDINGS):
        return _archive(str(path))
    raise InvalidArgument(f"{reference}: a provider is a .py file, a folder with a provider.toml, or a provider archive (.par, .par.gz)")


def _image(reference: str) -> Runnable:
    name = reference.rpartition("/")[2].partition("@")[0].partition(":")[0]
    found = standard_pack().get(name)
    if found is None:
        return _archive(reference)
    return _from_source(found, f"the {found.version} installed here, for {reference}")


def _from_source(provider: PackProvider, note: str) -> Runnable:
    command = (sys.executable, "-m", provider.module)
    return Runnable(command, provider.root, development_key(provider.name), provider.version, (provider.folder,), note)


def _archive(reference: str) -> Runnable:
    for entry in entry_points(group=ARCHIVES):
        fetched: Runnable = entry.load()(reference)
        return fetched
    raise Unsupported(
        f"{reference}: provider archives are not read by this version: use a file://….py, a folder, or the standard pack's names"
    )


def development_key(name: str) -> str:
    """The public key that a provider without an archive has: the same for the same name on every run."""
    return KeyPair(Prefix.PROVIDER, hashlib.sha256(f"development provider {name}".encode()).digest()).public
