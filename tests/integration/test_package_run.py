"""`provider run`: a provider from its source, called and changed while it runs, and nothing left behind."""

from __future__ import annotations

import contextlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider_sdk.cli.main import run
from provider_sdk.cli.run import manifest_of
from provider_sdk.lattice.manifests import Generation
from tests.integration.test_dev import EXAMPLES, descendants, until
from tests.waiting import alive

PROVIDERS = Path(__file__).parents[2] / "providers"
COMMAND = [sys.executable, "-m", "provider_sdk.cli.main"]


class Project:
    """A provider of one's own, and what is typed in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.type("new", "tea", "--folder", ".")

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *words], cwd=self.folder, capture_output=True, text=True, timeout=240, check=False)

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        with (
            (self.folder / "output.txt").open("w") as file,
            subprocess.Popen([*COMMAND, "run", *words], cwd=self.folder, stdout=file, stderr=file) as process,
        ):
            try:
                until(lambda: process.poll() is not None or "end: Ctrl-C" in self.output())
                assert process.poll() is None, self.output()
                yield process
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def change(self, old: str, new: str) -> None:
        source = self.folder / "tea.py"
        source.write_text(source.read_text().replace(old, new))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_what_it_says_to_try_works_as_it_stands(project: Project) -> None:
    with project.running("--manner", "otp", "--link", "greeting=Moin") as process:
        commands = re.findall(r"^  (provider .*)$", project.output(), re.MULTILINE)
        call, put, status = (shlex.split(command)[1:] for command in commands)
        assert project.type(*call).stdout == '"Moin, Ada!"\n'
        assert project.type(*put).returncode == 0
        until(lambda: project.type(*call).stdout == '"Hello, Ada!"\n')
        assert "caller" in project.type(*status).stdout
        assert re.search(r"^tea: .* link up ", project.output(), re.MULTILINE)
        family = descendants(process.pid)
    assert process.returncode == 0
    until(lambda: not any(alive(pid) for pid in family))


@pytest.mark.parametrize(("generation", "interface"), [(Generation.WASMBUS, "KeyValue"), (Generation.WRPC, "Store")])
def test_it_says_to_try_what_the_host_can_call(project: Project, generation: Generation, interface: str) -> None:
    with project.running(str(PROVIDERS / "keyvalue"), "--generation", generation):
        tried = re.findall(r"^  provider dev call keyvalue (\w+)", project.output(), re.MULTILINE)
    assert set(tried) == {interface}


def test_it_restarts_with_its_source_and_bears_a_fault_in_it(project: Project) -> None:
    with project.running("--config", '{"greeting": "Good day"}'):
        call = ("dev", "call", "tea", "Tea.Greet", '"Ada"')
        assert project.type(*call).stdout == '"Good day, Ada!"\n'
        project.change("{name}!", "{name}?")
        until(lambda: "provider tea restarted" in project.output())
        assert project.type(*call).stdout == '"Good day, Ada?"\n'
        project.change("main, setting", "main, setting, nothing")
        until(lambda: "ImportError" in project.output())
        project.change(", nothing", "")
        until(lambda: project.type(*call).stdout == '"Good day, Ada?"\n')


def test_one_file_is_enough(project: Project) -> None:
    with project.running(str(EXAMPLES / "greeter" / "greeter.py"), "--link", '{"greeting": "Moin"}'):
        assert "provider dev call greeter Greeter.Greet '\"Ada\"'" in project.output()
        assert project.type("dev", "call", "greeter", "Greeter.Greet", '"Ada"').stdout == '"Moin, Ada!"\n'


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("none",), 1, "none does not exist"),
        (("tests",), 1, "tests/provider.toml does not exist"),
        ((".", "--link", "greeting"), 2, "--link: expected KEY=VALUE or a JSON object"),
        ((".", "--config", "{greeting}"), 2, "--config: not JSON"),
        (("broken.py",), 1, "broken.py: the provider does not start: SyntaxError: invalid syntax"),
        (("silent.py",), 1, "silent.py: the provider does not start: it answers --interface with something else"),
    ],
)
def test_what_cannot_run_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "broken.py").write_text("form abc import abstractmethod")
    (tmp_path / "silent.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["provider", "run", *words])
    with pytest.raises(SystemExit) as ended:
        run()
    errors = capsys.readouterr().err
    assert (ended.value.code, errors.count("\n"), said in errors) == (code, 1, True), errors


@pytest.mark.parametrize("generation", Generation)
def test_what_the_program_does_not_serve_is_told_of(project: Project, generation: Generation) -> None:
    settings = project.folder / "provider.toml"
    settings.write_text(settings.read_text().replace('"acme:tea', '"acme:coffee'))
    manifest, _ = manifest_of(project.folder, {}, {}, generation)
    said = ("acme:coffee", "acme:coffee/tea@0.1.0")
    assert manifest.warnings == tuple(f"warning: {settings}: {name}: the program does not serve that" for name in said)
