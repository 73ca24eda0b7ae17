"""`provider new`: a project of one's own that passes its own tests and checks.

Other packages add files by the entry point group `provider_sdk.new`: a function that gives texts by their places in the project.
"""

from __future__ import annotations

import builtins
import importlib.util
import json
import keyword
import re
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from pathlib import Path
from string import Template
from typing import Annotated

import typer

import provider_sdk
from provider_sdk.cli.outline import outline_of
from provider_sdk.errors import AlreadyExists, PermissionDenied, PreconditionFailed
from provider_sdk.lattice.manifests import Generation
from provider_sdk.lattice.registry import PORT
from provider_sdk.lattice.wrpc.links import parts_of
from provider_sdk.provider_toml import MANIFESTS, read_provider_toml
from provider_sdk.verbs import usage

GROUP = "provider_sdk.new"
TEMPLATE = Path(__file__).with_name("template")
HERE = f"127.0.0.1:{PORT}"
_FILLED = ".tmpl"
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_CONTRACT = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*:[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 63
_OF_THE_PROJECT = ("setup", "tests", "wadm")


def new(
    name: Annotated[str, typer.Argument(help="The provider's name: lower-case letters, digits, - and _.")],
    folder: Annotated[Path | None, typer.Option(help="Where it is made; by default a folder of that name, here.")] = None,
    contract: Annotated[str, typer.Option(help="The contract's id, namespace:name; by default acme:NAME.")] = "",
    vendor: Annotated[str, typer.Option(help="Who makes it.")] = "Acme",
) -> None:
    """Make a project: a provider, its tests, its manifest, and what is needed to build and publish it."""
    module, target = name.replace("-", "_"), folder or Path(name)
    contract = contract or f"acme:{name.replace('_', '-')}"
    problem = _wrong_name(name, module) or _wrong_contract(contract) or _wrong_vendor(vendor)
    if problem:
        usage(problem)
    _make(target, _values(name, module, contract, vendor))
    _say_what_comes_next(target, name)


def _wrong_name(name: str, module: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        return f"{name!r} is no name for a provider: lower-case letters and digits, with single - or _ between, {_LONGEST} at the most"
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        return f"{name} is a word of Python's own: take another name"
    title = _title(module)
    if hasattr(provider_sdk, title) or hasattr(builtins, title):
        return f"{name} would make a class {title}, which there is already: take another name"
    if module in sys.stdlib_module_names or module in _OF_THE_PROJECT or _installed(module):
        return f"{name}: a module {module} is there already, and would be hidden by yours: take another name"
    return ""


def _installed(module: str) -> bool:
    """Whether the module can be imported, from elsewhere than this folder."""
    spec = importlib.util.find_spec(module)
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    here = Path.cwd().resolve()
    return any(Path(place).resolve().parent != here and Path(place).resolve().parent.parent != here for place in places if place)


def _wrong_contract(contract: str) -> str:
    if not _CONTRACT.fullmatch(contract):
        return f"{contract!r} is no contract id: namespace:name, of lower-case letters, digits and -"
    if contract.startswith("wasmcloud:"):
        return f"{contract} is one of the standard contracts: declare one of your own, or subclass what provider_sdk.contracts has"
    return ""


def _wrong_vendor(vendor: str) -> str:
    return "" if vendor.isprintable() and 0 < len(vendor) <= 200 else "--vendor: a line of printable text, 200 characters at the most"


def _title(module: str) -> str:
    return "".join(part.capitalize() for part in module.split("_"))


def _values(name: str, module: str, contract: str, vendor: str) -> dict[str, str]:
    namespace, _, last = contract.partition(":")
    return {
        "name": name,
        "module": module,
        "title": _title(module),
        "contract": contract,
        "interface": f"{namespace}:{last}/{last}@0.1.0",
        "namespace": namespace,
        "package": last,
        "interfaces": last,
        "operation": f"{_title(module)}.Greet",
        "function": "greet",
        "argument": "'\"Ada\"'",
        "settings": "{greeting: Good day}",
        "vendor": json.dumps(vendor, ensure_ascii=False),
        "reference": f"{HERE}/{name}:0.1.0",
        "sdk": _compatible(version("provider-sdk")),
    }


def manifest_text(folder: Path, generation: Generation | None, registry: str = "") -> str:
    """The manifest that `new` writes, for the provider of any folder; by default for 0.x, or 1.x where it has no contract.

    `registry` is that of this machine where none is given. PreconditionFailed for a provider that hosts of the generation cannot call.
    """
    read, outline = read_provider_toml(folder), outline_of(folder)
    wrpc = not read.contracts if generation is None else generation is Generation.WRPC
    operation = next((item for item in outline.operations if (item.instance if wrpc else item.contract)), None)
    if operation is None or not (wrpc or read.contracts):
        raise PreconditionFailed(f"{folder}: it serves nothing that hosts of {'1.x' if wrpc else '0.x'} could call it by")
    package = operation.instance.partition("/")[0]
    key, _, value = outline.setting.partition("=")
    values = {
        "name": read.name,
        "contract": "".join(read.contracts[:1]),
        "namespace": package.partition(":")[0],
        "package": package.partition(":")[2],
        "interfaces": ", ".join({parts_of(item)[2]: None for item in outline.instances if item.startswith(f"{package}/")}),
        "operation": operation.name,
        "function": operation.name,
        "argument": shlex.quote(operation.argument) if operation.argument else "",
        "settings": json.dumps({key: value} if key else {}, ensure_ascii=False),
        "reference": f"{registry or HERE}/{read.name}:{read.version}",
    }
    return Template((TEMPLATE / f"{MANIFESTS[wrpc]}{_FILLED}").read_text("utf-8")).substitute(values)


def _compatible(release: str) -> str:
    """The versions that are compatible with this one: as long as the first number is 0, the second one tells."""
    major, minor = (int(part) for part in release.split(".")[:2])
    return f">={major}.{minor},<{f'{major}.{minor + 1}' if major == 0 else major + 1}"


def _make(target: Path, values: dict[str, str]) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AlreadyExists(f"{target} is there already: name another folder with --folder")
    try:
        for place, text in (*_own_files(values), *_files_of_others()):
            path = target / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        raise PermissionDenied(f"{error.filename or target} cannot be written: {error.strerror}") from None


def _own_files(values: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The template: what ends in .tmpl is filled, the rest is taken as it stands."""
    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            text, parts = path.read_text("utf-8"), path.relative_to(TEMPLATE).parts
            place = "/".join(re.sub("^dot_", ".", part.replace("MODULE", values["module"])) for part in parts)
            filled = place.endswith(_FILLED)
            yield place.removesuffix(_FILLED), Template(text).substitute(values) if filled else text


def _files_of_others() -> Iterator[tuple[str, str]]:
    for entry in entry_points(group=GROUP):
        yield from entry.load()().items()


def _say_what_comes_next(target: Path, name: str) -> None:
    print(f"{name} is in {target}. Next:\n")
    print(f"  cd {shlex.quote(str(target))}")
    for command, meaning in (("provider run", "from source"), ("pytest", "its tests"), ("provider doctor", "what this machine lacks")):
        print(f"  {command:<25}{meaning}")
    print("\nREADME.md goes on from there, as far as an archive in a registry.")
