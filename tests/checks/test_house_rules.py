"""Rules of the repository that no other tool checks."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import provider_sdk

ROOT = Path(__file__).parents[2]
PACKAGES = ("provider_sdk", "providers")
CHECKED = (*PACKAGES, "packaging", "examples", "tests", "bench")
NOT_OURS = {".git", ".venv", "node_modules", "__pycache__", ".hypothesis", ".provider", "build", "dist"}
LONGEST_MODULE = 500
LONGEST_FUNCTION = 80

# Spelt in parts, because this file is checked too.
WAYS_AROUND_A_TEST = re.compile("pytest" + r"\.skip|importor" + r"skip|mark\.skip|x" + "fail" + r"\(|mark\.x" + "fail")
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|home/\w+|Users)" + r"/")

SLOW = ("aiohttp", "nats", "opentelemetry", "prometheus_client", "typer", "wasmtime", "watchfiles", "yaml")


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if not NOT_OURS & set(path.relative_to(ROOT).parts))


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the repository."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith((".egg-info", "_cache"))]
        for path in (Path(folder, name) for name in names):
            try:
                yield path, path.read_text("utf-8")
            except UnicodeDecodeError:
                continue


def places(files: Iterator[tuple[Path, str]], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in files
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def python_texts() -> Iterator[tuple[Path, str]]:
    return ((path, path.read_text("utf-8")) for path in sources(*CHECKED))


def modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.rpartition(".")[2].startswith("_"):
            yield importlib.import_module(found.name)


def public(owner: object, module: str) -> Iterator[str]:
    """The public functions, classes, methods and properties that `owner` defines itself, by name; a test's name says what it is about."""
    for name, value in vars(owner).items():
        inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not name.startswith(("_", "test_")) and (inspect.isfunction(inner) or inspect.isclass(inner)) and inner.__module__ == module:
            yield name


def undocumented(module: ModuleType) -> Iterator[str]:
    if not module.__doc__:
        yield module.__name__
    for name in public(module, module.__name__):
        value = getattr(module, name)
        if not inspect.getdoc(value):
            yield f"{module.__name__}.{name}"
        if inspect.isclass(value):
            yield from (
                f"{module.__name__}.{name}.{member}"
                for member in public(value, module.__name__)
                if not inspect.getdoc(getattr(value, member))
            )


def test_modules_stay_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in sources(*PACKAGES)}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_functions_stay_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in sources(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_every_public_name_has_a_docstring() -> None:
    assert [name for module in modules(provider_sdk) for name in undocumented(module)] == []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    assert places(python_texts(), WAYS_AROUND_A_TEST) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert places(texts(), MACHINE_PATH) == []


def test_importing_the_sdk_imports_nothing_slow() -> None:
    program = f"import sys, provider_sdk; print(*sorted(set({SLOW!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_make_help_has_a_line_for_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    inner = {"venv", "venv-dev"}
    targets = set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.MULTILINE)) - inner
    listed = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+) +\S", listed, re.MULTILINE)) == targets
