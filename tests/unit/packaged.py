"""Archives for tests of packaging: the keys and programs of packaging.md §1.7, and archives of any shape, block by block."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from provider_packaging.archive import create
from provider_packaging.claims import Claims, sign
from provider_sdk.nkeys import KeyPair, Prefix

ISSUER = KeyPair(Prefix.ACCOUNT, bytes(range(32)))
SUBJECT = KeyPair(Prefix.PROVIDER, bytes(range(32, 64)))
OTHER_ISSUER = KeyPair(Prefix.ACCOUNT, bytes(range(64, 96)))
ISSUED = 1_700_000_000
PROGRAMS = {"x86_64-linux": b"bloobloo", "aarch64-linux": b"blahblah"}
END = bytes(1024)


def digest(data: bytes) -> str:
    return sha256(data).hexdigest().upper()


CLAIMS = Claims(
    issuer=ISSUER.public,
    subject=SUBJECT.public,
    issued=ISSUED,
    id="5WCbpY9YpVbYp7f1eKkNqS",
    name="Example KV",
    vendor="acme",
    version="0.1.0",
    revision=1,
    capability="wasmcloud:keyvalue",
    hashes={target: digest(program) for target, program in PROGRAMS.items()},
)
TOKEN = sign(CLAIMS, ISSUER)


def token(hashes: Mapping[str, str] | None = None, **different: Any) -> str:
    """The token of the example, with differences."""
    claims = replace(CLAIMS, hashes=CLAIMS.hashes if hashes is None else hashes, **different)
    return sign(claims, ISSUER)


def block(name: str, size: int, **fields: Any) -> bytes:
    """A header of GNU tar, with any field as it is to be; `kind` is its type."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.type = size, fields.pop("mode", 0o644), fields.pop("kind", tarfile.REGTYPE)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def summed(header: bytes) -> bytes:
    """The header with the checksum that belongs to it."""
    total = sum(header[:148]) + 8 * 0x20 + sum(header[156:])
    return header[:148] + b"%06o\0 " % total + header[156:]


def file(name: str, data: bytes, **fields: Any) -> bytes:
    """A file of a tar: header, contents, padding."""
    return block(name, len(data), **fields) + data + bytes(-len(data) % 512)


def tar(*files: bytes, end: bytes = END) -> bytes:
    return b"".join(files) + end


def usual(claims: str = TOKEN) -> Sequence[bytes]:
    """The files of the example."""
    return (file("claims.jwt", claims.encode()), *(file(f"{target}.bin", PROGRAMS[target]) for target in sorted(PROGRAMS)))


def zipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def written(folder: Path, name: str = "example.par", *, compressed: bool = False, programs: Mapping[str, bytes] = PROGRAMS) -> Path:
    """The example by our own writer."""
    files = {}
    for target, data in programs.items():
        files[target] = folder / f"{target}.program"
        files[target].write_bytes(data)
    create(folder / name, CLAIMS, files, ISSUER, compressed=compressed)
    for path in files.values():
        path.unlink()
    return folder / name
