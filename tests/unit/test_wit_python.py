"""Python of WIT packages: what tools say of it, that nothing is lost on the way and back, and what its errors become."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings

from provider_sdk import Interface
from provider_sdk.cli.wit.model import Package
from provider_sdk.cli.wit.of_interface import packages_of
from provider_sdk.cli.wit.packages import Packages, read_packages
from provider_sdk.cli.wit.parser import parse
from provider_sdk.cli.wit.python import python_source
from provider_sdk.cli.wit.text import package_text
from provider_sdk.errors import Code, Internal, InvalidArgument, NotFound, PermissionDenied, ProviderError
from provider_sdk.hosts.wrpc.values import operation_codec
from tests.tiers import scale
from tests.tools.wasm_tools import meaning
from tests.unit.wit_packages import packages

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).with_name("wit")
NAMES = ["blobstore.wit", "clash", "everything", "http.wit", "keyvalue.wit"]
TOOLS = [
    ["ruff", "check", "--isolated", "--select", "ASYNC,B,C4,DTZ,E,F,I,N,PT,PTH,RET,RUF,SIM,UP,W", "--line-length", "140"],
    ["ruff", "format", "--isolated", "--line-length", "140", "--check"],
    ["mypy", "--strict"],
]


def source(body: str) -> str:
    """The module of the package `a:b` with that body."""
    return python_source(Packages(parse(f"package a:b;\n{body}", "x.wit"), []))


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """The modules of all samples, imported, by the samples' names."""
    folder = tmp_path_factory.mktemp("made")
    found = {}
    for name in NAMES:
        path = folder / f"made_{Path(name).stem}.py"
        path.write_text(python_source(read_packages(SAMPLES / name)))
        found[name] = load(path)
    yield found
    for module in found.values():
        del sys.modules[module.__name__]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def interfaces(module: ModuleType) -> list[type[Interface]]:
    return [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Interface) and item is not Interface]


def text_of(module: ModuleType) -> str:
    (package,) = packages_of(interfaces(module))
    return package_text(package)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: " ".join(tool[:2]))
def test_tools_find_nothing_in_it(modules: dict[str, ModuleType], tool: list[str]) -> None:
    files = [str(module.__file__) for module in modules.values()]
    done = subprocess.run([sys.executable, "-m", *tool, *files], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", [name for name in NAMES if name != "clash"])
def test_its_wit_means_what_the_package_did(modules: dict[str, ModuleType], name: str, tmp_path: Path) -> None:
    (package,) = packages_of(interfaces(modules[name]))
    (tmp_path / "again.wit").write_text(package_text(package))
    again = meaning(tmp_path / "again.wit", package.id)
    assert again and again == meaning(SAMPLES / name, package.id)


@pytest.mark.parametrize("name", NAMES)
def test_its_wit_gives_the_same_wit_again(modules: dict[str, ModuleType], name: str, tmp_path: Path) -> None:
    once = text_of(modules[name])
    (tmp_path / "once.wit").write_text(once)
    (tmp_path / "made_again.py").write_text(python_source(read_packages(tmp_path / "once.wit")))
    assert text_of(load(tmp_path / "made_again.py")) == once


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_goes_over_the_wire(modules: dict[str, ModuleType], name: str) -> None:
    operations = [operation for interface in interfaces(modules[name]) for operation in interface.operations()]
    assert operations and all(operation_codec(operation) for operation in operations)


@pytest.mark.parametrize("name", NAMES)
def test_every_error_becomes_a_value_and_is_an_error_again(modules: dict[str, ModuleType], name: str) -> None:
    operations = [operation for interface in interfaces(modules[name]) for operation in interface.operations() if operation.failure]
    assert operations
    for operation in operations:
        for code in Code:
            assert operation_codec(operation).encode_failure(ProviderError.of(code, "why"))
            assert operation.failure is not None
            assert isinstance(operation.failure.decode(operation.failure.encode(ProviderError.of(code, "why"))), ProviderError)


def test_cases_that_say_what_an_error_is_are_it_and_one_with_text_is_the_rest(modules: dict[str, ModuleType]) -> None:
    keyvalue: Any = modules["keyvalue.wit"]
    assert keyvalue.encode_error(NotFound("gone")) == keyvalue.ErrorNoSuchStore()
    assert keyvalue.encode_error(PermissionDenied("no")) == keyvalue.ErrorAccessDenied()
    assert keyvalue.encode_error(Internal("boom")) == keyvalue.ErrorOther("boom [internal]")
    assert keyvalue.decode_error(keyvalue.ErrorAccessDenied()).code is Code.PERMISSION_DENIED
    restored = keyvalue.decode_error(keyvalue.ErrorOther("late [deadline_exceeded]"))
    assert (restored.code, restored.message) == (Code.DEADLINE_EXCEEDED, "late")


def test_acronyms_stay_what_they_are(modules: dict[str, ModuleType]) -> None:
    text = text_of(modules["http.wit"])
    assert "TLS-alert-received(TLS-alert-received-payload)," in text
    assert "HTTP-request-URI-too-long," in text


def test_documentation_is_kept_where_a_class_or_a_method_has_it(modules: dict[str, ModuleType]) -> None:
    everything: Any = modules["everything"]
    assert everything.__doc__ == "Every kind of type, in the ways that packages write them."
    assert inspect.getdoc(everything.Mixed) == 'A record\nof two lines "quoted".'
    assert everything.ShapeCircle.__doc__ == "Its radius."
    assert everything.Clients.connection.__doc__ == "Opens it."


def test_names_that_are_taken_have_their_interfaces_before_them(modules: dict[str, ModuleType]) -> None:
    clash: Any = modules["clash"]
    assert {"Container", "ContainerInterface", "ContainerHandle", "ContainerException", "Error", "OtherError"} <= vars(clash).keys()
    assert [operation.function for operation in clash.ContainerInterface.operations()] == ["[static]container.open", "at", "operations"]
    assert [operation.function for operation in clash.Other.operations()] == ["[constructor]case", "bytes", "move"]


def test_types_that_nobody_uses_are_there_too() -> None:
    assert "class Rec:\n    a: U8\n" in source("interface x { record rec { a: u8 } }")


@pytest.mark.parametrize("docs", ['A "quoted" \\n """word"""', 'ends in "quotes"', "ends in \\", "    a tab"])
def test_text_in_documentation_ends_no_string(docs: str) -> None:
    namespace: dict[str, Any] = {"__name__": "made"}
    exec(source(f"/// {docs.replace('    ', chr(9))}\ninterface x {{ f: func(); }}"), namespace)
    assert inspect.getdoc(namespace["X"]) == inspect.cleandoc(docs)


def test_methods_do_not_stand_in_the_way_of_decorators() -> None:
    made = source("interface x { resource r { f: func() -> result<_, string>; } operation: func(); fails: func(); r-f: func(); }")
    namespace: dict[str, Any] = {"__name__": "made"}
    exec(made, namespace)
    assert [item.function for item in namespace["X"].operations()] == ["[method]r.f", "operation", "fails", "r-f"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("interface x {} world w {}", "a:b: there is no interface with a type or a function in it"),
        ("interface x { variant v { only(u8) } }", "a:b/x: v: a variant of one case has no form in Python"),
        ("interface x { f: func() -> result<_, stream<u8>>; }", "a:b/x: an error type with a stream has no form here"),
        ("interface x { record r { a: u8 } f: func(a: borrow<r>); }", "x.wit:2:52: r: expected a resource in borrow< >"),
        ("interface x { record r { a: list<r> } }", "a:b/x: r holds itself, which no type of WIT can"),
        (
            "interface x { use y.{s}; record r { a: s } } interface y { use x.{r}; record s { a: r } }",
            "a:b/x: r holds itself, which no type of WIT can",
        ),
    ],
)
def test_what_has_no_form_is_told(body: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        source(body)
    assert caught.value.message == message


@settings(max_examples=scale(test=15, ci=50, soak=1000))
@given(packages())
def test_any_package_becomes_python_whose_wit_stays_the_same(package: Package) -> None:
    try:
        once = again_in_wit(Packages([package], []))
    except InvalidArgument as error:
        assert "an error type with a" in error.message
    else:
        assert again_in_wit(Packages(parse(once, "once.wit"), [])) == once


def again_in_wit(found: Packages) -> str:
    """The WIT of the Python of packages."""
    module = ModuleType("made_any")
    sys.modules[module.__name__] = module
    try:
        exec(python_source(found), vars(module))
        return text_of(module)
    finally:
        del sys.modules[module.__name__]
