"""The example swap-blobs as its README tells it: a box is moved from a folder to S3 while it is in use, and nobody notices."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Self

import pytest

from tests.integration.test_dev import EXAMPLES, until
from tests.servers.ports import free_port

EXAMPLE = EXAMPLES / "swap-blobs"
FILES = {"note": b"a note", "empty": b"", "large file%": os.urandom(5 << 20)}
README = EXAMPLE / "README.md"
BLOCKS = 4
"""In each of the two sections of the README: start, move, once more, end."""
CONFIGURED = "configuration drop-box-store changed"
MARK = "the block has ended with"


class Reader:
    """A person who types the README's blocks, in a copy of the example that has ports and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.kept = folder / "kept"
        self.port, self.s3_port = free_port(), free_port()
        self.example = folder / "examples" / "swap-blobs"
        shutil.copytree(EXAMPLE, self.example, ignore=shutil.ignore_patterns(".provider", "box.yaml"))
        for path in self.example.glob("*.yaml"):
            path.write_text(self._moved(path.read_text()))
        self.blocks = re.findall(r"```sh\n(.*?)```", self._moved(README.read_text()), re.DOTALL)
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": programs, "XDG_STATE_HOME": str(folder / "state")}
        self._log = (folder / "log").open("w+")
        self._shell = subprocess.Popen(
            ["/bin/sh"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )

    def _moved(self, text: str) -> str:
        return text.replace("8083", str(self.port)).replace("9090", str(self.s3_port)).replace("/tmp/drop-box", str(self.kept))

    def type(self, block: str) -> str:
        """What the block prints."""
        stdin, stdout = _pipes(self._shell)
        stdin.write(f"set -e\n{block}\nset +e\necho '{MARK}' $?\n")
        stdin.flush()
        lines: list[str] = []
        for line in stdout:
            if line.startswith(MARK):
                return "".join(lines)
            lines.append(line)
        self._log.seek(0)
        raise AssertionError(f"the shell ended: {''.join(lines)}{self._log.read()}")

    def log(self) -> str:
        """What the box in the background says."""
        return (self.example / ".provider" / "up.log").read_text()

    def ask(self, method: str, name: str, body: bytes | None = None) -> tuple[bytes, str]:
        """Body and type of an answer; HTTPError for what is no success."""
        address = f"http://127.0.0.1:{self.port}/{urllib.parse.quote(name)}"
        request = urllib.request.Request(address, body, {"Content-Type": f"text/x-{len(name)}"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read(), answer.headers["content-type"]

    def close(self) -> None:
        """End the shell and what it has begun."""
        with self._shell:
            _pipes(self._shell)[0].close()
        self._log.close()


def _pipes(shell: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert shell.stdin is not None and shell.stdout is not None
    return shell.stdin, shell.stdout


class Load:
    """Somebody who reads the files again and again, and somebody who puts new ones, from the beginning of the block to its end."""

    def __init__(self, reader: Reader) -> None:
        self.put: dict[str, bytes] = {}
        self.reads = 0
        self.errors: list[str] = []
        self._reader = reader
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._going_on, args=(work,)) for work in (self._read, self._write)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _going_on(self, work: Callable[[int], None]) -> None:
        for number in itertools.count():
            if self._over.is_set():
                return
            try:
                work(number)
            except (OSError, AssertionError) as error:
                self.errors.append(f"{work.__name__} {number}: {error!r}")

    def _read(self, number: int) -> None:
        name = list(FILES)[number % len(FILES)]
        assert self._reader.ask("GET", name)[0] == FILES[name], name
        self.reads += 1

    def _write(self, number: int) -> None:
        name, body = f"new {number}", os.urandom(2_500_000)
        self._reader.ask("PUT", name, body)
        self.put[name] = body


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    try:
        yield reader
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("section", "changed", "typed"),
    [
        pytest.param(0, "a link to wasmcloud:blobstore changed", True, id="0.x"),
        pytest.param(1, CONFIGURED, False, id="1.x"),
    ],
)
def test_the_box_is_moved_to_s3_while_it_is_in_use(reader: Reader, section: int, changed: str, typed: bool) -> None:
    start, move, again, end = reader.blocks[section * BLOCKS : (section + 1) * BLOCKS]
    reader.type(start)
    try:
        for name, body in FILES.items():
            reader.ask("PUT", name, body)
        until(lambda: accepts(reader.s3_port))
        with Load(reader) as load:
            until(lambda: len(load.put) > 1)
            assert re.fullmatch(r"objects: \d+ copied; \d+ bytes copied\n", reader.type(move))
            until(lambda: changed in reader.log())
            before = len(load.put)
            until(lambda: len(load.put) > before + 3)
        assert load.errors == []
        assert load.reads > 10
        said = reader.type(again)
        assert "NOT copied" not in said and " different" not in said
        check_what_is_there(reader, {"readme": README.read_bytes()}, typed=False)
        check_what_is_there(reader, {**FILES, **load.put}, typed=typed)
        shutil.rmtree(reader.kept)
        check_what_is_there(reader, {**FILES, **load.put}, typed=typed)
        assert reader.ask("DELETE", "note")[0] == b"note: removed\n"
        assert not re.search(rb"\bnote\n", reader.ask("GET", "")[0])
        assert " restarted" not in reader.log()
        reader.kept.mkdir()
    finally:
        reader.type(end)
    assert not accepts(reader.port)


def test_the_box_of_1x_is_moved_to_another_folder_while_it_is_in_use(reader: Reader) -> None:
    start, _, _, end = reader.blocks[BLOCKS:]
    other = reader.kept.with_name("other")
    copy = f"provider blob copy file://{reader.kept} file://{other}"
    reader.type(start)
    try:
        for name, body in FILES.items():
            reader.ask("PUT", name, body)
        with Load(reader) as load:
            until(lambda: len(load.put) > 1)
            assert " copied; " in reader.type(copy)
            manifest = reader.example / "box.yaml"
            manifest.write_text(manifest.read_text().replace(f"file://{reader.kept}", f"file://{other}"))
            until(lambda: CONFIGURED in reader.log())
            before = len(load.put)
            until(lambda: len(load.put) > before + 3)
        assert load.errors == []
        assert "NOT copied" not in reader.type(copy)
        assert re.search(r"blobstore\.get-container-data ObjectId\(.*, \d+ → \(\(stream\), \(stream\)\) ", reader.log())
        shutil.rmtree(reader.kept)
        check_what_is_there(reader, {**FILES, **load.put}, typed=False)
        assert " restarted" not in reader.log()
        reader.kept.mkdir()
    finally:
        reader.type(end)


def check_what_is_there(reader: Reader, files: Mapping[str, bytes], *, typed: bool) -> None:
    """With the types that were given at the put, where the generation keeps them."""
    found = {name: reader.ask("GET", name) for name in files}
    assert {name: body for name, (body, _) in found.items()} == files
    assert not typed or {name: kind for name, (_, kind) in found.items()} == {name: f"text/x-{len(name)}" for name in files}


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
