"""Archives that are damaged or meant to harm: one line that says why, bounded memory and time, and nothing left on disk."""

from __future__ import annotations

import io
import random
import tarfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provider_packaging.archive import open_archive
from provider_packaging.unpacked import Limits
from provider_packaging.verify import Outcome, verify
from provider_sdk.errors import InvalidArgument, PreconditionFailed, ProviderError
from tests.tiers import scale
from tests.unit.packaged import CLAIMS, PROGRAMS, TOKEN, block, digest, file, summed, tar, token, usual, written, zipped

CLAIMS_FILE, ARM, INTEL = usual()
BOTH = (CLAIMS_FILE, ARM, INTEL)
MIB = 1 << 20
FORMS = pytest.mark.parametrize("compressed", [False, True], ids=["tar", "gzip"])


def field(header: bytes, place: int, value: bytes) -> bytes:
    """The header with other bytes at one place, and the checksum that belongs to them."""
    return summed(header[:place] + value + header[place + len(value) : 512]) + header[512:]


def put(folder: Path, data: bytes) -> Path:
    path = folder / "given.par"
    path.write_bytes(data)
    return path


def refusal(folder: Path, data: bytes, limits: Limits | None = None) -> str:
    path = put(folder, data)
    with pytest.raises(InvalidArgument) as refused, open_archive(path, *([limits] if limits else [])):
        pass
    message = refused.value.message
    assert "\n" not in message and message.isprintable() and len(message) < 400
    assert message.startswith(f"{path}: ") and list(folder.iterdir()) == [path]
    return message


def taken(folder: Path, data: bytes) -> Outcome:
    """The verdict on any bytes: where it is good, the programs are those that were signed. Nothing else stays on disk."""
    path = put(folder, data)
    verdict = verify(path, issuers=[CLAIMS.issuer])
    assert all("\n" not in check.line for check in verdict.checks)
    if verdict.outcome is Outcome.WELL:
        with open_archive(path) as archive:
            assert archive.claims == CLAIMS
            for target, program in PROGRAMS.items():
                archive.extract(target, folder / target)
                assert (folder / target).read_bytes() == program
                (folder / target).unlink()
    assert list(folder.iterdir()) == [path]
    return verdict.outcome


@FORMS
@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([*BOTH, block("programs/", 0, kind=tarfile.DIRTYPE)], "'programs/': a folder: hosts take plain files only"),
        ([block("./", 0, kind=tarfile.DIRTYPE), *BOTH], "'./': a folder"),
        ([*BOTH, block("evil", 0, kind=tarfile.SYMTYPE, linkname="../../target")], "'evil': a symbolic link"),
        ([*BOTH, block("evil", 0, kind=tarfile.LNKTYPE, linkname="claims.jwt")], "'evil': a hard link"),
        ([*BOTH, block("evil", 0, kind=tarfile.CHRTYPE)], "'evil': a device"),
        ([*BOTH, block("evil", 0, kind=tarfile.BLKTYPE)], "'evil': a device"),
        ([*BOTH, block("evil", 0, kind=tarfile.FIFOTYPE)], "'evil': a pipe"),
        ([*BOTH, block("evil", 0, kind=tarfile.CONTTYPE)], "an entry of type b'7'"),
        ([*BOTH, field(block("evil", 0), 156, b"S")], "'evil': a sparse file"),
        ([file("PaxHeaders/x", b"11 size=1\n", kind=tarfile.XHDTYPE), *BOTH], "a PAX header"),
        ([file("PaxHeaders/g", b"11 size=1\n", kind=tarfile.XGLTYPE), *BOTH], "a PAX header"),
        ([file("././@LongLink", b"x" * 200, kind=tarfile.GNUTYPE_LONGNAME), *BOTH], "a long name of GNU tar"),
        ([file("././@LongLink", b"x" * 200, kind=tarfile.GNUTYPE_LONGLINK), *BOTH], "a long link of GNU tar"),
        ([*BOTH, file("/etc/x86_64-linux.bin", b"x")], "an absolute path"),
        ([*BOTH, file("\\x.bin", b"x")], "an absolute path"),
        ([*BOTH, file("../x86_64-linux.bin", b"x")], "leads upwards"),
        ([*BOTH, file("a/../../x.bin", b"x")], "leads upwards"),
        ([*BOTH, file("a\\..\\..\\x.bin", b"x")], "leads upwards"),
        ([file("./claims.jwt", TOKEN.encode()), ARM, INTEL], "names are written without ./"),
        ([CLAIMS_FILE, ARM, file("bin/x86_64-linux.bin", PROGRAMS["x86_64-linux"])], "files lie in no folder"),
        ([CLAIMS_FILE, ARM, field(field(INTEL, 257, b"ustar\x0000"), 345, b"bin")], "files lie in no folder"),
        ([*BOTH, file("two\nlines\x1b[2J.bin", b"x")], r"'two\nlines\x1b[2J.bin': not a name of a target"),
        ([*BOTH, field(block("x", 0), 0, b"\xff\xfe")], "not a name of a target"),
        ([*BOTH, field(block("x", 0), 0, b"\0")], "a file without a name"),
        ([*BOTH, file(".bin", b"x")], "not a name of a target"),
        ([*BOTH, INTEL], "x86_64-linux.bin: a second file for x86_64-linux"),
        ([*BOTH, file("x86_64-linux.so", b"evil")], "x86_64-linux.so: a second file for x86_64-linux"),
        ([*BOTH, CLAIMS_FILE], "claims.jwt: a second file for claims"),
        ([*BOTH, file("claims", token(revision=2).encode())], "a second file for claims"),
        ([*BOTH, file("LICENSE", b"free")], "LICENSE: the claims have no hash for it"),
        ([*BOTH, file("arm-linux.bin", b"x")], "arm-linux.bin: the claims have no hash for it"),
        ([*BOTH, file("world.wasm", b"\0asm")], "world.wasm: the claims have no hash for it"),
        ([CLAIMS_FILE, INTEL], "aarch64-linux: the claims have a hash for it, and there is no such file"),
        ([CLAIMS_FILE], "there is no such file"),
        ([file("claims.jwt", token({}).encode())], "no program for any target"),
        ([file("claims.jwt", token({"world.wasm": digest(b"w")}).encode()), file("world.wasm", b"w")], "no program for any target"),
        ([ARM, INTEL], "no claims.jwt"),
        ([], "no claims.jwt"),
        ([file("claims.jwt", b""), ARM, INTEL], "claims: not a token"),
        ([file("claims.jwt", TOKEN.encode() + b"\n"), ARM, INTEL], "signature is not unpadded base64url"),
        ([file("claims.jwt", "é".encode()), ARM, INTEL], "claims.jwt is not ASCII"),
        ([file("claims.jwt", bytes(MIB + 1)), ARM, INTEL], "at most 1048576 are taken"),
        ([CLAIMS_FILE, ARM[:-1] + b"x", INTEL], "aarch64-linux.bin: its padding is not zero"),
        ([CLAIMS_FILE, field(ARM, 124, b"\x80" + bytes(10) + b"\x08"), INTEL], "its size is not written in octal digits"),
        ([CLAIMS_FILE, field(ARM, 124, b"-0000000010\0"), INTEL], "its size is not written in octal digits"),
        ([CLAIMS_FILE, field(ARM, 124, b"           \0"), INTEL], "its size is not written in octal digits"),
        ([CLAIMS_FILE, field(ARM, 124, b"77777777777\0"), INTEL], "8589934591 bytes, and at most 1073741824 are taken"),
        ([CLAIMS_FILE, field(ARM, 124, b"00000010000\0"), INTEL], "cut short"),
        ([CLAIMS_FILE, ARM[:148] + b"0000000\0" + ARM[156:], INTEL], "checksum"),
        ([CLAIMS_FILE, ARM[:5] + b"X" + ARM[6:], INTEL], "checksum"),
        ([*BOTH, *(file(f"{n}.bin", b"") for n in range(62))], "more than 64 files"),
    ],
)
def test_what_hosts_would_refuse_or_stumble_over_is_refused_with_the_reason(
    tmp_path: Path, files: Sequence[bytes], reason: str, compressed: bool
) -> None:
    data = tar(*files)
    assert reason in refusal(tmp_path, zipped(data) if compressed else data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes long"),
        (b"\x1f", "1 bytes long"),
        (b"\x1f\x8b", "the gzip data has no end"),
        (b"\x7fELF" + bytes(2000), "neither tar nor gzip of a tar"),
        (b"PK\x03\x04" + bytes(2000), "neither tar nor gzip of a tar"),
        (bytes(512), "the mark of the end"),
        (bytes(1024), "no claims.jwt"),
        (bytes(1536), "cut short: it ends within the mark of the end"),
        (tar(*BOTH, end=b""), "cut short"),
        (tar(*BOTH, end=bytes(512)), "cut short"),
        (tar(*BOTH, end=bytes(1536)), "cut short"),
        (tar(*BOTH, end=bytes(1023) + b"x"), "something follows the end of the tar"),
        (tar(*BOTH) + b"x", "something follows the end of the tar"),
        (tar(*BOTH) + tar(*BOTH), "something follows the end of the tar"),
        (tar(*BOTH).ljust(20480, b"\0"), "something follows the end of the tar"),
        (zipped(b""), "cut short"),
        (zipped(tar(*BOTH)) + b"x", "something follows the end of the gzip data"),
        (zipped(tar(*BOTH)) + bytes(10), "something follows the end of the gzip data"),
        (zipped(tar(*BOTH)) + zipped(b""), "several gzip members"),
        (zipped(tar(*BOTH)[:2000]) + zipped(tar(*BOTH)[2000:]), "several gzip members"),
        (zipped(zipped(tar(*BOTH))), "neither tar nor gzip of a tar"),
        (zipped(tar(*BOTH))[:-8] + bytes(8), "damaged: not gzip data (incorrect data check)"),
        (b"\x1f\x8b\x07" + bytes(100), "damaged: not gzip data"),
    ],
)
def test_what_is_no_whole_archive_is_refused_with_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    assert reason in refusal(tmp_path, data)


def test_an_archive_padded_to_one_record_is_whole(tmp_path: Path) -> None:
    for data in (tar(*BOTH), tar(*BOTH).ljust(10240, b"\0")):
        assert taken(tmp_path, data) is Outcome.WELL
        assert taken(tmp_path, zipped(data)) is Outcome.WELL


@FORMS
def test_an_archive_cut_short_at_any_byte_is_refused(tmp_path: Path, compressed: bool) -> None:
    (tmp_path / "whole").mkdir()
    whole = written(tmp_path / "whole", compressed=compressed).read_bytes()
    (tmp_path / "cut").mkdir()
    path = tmp_path / "cut" / "given.par"
    path.write_bytes(whole)
    with path.open("r+b") as opened:
        for length in range(len(whole) - 1, -1, -1):
            opened.truncate(length)
            with pytest.raises(InvalidArgument, match=r"cut short|bytes long|no end"), open_archive(path):
                pass
    assert list(path.parent.iterdir()) == [path]


@FORMS
def test_a_flipped_bit_anywhere_is_refused_or_does_not_matter(tmp_path: Path, compressed: bool) -> None:
    data = zipped(tar(*BOTH)) if compressed else tar(*BOTH)
    chance = random.Random(7)
    outcomes = set()
    for place in range(0, len(data), scale(test=5, ci=3, soak=1)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        outcomes.add(taken(tmp_path, bytes(flipped)))
    assert Outcome.FORM in outcomes and outcomes <= {Outcome.WELL, Outcome.FORM, Outcome.INTEGRITY}


@FORMS
def test_a_wrong_program_leaves_no_file_behind(tmp_path: Path, compressed: bool) -> None:
    data = tar(CLAIMS_FILE, ARM, file("x86_64-linux.bin", b"evil" * 100_000))
    path, out = put(tmp_path, zipped(data) if compressed else data), tmp_path / "out"
    out.mkdir()
    (out / "kept").write_bytes(b"the old program")
    with open_archive(path) as archive:
        for target in (out / "new", out / "kept"):
            with pytest.raises(PreconditionFailed, match="x86_64-linux: not the program that the claims are about"):
                archive.extract("x86_64-linux", target)
        archive.extract("aarch64-linux", out / "right")
    assert sorted(path.name for path in out.iterdir()) == ["kept", "right"]
    assert (out / "kept").read_bytes() == b"the old program"


def test_an_archive_that_changes_while_it_is_open_gives_no_other_program(tmp_path: Path) -> None:
    path = put(tmp_path, tar(*BOTH))
    changes = (
        tar(CLAIMS_FILE, file("aarch64-linux.bin", b"evilevil"), INTEL),
        tar(CLAIMS_FILE, INTEL),
        tar(*BOTH)[:1800],
        b"",
        b"x" * 4000,
    )
    for change in changes:
        with open_archive(path) as archive:
            with path.open("r+b") as opened:
                opened.truncate(0)
                opened.write(change)
            with pytest.raises(ProviderError):
                archive.extract("aarch64-linux", tmp_path / "program")
        assert list(tmp_path.iterdir()) == [path]
        path.write_bytes(tar(*BOTH))


def test_bombs_are_left_after_a_bounded_part_of_them(tmp_path: Path) -> None:
    zeros = 200 * MIB
    bomb = zipped(CLAIMS_FILE + block("x86_64-linux.bin", zeros) + bytes(zeros))
    twice = zipped(bomb)
    assert len(bomb) < MIB
    tracemalloc.start()
    try:
        assert "unpacks to more than 100 times its size" in refusal(tmp_path, bomb)
        assert "neither tar nor gzip of a tar" in refusal(tmp_path, twice)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


def test_a_file_that_is_large_by_its_holes_is_left_at_the_limit(tmp_path: Path) -> None:
    path = put(tmp_path, CLAIMS_FILE + block("x86_64-linux.bin", 900 * MIB))
    with path.open("r+b") as opened:
        opened.truncate(900 * MIB)
    with pytest.raises(InvalidArgument, match="more than 8388608 bytes when unpacked"), open_archive(path, Limits(total=8 * MIB)):
        pass
    assert "more than 4000 bytes when unpacked" in refusal(tmp_path, zipped(tar(*BOTH)), Limits(total=4000))
    assert "more than 2 files" in refusal(tmp_path, tar(*BOTH), Limits(files=2))
    assert "at most 7 are taken" in refusal(tmp_path, tar(*BOTH), Limits(program=7))
    assert "at most 700 are taken" in refusal(tmp_path, tar(*BOTH), Limits(claims=700))


NAMES = st.sampled_from(["claims.jwt", "x86_64-linux.bin", "aarch64-linux.bin", "world.wasm", "../x", "./claims.jwt", "a/b", "x", "claims"])
KINDS = st.sampled_from([b"0", b"\0", b"1", b"2", b"5", b"x", b"g", b"L", b"S", b"7"])
DATA = st.sampled_from([TOKEN.encode(), *PROGRAMS.values(), b"", b"x" * 600]) | st.binary(max_size=64)
FILES = st.lists(st.tuples(NAMES, DATA, KINDS).map(lambda one: file(one[0], one[1], kind=one[2])) | st.sampled_from(BOTH), max_size=5)
ENDS = st.sampled_from([bytes(1024), bytes(512), b"", bytes(1025), bytes(10240)])
TARS = st.tuples(FILES, ENDS).map(lambda parts: tar(*parts[0], end=parts[1])) | st.permutations(BOTH).map(lambda files: tar(*files))


def spoilt(parts: tuple[bytes, list[tuple[int, int]]]) -> bytes:
    data = bytearray(parts[0])
    for place, value in parts[1]:
        if data:
            data[place % len(data)] = value
    return bytes(data)


WRITTEN = TARS | st.tuples(TARS, st.lists(st.tuples(st.integers(0, 10000), st.integers(0, 255)), max_size=3)).map(spoilt)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000) | WRITTEN | WRITTEN.map(zipped) | st.binary(max_size=100).map(lambda data: b"\x1f\x8b\x08" + data))
def test_any_bytes_are_the_archive_that_was_signed_or_refused(tmp_path: Path, data: bytes) -> None:
    taken(tmp_path, data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WRITTEN)
def test_what_is_taken_the_tar_of_the_standard_library_reads_alike(tmp_path: Path, data: bytes) -> None:
    if taken(tmp_path, data) is Outcome.WELL:
        with tarfile.open(fileobj=io.BytesIO(data)) as opened:
            assert sorted(opened.getnames()) == ["aarch64-linux.bin", "claims.jwt", "x86_64-linux.bin"]
