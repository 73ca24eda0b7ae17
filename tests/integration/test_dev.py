"""The `provider dev` command as a person uses it: real processes, real HTTP, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provider_sdk.cli.checks import ask
from tests.servers.ports import free_port
from tests.waiting import alive

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = [sys.executable, "-m", "provider_sdk.cli.main", "dev"]
GONE = FileNotFoundError, ProcessLookupError
"""What is read of a process that was there for a moment."""


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(*GONE):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(*GONE):
                for child in map(int, (task / "children").read_text().split()):
                    found |= {child} | descendants(child)
    return found


def descendant(pid: int, word: bytes) -> int:
    """The process below `pid` whose command line has the word."""
    for child in descendants(pid):
        with contextlib.suppress(*GONE):
            if word in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    raise AssertionError(f"there is no process with {word!r} in its command line")


class Terminal:
    """A person's folder and what is typed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def type(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=150, check=False)

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        output = self.folder / "output.txt"
        with (
            output.open("w") as file,
            subprocess.Popen([*COMMAND, *arguments], cwd=self.folder, stdout=file, stderr=file, text=True) as process,
        ):
            try:
                until(lambda: process.poll() is not None or "listening on" in output.read_text())
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
                print(output.read_text())

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def get(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        return ask(f"http://127.0.0.1:{self.port}{path}", body)

    def example(self, name: str, manifest: str = "wadm.yaml") -> Path:
        """A copy of an example whose HTTP port is free."""
        shutil.copytree(EXAMPLES / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        path = self.folder / name / manifest
        path.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{self.port}", path.read_text()))
        return path


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.mark.parametrize("manner", ["rust", "otp"])
def test_up_serves_a_manifest_and_shows_each_request(terminal: Terminal, manner: str) -> None:
    with terminal.running("up", str(terminal.example("hello")), "--demo", "--manner", manner):
        status, text = terminal.get("/random?min=3&max=3")
        assert (status, text.strip()) == (200, "3")
        until(lambda: "NumberGen.RandomInRange {min: 3, max: 3} → 3" in terminal.output())
        assert "GET /random?min=3&max=3" in terminal.output()
        assert f"listening on http://127.0.0.1:{terminal.port}/   ← open it in a browser" in terminal.output()
        assert f"curl http://127.0.0.1:{terminal.port}/" in terminal.output()


def test_run_needs_no_manifest_and_manifest_writes_what_it_did(terminal: Terminal) -> None:
    actor = str(EXAMPLES / "hello" / "hello.wasm")
    with terminal.running("run", actor, "--port", str(terminal.port)):
        assert terminal.get("/guid")[0] == 200
        assert "lattice.json" in {path.name for path in (terminal.folder / ".provider").iterdir()}
    written = terminal.type("manifest", actor, "-o", "wadm.yaml", "--port", str(terminal.port))
    assert written.returncode == 0
    assert f"file://{actor}" in (terminal.folder / "wadm.yaml").read_text()
    with terminal.running("up", "wadm.yaml"):
        assert terminal.get("/guid")[0] == 200


def test_a_contract_that_nobody_serves_is_left_out_with_a_warning(terminal: Terminal) -> None:
    actor = str(shutil.copy(EXAMPLES / "hello" / "hello.wasm", terminal.folder))
    contracts = ("wasmcloud:httpserver", "acme:nothing", "wasmcloud:numbergen")
    assert terminal.type("sign", actor, *(word for contract in contracts for word in ("--cap", contract))).returncode == 0
    written = terminal.type("manifest", actor)
    assert (written.returncode, written.stderr.count("\n"), "acme:nothing" in written.stdout) == (0, 1, False)
    assert "no installed provider serves acme:nothing" in written.stderr
    with terminal.running("run", actor, "--port", str(terminal.port)):
        assert terminal.get("/guid")[0] == 200
        assert terminal.output().count("no installed provider serves acme:nothing") == 1


def test_a_page_is_told_of_by_its_kind_and_size(terminal: Terminal) -> None:
    with terminal.running("up", str(terminal.example("hello"))):
        assert terminal.get("/style.css")[0] == 200
        until(lambda: re.search(r"GET /style\.css  \(httpserver → Hello\) → 200 text/css, \d+\.\d kB", terminal.output()))


def test_check_asks_the_hello_example_and_ends(terminal: Terminal) -> None:
    done = terminal.type("up", str(terminal.example("hello")), "--check")
    assert done.returncode == 0, done.stdout
    assert "ok   GET / as a browser does → 200 text/html with the number " in done.stdout
    assert done.stdout.endswith(" passed, 0 failed\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_it_leaves_no_process_and_no_folder(terminal: Terminal, number: signal.Signals) -> None:
    with terminal.running("up", str(terminal.example("hello"))) as process:
        family = descendants(process.pid)
        places = set()
        for pid in family:
            with contextlib.suppress(*GONE):
                places.add(Path(f"/proc/{pid}/cwd").readlink())
        folders = {place for place in places if place.name.startswith("provider-guard-")}
        assert len(family) >= 4
        assert any(folder.is_dir() for folder in folders)
        process.send_signal(number)
        until(lambda: not any(alive(pid) for pid in family | {process.pid}))
        until(lambda: not any(folder.exists() for folder in folders))
    assert terminal.type("status").returncode == 1


def test_a_port_in_use_is_one_line_and_nothing_is_started(terminal: Terminal) -> None:
    path = terminal.example("hello")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", terminal.port))
        taken.listen()
        done = terminal.type("up", str(path))
    assert done.returncode == 1
    assert re.fullmatch(rf"provider: .*wadm.yaml:\d+: 127\.0\.0\.1:{terminal.port} cannot be used .*\n", done.stderr)
    assert "started" not in done.stdout


def test_the_verbs_work_from_another_terminal(terminal: Terminal) -> None:
    path = terminal.example("greeter")
    started = terminal.type("up", "--detach", str(path))
    assert started.stdout.strip() == f"http://127.0.0.1:{terminal.port}/"
    try:
        assert terminal.get("/Ada") == (200, "Good day, Ada!\n")
        found = json.loads(terminal.type("status", "--json").stdout)
        assert {item["name"]: item["healthy"] for item in found["providers"]} == {"httpserver": True, "greeter": True}
        assert terminal.type("call", "greeter", "Greeter.Greet", '"Bob"').stdout.strip() == '"Hello, Bob!"'
        assert terminal.type("link", "put", "greeter-actor", "greeter", "greeting=Moin").returncode == 0
        until(lambda: terminal.get("/Ada") == (200, "Moin, Ada!\n"))
        assert terminal.type("link", "del", "greeter-actor", "greeter").returncode == 0
        until(lambda: terminal.get("/Ada")[0] != 200)
        assert "greeter |" in terminal.type("logs", "greeter").stdout
        again = terminal.type("up", str(path))
        assert (again.returncode, again.stderr.count("\n")) == (1, 1)
        assert "already" in again.stderr
    finally:
        assert terminal.type("down").returncode == 0
    assert terminal.type("down").returncode == 1


def test_a_changed_manifest_and_a_changed_provider_restart_just_what_they_concern(terminal: Terminal) -> None:
    path = terminal.example("greeter")
    with terminal.running("up", str(path)) as process:
        http = descendant(process.pid, b"providers.httpserver")
        path.write_text(path.read_text().replace("Good day", "Moin"))
        until(lambda: terminal.get("/Ada") == (200, "Moin, Ada!\n"))
        source = path.with_name("greeter.py")
        source.write_text(source.read_text().replace("{name}!", "{name}?"))
        until(lambda: terminal.get("/Ada") == (200, "Moin, Ada?\n"))
        until(lambda: "provider greeter restarted" in terminal.output())
        path.write_text(path.read_text().replace("kind: Application", "kind: Nonsense"))
        until(lambda: "not applied" in terminal.output())
        assert terminal.get("/Ada") == (200, "Moin, Ada?\n")
        assert alive(http)


def test_a_provider_that_crashes_is_started_again(terminal: Terminal) -> None:
    with terminal.running("up", str(terminal.example("greeter"))) as process:
        greeter = descendant(process.pid, b"greeter.py")
        os.kill(greeter, signal.SIGKILL)
        until(lambda: terminal.get("/Ada") == (200, "Good day, Ada!\n"))


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("up", "nothing.yaml"), 1, "nothing.yaml does not exist"),
        (("run", "nothing.wasm"), 1, "nothing.wasm does not exist"),
        (("run", "plain.wasm"), 1, "carries no claims"),
        (("run", "text.wasm"), 2, "not a core WebAssembly module"),
        (("status",), 1, "no lattice runs in"),
        (("call", "a", "b", "{"), 2, "not JSON"),
        (("call", "a", "B.C", "--nats-url", "127.0.0.1:9"), 2, "CLUSTER_SEED"),
        (("logs",), 1, "does not exist"),
    ],
)
def test_a_mistake_is_one_line(terminal: Terminal, arguments: tuple[str, ...], code: int, complaint: str) -> None:
    (terminal.folder / "plain.wasm").write_bytes(b"\0asm\1\0\0\0")
    (terminal.folder / "text.wasm").write_text("hello")
    done = terminal.type(*arguments)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert done.stderr.startswith("provider: ")
    assert complaint in done.stderr


def test_an_actor_of_an_unknown_contract_is_one_line_that_names_it(terminal: Terminal) -> None:
    (terminal.folder / "plain.wasm").write_bytes(b"\0asm\1\0\0\0")
    assert terminal.type("sign", "plain.wasm", "--cap", "acme:nothing").returncode == 0
    done = terminal.type("run", "plain.wasm")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "acme:nothing" in done.stderr


def test_wrong_usage_exits_with_2(terminal: Terminal) -> None:
    assert terminal.type("frobnicate").returncode == 2
