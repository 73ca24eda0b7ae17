"""The field's own library beside ours: each reads what the other wrote, in its versions of 0.x and 1.x hosts, plain and compressed."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provider_packaging.archive import create, open_archive
from provider_packaging.claims import WORLD, check_signature
from provider_packaging.rewrite import insert
from provider_packaging.verify import Outcome, verify
from tests.tools import provider_archive as reference
from tests.unit.packaged import CLAIMS, ISSUED, ISSUER, PROGRAMS, SUBJECT, TOKEN, block, digest, file, tar, token, usual, zipped

pytestmark = pytest.mark.needs(reference.NAME)

VERSIONS = pytest.mark.parametrize("version", reference.VERSIONS)
FORMS = pytest.mark.parametrize("compressed", [False, True], ids=["tar", "gzip"])
SCHEMA = {"type": "object", "properties": {"url": {"type": "string"}}}
# Larger than any buffer on the way, and not to be compressed to nothing.
LARGE = bytes(range(256)) * 4096 + b"end"


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refuses(version: str, archive: Path, target: str | None = None) -> bool:
    """Whether the library returns an error, or takes its process down."""
    try:
        reference.read(version, archive, target)
    except subprocess.CalledProcessError as error:
        assert error.returncode in {1, reference.PANIC}, error.stderr
        return True
    return False


@VERSIONS
@FORMS
def test_the_reference_reads_ours(tmp_path: Path, version: str, compressed: bool) -> None:
    files = {"x86_64-linux": put(tmp_path, "x", LARGE), "aarch64-linux": put(tmp_path, "a", b"blahblah")}
    path = tmp_path / "ours.par"
    create(path, replace(CLAIMS, schema=SCHEMA, id=""), files, ISSUER, compressed=compressed)
    found = reference.read(version, path)
    with open_archive(path) as archive:
        claims = archive.claims
    assert found == {
        "id": claims.id,
        "issued": ISSUED,
        "issuer": ISSUER.public,
        "subject": SUBJECT.public,
        "name": "Example KV",
        "vendor": "acme",
        "rev": 1,
        "ver": "0.1.0",
        "capid": "wasmcloud:keyvalue" if version == "older" else None,
        "schema": SCHEMA,
        "hashes": {"x86_64-linux": digest(LARGE), "aarch64-linux": digest(b"blahblah")},
        "targets": {"x86_64-linux": len(LARGE), "aarch64-linux": 8},
        "wit": None,
    }
    assert reference.read(version, path, "x86_64-linux")["targets"] == {"x86_64-linux": len(LARGE)}
    assert refuses(version, path, "arm-linux")


@VERSIONS
@FORMS
def test_we_read_what_the_reference_writes_and_add_to_it(tmp_path: Path, version: str, compressed: bool) -> None:
    path = tmp_path / ("theirs.par.gz" if compressed else "theirs.par")
    programs = {"x86_64-linux": str(put(tmp_path, "x", LARGE)), "aarch64-linux": str(put(tmp_path, "a", b"blahblah"))}
    wish: dict[str, Any] = {
        "issuer": ISSUER.seed,
        "subject": SUBJECT.seed,
        "name": "Example KV",
        "vendor": "acme",
        "capid": "wasmcloud:keyvalue",
    }
    reference.write(version, path, {**wish, "rev": 1, "ver": "0.1.0", "schema": SCHEMA, "programs": programs}, compressed=compressed)
    hashes = {"x86_64-linux": digest(LARGE), "aarch64-linux": digest(b"blahblah")}
    with open_archive(path) as archive:
        check_signature(archive.token)
        capability = "wasmcloud:keyvalue" if version == "older" else None
        own = archive.claims
        assert own == replace(CLAIMS, schema=SCHEMA, hashes=hashes, capability=capability, issued=own.issued, id=own.id)
        assert archive.compressed is compressed and not archive.mismatches
        archive.extract("x86_64-linux", tmp_path / "program")
        assert (tmp_path / "program").read_bytes() == LARGE
    assert verify(path, issuers=[ISSUER.public]).outcome is Outcome.WELL
    insert(path, {"arm-linux": tmp_path / "a"}, ISSUER, issued=ISSUED)
    assert reference.read(version, path)["targets"] == {"arm-linux": 8, "x86_64-linux": len(LARGE), "aarch64-linux": 8}


@FORMS
def test_an_interface_is_read_both_ways_by_the_newer_version(tmp_path: Path, compressed: bool) -> None:
    program, world = put(tmp_path, "p", b"program"), put(tmp_path, "w", b"\0asm\x0d\0\x01\0")
    ours, theirs = tmp_path / "ours.par", tmp_path / "theirs.par.gz"
    create(ours, CLAIMS, {"x86_64-linux": program, WORLD: world}, ISSUER, compressed=compressed)
    found = reference.read("newer", ours)
    assert (found["wit"], found["targets"]) == (8, {"x86_64-linux": 7})
    assert reference.read("older", ours, "x86_64-linux")["targets"] == {"x86_64-linux": 7}
    wish = {
        "issuer": ISSUER.seed,
        "subject": SUBJECT.seed,
        "vendor": "acme",
        "world": str(world),
        "programs": {"x86_64-linux": str(program)},
    }
    reference.write("newer", theirs, wish, compressed=compressed)
    with open_archive(theirs) as archive:
        assert archive.sizes == {WORLD: 8, "x86_64-linux": 7} and not archive.mismatches


@VERSIONS
def test_what_the_reference_refuses_so_do_we(tmp_path: Path, version: str) -> None:
    claims, arm, intel = usual()
    evil = file("x86_64-linux.bin", b"evil")
    foul = [
        b"",
        b"x",
        b"hello" * 1000,
        tar(claims),
        tar(arm, intel),
        tar(claims, arm, evil),
        tar(claims, arm, intel, file("LICENSE", b"free")),
        tar(claims, arm, intel, block("folder/", 0, kind=b"5")),
        tar(block("./", 0, kind=b"5"), claims, arm, intel),
        tar(file("claims.jwt", TOKEN.partition(".")[0].encode()), arm, intel),
        tar(file("claims.jwt", TOKEN.replace(".", "=.").encode()), arm, intel),
        tar(claims, arm, intel[:514], end=b""),
        tar(claims, arm, b"X" + intel[1:]),
        zipped(tar(claims, arm, intel))[:600],
    ]
    for data in foul:
        path = put(tmp_path, "foul.par", data)
        assert refuses(version, path), data[:700]
        assert verify(path).outcome in {Outcome.FORM, Outcome.INTEGRITY}


@VERSIONS
def test_what_we_refuse_beyond_the_reference_is_this(tmp_path: Path, version: str) -> None:
    claims, arm, intel = usual()
    stricter = {
        "signature": tar(*usual(TOKEN[:-20] + token(revision=2)[-20:])),
        "names are written without ./": tar(file("./claims.jwt", TOKEN.encode()), arm, intel),
        "line feed": tar(file("claims.jwt", TOKEN.encode() + b"\n"), arm, intel),
        "a hash too many": tar(claims, intel),
        "no mark of the end": tar(claims, arm, intel, end=b""),
        "cut short in the padding": tar(claims, arm, intel[:700]),
        "a folder in the name": tar(claims, file("bin/aarch64-linux.bin", PROGRAMS["aarch64-linux"]), intel),
    }
    for data in stricter.values():
        path = put(tmp_path, "strict.par", data)
        assert not refuses(version, path)
        assert verify(path).outcome in {Outcome.FORM, Outcome.INTEGRITY}


def test_claims_without_a_contract_are_read_by_the_newer_version_alone(tmp_path: Path) -> None:
    path = tmp_path / "ours.par"
    create(path, replace(CLAIMS, capability=None), {"x86_64-linux": put(tmp_path, "p", b"program")}, ISSUER, compressed=False)
    assert reference.read("newer", path)["targets"] == {"x86_64-linux": 7}
    assert refuses("older", path)


def test_times_do_not_keep_the_reference_from_reading(tmp_path: Path) -> None:
    path = tmp_path / "ours.par"
    claims = replace(CLAIMS, expires=ISSUED + 1, not_before=ISSUED)
    create(path, claims, {"x86_64-linux": put(tmp_path, "p", b"program")}, ISSUER, compressed=False)
    assert [reference.read(version, path)["targets"] for version in reference.VERSIONS] == [{"x86_64-linux": 7}] * 2
    assert verify(path).outcome is Outcome.TIME
