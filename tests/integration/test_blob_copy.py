"""`provider blob` as a person types it: a store is moved and compared whatever interrupts it; a mistake is one line and changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from provider_sdk import Layer
from providers.blobstore.backend import NO_DETAILS, Backend, Details
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.pairs import listing
from providers.blobstore.stores import one_store
from tests.integration.stopping import stop_when
from tests.servers import built, s3
from tests.servers.s3 import S3Server
from tests.tiers import scale

COMMAND = [sys.executable, "-m", "provider_sdk.cli.main", "blob"]
ACTOR = "M" + "A" * 55
LARGE = 12 << 20
Objects = dict[tuple[str, str], tuple[bytes, Details]]
PAGE = Details("text/html; charset=utf-8", "gzip")
SAMPLE: Objects = {
    ("photos", "a"): (b"a", NO_DETAILS),
    ("photos", "a-b"): (b"", Details("image/png")),
    ("photos", "deep/er/schön %41+ name.png"): (bytes(range(256)) * 40, Details("image/png")),
    ("photos", "large"): (os.urandom(LARGE), PAGE),
    ("notes", "one"): (b"x" * 100_000, PAGE),
}


class Terminal:
    """A person's folder, the stores in it, and what is typed there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.here = f"file://{folder}/here"
        self.there = f"file://{folder}/there"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}

    def type(self, *words: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        env = {**self.environment, **(environment or {})}
        return subprocess.run([*COMMAND, *words], cwd=self.folder, capture_output=True, timeout=120, check=False, env=env)

    def copied(self, *words: str, code: int = 0) -> dict[str, Any]:
        """The counts that are not 0."""
        done = self.type("copy", *words, "--json")
        assert (done.returncode, done.stderr) == (code, b""), done
        return {name: value for name, value in json.loads(done.stdout).items() if value and name not in ("ok", "size", "lines")}

    def refused(self, code: int, *words: str) -> str:
        done = self.type(*words)
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (code, b"", 1), done
        assert done.stderr.startswith(b"provider: ")
        return done.stderr.decode()

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*COMMAND, *words], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def fill(objects: Objects, **settings: Any) -> None:
    """Put objects into a store without the verbs."""

    async def work(backend: Backend) -> None:
        for container in sorted({container for container, _ in objects}):
            await backend.create_container(container)
        for (container, name), (data, details) in objects.items():
            await backend.put(container, name, data, details)

    asyncio.run(_with(settings, work))


def held(**settings: Any) -> Objects:
    """All that is in a store."""
    found: Objects = {}

    async def work(backend: Backend) -> None:
        for container in await backend.containers():
            async for info in listing(backend, container.name):
                reading = await backend.open(container.name, info.name, 0, None, lambda length: length)
                found[container.name, info.name] = reading.first, reading.info.details
                await reading.close()

    asyncio.run(_with(settings, work))
    return found


async def _with(settings: dict[str, Any], work: Callable[[Backend], Any]) -> None:
    config = BlobstoreConfig.load(Layer("the test", settings)).config
    async with one_store(config, Path("/nonexistent")) as store:
        await work(store.view(""))


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that judges signatures, where one is to be had."""
    with (s3.minio if built.found("minio") else s3.moto)(tmp_path_factory.mktemp("s3")) as running:
        yield running


class Place:
    """A bucket of its own for each test, as a URL with what belongs to it, and as settings."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.server, self.bucket = server, bucket
        self.url = f"s3://{bucket}/pre/fix?endpoint={server.endpoint}"
        self.settings = {**server.settings, "bucket": bucket, "prefix": "pre/fix"}
        self.source = ("--set", f"access_key_id={server.access_key}")
        self.target = ("--to-set", f"access_key_id={server.access_key}")
        self.secrets = {"PROVIDER_BLOB_SECRET_ACCESS_KEY": server.secret_key, "PROVIDER_BLOB_TO_SECRET_ACCESS_KEY": server.secret_key}


@pytest.fixture
def bucket(server: S3Server, terminal: Terminal) -> Place:
    name = f"b-{secrets.token_hex(8)}"
    server.client().create_bucket(Bucket=name)
    place = Place(server, name)
    terminal.environment.update(place.secrets)
    return place


def test_a_store_is_moved_to_s3_and_back_with_all_that_belongs_to_it(terminal: Terminal, bucket: Place) -> None:
    fill(SAMPLE, url=terminal.here)
    assert terminal.copied(terminal.here, bucket.url, *bucket.target) == {"copied": len(SAMPLE)}
    assert held(**bucket.settings) == SAMPLE
    assert terminal.copied(bucket.url, terminal.there, *bucket.source) == {"copied": len(SAMPLE)}
    assert held(url=terminal.there) == SAMPLE
    assert terminal.copied(terminal.here, terminal.there, "--check") == {"equal": len(SAMPLE)}


def test_containers_become_buckets_where_no_bucket_is_named(terminal: Terminal, server: S3Server, bucket: Place) -> None:
    fill({("photos", "a"): (b"a", NO_DETAILS), ("A Name", "b"): (b"b", NO_DETAILS)}, url=terminal.here)
    words = (terminal.here, f"s3://?endpoint={server.endpoint}", *bucket.target, "--to-set", f"alias_photos={bucket.bucket}")
    done = terminal.type("copy", *words)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"'A Name'" in done.stdout and b"cannot be the name of a bucket" in done.stdout
    assert done.stdout.endswith(b"objects: 1 copied, 1 NOT copied; 1 bytes copied\n")
    assert server.client().get_object(Bucket=bucket.bucket, Key="a")["Body"].read() == b"a"


def test_names_that_the_target_cannot_hold_are_told_and_all_others_copied(terminal: Terminal, bucket: Place) -> None:
    names = ("good", "two//slashes", "../up", "bell\a")
    fill({("c", name): (b"x", NO_DETAILS) for name in names}, url=terminal.here)
    assert terminal.copied(terminal.here, bucket.url, *bucket.target, code=1) == {"copied": 1, "failed": 3}
    told = terminal.type("copy", terminal.here, bucket.url, *bucket.target).stdout.decode()
    assert told.count("this store takes no names with") == 3
    assert told.endswith("objects: 1 equal, 3 NOT copied\n")
    assert set(held(**bucket.settings)) == {("c", "good")}


def test_only_what_is_missing_or_differs_is_copied(terminal: Terminal) -> None:
    fill(SAMPLE, url=terminal.here)
    assert terminal.copied(terminal.here, terminal.there) == {"copied": 5}
    assert terminal.copied(terminal.here, terminal.there) == {"equal": 5}
    fill(
        {("photos", "a"): (b"b", NO_DETAILS), ("notes", "one"): (b"x" * 100_000, NO_DETAILS), ("new", "x"): (b"", NO_DETAILS)},
        url=terminal.here,
    )
    (terminal.folder / "there" / "photos" / "a-b").unlink()
    assert terminal.copied(terminal.here, terminal.there, "--check", code=1) == {"equal": 2, "missing": 3, "different": 2}
    assert terminal.copied(terminal.here, terminal.there) == {"copied": 2, "replaced": 2, "equal": 2}


def test_what_was_compared_once_is_not_read_again_unless_it_has_changed(terminal: Terminal) -> None:
    fill(SAMPLE, url=terminal.here)
    terminal.copied(terminal.here, terminal.there)
    for name in ("here", "there"):
        file = terminal.folder / name / "photos" / "large"
        before = file.stat()
        file.write_bytes(os.urandom(LARGE))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert terminal.copied(terminal.here, terminal.there) == {"equal": 5}
    (terminal.folder / "here" / "notes" / "one").write_bytes(b"y" * 100_000)
    assert terminal.copied(terminal.here, terminal.there) == {"replaced": 1, "equal": 4}
    assert held(url=terminal.there)["notes", "one"][0] == b"y" * 100_000


def test_a_damaged_target_is_found_by_a_check_and_put_right_by_a_word(terminal: Terminal) -> None:
    fill(SAMPLE, url=terminal.here)
    terminal.copied(terminal.here, terminal.there)
    damaged = terminal.folder / "there" / "photos" / "large"
    before = damaged.stat()
    with damaged.open("r+b") as file:
        file.seek(LARGE // 2)
        file.write(b"damaged")
    os.utime(damaged, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = terminal.type("copy", "--check", terminal.here, terminal.there)
    assert (found.returncode, found.stdout.decode().splitlines()) == (
        1,
        ["'photos/large' has another content in the target", "objects: 4 equal, 1 different"],
    )
    assert terminal.copied(terminal.here, terminal.there, "--overwrite") == {"replaced": 1, "equal": 4}
    assert held(url=terminal.there) == SAMPLE


def test_what_somebody_else_has_put_to_the_target_since_is_left_alone(terminal: Terminal) -> None:
    fill({("c", name): (b"old", NO_DETAILS) for name in "abc"}, url=terminal.here)
    terminal.copied(terminal.here, terminal.there)
    fill({("c", "a"): (b"newer", NO_DETAILS), ("c", "own"): (b"", NO_DETAILS)}, url=terminal.there)
    done = terminal.type("copy", terminal.here, terminal.there)
    assert (done.returncode, done.stdout.decode().splitlines()) == (
        1,
        [
            "'c/a' has 5 bytes in the target and 3 in the source, is newer there, and stays as it is: --overwrite replaces it",
            "objects: 2 equal, 1 NOT copied, 1 only in the target",
        ],
    )
    assert terminal.copied(terminal.here, terminal.there, "--keep") == {"kept": 3, "extra": 1}
    assert held(url=terminal.there)["c", "a"][0] == b"newer"
    assert terminal.copied(terminal.here, terminal.there, "--overwrite") == {"replaced": 1, "equal": 2, "extra": 1}
    assert held(url=terminal.there)["c", "a"][0] == b"old"


def test_a_part_of_a_store_is_copied_by_actor_container_and_prefix(terminal: Terminal) -> None:
    for name in ("here", f"here/{ACTOR}"):
        fill(SAMPLE, url=f"file://{terminal.folder}/{name}")
    words = ("--actor", ACTOR, "--container", "photos", "--prefix", "a")
    assert terminal.copied(terminal.here, terminal.there, *words, "--to-actor", ACTOR) == {"copied": 2}
    assert set(held(url=f"{terminal.there}/{ACTOR}")) == {("photos", "a"), ("photos", "a-b")}
    shutil.rmtree(terminal.folder / "here" / "photos")
    shutil.rmtree(terminal.folder / "here" / "notes")
    warned = terminal.type("copy", terminal.here, terminal.there, "--check")
    assert b"--actor ID" in warned.stderr


def test_a_folder_for_each_component_is_told_where_containers_would_be_buckets(terminal: Terminal, server: S3Server, bucket: Place) -> None:
    component = "drop_box-drop_box"
    fill({("photos", "a"): (b"a", NO_DETAILS)}, url=f"{terminal.here}/{component}")
    target = (f"s3://?endpoint={server.endpoint}", *bucket.target, "--to-set", f"alias_photos={bucket.bucket}")
    warned = terminal.type("copy", terminal.here, *target)
    assert (warned.returncode, warned.stderr.decode()) == (
        1,
        f"provider: warning: {component} is no name of a bucket: is this a folder for each component? --actor ID copies what is in one\n",
    )
    assert terminal.copied(terminal.here, *target, "--actor", component) == {"copied": 1}
    assert server.client().get_object(Bucket=bucket.bucket, Key="a")["Body"].read() == b"a"
    assert terminal.copied(terminal.here, bucket.url, *bucket.target) == {"copied": 1}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_copy_has_nothing_half_and_the_same_command_goes_on(terminal: Terminal, number: signal.Signals) -> None:
    objects = {("c", f"{index:04}"): (os.urandom(200_000), NO_DETAILS) for index in range(200)}
    fill(objects, url=terminal.here)
    target = terminal.folder / "there" / "c"
    with terminal.start("copy", terminal.here, terminal.there, "--parallel", "2") as process:
        stop_when(lambda: target.is_dir() and len(list(target.iterdir())) > 20, process)
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=30)
    arrived = held(url=terminal.there)
    assert 20 < len(arrived) < len(objects)
    assert arrived.items() <= objects.items()
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert said.decode().endswith(" objects were copied; the same command goes on from there\n") and said.count(b"\n") == 1
        assert {path.name for path in (terminal.folder / "there").rglob("*") if path.is_file()} == {name for _, name in arrived}
    assert terminal.copied(terminal.here, terminal.there) == {"copied": len(objects) - len(arrived), "equal": len(arrived)}
    assert held(url=terminal.there) == objects


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_upload_leaves_nothing_on_the_server(terminal: Terminal, bucket: Place, number: signal.Signals) -> None:
    fill({("c", "large"): (os.urandom(4 * LARGE), PAGE)}, url=terminal.here)
    client = bucket.server.client()

    def uploads() -> list[Any]:
        # minio lists those of one key alone
        found: list[Any] = client.list_multipart_uploads(Bucket=bucket.bucket, Prefix="pre/fix/c/large").get("Uploads", [])
        return found

    words = ("copy", terminal.here, bucket.url, *bucket.target)
    with terminal.start(*words) as process:
        stop_when(uploads, process)
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=30)
    assert len(uploads()) == (number == signal.SIGKILL)
    assert held(**bucket.settings) == {}
    assert terminal.type(*words).returncode == 0
    assert uploads() == []
    assert terminal.copied(terminal.here, bucket.url, *bucket.target, "--check") == {"equal": 1}


def test_a_server_that_goes_away_ends_the_copy_with_one_line(terminal: Terminal, tmp_path: Path) -> None:
    fill({("c", f"{index:04}"): (b"x" * 10_000, NO_DETAILS) for index in range(150)}, url=terminal.here)
    with (s3.minio if built.found("minio") else s3.moto)(tmp_path / "s3") as server:
        client = server.client()
        client.create_bucket(Bucket="bucket")
        terminal.environment["PROVIDER_BLOB_TO_SECRET_ACCESS_KEY"] = server.secret_key
        words = (terminal.here, f"s3://bucket?endpoint={server.endpoint}", "--to-set", f"access_key_id={server.access_key}")
        with terminal.start("copy", *words, "--show", "2") as process:
            stop_when(lambda: client.list_objects_v2(Bucket="bucket")["KeyCount"] > 20, process)
            server.kill()
            process.send_signal(signal.SIGCONT)
            told, said = process.communicate(timeout=60)
        assert (process.returncode, told.count(b"\n")) == (1, 2)
        assert b"the same command goes on from there\n" in said
        assert said.splitlines()[-1].startswith(b"provider: S3 at ")
        server.start()
        assert terminal.copied(*words)["copied"] < 150
        assert terminal.copied(*words, "--check") == {"equal": 150}


def test_keys_come_from_variables_or_a_file_and_are_in_no_complaint(terminal: Terminal, bucket: Place) -> None:
    fill({("c", "a"): (b"a", NO_DETAILS)}, **bucket.settings)
    (terminal.folder / "secret").write_text(bucket.server.secret_key + "\n")
    nothing = dict.fromkeys(bucket.secrets, "")
    named = {"PROVIDER_BLOB_ACCESS_KEY_ID": bucket.server.access_key}
    listed = [
        terminal.type("list", bucket.url, *bucket.source, "--secret-file", "secret", environment=nothing),
        terminal.type("list", bucket.url, environment=named),
    ]
    assert [(done.returncode, done.stdout, done.stderr) for done in listed] == [(0, b"c\n", b"")] * 2
    for environment in (
        {"PROVIDER_BLOB_SECRET_ACCESS_KEY": "hunter2"},
        {"PROVIDER_BLOB_SECRET_ACCESS_KEY": "hunter2", "AWS_ENDPOINT": "http://127.0.0.1:9"},
    ):
        done = terminal.type("list", bucket.url, *bucket.source, environment=environment)
        assert (done.returncode, done.stderr.count(b"\n")) == (
            1 if built.found("minio") or "AWS_ENDPOINT" in environment else 0,
            done.returncode,
        )
        assert b"hunter2" not in done.stderr + done.stdout


def test_a_store_is_listed_and_counted(terminal: Terminal) -> None:
    fill(SAMPLE, url=terminal.here)
    assert terminal.type("list", terminal.here).stdout == b"notes\nphotos\n"
    lines = terminal.type("list", terminal.here, "photos", "--prefix", "a").stdout.decode().splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [("1", "a"), ("0", "a-b")]
    (found,) = terminal.type("list", terminal.here, "notes", "--json").stdout.splitlines()
    assert json.loads(found).items() >= {"name": "one", "size": 100_000}.items()
    counted = json.loads(terminal.type("stats", terminal.here, "--json").stdout)
    assert counted["containers"]["notes"] == {"objects": 1, "bytes": 100_000}
    assert counted["objects"] == len(SAMPLE)


@pytest.mark.parametrize(
    ("code", "words", "complaint"),
    [
        (2, ("copy", "memory://", "file:///tmp/x"), "memory of one process"),
        (2, ("copy", "/tmp/x", "file:///tmp/y"), "has to begin with"),
        (2, ("copy", "file://{}", "file://{}"), "are one"),
        (2, ("copy", "file://{}", "file://{}/below"), "lies in the other"),
        (2, ("copy", "file://{}", "file:///tmp/y", "--keep", "--overwrite"), "contradict"),
        (2, ("copy", "file://{}", "file:///tmp/y", "--check", "--no-verify"), "contradict"),
        (2, ("copy", "file://{}", "s3://bucket", "--to-set", "endpoint"), "NAME=VALUE"),
        (2, ("copy", "file://{}", "s3://bucket", "--to-set", "regoin=x"), "did you mean"),
        (2, ("copy", "file://{}", "s3://", "--to-actor", ACTOR), "per_actor"),
        (2, ("copy", "file://{}?per_actor=yes", "s3://bucket"), "--actor"),
        (1, ("copy", "file:///nowhere/x", "file:///tmp/y"), "/nowhere/x does not exist"),
        (1, ("copy", "file://{}", "file:///tmp/y", "--actor", ACTOR), "does not exist"),
        (1, ("copy", "file://{}", "file:///tmp/y", "--container", "nothing"), "no container 'nothing'"),
        (1, ("copy", "file://{}", "s3://bucket", "--to-secret-file", "nothing"), "nothing: No such file"),
        (1, ("copy", "file://{}", "s3://bucket?endpoint=http://127.0.0.1:9&max_attempts=1"), "127.0.0.1:9"),
        (1, ("copy", "file://{}", "file:///tmp/y", "--journal", "/dev/null/x"), "--journal"),
        (1, ("list", "file://{}", "nothing"), "no container 'nothing'"),
    ],
)
def test_a_mistake_is_one_line(terminal: Terminal, code: int, words: tuple[str, ...], complaint: str) -> None:
    folder = terminal.folder / "here" / "c"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(b"a")
    terminal.environment |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert complaint in terminal.refused(code, *(word.replace("{}", str(folder.parent)) for word in words))


def test_progress_is_shown_on_a_terminal_only(terminal: Terminal) -> None:
    fill(SAMPLE, url=terminal.here)
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
    command = [*COMMAND, "copy", terminal.here, terminal.there]
    env = {**terminal.environment, "TERM": "xterm"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, timeout=60, check=False, env=env)
    os.close(follower)
    watching.join(10)
    os.close(leader)
    assert (done.returncode, done.stdout[:18]) == (0, b"objects: 5 copied;")
    assert b"copying" in b"".join(seen) and b"MB" in b"".join(seen)


def test_memory_does_not_grow_with_the_objects(terminal: Terminal, bucket: Place) -> None:
    program = (
        "import resource, sys; from provider_sdk.cli.main import run\n"
        "try: run()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )

    def peak(size: int) -> int:
        fill({("c", str(size)): (bytes(size), NO_DETAILS)}, url=terminal.here)
        command = [sys.executable, "-c", program, "blob", "copy", terminal.here, bucket.url, *bucket.target]
        return int(subprocess.run(command, env=terminal.environment, capture_output=True, timeout=120, check=True).stderr) << 10

    small = peak(1000)
    assert peak(scale(test=100, ci=150, soak=5000) << 20) - small < 64 << 20


def test_the_verbs_are_there_without_what_the_lattice_needs(terminal: Terminal) -> None:
    program = (
        "import sys; sys.modules['wasmtime'] = sys.modules['yaml'] = sys.modules['provider_sdk.lattice'] = None\n"
        "from provider_sdk.cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", program, "blob", "--help"], capture_output=True, timeout=60, check=True)
    assert b"stats" in done.stdout
