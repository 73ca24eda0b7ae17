"""Manifests of either generation: which one a file is of, and its content."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from provider_sdk.lattice.manifest_text import ManifestText
from provider_sdk.lattice.wadm import Manifest, read_manifest
from provider_sdk.lattice.wrpc.manifest import WrpcManifest
from provider_sdk.lattice.wrpc.manifest_reader import read_wrpc_manifest


class Generation(StrEnum):
    """The hosts that a manifest is for."""

    WASMBUS = "0.x"
    WRPC = "1.x"


def read_any_manifest(path: Path, generation: Generation | None = None) -> Manifest | WrpcManifest:
    """The manifest in `path`, of the generation that it looks like where none is given; NotFound, InvalidArgument by lines."""
    chosen = generation or generation_of(ManifestText(path).document)
    return read_wrpc_manifest(path) if chosen is Generation.WRPC else read_manifest(path)


def generation_of(document: Any) -> Generation:
    """By what only one of them has: actors, linkdefs and contracts, which every capability of 0.x names, are of 0.x; 0.x too where nothing
    tells."""
    spec = document.get("spec") if isinstance(document, dict) else None
    components = spec.get("components") if isinstance(spec, dict) else None
    marks: set[Any] = set()
    for item in components if isinstance(components, list) else ():
        if isinstance(item, dict):
            marks.add(item.get("type"))
            marks.update(trait.get("type") for trait in item.get("traits") or () if isinstance(trait, dict))
            marks.update(item["properties"] if isinstance(item.get("properties"), dict) else ())
    if marks & {"actor", "linkdef", "contract"}:
        return Generation.WASMBUS
    return Generation.WRPC if marks & {"component", "capability", "link"} else Generation.WASMBUS
