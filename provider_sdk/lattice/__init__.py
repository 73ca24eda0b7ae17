"""A lattice in a box for development: a NATS server process, emulated hosts of 0.x and 1.x, actors and components, manifests.

`attach` is for programs that call what runs there, `Component` for Python that stands in for a component; each is imported when it is
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provider_sdk.lattice.attached import Attached, attach
    from provider_sdk.lattice.wrpc.components import Component

__all__ = ["Attached", "Component", "attach"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    import importlib

    module = "wrpc.components" if name == "Component" else "attached"
    value = getattr(importlib.import_module(f"provider_sdk.lattice.{module}"), name)
    globals()[name] = value
    return value
