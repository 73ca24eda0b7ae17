"""Archives by reference: fetched into a cache; for the dev lattice (entry point group `provider_sdk.archives`) verified, and unpacked too.

The cache lies below $XDG_CACHE_HOME, or ~/.cache: `archives/` by the digest of the manifest, `programs/` by the hash of the program. Hosts
do not check signatures; this does.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provider_packaging.archive import Archive, open_archive, program_hash
from provider_packaging.claims import check_signature
from provider_packaging.oci import transfer
from provider_packaging.oci.reference import Reference
from provider_packaging.oci.registry import Access
from provider_packaging.targets import native_target
from provider_sdk.errors import NotFound, PreconditionFailed
from provider_sdk.runnable import Runnable

_REGISTRY = re.compile(r"oci://|(localhost|[^/]*[.:][^/]*)/.", re.IGNORECASE)


def is_reference(text: str) -> bool:
    """Whether it names something in a registry, and not a file: it has a scheme, or begins with a host, and no file is called so."""
    if text.lower().startswith("oci://"):
        return True
    return bool(_REGISTRY.match(text)) and not text.startswith((".", "/", "file:")) and not Path(text).exists()


def fetched(reference: Reference, access: Access | None = None) -> Path:
    """The file of an archive in a registry, fetched unless the cache has it. The registry is asked for the digest, unless that is given."""
    access = access or Access()
    digest = reference.digest or transfer.digest(reference, access)
    path = _cache("archives") / f"{digest.replace(':', '-')}.par"
    with _alone(path):
        if not path.exists():
            transfer.pull(reference.pinned(digest), path, access)
    return path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time fetches a file: whoever wants it meanwhile waits, and finds it."""
    if path.exists() or sys.platform == "win32":
        yield
        return
    import fcntl

    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def runnable(reference: str) -> Runnable:
    """How the provider of an archive, a file or one in a registry, is started on this machine.

    NotFound where it has no program for it; Unauthenticated, PreconditionFailed or InvalidArgument for an archive that is not sound.
    """
    remote = is_reference(reference)
    path = fetched(Reference.parse(reference)) if remote else Path(reference)
    target = native_target()
    with open_archive(path) as archive:
        check_signature(archive.token)
        claims = archive.claims
        if target not in archive.programs:
            raise NotFound(f"{reference}: it has no program for this machine, {target}: there are {', '.join(archive.programs)}")
        program = _unpacked(archive, target)
    return Runnable(
        (str(program),),
        None,
        claims.subject,
        claims.version or "",
        () if remote else (path,),
        f"{claims.name} {claims.version or ''}",
        claims.revision or 0,
    )


def _unpacked(archive: Archive, target: str) -> Path:
    expected = archive.claims.hashes[target]
    if archive.hashes[target] != expected:
        raise PreconditionFailed("; ".join(archive.mismatches))
    program = _cache("programs") / expected.lower() / re.sub(r"[^a-z0-9_-]", "_", archive.claims.name.lower())
    if not (program.is_file() and program_hash(program) == expected):
        program.parent.mkdir(mode=0o700, exist_ok=True)
        archive.extract(target, program)
    return program


def _cache(room: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(base) if base.startswith("/") else Path.home() / ".cache") / "provider-sdk" / room
    for one in (folder.parent, folder):
        one.mkdir(parents=True, mode=0o700, exist_ok=True)
    return folder
