"""`provider kv` as a person types it: a store is looked into, moved and compared; a mistake is one line and changes nothing."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from provider_sdk import Secret
from providers.keyvalue.backend import Entry, Kind
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.dump import DumpWriter, read_dump
from providers.keyvalue.stores import one_store
from providers.keyvalue.transfer import Existing, import_entries
from tests.integration.stopping import stop_when

COMMAND = [sys.executable, "-m", "provider_sdk.cli.main", "kv"]
LATER = float(int(time.time()) + 100_000)
SAMPLE = (
    Entry(b"text", Kind.TEXT, ("schön\n".encode(),)),
    Entry(b"bytes", Kind.TEXT, (bytes(range(256)),)),
    Entry(b"none", Kind.TEXT, (b"",)),
    Entry(b"timed", Kind.TEXT, (b"42",), LATER),
    Entry(b"\xff\0key", Kind.LIST, (b"b", b"a", b"\xff", b"a")),
    Entry(b"members", Kind.SET, (b"x", b"y", b"\xfe"), LATER + 0.5),
)
ACTOR = "M" + "A" * 55


def dump(entries: Iterable[Entry]) -> bytes:
    lines: list[bytes] = []
    writer = DumpWriter(lines.append)
    for entry in entries:
        writer.add(entry)
    writer.finish()
    return b"".join(lines)


def entries_in(data: bytes) -> list[Entry]:
    found = read_dump(io.BytesIO(data), "the export")
    return sorted(
        (Entry(e.key, e.kind, tuple(sorted(e.items)) if e.kind is Kind.SET else e.items, e.expires) for e in found), key=lambda e: e.key
    )


class Terminal:
    """A person's folder with two stores, and what is typed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.here = f"sqlite://{folder}/here.db"
        self.there = f"sqlite://{folder}/there.db"

    def type(self, *words: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        env = {**os.environ, **(environment or {})}
        return subprocess.run([*COMMAND, *words], cwd=self.folder, input=stdin, capture_output=True, timeout=60, check=False, env=env)

    def done(self, *words: str, stdin: bytes = b"") -> str:
        done = self.type(*words, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, b""), done
        return done.stdout.decode()

    def fill(self, store: str, entries: Iterable[Entry] = SAMPLE, namespace: str = "") -> None:
        """Put entries there without the verbs: it is quicker."""
        asyncio.run(self._fill(store, entries, namespace))

    async def _fill(self, store: str, entries: Iterable[Entry], namespace: str) -> None:
        async with one_store(KeyValueConfig(url=Secret(store)), self.folder) as opened:
            await import_entries(opened.namespace(namespace), entries, Existing.REFUSE, lambda count: None)

    def refused(self, code: int, *words: str, stdin: bytes = b"") -> str:
        done = self.type(*words, stdin=stdin)
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (code, b"", 1), done
        assert done.stderr.startswith(b"provider: ")
        return done.stderr.decode()


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_a_store_is_moved_in_three_commands(terminal: Terminal) -> None:
    terminal.fill(terminal.here)
    assert terminal.done("export", terminal.here, "all.jsonl") == "6 entries exported\n"
    assert terminal.done("import", terminal.there, "all.jsonl") == "6 entries imported\n"
    assert terminal.done("compare", terminal.here, terminal.there) == "6 entries are equal\n"
    assert entries_in((terminal.folder / "all.jsonl").read_bytes()) == entries_in(dump(SAMPLE))


def test_a_store_is_moved_through_a_pipe(terminal: Terminal) -> None:
    terminal.fill(terminal.here)
    exported = terminal.type("export", terminal.here)
    assert (exported.returncode, exported.stderr) == (0, b"6 entries exported\n")
    assert json.loads(terminal.done("import", terminal.there, "--json", stdin=exported.stdout)) == {"written": 6, "kept": 0, "expired": 0}
    assert json.loads(terminal.done("compare", "--json", terminal.here, terminal.there))["same"] is True


def test_statistics_are_words_or_json(terminal: Terminal) -> None:
    terminal.fill(terminal.here)
    assert [line.rsplit(maxsplit=1) for line in terminal.done("stats", terminal.here).splitlines()][:4] == [
        ["text", "4"],
        ["lists", "1"],
        ["sets", "1"],
        ["of them expire", "2"],
    ]
    found = json.loads(terminal.done("stats", "--json", terminal.here))
    assert {name: found[name] for name in ("texts", "lists", "sets", "expiring")} == {"texts": 4, "lists": 1, "sets": 1, "expiring": 2}
    assert found["size"] >= sum(len(entry.key) + sum(map(len, entry.items)) for entry in SAMPLE)


def test_differences_are_told_and_exit_with_1(terminal: Terminal) -> None:
    terminal.fill(terminal.here)
    terminal.fill(terminal.there, [*SAMPLE[1:], Entry(b"more", Kind.TEXT, (b"",)), Entry(b"text", Kind.LIST, (b"1",))])
    found = terminal.type("compare", terminal.here, terminal.there)
    assert (found.returncode, found.stdout.decode().splitlines()) == (
        1,
        [
            "'more' is only in the second",
            "'text' holds text in the first and a list in the second",
            "5 entries are equal, 1 only in the second, 1 different",
        ],
    )
    counted = json.loads(terminal.type("compare", terminal.here, terminal.there, "--show", "0", "--json").stdout)
    assert counted == {"same": False, "equal": 5, "only_first": 0, "only_second": 1, "different": 1, "differences": []}


def test_namespaces_and_actors_are_looked_at_each_for_itself(terminal: Terminal) -> None:
    terminal.fill(terminal.here, SAMPLE[:1], "a")
    terminal.done("import", terminal.here, "--namespace", "a", "--actor", ACTOR, stdin=dump(SAMPLE[:2]))
    counts = [
        json.loads(terminal.done("stats", terminal.here, "--json", *words))["texts"]
        for words in ((), ("--namespace", "a"), ("--namespace", "b"), ("--namespace", "a", "--actor", ACTOR), ("--actor", ACTOR))
    ]
    assert counts == [0, 1, 0, 2, 0]
    found = terminal.type("compare", terminal.here, terminal.here, "--namespace", "a", "--other-namespace", "b")
    assert (found.returncode, found.stdout) == (1, b"'text' is only in the first\n0 entries are equal, 1 only in the first\n")
    assert terminal.type("compare", terminal.here, terminal.here, "--namespace", "a", "--actor", ACTOR).returncode == 0


def test_buckets_of_components_are_namespaces_below_the_one_of_the_link(terminal: Terminal) -> None:
    terminal.fill(terminal.here, SAMPLE[:1], "a//photos")
    counts = [
        json.loads(terminal.done("stats", terminal.here, "--json", "--namespace", "a", *words))["texts"]
        for words in (("--bucket", "photos"), ("--bucket", "default"), (), ("--actor", ACTOR, "--bucket", "photos"))
    ]
    assert counts == [1, 0, 0, 0]
    assert terminal.type("compare", terminal.here, terminal.here, "--namespace", "a", "--bucket", "photos").returncode == 0
    assert terminal.type("compare", terminal.here, terminal.here, "--bucket", "photos", "--other-bucket", "x").returncode == 0
    assert terminal.type("compare", terminal.here, terminal.here, "--namespace=a", "--bucket=photos", "--other-bucket=x").returncode == 1


@pytest.mark.parametrize(("option", "value"), [("--replace", b"new"), ("--keep", b"old")])
def test_an_import_into_what_is_not_empty_wants_a_word(terminal: Terminal, option: str, value: bytes) -> None:
    terminal.fill(terminal.here, [Entry(b"a", Kind.TEXT, (b"old",)), Entry(b"mine", Kind.SET, (b"1",))])
    more = dump([Entry(b"a", Kind.TEXT, (b"new",)), Entry(b"b", Kind.LIST, (b"1",))])
    assert "--replace" in terminal.refused(1, "import", terminal.here, stdin=more)
    terminal.done("import", terminal.here, option, stdin=more)
    assert {entry.key: entry.items[0] for entry in entries_in(terminal.type("export", terminal.here).stdout)} == {
        b"a": value,
        b"b": b"1",
        b"mine": b"1",
    }


@pytest.mark.parametrize("damage", ["cut", "altered", "foreign", "newer", "empty"])
@pytest.mark.parametrize("way", ["file", "pipe"])
def test_a_file_that_is_not_whole_is_refused_before_anything_is_imported(terminal: Terminal, damage: str, way: str) -> None:
    whole = dump(Entry(b"%d" % number, Kind.TEXT, (b"value",)) for number in range(1000))
    data = {
        "cut": whole[:-200],
        "altered": whole.replace(b'"999"', b'"998"'),
        "foreign": b"PK\3\4" + bytes(5000),
        "newer": whole.replace(b'"version":1', b'"version":2'),
        "empty": b"",
    }[damage]
    (terminal.folder / "x.jsonl").write_bytes(data)
    code = 1 if damage == "newer" else 2
    terminal.refused(code, "import", terminal.there, *(["x.jsonl"] if way == "file" else []), stdin=b"" if way == "file" else data)
    assert not (terminal.folder / "there.db").exists()


@pytest.mark.parametrize(
    ("code", "words", "complaint"),
    [
        (2, ("stats", "memory://"), "memory of one process"),
        (2, ("stats", "mysql://127.0.0.1"), "mysql"),
        (2, ("stats", "here.db"), "url"),
        (2, ("import", "sqlite:///tmp/x.db", "--keep", "--replace"), "contradict"),
        (2, ("stats", "sqlite:///tmp/x.db", "--set", "cafile"), "NAME=VALUE"),
        (2, ("stats", "sqlite:///tmp/x.db", "--set", "pasword=x"), "did you mean"),
        (2, ("stats", "sqlite:///tmp/x.db?mode=ro"), "url"),
        (1, ("stats", "sqlite:///nowhere/x.db"), "/nowhere/x.db does not exist"),
        (1, ("export", "sqlite:///nowhere/x.db", "x.jsonl"), "/nowhere/x.db does not exist"),
        (1, ("stats", "sqlite://x.db", "--password-file", "nothing"), "nothing: No such file"),
        (1, ("import", "sqlite://x.db", "nothing.jsonl"), "nothing.jsonl: No such file"),
        (1, ("export", "sqlite://mine.db", "nowhere/x.jsonl"), "No such file"),
        (1, ("stats", "sqlite://notes.txt"), "no SQLite database"),
        (1, ("stats", "redis://127.0.0.1:9"), "127.0.0.1:9"),
        (1, ("stats", "postgres://127.0.0.1:9/x"), "127.0.0.1:9"),
        (1, ("compare", "sqlite://mine.db", "sqlite://other.db"), "other.db does not exist"),
    ],
)
def test_a_mistake_is_one_line(terminal: Terminal, code: int, words: tuple[str, ...], complaint: str) -> None:
    terminal.fill(f"sqlite://{terminal.folder}/mine.db")
    (terminal.folder / "notes.txt").write_text("no database\n" * 1000)
    before = {path.name for path in terminal.folder.iterdir()}
    assert complaint in terminal.refused(code, *words)
    assert {path.name for path in terminal.folder.iterdir()} == before


def test_a_password_is_in_no_complaint(terminal: Terminal) -> None:
    (terminal.folder / "secret").write_text("hunter2\n")
    for words in (("redis://:hunter2@127.0.0.1:9",), ("redis://127.0.0.1:9", "--password-file", "secret"), ("nonsense://:hunter2@x",)):
        assert "hunter2" not in terminal.refused(2 if "nonsense" in words[0] else 1, "stats", *words)


def test_an_export_appears_under_its_name_when_it_is_whole(terminal: Terminal) -> None:
    terminal.fill(terminal.here)
    (terminal.folder / "all.jsonl").write_text("what was there before")
    (terminal.folder / "broken.db").write_bytes((terminal.folder / "here.db").read_bytes()[:5000] + b"\xff" * 5000)
    terminal.refused(1, "export", f"sqlite://{terminal.folder}/broken.db", "all.jsonl")
    assert (terminal.folder / "all.jsonl").read_text() == "what was there before"
    terminal.done("export", terminal.here, "all.jsonl")
    assert len(entries_in((terminal.folder / "all.jsonl").read_bytes())) == 6
    assert (terminal.folder / "all.jsonl").stat().st_mode & 0o777 == 0o600
    assert not [path for path in terminal.folder.iterdir() if path.name.startswith(".")]


def test_an_export_to_a_device_leaves_the_device_in_place(terminal: Terminal) -> None:
    terminal.fill(terminal.here)
    terminal.done("export", terminal.here, "/dev/null")
    assert Path("/dev/null").is_char_device()


def part_of(folder: Path) -> bool:
    """Whether something of an export is there that is not whole yet."""
    return any(path.stat().st_size for path in folder.glob(".all*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_interrupted_leaves_nothing(terminal: Terminal, number: signal.Signals) -> None:
    terminal.fill(terminal.here, (Entry(b"%d" % index, Kind.TEXT, (b"x" * 20000,)) for index in range(3000)))
    with subprocess.Popen([*COMMAND, "export", terminal.here, "all.jsonl"], cwd=terminal.folder, stderr=subprocess.PIPE) as process:
        stop_when(lambda: part_of(terminal.folder), process)
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=20)[1] == b""
    assert process.returncode == 130
    assert not list(terminal.folder.glob("*all*")) + list(terminal.folder.glob(".all*"))


def test_progress_is_shown_on_a_terminal_only(terminal: Terminal) -> None:
    terminal.fill(terminal.here)
    leader, follower = pty.openpty()
    seen: list[bytes] = []

    def look() -> None:
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:
                return
            if not part:
                return
            seen.append(part)

    watching = threading.Thread(target=look)
    watching.start()
    command = [*COMMAND, "export", terminal.here, "all.jsonl"]
    env = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, cwd=terminal.folder, stdout=subprocess.PIPE, stderr=follower, timeout=60, check=False, env=env)
    os.close(follower)
    watching.join(10)
    os.close(leader)
    assert (done.returncode, done.stdout) == (0, b"6 entries exported\n")
    assert b"exporting" in b"".join(seen)


def test_memory_does_not_grow_with_the_store(terminal: Terminal) -> None:
    def peak(count: int) -> int:
        data = dump(Entry(b"%d" % index, Kind.TEXT, (b"x" * 10000,)) for index in range(count))
        most = 0
        for store in (terminal.here, terminal.there):
            (terminal.folder / "in.jsonl").write_bytes(data)
            most = max(most, self_measured("import", store, "in.jsonl"))
        most = max(most, self_measured("export", terminal.here, "out.jsonl"), self_measured("compare", terminal.here, terminal.there))
        for path in terminal.folder.iterdir():
            path.unlink()
        return most

    def self_measured(*words: str) -> int:
        program = (
            "import resource, sys; from provider_sdk.cli.main import run\n"
            "try: run()\n"
            "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, "kv", *words], cwd=terminal.folder, capture_output=True, timeout=120, check=True
        )
        return int(done.stderr) << 10

    assert peak(5000) - peak(200) < 25 << 20


def test_the_verbs_are_there_without_what_the_lattice_needs(terminal: Terminal) -> None:
    program = (
        "import sys; sys.modules['wasmtime'] = sys.modules['yaml'] = sys.modules['provider_sdk.lattice'] = None\n"
        "from provider_sdk.cli.main import run; run()"
    )
    for words, said in ((("kv", "--help"), b"compare"), (("--help",), b"kv")):
        done = subprocess.run([sys.executable, "-c", program, *words], cwd=terminal.folder, capture_output=True, timeout=60, check=True)
        assert said in done.stdout
    assert shutil.which("provider", path=str(Path(sys.executable).parent))
