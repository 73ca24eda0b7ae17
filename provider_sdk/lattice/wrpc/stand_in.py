"""Python files that stand in for components: a module with a function `component`.

    def component(me: Component) -> tuple[Interface, ...]:
        return (Hello(Store.at(me)),)

It runs in the process of the host, beside everything else there: what it awaits is fine, what blocks blocks all.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path

from provider_sdk.errors import InvalidArgument, NotFound, Unsupported
from provider_sdk.interface import Interface
from provider_sdk.lattice.images import local_path
from provider_sdk.lattice.wrpc.components import Component, MakeComponent

_numbers = itertools.count(1)


def stand_in_file(reference: str, base: Path) -> Path:
    """The file behind a component's image; NotFound, or Unsupported for what is no Python file here."""
    path = local_path(reference, base)
    if path is None or path.suffix != ".py":
        raise Unsupported(f"{reference}: components are Python files here (file://./NAME.py); WebAssembly components run on real hosts")
    if not path.is_file():
        raise NotFound(f"{path} does not exist")
    return path


def load_stand_in(path: Path) -> MakeComponent:
    """The function `component` of the file as it is now; InvalidArgument for what cannot be imported, or made, or has none."""
    # A name for each time: classes of an earlier load may still be in use.
    name = f"component_{path.stem}_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a name that ends in .py has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the author's module raises
        raise InvalidArgument(f"{path}: it cannot be imported: {type(error).__name__}: {error}") from error
    make = getattr(module, "component", None)
    if not callable(make):
        raise InvalidArgument(f"{path}: it has no function component(me) that gives a tuple of implementations")

    def checked(me: Component) -> tuple[Interface, ...]:
        try:
            made = make(me)
        except Exception as error:  # as above
            raise InvalidArgument(f"{path}: component(me) failed: {type(error).__name__}: {error}") from error
        if not isinstance(made, tuple) or not all(isinstance(item, Interface) for item in made):
            raise InvalidArgument(f"{path}: component(me) gave {made!r}: expected a tuple of implementations of interfaces")
        return made

    return checked
