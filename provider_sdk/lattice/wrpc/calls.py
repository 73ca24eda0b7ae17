"""What a 1.x host can tell of calls: of those that its components make and answer. The rest does not pass it (wrpc-1x.md §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from provider_sdk.errors import ProviderError
from provider_sdk.interface import Operation
from provider_sdk.lattice.tasks import log


@dataclass(frozen=True, slots=True)
class WrpcCall:
    """One completed call. `source` and `target` are ids; `result` is None where there is an `error`, else empty. A stream in it goes on."""

    source: str
    target: str
    operation: Operation
    arguments: tuple[Any, ...]
    result: Any
    seconds: float
    error: str


OnWrpcCall = Callable[[WrpcCall], None]


async def watched(
    on_call: OnWrpcCall | None, source: str, target: str, operation: Operation, arguments: tuple[Any, ...], work: Awaitable[Any]
) -> Any:
    """Await a call and tell the watcher of it; its mistakes are its own."""
    if on_call is None:
        return await work
    since, result, error = asyncio.get_running_loop().time(), None, ""
    try:
        result = await work
        return result
    except ProviderError as failure:
        error = str(failure)
        raise
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
        raise
    finally:
        seconds = asyncio.get_running_loop().time() - since
        try:
            on_call(WrpcCall(source, target, operation, arguments, result, seconds, error))
        except Exception:
            log.exception("a watcher of calls failed")
