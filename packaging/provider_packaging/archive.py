"""Provider archives, `.par` and `.par.gz` (packaging.md §1): one file that hosts of 0.x and 1.x take, read within bounds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from gzip import GzipFile
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from provider_packaging.aside import written_aside
from provider_packaging.claims import WORLD, Claims, check_signature, read_claims, sign
from provider_packaging.tar import END, Entry, Tar, header, padding
from provider_packaging.targets import TARGET
from provider_packaging.unpacked import LIMITS, PIECE, Limits, Unpacked
from provider_sdk.errors import InvalidArgument, NotFound, PreconditionFailed, Unavailable, Unsupported
from provider_sdk.nkeys import KeyPair

CLAIMS = "claims.jwt"


class Source(Protocol):
    """A program to be put into an archive. `pieces` raises where it does not give what was promised."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def pieces(self) -> Iterator[bytes]:
        """What is in it."""


class Archive:
    """An archive of the form that hosts accept, open. `programs` maps a target to its size; `sizes` and `hashes` also have `world.wasm`.

    The hashes are those found. Whether they and the signature are right, `mismatches`, `extract` and `claims.check_signature` say.
    """

    def __init__(self, path: Path, file: BinaryIO, limits: Limits = LIMITS) -> None:
        self.path = path
        self._file = file
        self._limits = limits
        self._entries: dict[str, Entry] = {}
        self.hashes: dict[str, str] = {}
        with _naming(path):
            source = self._source()
            self.compressed = source.compressed
            self.token = self._survey(Tar(source, limits))
            self.claims: Claims = read_claims(self.token)
            self._compare_names()
        self.sizes = {name: self._entries[name].size for name in sorted(self._entries)}
        self.programs = {name: size for name, size in self.sizes.items() if name != WORLD}

    @property
    def mismatches(self) -> list[str]:
        """A line for each file that is not the one the claims are about."""
        return [
            f"{name}: its SHA-256 is {found}, and the claims say {self.claims.hashes[name]}"
            for name, found in sorted(self.hashes.items())
            if found != self.claims.hashes[name]
        ]

    def extract(self, target: str, path: Path) -> None:
        """Write a program to a file of mode 0755. NotFound names what there is; PreconditionFailed, and no file, for a wrong hash."""
        with written_aside(path, 0o755) as file:
            for piece in self.pieces(target):
                file.write(piece)

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of a target's program; PreconditionFailed at the end where they are not those of the claims."""
        if name not in self._entries:
            raise NotFound(f"{self.path}: no program for {name}: there are {', '.join(self.programs)}")
        digest = hashlib.sha256()
        with _naming(self.path):
            tar = Tar(self._source(), self._limits)
            entry = next((entry for entry in tar.entries() if _key(entry) == name), None)
            for piece in tar.pieces(entry) if entry else ():
                digest.update(piece)
                yield piece
        if digest.hexdigest().upper() != self.claims.hashes[name]:
            raise PreconditionFailed(f"{self.path}: {name}: not the program that the claims are about: its SHA-256 is another")

    def _source(self) -> Unpacked:
        self._file.seek(0)
        return Unpacked(self._file, self._limits)

    def _survey(self, tar: Tar) -> str:
        token: bytes | None = None
        seen = set()
        for entry in tar.entries():
            if entry.stem in seen:
                raise InvalidArgument(f"{entry.name}: a second file for {entry.stem}")
            seen.add(entry.stem)
            if entry.stem == "claims":
                token = b"".join(tar.pieces(entry))
                continue
            digest = hashlib.sha256()
            for piece in tar.pieces(entry):
                digest.update(piece)
            self._entries[_key(entry)] = entry
            self.hashes[_key(entry)] = digest.hexdigest().upper()
        if token is None:
            raise InvalidArgument(f"no {CLAIMS}: not a provider archive")
        if not token.isascii():
            raise InvalidArgument(f"{CLAIMS} is not ASCII")
        return token.decode()

    def _compare_names(self) -> None:
        for name, entry in self._entries.items():
            if name not in self.claims.hashes:
                raise InvalidArgument(f"{entry.name}: the claims have no hash for it")
        for name in self.claims.hashes:
            if name not in self._entries:
                raise InvalidArgument(f"{name}: the claims have a hash for it, and there is no such file")
        if not self._entries.keys() - {WORLD}:
            raise InvalidArgument("no program for any target")


@contextmanager
def open_archive(path: Path, limits: Limits = LIMITS) -> Iterator[Archive]:
    """An archive, read through once. InvalidArgument says why hosts would not take it; NotFound or Unavailable where it cannot be read."""
    if not path.is_file():
        raise NotFound(f"{path} {'is not a file' if path.exists() else 'does not exist'}")
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}", retryable=False) from error
    with closing(file):
        yield Archive(path, file, limits)


def write_archive(path: Path, token: str, programs: Mapping[str, Path | Source], *, compressed: bool) -> None:
    """Write an archive, the same bytes for the same arguments; nothing is there when it fails.

    InvalidArgument where the token is not signed for exactly these targets; PreconditionFailed where a program is not the one of its hash.
    """
    claims = read_claims(token)
    check_signature(token)
    if claims.hashes.keys() != programs.keys():
        raise InvalidArgument(
            f"the claims are about {', '.join(sorted(claims.hashes))}, and the programs are for {', '.join(sorted(programs))}"
        )
    if not claims.targets:
        raise InvalidArgument("no program for any target")
    for target in claims.targets:
        if not TARGET.fullmatch(target):
            raise InvalidArgument(f"{target!r} is not a target: ARCH-OS is expected, such as x86_64-linux")
    with written_aside(path) as file, _packing(file, compressed=compressed) as tar:
        tar.write(header(CLAIMS, len(token), 0o644) + token.encode() + padding(len(token)))
        for name in sorted(programs, key=lambda name: (name != WORLD, name)):
            _add(tar, name, source(programs[name]), claims.hashes[name])
        tar.write(END)


def create(path: Path, claims: Claims, programs: Mapping[str, Path | Source], issuer: KeyPair, *, compressed: bool) -> None:
    """Sign the claims, with the hashes of these programs, and write the archive of both."""
    hashes = {name: program_hash(programs[name]) for name in sorted(programs)}
    write_archive(path, sign(replace(claims, hashes=hashes), issuer), programs, compressed=compressed)


def source(program: Path | Source) -> Source:
    """A program of a file, or of another archive."""
    return _FileSource(program) if isinstance(program, Path) else program


def program_hash(program: Path | Source) -> str:
    """SHA-256 in upper-case hex."""
    digest = hashlib.sha256()
    for piece in source(program).pieces():
        digest.update(piece)
    return digest.hexdigest().upper()


class _FileSource:
    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise NotFound(f"{path}: no such program")
        self.size = path.stat().st_size
        if not self.size:
            raise InvalidArgument(f"{path} is empty: not a program")

    def pieces(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
        except OSError as error:
            raise Unavailable(f"{self._path} cannot be read: {error.strerror}", retryable=False) from error


class Member:
    """A program of an open archive, to be put into another one."""

    def __init__(self, archive: Archive, name: str) -> None:
        self._archive = archive
        self._name = name
        self.size = archive.sizes[name]

    def pieces(self) -> Iterator[bytes]:
        """What is in it."""
        return self._archive.pieces(self._name)


def _add(tar: BinaryIO, name: str, program: Source, expected: str) -> None:
    if program.size > LIMITS.program:
        raise Unsupported(f"{name}: {program.size} bytes: programs of at most {LIMITS.program} are put into an archive")
    tar.write(header(name if name == WORLD else f"{name}.bin", program.size, 0o644 if name == WORLD else 0o755))
    digest, written = hashlib.sha256(), 0
    for piece in program.pieces():
        digest.update(piece)
        written += len(piece)
        tar.write(piece)
    if written != program.size or digest.hexdigest().upper() != expected:
        raise PreconditionFailed(f"{name}: not the program that the claims are about, or it changed while it was read")
    tar.write(padding(written))


@contextmanager
def _packing(file: BinaryIO, *, compressed: bool) -> Iterator[BinaryIO]:
    if not compressed:
        yield file
        return
    with GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed:
        yield cast("BinaryIO", packed)


def _key(entry: Entry) -> str:
    """The name that the claims have for a file."""
    return WORLD if entry.stem == "world" else entry.stem


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of what is read say which file it was."""
    try:
        yield
    except InvalidArgument as error:
        raise InvalidArgument(f"{path}: {error.message}") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror or error}", retryable=False) from error
