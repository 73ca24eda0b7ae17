"""The interface classes that are asked for: of a module, a file, a class in one, or a provider's folder."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from provider_sdk.cli.outline import ask_outline
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.interface import Interface
from provider_sdk.lattice.images import provider_program
from provider_sdk.provider import Provider
from provider_sdk.provider_toml import FILE, read_provider_toml


def interfaces_of(what: str) -> list[type[Interface]]:
    """The interfaces behind MODULE, FILE.py, FOLDER, or a class of a module or file behind a colon.

    A module means those that it declares, and those that its providers serve; a folder with a provider.toml means the latter.
    NotFound; InvalidArgument for what is no such thing or declares none with `wit=`.
    """
    place, _, name = what.partition(":")
    path = Path(place)
    if path.is_dir() or path.name == FILE:
        found = _served(path if path.is_dir() else path.parent)
    else:
        module = _of_file(path) if path.suffix == ".py" else _imported(place)
        found = _named(module, name, what) if name else _declared(module)
    if not any(item.__identity__.wit for item in found):
        raise InvalidArgument(f"{what}: it declares or serves no interface with wit=, which is what an interface is called on 1.x hosts")
    return found


def _served(folder: Path) -> list[type[Interface]]:
    """What the provider of the folder serves; the program itself is asked, for a module that starts it cannot be imported."""
    toml = read_provider_toml(folder)
    outline = ask_outline(provider_program(folder.resolve().as_uri(), Path.cwd()))
    sys.path.insert(0, str(toml.root))
    found = []
    for declared in outline.declared:
        module, _, name = declared.partition(":")
        found += _named(_imported(toml.module if module == "__main__" else module), name, declared)
    return found


def _of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise NotFound(f"{path} does not exist")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # a name that ends in .py has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.resolve().parent))
    return _run(lambda: spec.loader.exec_module(module), str(path)) or module


def _imported(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise InvalidArgument(f"{name}: it is neither a module nor a .py or .wit file, nor a folder")
    if "" not in sys.path:
        sys.path.insert(0, "")
    module: ModuleType = _run(lambda: importlib.import_module(name), name)
    return module


def _run(load: Any, name: str) -> Any:
    try:
        return load()
    except SystemExit:
        raise InvalidArgument(f"{name}: it ends when it is imported: main(…) belongs below `if __name__ == '__main__':`") from None
    except Exception as error:  # whatever the author's module raises
        raise InvalidArgument(f"{name}: it cannot be imported: {type(error).__name__}: {error}") from error


def _named(module: ModuleType, name: str, what: str) -> list[type[Interface]]:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    found = _of_class(value)
    if not found:
        raise InvalidArgument(f"{what}: {name} is neither an interface nor a provider that serves one")
    return found


def _declared(module: ModuleType) -> list[type[Interface]]:
    """Interfaces that the module itself declares, in order, then those that it implements or that its providers serve beside them."""
    own = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == module.__name__]
    declared = [item for item in own if issubclass(item, Interface) and item.__dict__.get("__declaration__") is item]
    implemented = [item.__declaration__ for item in own if issubclass(item, Interface) and hasattr(item, "__declaration__")]
    served = [interface for item in own if issubclass(item, Provider) for interface in item.serves]
    return list(dict.fromkeys([*declared, *implemented, *served]))


def _of_class(value: Any) -> list[type[Interface]]:
    if isinstance(value, type) and issubclass(value, Provider):
        return list(value.serves)
    if isinstance(value, type) and issubclass(value, Interface) and hasattr(value, "__declaration__"):
        return [value.__declaration__]
    return []
