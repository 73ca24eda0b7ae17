"""`provider new`: a project that passes its own tests and checks, and names that would be in the way of others."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from provider_sdk.cli.main import run
from provider_sdk.lattice.manifests import Generation, generation_of
from provider_sdk.lattice.registry import PORT
from provider_sdk.lattice.wadm import read_manifest
from provider_sdk.lattice.wrpc.manifest_reader import read_wrpc_manifest
from provider_sdk.provider_toml import read_provider_toml

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "provider_sdk.cli.main"]


def type_new(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return typed(folder, "new", *arguments)


def type_manifest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return typed(folder, "dev", "manifest", *arguments)


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def environment(folder: Path) -> Path:
    """An environment in which the SDK is installed as a wheel is, which mypy does not see in an editable one: its interpreter."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    packages = next(folder.glob("lib/python*/site-packages"))
    import provider_sdk

    (packages / "installed.pth").write_text(f"{Path(provider_sdk.__file__).parents[1]}\n{sysconfig.get_path('purelib')}\n")
    return python


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new")
    done = type_new(folder, "tea-house", "--contract", "leaf:tea-pot", "--vendor", 'Ada "&" Söhne')
    assert (done.returncode, done.stderr) == (0, "")
    assert "cd tea-house\n" in done.stdout
    return folder / "tea-house"


@pytest.mark.timeout(900)
def test_it_passes_its_own_tests_and_checks(project: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv")
    given = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    checks = [
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        [sys.executable, "-m", "mypy", "--python-executable", str(python), "."],
        [sys.executable, "-m", "ruff", "check", "."],
        [sys.executable, "-m", "ruff", "format", "--check", "."],
    ]
    with ExitStack() as stack:
        running = []
        for command in checks:
            process = subprocess.Popen(command, cwd=project, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            running.append(stack.enter_context(process))
            stack.callback(process.kill)
        for process in running:
            output = process.communicate(timeout=600)[0]
            assert process.returncode == 0, output


def test_a_fault_in_it_is_found_by_its_own_tests(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert type_new(tmp_path, "other").returncode == 0
    source = other / "other.py"
    source.write_text(source.read_text().replace("{name}!", "{name}?"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "it_greets"],
        cwd=other,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, "1 failed" in done.stdout) == (1, True)


def test_its_files_agree_with_each_other(project: Path) -> None:
    provider = read_provider_toml(project)
    assert (provider.name, provider.contracts, provider.module) == ("tea-house", ("leaf:tea-pot",), "tea_house")
    assert (provider.vendor, provider.interfaces) == ('Ada "&" Söhne', ("leaf:tea-pot/tea-pot@0.1.0",))
    (component,) = read_manifest(project / "wadm.yaml").providers
    assert component.image == f"oci://127.0.0.1:{PORT}/{provider.name}:{provider.version}"
    assert component.contract == provider.contracts[0]
    (workload,) = read_wrpc_manifest(project / "wadm-1x.yaml").workloads
    assert (workload.name, f"oci://{workload.image}", workload.provider) == (provider.name, component.image, True)
    document = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert (document["name"], document["version"]) == (provider.name, provider.version)
    assert "class TeaHouse(Interface" in (project / "tea_house.py").read_text()
    assert yaml.safe_load((project / ".github" / "workflows" / "package.yml").read_text())["name"] == "package"
    assert ".provider/" in (project / ".gitignore").read_text().splitlines()
    texts = [path.read_text("utf-8") for path in (*project.glob("*.*"), *project.glob("tests/*.py")) if path.is_file()]
    assert len(texts) >= 6
    assert not any("$" in text for text in texts)


def test_the_component_of_its_1x_manifest_is_linked_for_what_it_serves_once_it_is_no_comment_any_more(
    project: Path, tmp_path: Path
) -> None:
    head, _, body = (project / "wadm-1x.yaml").read_text().partition("spec:")
    assert generation_of(yaml.safe_load(head + "spec:" + body)) is Generation.WRPC
    path = tmp_path / "wadm-1x.yaml"
    path.write_text(f"{head}spec:{body.replace('# - ', '- ').replace('    #   ', '      ')}")
    provider, front = read_wrpc_manifest(path).workloads
    assert (provider.name, front.name, front.provider) == ("tea-house", "front", False)
    (link,) = front.links
    assert (link.target, link.target_settings.config[0].properties) == ("tea-house", {"greeting": "Good day"})
    assert read_provider_toml(project).interfaces == tuple(f"{link.namespace}:{link.package}/{name}@0.1.0" for name in link.interfaces)


@pytest.mark.parametrize("generation", Generation)
def test_the_manifest_of_a_folder_is_the_one_that_it_was_made_with(project: Path, generation: Generation) -> None:
    done = type_manifest(project, ".", "--generation", generation)
    made = (project / ("wadm-1x.yaml" if generation is Generation.WRPC else "wadm.yaml")).read_text()
    # Its words are those that the program has for itself.
    made = made.replace("{greeting: Good day}", '{"greeting": "Hello"}').replace(" greet ", " TeaHouse.Greet ")
    assert (done.returncode, done.stdout) == (0, made)


def test_the_manifest_of_a_folder_is_of_what_it_serves_and_names_another_registry(tmp_path: Path) -> None:
    assert type_new(tmp_path, "tea").returncode == 0
    settings, source = tmp_path / "tea" / "provider.toml", tmp_path / "tea" / "tea.py"
    settings.write_text(settings.read_text().replace('contract = "acme:tea"\n', ""))
    source.write_text(source.read_text().replace('contract="acme:tea", ', ""))
    done = type_manifest(tmp_path, "tea", "--registry", "ghcr.io/acme", "-o", "wadm-1x.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    (workload,) = read_wrpc_manifest(tmp_path / "wadm-1x.yaml").workloads
    assert workload.image == "ghcr.io/acme/tea:0.1.0"
    refused = type_manifest(tmp_path, "tea", "--generation", "0.x")
    assert (refused.returncode, refused.stderr) == (1, "provider: tea: it serves nothing that hosts of 0.x could call it by\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Hello",), "'Hello' is no name for a provider"),
        (("tea--house",), "'tea--house' is no name for a provider"),
        (("7up",), "'7up' is no name for a provider"),
        (("a/b",), "'a/b' is no name for a provider"),
        (("x" * 64,), "63 at the most"),
        (("class",), "class is a word of Python's own"),
        (("match",), "match is a word of Python's own"),
        (("json",), "a module json is there already"),
        (("provider-sdk",), "a module provider_sdk is there already"),
        (("msgspec",), "a module msgspec is there already"),
        (("tests",), "a module tests is there already"),
        (("config",), "a class Config, which there is already"),
        (("exception",), "a class Exception, which there is already"),
        (("tea", "--contract", "tea"), "'tea' is no contract id"),
        (("tea", "--contract", "wasmcloud:keyvalue"), "one of the standard contracts"),
        (("tea", "--vendor", "a\nb"), "a line of printable text"),
    ],
)
def test_what_it_cannot_make_is_wrong_usage_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["provider", "new", *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    errors = capsys.readouterr().err
    assert (ended.value.code, errors.count("\n"), said in errors) == (2, 1, True), errors
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tea").mkdir()
    (tmp_path / "tea" / "mine").write_text("mine")
    done = type_new(tmp_path, "tea")
    assert (done.returncode, done.stderr) == (1, "provider: tea is there already: name another folder with --folder\n")
    assert [path.name for path in (tmp_path / "tea").iterdir()] == ["mine"]
    assert type_new(tmp_path, "tea", "--folder", "elsewhere").returncode == 0
    assert (tmp_path / "elsewhere" / "tea.py").exists()
