"""A lattice in a box for development: a NATS server process, a 0.x host emulator, wasm actors, manifests.

`attach` is for programs that call what runs there; it is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provider_sdk.lattice.attached import Attached, attach

__all__ = ["Attached", "attach"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    import importlib

    value = getattr(importlib.import_module("provider_sdk.lattice.attached"), name)
    globals()[name] = value
    return value
