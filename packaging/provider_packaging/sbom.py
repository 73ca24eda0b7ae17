"""What is inside of a frozen program, as a CycloneDX 1.6 document: with versions and licences, for people and scanners.

It is made from what PyInstaller put in, embedded as the data file `sbom.cdx.json`, and read back from a program without running it.
The same program gives the same document: no time but SOURCE_DATE_EPOCH, no place of the machine that built it, everything sorted.
Hashes of libraries are of the files as they were taken, before symbols are stripped, so that they can be compared with their package's.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from provider_packaging import epoch
from provider_packaging.carchive import FrozenProgram
from provider_packaging.licences import UNKNOWN, expression, licences
from provider_packaging.origins import DebianPackage, Origin, Origins, Provider, Python
from provider_packaging.targets import native_target
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.provider_toml import ProviderToml

ENTRY = "sbom.cdx.json"
LONGEST = 16 << 20

_LIBRARY = re.compile(r"(.+\.so(\.\d+)*|.+\.dylib|.+\.dll|Python)", re.IGNORECASE)
_EXTENSION = re.compile(r".+(\.cpython-[\w-]+\.so|\.abi3\.so|\.cpython-[\w-]+\.dylib|\.pyd)", re.IGNORECASE)
_BOOTLOADER = "pyinstaller"
_BOOTLOADER_LICENCE = "GPL-2.0-or-later WITH Bootloader-exception"
_PYTHON_LICENCE = "PSF-2.0"

Component = dict[str, Any]


def software(provider: ProviderToml, contents: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The document for a program of these files: pairs of the name inside and the path on this machine, as in PyInstaller's tables.

    Pairs without a file of an absolute path (namespace packages, links) are passed over; leave out what the build itself wrote. The
    bootloader and Python are listed in any case.
    """
    files = {
        path: name for name, path in sorted((name, Path(source)) for name, source in contents) if path.is_absolute() and path.is_file()
    }
    origins = Origins(provider)
    owned: dict[Origin, list[tuple[str, Path]]] = defaultdict(list)
    for path, origin in origins.of(files).items():
        inside = files[path]
        owned[Python() if inside == "base_library.zip" else origin].append((inside, path))
    owned.setdefault(Python(), [])
    if bootloader := origins.distributions.get(_BOOTLOADER):
        owned.setdefault(bootloader, [])
    own, unknown = owned.pop(Provider(), []), owned.pop(None, [])
    components = [_component(origin, inside) for origin, inside in owned.items()] + list(_unknown(unknown))
    components.sort(key=lambda component: str(component["bom-ref"]))
    included: dict[str, Distribution] = {canonicalize_name(origin.name): origin for origin in owned if isinstance(origin, Distribution)}
    return _document(provider, own, components, _dependencies(provider, components, included), origins)


def encoded(document: dict[str, Any]) -> bytes:
    """The document as it is written and embedded: the same bytes for the same document."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_software(program: Path) -> dict[str, Any] | None:
    """The document that is embedded in a program of one file, of any system; None where there is none.

    InvalidArgument where the program, or the document, is broken. It is as true as the program is: check the archive's signature first.
    """
    try:
        frozen = FrozenProgram(program)
    except NotFound:
        return None
    with frozen:
        entry = frozen.entries.get(ENTRY)
        return decoded(frozen.read(entry, LONGEST), f"{program}: {ENTRY} inside") if entry else None


def decoded(text: bytes, place: str) -> dict[str, Any]:
    """The document in `text`; InvalidArgument names `place` where it is no CycloneDX document."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX" or not isinstance(document.get("components", []), list):
        raise InvalidArgument(f"{place}: not a CycloneDX document in JSON")
    return document


def _document(
    provider: ProviderToml, own: list[tuple[str, Path]], components: list[Component], dependencies: list[Component], origins: Origins
) -> dict[str, Any]:
    sdk = origins.distributions.get("provider-sdk")
    metadata: dict[str, Any] = {
        "component": {
            "type": "application",
            "bom-ref": provider.name,
            "name": provider.name,
            "version": provider.version,
            "supplier": {"name": provider.vendor},
            "properties": [{"name": "wasmcloud:revision", "value": str(provider.revision)}]
            + [{"name": "wasmcloud:contract", "value": contract} for contract in sorted(provider.contracts)]
            + [{"name": "wasmcloud:interface", "value": interface} for interface in sorted(provider.interfaces)],
        },
        "lifecycles": [{"phase": "build"}],
        "properties": [{"name": "wasmcloud:target", "value": native_target()}],
        "tools": {"components": [{"type": "application", "name": "provider-sdk", "version": sdk.version if sdk else "unknown"}]},
    }
    if libraries := list(_libraries(own)):
        metadata["component"]["components"] = libraries
    if (given := epoch.told()) is not None:
        metadata["timestamp"] = datetime.fromtimestamp(given, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": dependencies,
    }
    return {**document, "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, encoded(document).decode()).urn}


def _component(origin: Origin, inside: list[tuple[str, Path]]) -> Component:
    if isinstance(origin, Distribution):
        name = canonicalize_name(origin.name)
        declared = expression(_BOOTLOADER_LICENCE) if name == _BOOTLOADER else licences(origin.metadata)
        component = _of("library", origin.name, origin.version, f"pkg:pypi/{name}@{quote(origin.version, safe=':')}", declared)
    elif isinstance(origin, DebianPackage):
        component = _of("library", origin.name, origin.version, _debian_purl(origin), UNKNOWN)
    else:
        version = platform.python_version()
        component = _of("platform", "CPython", version, f"pkg:generic/cpython@{version}", expression(_PYTHON_LICENCE))
        component["cpe"] = f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"
    if libraries := list(_libraries(inside)):
        component["components"] = libraries
    return component


def _of(kind: str, name: str, version: str, purl: str, declared: list[dict[str, Any]]) -> Component:
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl, "licenses": declared}


def _debian_purl(package: DebianPackage) -> str:
    system, release = package.distribution
    distribution = f"&distro={quote(f'{system}-{release}')}" if release else ""
    return (
        f"pkg:deb/{quote(system)}/{quote(package.name)}@{quote(package.version, safe=':')}?arch={quote(package.architecture)}{distribution}"
    )


def _libraries(inside: list[tuple[str, Path]]) -> Iterator[Component]:
    """The shared libraries among these files, each with its hash; extension modules are their distribution's own code."""
    for name, path in sorted(inside):
        if _LIBRARY.fullmatch(Path(name).name) and not _EXTENSION.fullmatch(Path(name).name):
            yield _file(name, path)


def _unknown(inside: list[tuple[str, Path]]) -> Iterator[Component]:
    for name, path in inside:
        yield {**_file(name, path), "licenses": UNKNOWN, "description": "of unknown origin"}


def _file(name: str, path: Path) -> Component:
    name = name.replace("\\", "/")
    return {"type": "file", "bom-ref": f"file:{quote(name)}", "name": name, "hashes": [{"alg": "SHA-256", "content": _digest(path)}]}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _dependencies(provider: ProviderToml, components: list[Component], included: dict[str, Distribution]) -> list[Component]:
    """Who asks for whom, of what is inside: the provider for all, a distribution for what its metadata requires."""
    references = [str(component["bom-ref"]) for component in components]
    by_name = {name: f"pkg:pypi/{name}@{quote(distribution.version, safe=':')}" for name, distribution in included.items()}
    edges = {provider.name: references}
    for name, distribution in included.items():
        edges[by_name[name]] = sorted({by_name[other] for other in _required(distribution) if other in by_name})
    return [{"ref": reference, "dependsOn": edges.get(reference, [])} for reference in sorted({provider.name, *references})]


def _required(distribution: Distribution) -> Iterator[str]:
    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)
