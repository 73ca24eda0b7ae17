"""Calls as a person reads them: one block a request, from HTTP through the actor to the providers that it asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgpack

from provider_sdk.lattice.events import CallRecord

HANDLE = "HttpServer.HandleRequest"
LONGEST = 100
MOST_WAITING = 1000


class Traffic:
    """Prints finished calls, children under their parent. `show` gets each line."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._children: defaultdict[str, list[CallRecord]] = defaultdict(list)

    def take(self, record: CallRecord) -> None:
        """One finished call; a parent is told of after its children."""
        if record.parent:
            if len(self._children) > MOST_WAITING:
                self._children.clear()
            self._children[record.parent].append(record)
        else:
            self._print(record, 0)

    def _print(self, record: CallRecord, depth: int) -> None:
        indent = "    " * depth
        took = f"{record.seconds * 1000:.1f} ms"
        children = self._children.pop(record.id, [])
        asked, answered = _asked(record), f"error: {_short(record.error)}" if record.error else _answered(record)
        if not children:
            self._show(f"{indent}{asked} → {answered}   {took}")
            return
        self._show(f"{indent}{asked}")
        for child in children:
            self._print(child, depth + 1)
        self._show(f"{indent}→ {answered}   {took}")


def _asked(record: CallRecord) -> str:
    way = f"{record.caller.name} → {record.target.name}"
    value = _decoded(record.argument, record.argument_length)
    if record.operation == HANDLE and isinstance(value, dict):
        query = f"?{value['queryString']}" if value.get("queryString") else ""
        return f"{value.get('method')} {value.get('path')}{query}  ({way})"
    shown = "" if record.argument_length == 0 else f" {_shown(value)}"
    return f"{way}  {record.operation}{shown}"


def _answered(record: CallRecord) -> str:
    value = _decoded(record.result, record.result_length)
    if record.operation == HANDLE and isinstance(value, dict):
        body = value.get("body") or b""
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
        return f"{value.get('statusCode')} {_short(repr(text))}"
    return _shown(value) if record.result_length else "done"


def _decoded(data: bytes, length: int) -> Any:
    if len(data) < length:
        return f"({length} bytes)"
    try:
        return msgpack.unpackb(data, strict_map_key=False) if data else None
    except (ValueError, msgpack.UnpackException):
        return f"({length} bytes)"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return _short("{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}")
    return _short(repr(value) if isinstance(value, str | bytes) else str(value))


def _short(text: str) -> str:
    line = text.replace("\n", "\\n")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
