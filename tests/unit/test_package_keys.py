"""Keys (packaging.md §1.6, §3): the folders, variables and file names of wash; modes; a seed is shown only where it is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from provider_packaging.cli import app
from provider_packaging.keys import Kind, find_key, folders, generate, lookup, read_key, save_key, stored_keys
from provider_sdk.errors import AlreadyExists, InvalidArgument, NotFound, ProviderError, Unavailable
from provider_sdk.nkeys import KeyPair, Prefix, decode_public
from tests.unit.packaged import ISSUER, SUBJECT

VARIABLES = ("WASH_KEYS", "WASH_KEYS_DIR", "XDG_DATA_HOME", "WASH_ISSUER_KEY", "WASH_SUBJECT_KEY")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USER", "tester")
    return tmp_path / "home"


def keys(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["keys", *map(str, words)])


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def refusal(*words: str | Path) -> str:
    result = keys(*words)
    assert isinstance(result.exception, ProviderError), result.output
    return result.exception.message


def test_keys_lie_in_the_folder_that_is_given_or_named_by_a_variable_or_in_those_of_wash(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folders() == (home / ".wash" / "keys", home / ".local" / "share" / "wash" / "keys")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert folders() == (home / ".wash" / "keys", tmp_path / "data" / "wash" / "keys")
    monkeypatch.setenv("WASH_KEYS_DIR", str(tmp_path / "newer"))
    assert folders() == (tmp_path / "newer",)
    monkeypatch.setenv("WASH_KEYS", str(tmp_path / "older"))
    assert folders() == (tmp_path / "older",)
    assert folders(tmp_path / "given") == (tmp_path / "given",)


def test_a_key_is_one_line_without_an_end_that_only_its_owner_reads(home: Path) -> None:
    before = os.umask(0)
    try:
        pair, path = generate(Kind.ACCOUNT, "tester")
    finally:
        os.umask(before)
    assert path == home / ".wash" / "keys" / "tester_account.nk"
    assert path.read_text() == pair.seed and len(pair.seed) == 58
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.needs("strace")
def test_a_key_is_at_no_moment_open_to_others(tmp_path: Path) -> None:
    program = (
        "import os; os.umask(0); from provider_packaging.keys import *; from pathlib import Path; generate(Kind.ACCOUNT, 'a', Path('keys'))"
    )
    command = ["strace", "-f", "-e", "trace=open,openat,creat,mkdir,mkdirat,chmod,fchmod,fchmodat", sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    calls = [line for line in done.stderr.splitlines() if "O_CREAT" in line or "mkdir" in line or "chmod" in line]
    made = [line for line in calls if "keys" in line and "__pycache__" not in line]
    assert len(made) == 2 and "0700" in made[0] and "O_EXCL" in made[1] and "0600" in made[1], made


def test_a_key_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    pair, path = generate(Kind.SERVICE, "greeter", tmp_path)
    with pytest.raises(AlreadyExists, match="exists, and is left as it is"):
        generate(Kind.SERVICE, "greeter", tmp_path)
    with pytest.raises(AlreadyExists):
        save_key(ISSUER, path)
    assert read_key(path).public == pair.public and list(tmp_path.iterdir()) == [path]


def test_builds_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    found: list[str] = []
    start = threading.Barrier(8)

    def build() -> None:
        start.wait()
        found.append(find_key(Kind.ACCOUNT, "tester", folder=tmp_path).public)

    threads = [threading.Thread(target=build) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_a_key_is_a_file_that_is_given_or_a_seed_or_the_file_of_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = put(tmp_path / "ci" / "any name", ISSUER.seed)
    assert find_key(Kind.ACCOUNT, "tester", value=str(path)).public == ISSUER.public
    assert find_key(Kind.ACCOUNT, "tester", value=ISSUER.seed).public == ISSUER.public
    put(tmp_path / "keys" / "tester_account.nk", ISSUER.seed)
    assert find_key(Kind.ACCOUNT, "tester", folder=tmp_path / "keys").public == ISSUER.public
    assert caplog.messages == []


def test_a_key_of_the_second_folder_is_found_and_a_new_one_goes_into_the_first(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    put(tmp_path / "data" / "wash" / "keys" / "tester_account.nk", ISSUER.seed)
    assert find_key(Kind.ACCOUNT, "tester").public == ISSUER.public
    made = find_key(Kind.SERVICE, "greeter")
    assert made.prefix is Prefix.PROVIDER
    assert read_key(home / ".wash" / "keys" / "greeter_service.nk").public == made.public
    assert caplog.messages == [f"made the key {home / '.wash' / 'keys' / 'greeter_service.nk'}: {made.public}"]
    assert find_key(Kind.SERVICE, "greeter", generate_missing=False).public == made.public


def test_a_missing_key_is_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(
        NotFound, match=r"no key greeter_service.nk in .*keys: make one with `provider package keys generate service greeter`"
    ):
        find_key(Kind.SERVICE, "greeter", folder=tmp_path / "keys", generate_missing=False)
    assert list(tmp_path.iterdir()) == []


def test_a_line_feed_at_the_end_and_a_mode_that_is_too_wide_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = put(tmp_path / "k.nk", f"{ISSUER.seed}\n", 0o644)
    assert read_key(path).public == ISSUER.public
    assert caplog.messages == [
        f"{path} ends with a line feed, which wash does not take: a key's file holds 58 characters",
        f"{path} may be read by others: chmod 600 {path}",
    ]


def test_no_refusal_shows_what_may_be_a_seed(tmp_path: Path) -> None:
    slip = ISSUER.seed[:-1] + "A"
    for value in (slip, ISSUER.seed.lower(), ISSUER.seed * 2, f" {ISSUER.seed}"):
        with pytest.raises(InvalidArgument) as refused:
            find_key(Kind.ACCOUNT, "tester", value=value)
        assert refused.value.message == "the key that was given is neither a file nor a seed"
    with pytest.raises(InvalidArgument) as refused:
        read_key(put(tmp_path / "k.nk", slip))
    assert slip not in refused.value.message and "k.nk: not a seed" in refused.value.message
    with pytest.raises(InvalidArgument, match=r"'none/k\.nk' that was given is neither"):
        find_key(Kind.ACCOUNT, "tester", value="none/k.nk")
    with pytest.raises(InvalidArgument) as refused:
        find_key(Kind.ACCOUNT, "tester", value=SUBJECT.seed)
    assert refused.value.message == f"{SUBJECT.public} is the key of a service: that of an account is needed"
    for data in (b"", b"\xff" * 58, b"x" * 100_000):
        (tmp_path / "k.nk").write_bytes(data)
        with pytest.raises(InvalidArgument, match="not a seed in nkeys form"):
            read_key(tmp_path / "k.nk")
    with pytest.raises(Unavailable, match="cannot be read"):
        read_key(tmp_path)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\nb", "a\\b"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match="is no name for a key"):
        generate(Kind.ACCOUNT, name, tmp_path / "keys")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("word", "letter", "file"),
    [
        ("account", "A", "x_account.nk"),
        ("service", "V", "x_service.nk"),
        ("provider", "V", "x_service.nk"),
        ("module", "M", "x_module.nk"),
        ("component", "M", "x_module.nk"),
        ("actor", "M", "x_module.nk"),
        ("cluster", "C", "x_cluster.nk"),
        ("server", "N", "x_server.nk"),
        ("host", "N", "x_server.nk"),
        ("operator", "O", "x_operator.nk"),
        ("USER", "U", "x_user.nk"),
    ],
)
def test_the_verbs_take_every_kind_by_the_words_of_wash(tmp_path: Path, word: str, letter: str, file: str) -> None:
    made = keys("generate", word, "x", "-d", tmp_path)
    assert made.exit_code == 0, made.output
    public = made.stdout.strip()
    assert public[0] == letter and len(public) == 56 and decode_public(public)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert read_key(tmp_path / file).public == public


def test_the_verbs_print_a_seed_only_where_it_is_asked_for(tmp_path: Path) -> None:
    made = json.loads(keys("generate", "account", "-d", tmp_path, "--json").stdout)
    path = tmp_path / "tester_account.nk"
    assert made == {"public_key": read_key(path).public, "file": str(path)}
    seed = path.read_text()
    for words in (
        ["get", "tester"],
        ["get", "tester", "--json"],
        ["public", made["public_key"]],
        ["find", "tester", "--json"],
        ["list"],
        ["list", "--json"],
    ):
        result = keys(*words, "-d", tmp_path)
        assert (result.exit_code == 0 and made["file"] in result.output) or made["public_key"] in result.output
        assert seed not in result.output
    assert keys("get", "tester_account", "--seed", "-d", tmp_path).stdout.splitlines() == [made["public_key"], seed]
    assert json.loads(keys("get", "tester_account.nk", "--seed", "--json", "-d", tmp_path).stdout) == {**made, "seed": seed}
    assert json.loads(keys("generate", "service", "x", "--seed", "--json", "-d", tmp_path).stdout)["seed"].startswith("SV")
    assert seed not in repr(list(stored_keys(tmp_path)))


def test_keys_are_listed_and_found_by_name_and_by_public_key(tmp_path: Path) -> None:
    put(tmp_path / "tester_account.nk", ISSUER.seed)
    put(tmp_path / "tester_service.nk", SUBJECT.seed)
    put(tmp_path / "broken_account.nk", "nothing")
    put(tmp_path / "README", "no key")
    (tmp_path / "folder.nk").mkdir()
    listed = keys("list", "-d", tmp_path).stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["broken_account", "folder", "tester_account", "tester_service"]
    assert ISSUER.public in listed and "holds no key" in listed
    assert json.loads(keys("list", "-d", tmp_path, "--json").stdout)["keys"] == [
        "broken_account",
        "folder",
        "tester_account",
        "tester_service",
    ]
    assert keys("find", "tester", "-d", tmp_path).stdout.splitlines() == [
        str(tmp_path / f"tester_{kind}.nk") for kind in ("account", "service")
    ]
    assert keys("find", SUBJECT.public, "-d", tmp_path).stdout.strip() == str(tmp_path / "tester_service.nk")
    assert [key.path.name for key in lookup("tester_account.nk", tmp_path)] == ["tester_account.nk"]
    assert keys("get", "tester", "-d", tmp_path).exit_code == 2
    assert "holds no key" in refusal("get", "broken", "-d", tmp_path)
    assert "no key is called nobody" in refusal("find", "nobody", "-d", tmp_path)
    assert keys("list", "-d", tmp_path / "none").stdout == f"no keys in {tmp_path / 'none'}\n"
    assert "no kind of key is called 'admin'" in refusal("generate", "admin", "-d", tmp_path)
    assert "left as it is" in refusal("generate", "account", "-d", tmp_path)


def test_the_key_of_the_fields_example_is_read_as_the_field_does() -> None:
    seed = "SAAPN4W3EG6KCJGUQTKTJ5GSB5NHK5CHAJL4DBGFUM3HHROI4XUEP4OBK4"
    assert find_key(Kind.ACCOUNT, "x", value=seed).public == "ACODERUVFFAWZQDSS6SBIACUA5O6SXF7HJ3YTYXBALHZP3P7R4BUO4J2"
    assert KeyPair.from_seed("SVACAIJCEMSCKJRHFAUSUKZMFUXC6MBRGIZTINJWG44DSOR3HQ6T4PY6YI").public == SUBJECT.public
