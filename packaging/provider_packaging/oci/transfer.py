"""Provider archives between files and registries: push, pull, copy, and what a repository holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from provider_packaging.oci.blob import Progress, bytes_blob, file_blob, nobody, remote_blob
from provider_packaging.oci.download import download
from provider_packaging.oci.manifest import (
    ACCEPTED,
    CONFIG,
    CONFIG_BYTES,
    LAYER,
    Descriptor,
    Digester,
    Manifest,
    digest_of,
    provider_manifest,
)
from provider_packaging.oci.reference import Reference, checked_digest
from provider_packaging.oci.registry import Access, Answer, Registry
from provider_packaging.oci.upload import Upload
from provider_packaging.unpacked import GZIP
from provider_packaging.verify import verify
from provider_sdk.errors import InvalidArgument, PreconditionFailed, Unavailable

PAGE = 1000
MOST_PAGES = 1000
DEEPEST = 4
"""Indexes within indexes that are copied."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """An archive that was fetched."""

    path: Path
    digest: str
    size: int


def checked(path: Path) -> None:
    """Look at an archive before it is pushed; PreconditionFailed where no host would start it."""
    wrong = [check.line for check in verify(path).checks if not check.ok]
    if wrong:
        raise PreconditionFailed(f"{path} is not pushed: {wrong[0].removeprefix(f'{path}: ')}")


def push(
    file: Path, reference: Reference, access: Access, *, annotations: Mapping[str, str] | None = None, progress: Progress = nobody
) -> str:
    """Put an archive into a registry under a tag, and give the digest of its manifest. The manifest comes last: all or nothing is there."""
    checked(file)
    try:
        blob = file_blob(file, LAYER)
    except OSError as error:
        raise PreconditionFailed(f"{file}: {error.strerror}") from None
    manifest = provider_manifest(blob.descriptor.size, blob.descriptor.digest, file.name, annotations or {})
    with Registry.of(reference, access) as registry:
        Upload(registry, reference.repository, bytes_blob(CONFIG_BYTES, CONFIG)).run()
        Upload(registry, reference.repository, blob, progress).run()
        _put(registry, reference, manifest)
    return manifest.digest


def pull(reference: Reference, path: Path | None, access: Access, *, digest: str = "", progress: Progress = nobody) -> Pulled:
    """Fetch an archive into a file, or into a folder, by default the working one, under the last word of the repository.

    `digest` is the one that its manifest must have.
    """
    with Registry.of(reference, access) as registry:
        top = _get(registry, reference, reference.version)
        if digest and top.digest != checked_digest(digest):
            raise PreconditionFailed(f"{reference}: its digest is {top.digest}, and not {digest}")
        chosen = top
        if top.is_index:
            chosen = _get(registry, reference, top.for_this_machine().digest)
        layer = chosen.archive()
        named = path is not None and not path.is_dir()
        target = path if path and named else (path or Path()) / f"{reference.repository.rpartition('/')[2]}.par.gz"
        download(registry, reference.repository, layer, target, progress)
    if not named:
        target = _named(target)
    return Pulled(target, top.digest, layer.size)


def _named(target: Path) -> Path:
    """An archive that is not compressed is not called so."""
    with target.open("rb") as file:
        compressed = file.read(len(GZIP)) == GZIP
    return target if compressed else target.replace(target.with_suffix(""))


def copy(source: Reference, target: Reference, near: Access, far: Access, *, progress: Progress = nobody) -> str:
    """Put what is in one registry into another, byte for byte: the digest stays the same."""
    with ExitStack() as opened:
        from_registry, to_registry = (opened.enter_context(Registry.of(one, how)) for one, how in ((source, near), (target, far)))
        manifest = _get(from_registry, source, source.version)
        _Copy(from_registry, source, to_registry, target, progress).run(manifest, target.tag or manifest.digest)
    return manifest.digest


class _Copy:
    def __init__(self, near: Registry, source: Reference, far: Registry, target: Reference, progress: Progress) -> None:
        self._near, self._source, self._far, self._target, self._progress = near, source, far, target, progress
        same = source.registry == target.registry and source.repository != target.repository
        self._mount_from = source.repository if same else ""

    def run(self, manifest: Manifest, version: str, depth: int = 0) -> None:
        if depth > DEEPEST:
            raise PreconditionFailed(f"{self._source}: more than {DEEPEST} indexes within each other")
        if manifest.is_index:
            for child in manifest.children():
                self.run(_get(self._near, self._source, child.digest), child.digest, depth + 1)
        else:
            for blob in manifest.blobs():
                self._blob(blob)
        _put(self._far, self._target, manifest, version)

    def _blob(self, blob: Descriptor) -> None:
        remote = remote_blob(self._near, self._source.repository, blob)
        Upload(self._far, self._target.repository, remote, self._progress).run(self._mount_from)


def manifest(reference: Reference, access: Access) -> Manifest:
    """The manifest, as it is in the registry."""
    with Registry.of(reference, access) as registry:
        return _get(registry, reference, reference.version)


def digest(reference: Reference, access: Access) -> str:
    """The digest of what a reference names; the manifest itself is read only where the registry does not say."""
    with Registry.of(reference, access) as registry:
        path, scope = f"/v2/{reference.repository}/manifests/{reference.version}", _reading(reference)
        answer = registry.request("HEAD", path, scope=scope, headers={"Accept": ACCEPTED}, what=str(reference))
        named = _named_digest(answer)
        return named or _get(registry, reference, reference.version).digest


def tags(reference: Reference, access: Access) -> list[str]:
    """The tags of a repository, sorted."""
    found: list[str] = []
    seen = set[str]()
    with Registry.of(reference, access) as registry:
        place: str | None = f"/v2/{reference.repository}/tags/list?n={PAGE}"
        while place:
            if place in seen or len(seen) >= MOST_PAGES:
                raise Unavailable(f"{reference.name}: {registry.host} lists tags without end", retryable=False)
            seen.add(place)
            answer = registry.request("GET", place, scope=_reading(reference), what=f"tags of {reference.name}")
            names = _names(answer.body, reference)
            found += names
            place = _next(registry, answer.raw.headers.get("Link", ""), answer.url)
            # Google's Go registry ends a page at its length, and names no next one.
            if place is None and len(names) == PAGE:
                place = f"/v2/{reference.repository}/tags/list?n={PAGE}&last={names[-1]}"
    return sorted(set(found))


def _names(body: bytes, reference: Reference) -> list[str]:
    try:
        names = json.loads(body).get("tags") or []
        if not isinstance(names, list) or not all(isinstance(name, str) and name.isprintable() for name in names):
            raise TypeError
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise Unavailable(f"tags of {reference.name}: the registry answers no list", retryable=False) from None
    return names


def _next(registry: Registry, link: str, base: str) -> str | None:
    for one in link.split(","):
        place, _, rest = one.partition(">")
        if 'rel="next"' in rest.replace(" ", "") or "rel=next" in rest.replace(" ", ""):
            return registry.located(place.strip().lstrip("<"), base)
    return None


def _named_digest(answer: Answer) -> str:
    """The digest that the registry names; empty where it names none."""
    try:
        return checked_digest(answer.headers.get("Docker-Content-Digest", ""))
    except InvalidArgument:
        return ""


def _reading(reference: Reference) -> str:
    return f"repository:{reference.repository}:pull"


def _get(registry: Registry, reference: Reference, version: str) -> Manifest:
    path = f"/v2/{reference.repository}/manifests/{version}"
    answer = registry.request("GET", path, scope=_reading(reference), headers={"Accept": ACCEPTED}, what=str(reference))
    found = Manifest(answer.body, answer.headers.get("Content-Type", "").partition(";")[0].strip())
    named = version if ":" in version else _named_digest(answer)
    if named:
        computed = Digester(named)
        computed.update(answer.body)
        if computed.digest != named:
            raise PreconditionFailed(f"{reference}: the manifest's bytes are not those of its digest {named}")
    return found


def _put(registry: Registry, reference: Reference, manifest: Manifest, version: str = "") -> None:
    path = f"/v2/{reference.repository}/manifests/{version or reference.tag}"
    headers = {"Content-Type": manifest.media_type or str(manifest.content().get("mediaType", ""))}
    scope = f"repository:{reference.repository}:pull,push"
    answer = registry.request("PUT", path, scope=scope, headers=headers, body=manifest.raw, expected=(201, 202), what=str(reference))
    named = _named_digest(answer)
    if named.startswith("sha256:") and named != digest_of(manifest.raw):
        raise PreconditionFailed(f"{reference}: the registry has made {named} of the manifest {digest_of(manifest.raw)}")
