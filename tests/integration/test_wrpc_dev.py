"""`provider dev` with manifests of 1.x, as a person uses it: real processes, real HTTP, components in Python."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.test_dev import COMMAND, EXAMPLES, Terminal, until

LINK = "acme:greeter/greeter"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@contextmanager
def detached(terminal: Terminal, path: Path, *arguments: str) -> Iterator[subprocess.CompletedProcess[str]]:
    started = terminal.type("up", "--detach", str(path), *arguments)
    assert started.returncode == 0, started.stderr
    try:
        yield started
    finally:
        assert terminal.type("down").returncode == 0


def asked(terminal: Terminal, *arguments: str) -> object:
    done = terminal.type("call", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_hello_example_counts_its_visitors_and_shows_each_call(terminal: Terminal) -> None:
    with terminal.running("up", str(terminal.example("hello-1x"))):
        assert [terminal.get("/")[1] for _ in range(2)] == ["Hello! You are visitor 1.\n", "Hello! You are visitor 2.\n"]
        assert terminal.get("/random")[1].strip() in "123456"
        assert terminal.get("/echo", b"x" * 200_000) == (200, "x" * 200_000)
        assert terminal.get("/nowhere")[0] == 404
        assert asked(terminal, "keyvalue", "store.get", '{"bucket": "visits", "key": "/"}') == "2"
        assert asked(terminal, "keyvalue", "list_keys", '{"bucket": "visits"}') == {"keys": ["/"], "cursor": None}
        lines = terminal.output()
        assert re.search(r"GET /  \(httpserver → hello\) → 200   \d", lines)
        assert re.search(r"hello → keyvalue  atomics\.increment 'visits', '/', 1 → 2   \d", lines)


def test_the_verbs_work_from_another_terminal(terminal: Terminal) -> None:
    with detached(terminal, terminal.example("greeter", "wadm-1x.yaml")):
        found = json.loads(terminal.type("status", "--json").stdout)
        assert [(item["name"], item["id"], item["healthy"]) for item in found["providers"]] == [("greeter", "greeter-greeter", True)]
        assert [(item["name"], item["instances"]) for item in found["components"]] == [("pair", 1)]
        assert found["links"] == [{"source": "pair", "target": "greeter", "interfaces": LINK, "name": "default"}]
        assert "greeter-greeter" in terminal.type("status").stdout
        assert asked(terminal, "greeter", "greet", '"Bob"') == "Hello, Bob!"
        assert asked(terminal, "pair", "greeter.greet", '"Ada"') == "Good day, Ada! Good day, whoever is with you!"
        assert terminal.type("link", "put", "pair", "greeter", "greeting=Moin").returncode == 0
        until(lambda: str(asked(terminal, "pair", "greet", '"Ada"')).startswith("Moin, Ada!"))
        assert terminal.type("link", "del", "pair", "greeter").returncode == 0
        assert terminal.type("call", "pair", "greet", '"Ada"').returncode == 1
        assert "is not linked to greeter yet" in terminal.type("link", "put", "pair", "greeter", "greeting=Ha").stderr
        assert terminal.type("link", "put", "pair", "greeter", "greeting=Ha", "--interfaces", LINK).returncode == 0
        until(lambda: str(asked(terminal, "pair", "greet", '"Ada"')).startswith("Ha, Ada!"))
        assert "greeter |" in terminal.type("logs", "greeter").stdout
        refused = terminal.type("call", "greeter", "greet", "7")
        assert (refused.returncode, refused.stderr) == (2, "provider: name: expected a string, got int\n")
        wrong = terminal.type("call", "greeter", "great", '"Bob"').stderr
        assert wrong == "provider: great: there is no such operation: greeter.greet\n"


def test_a_program_calls_a_1x_lattice_as_it_does_a_0x_one(terminal: Terminal) -> None:
    with detached(terminal, terminal.example("greeter", "wadm-1x.yaml")):
        command = [sys.executable, str(EXAMPLES / "greeter" / "caller.py"), "Bob"]
        done = subprocess.run(command, cwd=terminal.folder, capture_output=True, text=True, timeout=150, check=False)
        assert (done.stdout, done.stderr) == ("Hello, Bob!\n", "")
        links = json.loads(terminal.type("status", "--json").stdout)["links"]
        assert [item["source"] for item in links] == ["pair"]


def test_a_lattice_elsewhere_is_asked_by_its_address(terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = terminal.example("greeter", "wadm-1x.yaml")
    with detached(terminal, path):
        url = json.loads((terminal.folder / ".provider" / "lattice.json").read_text())["url"]
        there = ("--nats-url", url, "--generation", "1.x")
        other = Terminal(tmp_path_factory.mktemp("elsewhere"))
        assert json.loads(other.type("status", "--json", *there).stdout)["providers"][0]["id"] == "greeter-greeter"
        unknown = other.type("call", "greeter-greeter", "greet", '"Bob"', *there)
        assert "say with --interface which module or file does" in unknown.stderr
        source = str(path.with_name("greeter.py"))
        assert asked(other, "greeter-greeter", "greet", '"Bob"', *there, "--interface", source) == "Hello, Bob!"


def test_a_changed_manifest_and_changed_sources_concern_what_they_are_about(terminal: Terminal) -> None:
    path = terminal.example("greeter", "wadm-1x.yaml")
    output = terminal.folder / ".provider" / "up.log"
    with detached(terminal, path):
        path.write_text(path.read_text().replace("Good day", "Moin"))
        until(lambda: "configuration greeter-polite changed" in output.read_text())
        until(lambda: asked(terminal, "pair", "greet", '"Ada"') == "Moin, Ada! Moin, whoever is with you!")
        pair = path.with_name("pair.py")
        pair.write_text(pair.read_text().replace("whoever is with you", "all"))
        until(lambda: "component pair restarted" in output.read_text())
        assert asked(terminal, "pair", "greet", '"Ada"') == "Moin, Ada! Moin, all!"
        pair.write_text("component = None\n")
        until(lambda: "not applied" in output.read_text())
        assert re.search(r"not applied: .*wadm-1x\.yaml:13: .*pair\.py: it has no function component\(me\)", output.read_text())
        greeter = path.with_name("greeter.py")
        pair.write_text((EXAMPLES / "greeter" / "pair.py").read_text())
        greeter.write_text(greeter.read_text().replace("{self.word}, {name}!", "{self.word} {name}?"))
        until(lambda: "provider greeter restarted" in output.read_text())
        until(lambda: asked(terminal, "greeter", "greet", '"Bob"') == "Hello Bob?")


def test_what_is_saved_while_the_lattice_comes_up_is_applied(terminal: Terminal) -> None:
    path = terminal.example("greeter", "wadm-1x.yaml")
    text = path.read_text()
    output = terminal.folder / "output"
    with output.open("w") as file, subprocess.Popen([*COMMAND, "up", str(path)], cwd=terminal.folder, stdout=file) as process:
        try:
            until(lambda: "component pair started" in output.read_text())
            path.write_text(text.replace("Good day", "Moin"))
            until(lambda: "Ctrl-C" in output.read_text())
            until(lambda: str(asked(terminal, "pair", "greet", '"Ada"')).startswith("Moin, Ada!"))
        finally:
            process.send_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("mode", "route", "where"),
    [
        ("path", '"/random"', 'default_address: "127.0.0.1:{}"'),
        ("host", "shop.example", 'default_address: "127.0.0.1:{}"'),
        ("path", '"/random", address: "127.0.0.1:1"', 'address: "127.0.0.1:{}", default_address: "127.0.0.1:2"'),
    ],
)
def test_http_is_waited_for_and_shown_where_the_provider_s_own_configuration_puts_it(
    terminal: Terminal, mode: str, route: str, where: str
) -> None:
    path = terminal.example("hello-1x")
    own = f"config: [{{name: front, properties: {{routing_mode: {mode}, {where.format(terminal.port)}}}}}]"
    image = "image: registry.example/wasmcloud/httpserver:0.1.0"
    text = path.read_text().replace(image, f"{image}\n        {own}")
    path.write_text(text.replace(f'{{address: "127.0.0.1:{terminal.port}"}}', f"{{{mode}: {route}}}"))
    with detached(terminal, path) as started:
        assert started.stdout.startswith(f"http://127.0.0.1:{terminal.port}/")
        request = urllib.request.Request(f"http://127.0.0.1:{terminal.port}/random", headers={"host": "shop.example"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.read().decode().strip() in "123456"


def test_what_keeps_a_link_from_coming_up_is_told_before_the_lattice_is_left_in_the_background(terminal: Terminal) -> None:
    path = terminal.example("hello-1x")
    path.write_text(path.read_text().replace("backend: sqlite", "backend: sqlit"))
    with detached(terminal, path) as started:
        assert started.stderr.startswith("provider keyvalue: link hello_1x-hello/wasi:keyvalue/default: failed: ")
        assert '"sqlit" is not one of "memory", "sqlite"' in started.stderr


def test_secrets_come_from_a_file_beside_the_manifest(terminal: Terminal) -> None:
    path = terminal.example("greeter", "wadm-1x.yaml")
    text = path.read_text().replace(
        "spec:\n", "spec:\n  policies:\n    - {name: vault, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: v}}\n"
    )
    secret = "secrets: [{name: greeting, properties: {policy: vault, key: words, field: hello}}]"
    path.write_text(text.replace("config:\n                - name: polite\n                  properties: {greeting: Good day}", secret))
    missing = terminal.type("up", str(path))
    assert missing.returncode == 1
    assert re.search(r"wadm-1x\.yaml:23: secret words, field hello: neither in the variable SECRET_WORDS_HELLO nor in ", missing.stderr)
    path.with_name("secrets.yaml").write_text("words: {hello: Psst}\n")
    with detached(terminal, path):
        assert str(asked(terminal, "pair", "greet", '"Ada"')).startswith("Psst, Ada!")
        assert "Psst" not in (terminal.folder / ".provider" / "lattice.json").read_text()


def test_a_webassembly_component_is_refused_with_its_line(terminal: Terminal) -> None:
    path = terminal.example("greeter", "wadm-1x.yaml")
    path.write_text(path.read_text().replace("./pair.py", "./pair.wasm"))
    done = terminal.type("up", str(path))
    assert done.returncode == 1
    assert re.search(r"wadm-1x\.yaml:13: file://\./pair\.wasm: components are Python files here", done.stderr)


def test_nothing_is_changed_when_an_image_is_missing(terminal: Terminal) -> None:
    path = terminal.example("greeter", "wadm-1x.yaml")
    text = path.read_text()
    missing = text.replace("./greeter.py", "./gone.par.gz").replace("Good day", "Moin").replace("name: pair", "name: other")
    path.write_text(missing)
    done = terminal.type("up", str(path))
    assert (done.returncode, "started" in done.stdout) == (1, False), done.stdout
    assert re.search(r"wadm-1x\.yaml:30: .*gone\.par\.gz does not exist", done.stderr)
    path.write_text(text)
    with detached(terminal, path):
        path.write_text(missing)
        output = terminal.folder / ".provider" / "up.log"
        until(lambda: "gone.par.gz does not exist" in output.read_text())
        assert asked(terminal, "pair", "greeter.greet", '"Ada"') == "Good day, Ada! Good day, whoever is with you!"


def test_a_manifest_is_read_as_the_generation_that_is_named(terminal: Terminal) -> None:
    done = terminal.type("up", str(terminal.example("hello-1x")), "--generation", "0.x")
    assert done.returncode == 2
    assert "0.x manifests link with a linkdef trait" in done.stderr


def test_run_serves_one_provider_to_a_caller_on_1x(terminal: Terminal) -> None:
    greeter = terminal.example("greeter").with_name("greeter.py")
    output = terminal.folder / "run.txt"
    words = ["run", str(greeter), "--generation", "1.x", "--link", "greeting=Hi", "--config", "greeting=Own"]
    with output.open("w") as file, subprocess.Popen([*COMMAND[:-1], *words], cwd=terminal.folder, stdout=file, stderr=file) as process:
        try:
            until(lambda: "end: Ctrl-C" in output.read_text() or process.poll() is not None)
            assert "greeter runs for acme:greeter/greeter@0.1.0" in output.read_text()
            hint = re.search(r"provider dev (call greeter \S+)", output.read_text())
            assert hint is not None
            assert asked(terminal, *hint[1].split()[1:], '"Ada"') == "Hi, Ada!"
            assert terminal.type("link", "put", "caller", "greeter", "greeting=Moin").returncode == 0
            until(lambda: asked(terminal, "greeter", "greet", '"Ada"') == "Moin, Ada!")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
