"""`provider wit`: what it takes, where it writes, and what it says of what is wrong."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import provider_sdk.contracts
from provider_sdk import Interface
from provider_sdk.lattice.pack import standard_pack
from tests.tools.wasm_tools import meaning

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "provider_sdk.cli.main", "wit"]
GREETER = """\
package acme:greeter@0.1.0;

interface greeter {
  /// A greeting for `name`.
  greet: func(name: string) -> string;
}
"""
PROJECT = """\
name = "shout"
interfaces = ["acme:shout/shout@0.1.0"]
version = "0.1.0"
revision = 1
vendor = "Acme"
module = "shout"
"""
PROVIDER = """\
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Flag, auto

from provider_sdk import Config, Interface, Link, Provider, main


class How(Flag):
    LOUD = auto()


class Shout(Interface, wit="acme:shout/shout@0.1.0"):
    @abstractmethod
    async def shout(self, word: str, how_loud: How) -> str: ...


class Shouting(Provider[Config], serves=(Shout,)):
    @asynccontextmanager
    async def link(self, link: Link[Config]) -> AsyncIterator[None]:
        yield None


main(Shouting)
"""
GUARDED = PROVIDER.replace("main(Shouting)", 'if __name__ == "__main__":\n    main(Shouting)')


def every_interface() -> Iterator[type[Interface]]:
    """The interfaces that the SDK's contracts declare."""
    for found in pkgutil.iter_modules(provider_sdk.contracts.__path__, "provider_sdk.contracts."):
        for item in vars(importlib.import_module(found.name)).values():
            if isinstance(item, type) and issubclass(item, Interface) and item.__module__ == found.name:
                yield item


CONTRACTS = sorted({item.__module__ for item in every_interface() if item.__identity__.wit})


def wit(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    words = [str(item) for item in arguments]
    return subprocess.run([*COMMAND, *words], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


def said(*arguments: str | Path, cwd: Path = ROOT) -> str:
    done = wit(*arguments, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("what", ["greeter.py", "greeter.py:Greeter", "greeter.py:GreeterProvider"])
def test_a_file_or_a_class_of_one_is_shown_as_wit(what: str) -> None:
    assert said(f"examples/greeter/{what}") == GREETER


def test_a_module_is_found_from_the_folder_in_which_one_is() -> None:
    assert said("greeter:Greeter", cwd=ROOT / "examples" / "greeter") == GREETER


@pytest.mark.parametrize("module", CONTRACTS)
def test_every_contract_of_1_x_is_a_package_that_others_read(module: str, tmp_path: Path) -> None:
    files = [Path(line.removesuffix(" is written")) for line in said(module, "-o", tmp_path).splitlines()]
    assert files
    for file in files:
        package = file.read_text().partition(";")[0].removeprefix("package ")
        assert meaning(file, package)


def test_a_folder_of_the_pack_is_asked_what_it_serves() -> None:
    folder = standard_pack()["numbergen"].folder
    assert said(folder) == said(folder / "provider.toml") == said("provider_sdk.contracts.numbergen")


@pytest.mark.parametrize("program", [PROVIDER, GUARDED], ids=["starts when it is imported", "guarded"])
def test_a_project_with_types_of_1_x_alone_is_shown(program: str, tmp_path: Path) -> None:
    (tmp_path / "provider.toml").write_text(PROJECT)
    (tmp_path / "shout.py").write_text(program)
    done = wit(tmp_path)
    if program is GUARDED:
        assert "  flags how {\n    loud,\n  }\n\n  shout: func(word: string, how-loud: how) -> string;\n" in done.stdout
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith("\nprovider: shout: it ends when it is imported: main(…) belongs below `if __name__ == '__main__':`\n")


def test_packages_are_written_as_files_of_a_folder(tmp_path: Path) -> None:
    assert said("tests.unit.wit_interfaces", "--output", tmp_path / "new") == (
        f"{tmp_path / 'new' / 'acme-zoo.wit'} is written\n{tmp_path / 'new' / 'acme-park.wit'} is written\n"
    )
    assert meaning(tmp_path / "new" / "acme-zoo.wit", "acme:zoo@1.2.0")
    assert meaning(tmp_path / "new" / "acme-park.wit", "acme:park")


def test_versions_of_a_package_are_files_of_their_own(tmp_path: Path) -> None:
    module = (
        "from provider_sdk import Interface\nclass Old(Interface, wit='a:b/c@1.0.0'): pass\nclass New(Interface, wit='a:b/c@2.0.0'): pass\n"
    )
    (tmp_path / "both.py").write_text(module)
    said(tmp_path / "both.py", "-o", tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.wit")) == ["a-b-1.0.0.wit", "a-b-2.0.0.wit"]


def test_wit_is_shown_as_python_that_is_shown_as_wit(tmp_path: Path) -> None:
    (tmp_path / "greeter.wit").write_text(GREETER)
    assert said(tmp_path / "greeter.wit", "-o", tmp_path / "made.py") == f"{tmp_path / 'made.py'} is written\n"
    assert said(tmp_path / "made.py") == GREETER
    assert said(tmp_path / "greeter.wit") == said(tmp_path) == (tmp_path / "made.py").read_text()


def test_python_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "greeter.wit").write_text(GREETER)
    (tmp_path / "made.py").write_text("mine")
    done = wit(tmp_path / "greeter.wit", "-o", tmp_path / "made.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"provider: {tmp_path / 'made.py'} is there already, and may have been edited: remove it, or name another file\n"
    assert (tmp_path / "made.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("nothing.py", 1, "nothing.py does not exist"),
        ("nothing.wit", 1, "nothing.wit does not exist"),
        ("nothing", 2, "nothing: it cannot be imported: ModuleNotFoundError: No module named 'nothing'"),
        ("a b", 2, "a b: it is neither a module nor a .py or .wit file, nor a folder"),
        ("json", 2, "json: it declares or serves no interface with wit=, which is what an interface is called on 1.x hosts"),
        ("json:loads", 2, "json:loads: loads is neither an interface nor a provider that serves one"),
        ("provider_sdk:Interface", 2, "provider_sdk:Interface: Interface is neither an interface nor a provider that serves one"),
        ("wrong.wit", 2, "wrong.wit:2:16: expected `interface`, `world`, `use` or `package`, found `record`"),
        (".", 1, "provider.toml does not exist: a provider's folder holds a provider.toml"),
    ],
)
def test_what_is_wrong_is_one_line(what: str, code: int, message: str, tmp_path: Path) -> None:
    if what == "wrong.wit":
        (tmp_path / what).write_text("package a:b;\ninterface x {} record y {}")
    done = wit(what, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"provider: {message}\n")


def test_the_page_shows_what_the_command_does(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "wit.md").read_text()
    python, shown = (page.partition(f"```{language}\n")[2].partition("```")[0] for language in ("python", "wit"))
    (tmp_path / "notes.py").write_text(python)
    assert said("notes.py", cwd=tmp_path) == shown
