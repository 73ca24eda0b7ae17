"""What the tests of registries share: archives of random programs, ways in, and the verbs as a user runs them."""

from __future__ import annotations

import hashlib
import io
import os
import random
import sys
import time
from contextlib import ExitStack, chdir
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from provider_packaging.archive import create
from provider_packaging.claims import Claims
from provider_packaging.oci.credentials import Credentials
from provider_packaging.oci.reference import Reference
from provider_packaging.oci.registry import Access
from provider_sdk.cli.main import run
from provider_sdk.nkeys import KeyPair, Prefix
from tests.servers.registry import PASSWORD, USER

MIB = 1 << 20


def archive(path: Path, size: int, seed: int = 0) -> Path:
    """A signed archive of about that size, which compresses badly."""
    issuer, subject = KeyPair.generate(Prefix.ACCOUNT), KeyPair.generate(Prefix.PROVIDER)
    claims = Claims(issuer=issuer.public, subject=subject.public, issued=int(time.time()), name="kv", vendor="tests", hashes={})
    program = path.with_suffix(".program")
    program.write_bytes(random.Random(seed).randbytes(size))
    create(path, claims, {"x86_64-linux": program}, issuer, compressed=path.suffix == ".gz")
    program.unlink()
    return path


def sha256(path: Path) -> str:
    """As registries write it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def nobody(registry: str, repository: str) -> Credentials | None:
    """No login, whatever this machine has."""
    return None


def somebody(registry: str, repository: str) -> Credentials | None:
    """The login that servers of tests know."""
    return Credentials(USER, PASSWORD)


ANONYMOUS = Access(credentials=nobody, pause=0.01)


def reference(host: str, rest: str = "acme/kv:0.1.0") -> Reference:
    """In the registry of a test."""
    return Reference.parse(f"{host}/{rest}")


@dataclass(frozen=True)
class Done:
    """What a verb said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def package(home: Path, *words: str, stdin: str = "", **variables: str) -> Done:
    """`provider package …` of a user whose home and working folder that is; in this process, since one of its own takes a second."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **variables}
    output, errors = (io.TextIOWrapper(io.BytesIO()) for _ in range(2))
    with ExitStack() as changed:
        changed.enter_context(patch.dict(os.environ, environment, clear=True))
        argv = ["provider", "package", *words]
        changed.enter_context(patch.multiple(sys, argv=argv, stdin=io.StringIO(stdin), stdout=output, stderr=errors))
        changed.enter_context(chdir(home))
        try:
            run()
        except SystemExit as ended:
            code = ended.code
    said = []
    for stream in (output, errors):
        stream.flush()
        stream.seek(0)
        said.append(stream.read())
    assert isinstance(code, int)
    return Done(code, *said)
