"""Targets of a provider archive, `ARCH-OS` as Rust names both (packaging.md §1.2), and the one of this machine."""

from __future__ import annotations

import platform
import re
import sys

from provider_sdk.errors import Unsupported

TARGETS = ("x86_64-linux", "aarch64-linux", "arm-linux", "x86_64-macos", "aarch64-macos", "x86_64-windows")
"""Those that hosts are built for. An archive may hold others; no host of these looks for them."""

TARGET = re.compile(r"[a-z0-9_]{1,32}-[a-z0-9]{1,32}")

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64", "armv7l": "arm", "armv6l": "arm"}
_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}


def native_target() -> str:
    """The target of the machine and Python that this runs on; Unsupported names both where hosts have no word for them."""
    machine, system = platform.machine(), sys.platform
    try:
        return f"{_ARCHITECTURES[machine.lower()]}-{_SYSTEMS[system]}"
    except KeyError:
        raise Unsupported(f"no wasmCloud host runs on {machine} with {system}: the targets are {', '.join(TARGETS)}") from None
