"""Provider archives (packaging.md §1): what is written, what is read, inserted, and said by the verbs; GNU tar and sha256sum judge too."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from provider_packaging.archive import create, open_archive, write_archive
from provider_packaging.claims import WORLD, check_signature, read_claims
from provider_packaging.cli import app
from provider_packaging.rewrite import insert, sign_again
from provider_packaging.verify import Outcome, verify
from provider_sdk.errors import InvalidArgument, NotFound, PreconditionFailed, ProviderError, Unauthenticated, Unavailable
from tests.unit.packaged import (
    CLAIMS,
    END,
    ISSUED,
    ISSUER,
    OTHER_ISSUER,
    PROGRAMS,
    SUBJECT,
    TOKEN,
    digest,
    file,
    summed,
    tar,
    token,
    usual,
    written,
    zipped,
)

BOTH_FORMS = pytest.mark.parametrize("compressed", [False, True], ids=["tar", "gzip"])
DAY = 86400


def put(folder: Path, data: bytes, name: str = "given.par") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def package(*words: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env=environment)


def refused(result: Result) -> ProviderError:
    assert isinstance(result.exception, ProviderError), result.output
    return result.exception


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the keys, as the variables of wash say."""
    for name in ("WASH_ISSUER_KEY", "WASH_SUBJECT_KEY", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WASH_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("USER", "tester")
    return tmp_path / "keys"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "greeter"
    path.write_bytes(b"#!/bin/sh\nexit 0\n")
    return path


@BOTH_FORMS
def test_the_same_programs_make_the_same_bytes(tmp_path: Path, compressed: bool) -> None:
    first = written(tmp_path, "first.par", compressed=compressed).read_bytes()
    (tmp_path / "elsewhere").mkdir()
    assert written(tmp_path / "elsewhere", "second.par", compressed=compressed).read_bytes() == first
    assert first[:2] == (b"\x1f\x8b" if compressed else b"cl")
    if compressed:
        assert first[:10] == b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"


def test_claims_come_first_then_the_targets_sorted_then_the_mark_of_the_end(tmp_path: Path) -> None:
    path = written(tmp_path)
    with tarfile.open(path) as opened:
        found = [(one.name, one.mode, one.uid, one.gid, one.uname, one.mtime, one.type) for one in opened]
    rest = (0, 0, "", 0, tarfile.REGTYPE)
    assert found == [("claims.jwt", 0o644, *rest), ("aarch64-linux.bin", 0o755, *rest), ("x86_64-linux.bin", 0o755, *rest)]
    assert path.read_bytes() == tar(
        *usual(read_token(path))[:1], *(file(f"{name}.bin", PROGRAMS[name], mode=0o755) for name in sorted(PROGRAMS))
    )
    assert path.read_bytes().endswith(bytes(512 - 8) + END)


def read_token(path: Path) -> str:
    with open_archive(path) as archive:
        return archive.token


@pytest.mark.needs("tar", "sha256sum")
@BOTH_FORMS
def test_gnu_tar_and_sha256sum_find_what_the_claims_say(tmp_path: Path, compressed: bool) -> None:
    path = written(tmp_path, compressed=compressed)
    listed = subprocess.run(["tar", "--list", "--file", path], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["claims.jwt", "aarch64-linux.bin", "x86_64-linux.bin"] and not listed.stderr
    subprocess.run(["tar", "--extract", "--file", path, "--directory", tmp_path], check=True)
    claims = read_claims((tmp_path / "claims.jwt").read_text())
    for target in PROGRAMS:
        done = subprocess.run(["sha256sum", tmp_path / f"{target}.bin"], capture_output=True, text=True, check=True)
        assert claims.hashes[target] == done.stdout.split()[0].upper()


def test_the_tar_of_the_fields_example_is_read_padded_to_a_record(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as opened:
        for name, data in (("claims.jwt", TOKEN.encode()), *((f"{target}.bin", PROGRAMS[target]) for target in sorted(PROGRAMS))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    assert sha256(buffer.getvalue()).hexdigest() == "79b70938300e19919309183b940f9f8adb832144772957d6fc5063f427e302c2"
    with open_archive(put(tmp_path, buffer.getvalue())) as archive:
        assert archive.claims == CLAIMS and archive.token == TOKEN and not archive.mismatches


@BOTH_FORMS
def test_an_archive_is_read_as_it_was_written(tmp_path: Path, compressed: bool) -> None:
    with open_archive(written(tmp_path, compressed=compressed)) as archive:
        assert archive.compressed is compressed
        assert archive.claims == CLAIMS
        assert archive.programs == dict.fromkeys(sorted(PROGRAMS), 8)
        assert archive.hashes == CLAIMS.hashes
        check_signature(archive.token)
        for target, data in PROGRAMS.items():
            archive.extract(target, tmp_path / target)
            assert (tmp_path / target).read_bytes() == data and (tmp_path / target).stat().st_mode & 0o100
        with pytest.raises(NotFound, match="no program for arm-linux: there are aarch64-linux, x86_64-linux"):
            archive.extract("arm-linux", tmp_path / "arm")


def test_headers_of_the_reference_writer_whose_mode_owner_and_type_are_nul_are_read(tmp_path: Path) -> None:
    def bare(name: str, data: bytes) -> bytes:
        header = bytearray(512)
        header[: len(name)] = name.encode()
        header[124:136] = b"%011o\0" % len(data)
        header[257:265] = b"ustar  \0"
        return summed(bytes(header)) + data + bytes(-len(data) % 512)

    files = [bare("x86_64-linux.bin", PROGRAMS["x86_64-linux"]), bare("claims.jwt", TOKEN.encode())]
    path = put(tmp_path, tar(*files, bare("aarch64-linux.bin", PROGRAMS["aarch64-linux"])))
    with open_archive(path) as archive:
        assert archive.claims == CLAIMS and list(archive.programs) == sorted(PROGRAMS)


def test_the_extension_of_a_program_and_the_place_of_the_claims_do_not_matter(tmp_path: Path) -> None:
    claims, arm, intel = usual()
    plain = file("x86_64-linux", PROGRAMS["x86_64-linux"])
    for files in ((arm, claims, intel), (arm, intel, claims), (claims, arm, plain)):
        with open_archive(put(tmp_path, tar(*files))) as archive:
            assert list(archive.programs) == sorted(PROGRAMS)


def test_an_interface_is_no_target_and_has_its_hash_under_its_file_name(tmp_path: Path) -> None:
    files = {"x86_64-linux": put(tmp_path, b"program", "p"), WORLD: put(tmp_path, b"\0asm", "w")}
    path = tmp_path / "new.par"
    create(path, CLAIMS, files, ISSUER, compressed=False)
    with tarfile.open(path) as opened:
        assert opened.getnames() == ["claims.jwt", "world.wasm", "x86_64-linux.bin"]
    with open_archive(path) as archive:
        assert list(archive.programs) == ["x86_64-linux"] and archive.claims.targets == ("x86_64-linux",)
        assert archive.sizes == {WORLD: 4, "x86_64-linux": 7} and archive.claims.hashes[WORLD] == digest(b"\0asm")
    insert(path, {"arm-linux": files["x86_64-linux"]}, ISSUER, issued=ISSUED)
    with open_archive(path) as archive:
        assert list(archive.programs) == ["arm-linux", "x86_64-linux"] and archive.sizes[WORLD] == 4


def test_nothing_is_written_that_hosts_would_not_take(tmp_path: Path) -> None:
    program, empty = put(tmp_path, b"bloobloo", "p"), put(tmp_path, b"", "e")
    target, here = "x86_64-linux", set(tmp_path.iterdir())
    right = token({target: digest(b"bloobloo")})
    wrong: Sequence[tuple[str, dict[str, Any], type[ProviderError], str]] = (
        (
            TOKEN,
            {target: program},
            InvalidArgument,
            "the claims are about aarch64-linux, x86_64-linux, and the programs are for x86_64-linux",
        ),
        (right, {target: empty}, InvalidArgument, "is empty"),
        (right, {target: tmp_path / "none"}, NotFound, "no such program"),
        (right, {target: tmp_path}, NotFound, "no such program"),
        (token({target: digest(b"other")}), {target: program}, PreconditionFailed, "not the program that the claims are about"),
        (token({"Linux": digest(b"bloobloo")}), {"Linux": program}, InvalidArgument, "not a target"),
        (token({}), {}, InvalidArgument, "no program"),
        (right[:-20] + TOKEN[-20:], {target: program}, Unauthenticated, "signature"),
    )
    for signed, programs, kind, reason in wrong:
        with pytest.raises(kind, match=reason):
            write_archive(tmp_path / "new.par", signed, programs, compressed=True)
    assert set(tmp_path.iterdir()) == here
    with pytest.raises(Unavailable, match="cannot be written"):
        write_archive(tmp_path / "none" / "new.par", right, {target: program}, compressed=False)


@BOTH_FORMS
def test_targets_are_added_and_replaced_under_the_same_identity(tmp_path: Path, compressed: bool) -> None:
    path = written(tmp_path, compressed=compressed)
    insert(path, {"arm-linux": put(tmp_path, b"arm", "a"), "x86_64-linux": put(tmp_path, b"better", "b")}, ISSUER, issued=ISSUED + 5)
    assert verify(path, issuers=[ISSUER.public]).outcome is Outcome.WELL
    with open_archive(path) as archive:
        programs = {"arm-linux": b"arm", "x86_64-linux": b"better", "aarch64-linux": PROGRAMS["aarch64-linux"]}
        hashes = {name: digest(data) for name, data in programs.items()}
        assert archive.compressed is compressed
        assert archive.claims == replace(CLAIMS, hashes=hashes, issued=ISSUED + 5, id=archive.claims.id)
        assert archive.claims.id != CLAIMS.id


def test_other_keys_than_the_claims_name_are_refused_unless_they_are_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path)
    before, arm = path.read_bytes(), {"arm-linux": put(tmp_path, b"arm", "a")}
    other = "V" + "A" * 55
    with pytest.raises(InvalidArgument, match=f"its issuer is {ISSUER.public}"):
        insert(path, arm, OTHER_ISSUER, issued=ISSUED)
    with pytest.raises(InvalidArgument, match=f"its subject is {SUBJECT.public}"):
        insert(path, arm, ISSUER, other, issued=ISSUED)
    with pytest.raises(InvalidArgument, match="its issuer"):
        sign_again(path, OTHER_ISSUER, issued=ISSUED)
    assert path.read_bytes() == before
    insert(path, arm, OTHER_ISSUER, issued=ISSUED, new_identity=True, output=tmp_path / "new.par")
    assert path.read_bytes() == before
    assert verify(tmp_path / "new.par", issuers=[OTHER_ISSUER.public], targets=["arm-linux", "x86_64-linux"]).outcome is Outcome.WELL


def test_a_new_signature_does_not_vouch_for_what_the_old_one_did_not(tmp_path: Path) -> None:
    forged = TOKEN[:-20] + token(revision=2)[-20:]
    path = put(tmp_path, tar(*usual(forged)))
    with pytest.raises(Unauthenticated, match="signature"):
        sign_again(path, ISSUER, issued=ISSUED)
    claims, arm, _ = usual()
    with pytest.raises(PreconditionFailed, match="x86_64-linux: its SHA-256 is"):
        sign_again(put(tmp_path, tar(claims, arm, file("x86_64-linux.bin", b"evil"))), ISSUER, issued=ISSUED)


def test_times_are_set_by_signing_again(tmp_path: Path) -> None:
    path = written(tmp_path)
    sign_again(path, ISSUER, issued=ISSUED, expires=ISSUED + DAY, not_before=ISSUED + 60)
    for now, outcome in (
        (ISSUED, Outcome.TIME),
        (ISSUED + 60, Outcome.WELL),
        (ISSUED + DAY - 1, Outcome.WELL),
        (ISSUED + DAY, Outcome.TIME),
    ):
        assert verify(path, now=now).outcome is outcome
    sign_again(path, ISSUER, issued=ISSUED)
    assert verify(path).outcome is Outcome.WELL


def test_verify_tells_each_kind_of_fault_by_its_exit_code(tmp_path: Path) -> None:
    claims, arm, intel = usual()
    well = put(tmp_path, tar(claims, arm, intel), "well.par")
    unsigned = put(tmp_path, zipped(tar(*usual(TOKEN[:-20] + token(revision=2)[-20:]))), "unsigned.par")
    changed = put(tmp_path, tar(claims, arm, file("x86_64-linux.bin", b"evil")), "changed.par")
    expired = put(tmp_path, tar(*usual(token(expires=ISSUED + 1))), "expired.par")
    early = put(tmp_path, tar(*usual(token(not_before=1 << 63))), "early.par")
    cases: Sequence[tuple[int, Sequence[str | Path]]] = (
        (0, [well]),
        (
            0,
            [
                well,
                "--issuer",
                OTHER_ISSUER.public,
                "--issuer",
                ISSUER.public,
                "--target",
                "x86_64-linux",
                "--capability",
                "wasmcloud:keyvalue",
            ],
        ),
        (1, [tmp_path / "none.par"]),
        (1, [tmp_path]),
        (2, []),
        (2, [well, "--issuer", SUBJECT.public]),
        (2, [well, "--issuer", "A"]),
        (3, [put(tmp_path, b"hello", "text.par")]),
        (3, [put(tmp_path, tar(arm, intel), "without.par")]),
        (4, [unsigned]),
        (4, [changed]),
        (4, [changed, "--target", "arm-linux"]),
        (5, [expired]),
        (5, [early]),
        (5, [expired, "--capability", "acme:other"]),
        (6, [well, "--issuer", OTHER_ISSUER.public]),
        (6, [well, "--target", "x86_64-linux", "--target", "arm-linux"]),
        (6, [well, "--capability", "acme:other"]),
    )
    for code, words in cases:
        result = package("verify", *words)
        assert result.exit_code == code, (words, result.output)
        if code != 2:
            answer = json.loads(package("verify", *words, "--json").stdout)
            assert (answer["ok"], answer["code"]) == (code == 0, code)
            assert all(one["ok"] for one in answer["checks"]) is (code == 0)
            assert [line.startswith("ok ") for line in result.stdout.splitlines()] == [one["ok"] for one in answer["checks"]]


def test_the_command_ends_with_the_exit_code_of_the_verdict(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "provider_sdk.cli.main", "package", "verify"]
    done = subprocess.run([*command, put(tmp_path, b"hello")], capture_output=True, text=True, check=False)
    assert done.returncode == 3 and done.stdout.startswith("WRONG form: ") and done.stdout.count("\n") == 1 and not done.stderr


def test_a_verb_that_is_ended_leaves_no_half_of_an_archive(tmp_path: Path, keys: Path) -> None:
    large, out = put(tmp_path, os.urandom(64 << 20), "large"), tmp_path / "out"
    out.mkdir()
    command = [
        sys.executable,
        "-m",
        "provider_sdk.cli.main",
        "package",
        "create",
        f"x86_64-linux={large}",
        "-n",
        "G",
        "-v",
        "A",
        "--compress",
    ]
    with subprocess.Popen([*command, "--destination", out / "g.par"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        while not list(out.iterdir()):
            assert running.poll() is None
            time.sleep(0.02)
        running.terminate()
        assert running.wait(30) == 130
    assert list(out.iterdir()) == [] and len(list(keys.iterdir())) == 2


def test_an_archive_is_made_inspected_and_added_to_by_the_verbs_with_the_options_of_wash(tmp_path: Path, keys: Path, program: Path) -> None:
    schema = put(tmp_path, b'{"type": "object"}', "schema.json")
    path = tmp_path / "greeter.par.gz"
    said: list[str | Path] = ["-n", "Greeter", "-v", "Acme", "-c", "acme:greeter", "-r", "3", "--version", "0.1.0", "-j", schema]
    made = package("create", *said, "-a", "x86_64-linux", "-b", program, "--destination", tmp_path / "greeter.par", "--compress", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout) == {"file": str(path)}
    assert sorted(path.name for path in keys.iterdir()) == ["greeter_service.nk", "tester_account.nk"]
    added = package("insert", path, f"aarch64-linux={program}", "--disable-keygen")
    assert added.exit_code == 0, added.output
    found = json.loads(package("inspect", path, "--json").stdout)
    with open_archive(path) as archive:
        claims = archive.claims
    assert {name: found[name] for name in list(found)[:9]} == {
        "name": "Greeter",
        "issuer": claims.issuer,
        "service": claims.subject,
        "capability_contract_id": "acme:greeter",
        "vendor": "Acme",
        "version": "0.1.0",
        "revision": "3",
        "targets": ["aarch64-linux", "x86_64-linux"],
        "schema": {"type": "object"},
    }
    assert found["programs"]["x86_64-linux"] == {"size": 17, "hash": digest(program.read_bytes()), "as_claimed": True}
    assert found["signature"] == {"holds": True, "issuer_key": str(keys / "tester_account.nk")}
    words = package("inspect", path).stdout
    for line in ("Greeter - Capability Provider", claims.issuer, "acme:greeter", "each has the hash", "signed by", "tester_account.nk"):
        assert line in words


def test_inspect_shows_what_is_wrong_and_lets_no_claims_move_the_cursor(tmp_path: Path, keys: Path) -> None:
    claims, arm, _ = usual(token(name="a\x1b[2Jb\nc")[:-20] + TOKEN[-20:])
    words = package("inspect", put(tmp_path, tar(claims, arm, file("x86_64-linux.bin", b"evil")))).stdout
    assert "WRONG for x86_64-linux" in words and "WRONG: not signed by" in words and "not among the keys here" in words
    assert words.startswith(r"a\x1b[2Jb\nc - Capability Provider")
    assert not keys.exists()


def test_signing_again_by_the_verb_sets_times_from_now_and_needs_the_old_keys(
    tmp_path: Path, keys: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "g.par"
    given: list[str | Path] = ["create", f"x86_64-linux={program}", "-n", "G", "-v", "A", "-s", SUBJECT.public, "--destination", path]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(ISSUED))
    assert package(*given).exit_code == 0
    first = path.read_bytes()
    assert package(*given).exit_code == 0 and path.read_bytes() == first
    assert package("sign", path, "-x", "0.5").exit_code == 0
    with open_archive(path) as archive:
        assert (archive.claims.issued, archive.claims.expires) == (ISSUED, ISSUED + DAY // 2)
        assert archive.claims.subject == SUBJECT.public and archive.claims.capability is None
    assert "issuer is" in refused(package("sign", path, "-i", OTHER_ISSUER.seed)).message
    assert package("sign", path, "-i", OTHER_ISSUER.seed, "--new-identity").exit_code == 0
    (keys / "tester_account.nk").unlink()
    assert "no key tester_account.nk" in refused(package("sign", path)).message
    assert not (keys / "tester_account.nk").exists()


def test_wrong_usage_of_the_verbs_is_one_line_and_exit_code_2(keys: Path, program: Path) -> None:
    named: list[str | Path] = ["create", "-n", "G", "-v", "A"]
    wrong: Sequence[list[str | Path]] = (
        ["create", f"x86_64-linux={program}"],
        named,
        [*named, "x86_64-linux"],
        [*named, f"Linux={program}"],
        [*named, "--arch", "x86_64-linux"],
        [*named, f"x86_64-linux={program}", "-a", "x86_64-linux", "-b", program],
        [*named, f"x86_64-linux={program}", "-j", program],
    )
    for words in wrong:
        result = package(*words)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    assert "no such program" in refused(package(*named, "x86_64-linux=nothing")).message
    result = package(*named, f"x86_64-linux={program}", SOURCE_DATE_EPOCH="yesterday")
    assert isinstance(result.exception, InvalidArgument) and "SOURCE_DATE_EPOCH" in result.exception.message
    assert not keys.exists()
