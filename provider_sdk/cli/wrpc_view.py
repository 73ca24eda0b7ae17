"""Calls of components on a 1.x lattice as a person reads them: a line each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from provider_sdk.cli.view import short
from provider_sdk.contracts.wasi_http import IncomingHandler, Request, Response, method_name
from provider_sdk.lattice.wrpc.calls import WrpcCall
from provider_sdk.lattice.wrpc.links import parts_of


class WrpcTraffic:
    """Prints finished calls. `show` gets each line; `names`, set later, gives the manifest's names by id, as they are at the time."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self.names: Callable[[], Mapping[str, str]] = dict

    def take(self, call: WrpcCall) -> None:
        """One finished call."""
        names = self.names()
        way = f"{names.get(call.source, call.source)} → {names.get(call.target, call.target)}"
        if call.operation.interface is IncomingHandler and isinstance(call.arguments[0], Request):
            request: Request = call.arguments[0]
            asked = f"{method_name(request.method)} {request.path_with_query or '/'}  ({way})"
        else:
            function = f"{parts_of(call.operation.interface.__identity__.wit)[2]}.{call.operation.function}"
            asked = f"{way}  {function} {short(', '.join(map(_written, call.arguments)))}".rstrip()
        answered = f"error: {short(call.error)}" if call.error else short(_answered(call.result))
        self._show(f"{asked} → {answered}   {call.seconds * 1000:.1f} ms")


def _answered(result: Any) -> str:
    return str(result.status) if isinstance(result, Response) else "done" if result is None else _written(result)


def _written(value: Any) -> str:
    if isinstance(value, AsyncIterator | Awaitable):
        return "(stream)"
    if type(value) is tuple:
        return f"({', '.join(map(_written, value))})"
    return f"({len(value)} bytes)" if isinstance(value, bytes) and len(value) > 100 else repr(value)
