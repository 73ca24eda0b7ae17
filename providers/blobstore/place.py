"""A store as a command line names it: the URL of a link, its settings, and whose part of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from provider_sdk import InvalidArgument, Layer, NotFound, Unavailable
from providers.blobstore.backend import Backend
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.linked import unaliased
from providers.blobstore.stores import one_store

SECRETS = ("access_key_id", "secret_access_key", "session_token")


@dataclass(frozen=True)
class Place:
    """One store, or the part of it that belongs to an actor."""

    config: BlobstoreConfig
    actor: str

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Backend]:
        """It connects at first use."""
        async with one_store(self.config, state_folder()) as store:
            yield store.view(self.config.scope(self.actor))

    @property
    def server(self) -> tuple[str, str, str]:
        """What places have to have in common to lie in one another."""
        if self.config.kind == "local":
            return "local", "", ""
        return self.config.kind, self.config.endpoint or "", self.config.bucket or ""

    @property
    def path(self) -> PurePosixPath:
        """Where on that server."""
        config = self.config
        above = str(config.root.resolve()) if config.kind == "local" and config.root else config.prefix.strip("/")
        return PurePosixPath(above, config.scope(self.actor))

    def overlaps(self, other: Place) -> bool:
        """Whether one of the two is the other, or lies in it."""
        return self.server == other.server and (self.path.is_relative_to(other.path) or other.path.is_relative_to(self.path))

    def container(self, name: str) -> str:
        """The container that an actor gets under that name."""
        return unaliased(name, self.config)

    def name(self, container: str) -> str:
        """The name under which an actor gets that container."""
        return next((alias for alias, meant in sorted(self.config.aliases.items()) if meant == container), container)

    def existing(self) -> Place:
        """Itself; NotFound for a folder that is not there, since a slip of the pen must not read as an empty store."""
        if self.config.kind == "local" and not Path(self.path).is_dir():
            raise NotFound(f"{self.path} does not exist, or is no folder")
        return self


def place(url: str, settings: Sequence[str], actor: str, secret_file: Path | None, variables: str) -> Place:
    """The place that the words of a command line mean; InvalidArgument. `variables` is what the names of variables with keys begin with."""
    given = dict(_pair(item) for item in settings)
    layers = [Layer("default", {"per_actor": False}), Layer("--set", given), Layer("the command line", {"url": url})]
    if actor:
        layers.append(Layer("--actor", {"per_actor": True}))
    layers.append(_secrets(variables, secret_file))
    loaded = BlobstoreConfig.load(*layers)
    if loaded.warnings:
        raise InvalidArgument(loaded.warnings[0].replace("is ignored", "is not known"))
    if loaded.config.kind == "memory":
        raise InvalidArgument("memory:// is the memory of one process: there is nothing in it that another one could reach")
    if loaded.config.per_actor and not actor:
        raise InvalidArgument(f"{url}: per_actor: say with --actor whose place is meant")
    return Place(loaded.config, actor)


def state_folder() -> Path:
    """Where runs of the verbs remember something: journals, and uploads to S3 that a killed run has left."""
    state = os.environ.get("XDG_STATE_HOME") or ""
    folder = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return folder / "wasmcloud-providers" / "blob"


def _secrets(variables: str, file: Path | None) -> Layer:
    found: dict[str, object] = {}
    for name in SECRETS:
        value = os.environ.get(f"{variables}{name.upper()}")
        if value:
            found[name] = value
    if file is not None:
        try:
            found["secret_access_key"] = file.read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise Unavailable(f"{file}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise Unavailable(f"{file}: the file of the secret is not text (UTF-8)") from error
    return Layer(f"{variables}…" if file is None else str(file), found, secret=True)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidArgument(f"--set {text}: NAME=VALUE is expected")
    return name, value
