"""Manifests: the one of a provider archive as it is written, and what hosts accept in those that they read (packaging.md §2.1, §2.2)."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provider_packaging.oci.reference import checked_digest
from provider_packaging.unpacked import LIMITS
from provider_sdk.errors import InvalidArgument, NotFound, PreconditionFailed

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPTED = f"{MANIFEST}, {INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"

CONFIG = "application/vnd.wasmcloud.provider.archive.config"
LAYER = "application/vnd.wasmcloud.provider.archive.layer.v1+par"
LAYERS_READ = (LAYER, "application/vnd.oci.image.layer.v1.tar")
CONFIG_BYTES = b"{}"
TITLE = "org.opencontainers.image.title"

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "arm", "armv6l": "arm"}
_COMPONENTS = ("application/wasm", "application/vnd.module.wasm.content.layer.v1+wasm")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob or a manifest as manifests name it."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The bytes of a manifest or an index, as they are in the registry."""

    raw: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """The digest of its bytes."""
        return digest_of(self.raw)

    def content(self) -> dict[str, Any]:
        """What it says; PreconditionFailed where it is not JSON of the kind that hosts read."""
        try:
            content = json.loads(self.raw)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or content.get("schemaVersion") != 2:
            raise PreconditionFailed("the manifest is not one of version 2: hosts cannot read it")
        return content

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in {INDEX, DOCKER_LIST} or "manifests" in self.content()

    def blobs(self) -> list[Descriptor]:
        """Configuration and layers."""
        content = self.content()
        return [_descriptor(one) for one in (content.get("config"), *_list(content, "layers"))]

    def children(self) -> list[Descriptor]:
        """The manifests that an index lists."""
        return [_descriptor(one) for one in _list(self.content(), "manifests")]

    def for_this_machine(self) -> Descriptor:
        """The entry of an index that a host on this machine takes: that of Linux, or of another system, and this kind of CPU."""
        system, machine = platform.system().lower(), _MACHINES.get(platform.machine().lower(), platform.machine().lower())
        found = []
        for one in _list(self.content(), "manifests"):
            wanted = one.get("platform") if isinstance(one, dict) else None
            if isinstance(wanted, dict):
                found.append(f"{wanted.get('os')}/{wanted.get('architecture')}"[:40])
                if found[-1] == f"{system}/{machine}":
                    return _descriptor(one)
        listed = ascii(", ".join(found[:20]))[1:-1]
        raise NotFound(f"the index has nothing for {system}/{machine}, only {listed or 'entries without a platform'}")

    def archive(self) -> Descriptor:
        """The one layer with an archive; PreconditionFailed says why hosts would not start this."""
        layers = [_descriptor(one) for one in _list(self.content(), "layers")]
        for layer in layers:
            if layer.media_type in _COMPONENTS:
                raise PreconditionFailed(f"this is a WebAssembly component, and no provider archive: its layer is {layer.media_type}")
            if layer.media_type not in LAYERS_READ:
                raise PreconditionFailed(f"a layer of type {layer.media_type[:200]!r}: hosts start only {' and '.join(LAYERS_READ)}")
        if len(layers) != 1:
            raise PreconditionFailed(f"{len(layers)} layers: hosts put them together, which makes no archive; exactly one is wanted")
        if not layers[0].size:
            raise PreconditionFailed("the layer is empty: no archive")
        if layers[0].size > LIMITS.total:
            raise PreconditionFailed(f"the layer is larger than archives are: they have at most {LIMITS.total} bytes")
        return layers[0]


def provider_manifest(size: int, digest: str, title: str, annotations: Mapping[str, str]) -> Manifest:
    """The manifest of a provider archive in its only form: members sorted, no white space."""
    layer = {"mediaType": LAYER, "digest": digest, "size": size, "annotations": {TITLE: title}}
    content: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(CONFIG_BYTES), "size": len(CONFIG_BYTES)},
        "layers": [layer],
    }
    if annotations:
        content["annotations"] = dict(annotations)
    return Manifest(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(), MANIFEST)


def digest_of(content: bytes) -> str:
    """The sha256 of some bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Digester:
    """Computes a digest of the same kind as another one, piece by piece."""

    def __init__(self, like: str = "sha256:") -> None:
        self._kind = like.partition(":")[0]
        self._hash = hashlib.new(self._kind)

    def update(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._hash.update(piece)

    @property
    def digest(self) -> str:
        """That of the bytes so far, as registries write it."""
        return f"{self._kind}:{self._hash.hexdigest()}"


def _list(content: dict[str, Any], name: str) -> list[Any]:
    value = content.get(name) or []
    if not isinstance(value, list):
        raise PreconditionFailed(f"the manifest's {name} are no list: hosts cannot read it")
    return value


def _descriptor(one: object) -> Descriptor:
    try:
        assert isinstance(one, dict)
        media_type, digest, size = one["mediaType"], checked_digest(one["digest"]), one["size"]
        assert isinstance(media_type, str) and type(size) is int and size >= 0
    except (AssertionError, KeyError, AttributeError, TypeError, InvalidArgument):
        raise PreconditionFailed("the manifest has an entry without mediaType, digest and size: hosts cannot read it") from None
    return Descriptor(media_type, digest, size)
