"""The numbergen in a Python from which the parts have been taken that Windows lacks."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess  # what the standard library itself needs of those parts, it has imported by now  # noqa: F401
import sys
from typing import Any, NoReturn


def _refuse(*_: Any) -> NoReturn:
    raise NotImplementedError


for module in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[module] = None  # type: ignore[assignment]
for function in ("fork", "getuid", "pidfd_open", "register_at_fork"):
    if hasattr(os, function):
        delattr(os, function)
del signal.SIGHUP
for method in ("add_signal_handler", "add_reader"):
    setattr(asyncio.SelectorEventLoop, method, _refuse)

from provider_sdk import main  # noqa: E402
from providers.numbergen.provider import NumberGenProvider  # noqa: E402

main(NumberGenProvider)
