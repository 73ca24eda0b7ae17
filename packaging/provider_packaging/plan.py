"""What PyInstaller is told, derived from a provider.toml. It is handed over as JSON: PyInstaller runs in a process of its own."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from pathlib import Path

import provider_sdk
from provider_packaging import trim
from provider_packaging.extras import packages_of
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.provider_toml import FILE, ProviderToml

SERVING = ("hosts", "runtime", "transport")
"""The rooms of the SDK of which all modules may be imported at run time, and not all by a statement."""

HIDDEN = ("_cffi_backend", "provider_packaging.guard")


class Form(StrEnum):
    """What is made: one file, or a folder with the program in it."""

    ONEFILE = "onefile"
    ONEDIR = "onedir"


@dataclass(frozen=True, slots=True)
class Plan:
    """`provider` is the provider.toml; `paths` are where modules are looked for; `edges` the imports that are not followed from a package;
    `data` pairs of a file and the folder that it comes to lie in. Data of the packages in `own_data` comes from there alone.
    """

    provider: str
    name: str
    module: str
    form: Form
    strip: bool
    paths: list[str]
    hidden: list[str]
    excluded: list[str]
    edges: dict[str, tuple[str, ...]]
    data: list[tuple[str, str]]
    own_data: list[str]

    def write(self, path: Path) -> None:
        """For `read`."""
        path.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Plan:
        """What `write` wrote."""
        members = json.loads(path.read_text("utf-8"))
        return cls(**(members | {"form": Form(members["form"])}))


def make_plan(provider: ProviderToml, form: Form, *, strip: bool) -> Plan:
    """The plan for a provider. NotFound, InvalidArgument and Unavailable name what in its provider.toml cannot be had."""
    packages = packages_of(provider.extras)
    root = provider.root
    _check_name(provider, packages.wanted)
    paths = [str(root), *dict.fromkeys(_home(name) for name in ("provider_sdk", "provider_packaging"))]
    unwanted = sorted(packages.unwanted)
    hidden = {*HIDDEN, *_entry(provider), *_named_in_calls(_own_sources(provider)), *_named_by_the_sdk()}
    for pattern in provider.include:
        hidden.update(_modules(pattern, root, f"{provider.folder / FILE}: freeze.include"))
    excluded: set[str] = set()
    for pattern in provider.exclude:
        excluded.update(_modules(pattern, root, f"{provider.folder / FILE}: freeze.exclude")[pattern.endswith(".*") :])
    if "setuptools" not in {name.partition(".")[0] for name in provider.include}:
        excluded.update(trim.EXCLUDED)
    return Plan(
        provider=str(provider.folder / FILE),
        name=provider.name,
        module=provider.module,
        form=form,
        strip=strip,
        paths=list(dict.fromkeys(paths)),
        hidden=sorted(name for name in hidden if name.partition(".")[0] not in packages.unwanted and name not in excluded),
        excluded=sorted(excluded),
        edges=trim.edges(provider.include, unwanted, [*packages.wanted, "provider_sdk"]),
        data=list(_data(provider, root)),
        own_data=sorted(provider.data),
    )


def _check_name(provider: ProviderToml, packages: Iterable[str]) -> None:
    """A module that is called as one that the program needs comes before that: it starts, and fails when it serves."""
    top = provider.module.partition(".")[0]
    if top in sys.stdlib_module_names or top in packages:
        whose = "Python itself" if top in sys.stdlib_module_names else "a package that the SDK uses"
        raise InvalidArgument(f"{provider.folder / FILE}: module {provider.module!r}: {whose} has a module {top}: give yours another name")


def _entry(provider: ProviderToml) -> list[str]:
    """What `python -m` runs, which no import names."""
    package = provider.root.joinpath(*provider.module.split("."), "__main__.py").is_file()
    return [provider.module, f"{provider.module}.__main__"] if package else [provider.module]


def _home(package: str) -> str:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return str(Path(spec.origin).parent.parent)


@cache
def _named_by_the_sdk() -> set[str]:
    folder = Path(provider_sdk.__file__).parent
    return _named_in_calls([*folder.glob("*.py"), *(source for room in SERVING for source in (folder / room).rglob("*.py"))])


def _own_sources(provider: ProviderToml) -> Iterator[Path]:
    place = provider.root.joinpath(*provider.module.split("."))
    yield from place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]


def _named_in_calls(sources: Iterable[Path]) -> set[str]:
    """Modules whose names are given to `import_module`, in a call of it or beside it: `to_thread(import_module, "name")`."""
    found: set[str] = set()
    for source in sources:
        try:
            tree = ast.parse(source.read_bytes())
        except (SyntaxError, ValueError) as error:
            raise InvalidArgument(f"{source}:{getattr(error, 'lineno', 1)}: not Python: {getattr(error, 'msg', error)}") from None
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                parts = [node.func, *node.args]
                for part, following in pairwise(parts):
                    if _is_import_module(part) and isinstance(following, ast.Constant) and isinstance(following.value, str):
                        found.add(following.value)
    return found


def _is_import_module(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "import_module") or (isinstance(node, ast.Name) and node.id == "import_module")


def _modules(pattern: str, root: Path, where: str) -> list[str]:
    """The module of that name, or with `.*` all below it."""
    name = pattern.removesuffix(".*")
    if name == pattern:
        if not _is_there(name, root):
            raise NotFound(f"{where}: {name}: no such module is found")
        return [name]
    folder = _folder(name, root)
    if folder is None:
        raise NotFound(f"{where}: {pattern}: no package {name} is found")
    below = sorted(path.relative_to(folder).with_suffix("") for path in folder.rglob("*.py"))
    return [
        name,
        *(".".join((name, *path.parts)).removesuffix(".__init__") for path in below if path.name != "__init__" or len(path.parts) > 1),
    ]


def _is_there(module: str, root: Path) -> bool:
    """Whether there is such a module, without importing it."""
    package, _, name = module.rpartition(".")
    folder = _folder(package, root) if package else root
    if folder is not None and ((folder / name).is_dir() or any(folder.glob(f"{name}.*"))):
        return True
    return not package and importlib.util.find_spec(name) is not None


def _folder(package: str, root: Path) -> Path | None:
    """A package's folder, without importing it."""
    parts = package.split(".")
    if root.joinpath(*parts).is_dir():
        return root.joinpath(*parts)
    spec = importlib.util.find_spec(parts[0])
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if Path(place, *parts[1:]).is_dir():
            return Path(place, *parts[1:])
    return None


def _data(provider: ProviderToml, root: Path) -> Iterator[tuple[str, str]]:
    for package, patterns in sorted(provider.data.items()):
        where = f"{provider.folder / FILE}: freeze.data.{package}"
        folder = _folder(package, root)
        if folder is None:
            raise NotFound(f"{where}: no package {package} is found")
        files = sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}
        )
        for pattern in patterns:
            found = [name for name in files if trim.matches(name, pattern)]
            if not found:
                raise NotFound(f"{where}: {pattern}: no file of {folder} matches")
            yield from ((str(folder / name), str(Path(package, name).parent)) for name in found if not trim.is_junk(name))
