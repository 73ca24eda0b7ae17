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
        asked, answered = _asked(record), f"error: {short(record.error)}" if record.error else _answered(record)
        if not children:
            self._show(f"{indent}{asked} → {answered}   {took}")
            return
        self._show(f"{indent}{asked}")
        for child in children:
            self._print(child, depth + 1)
        self._show(f"{indent}→ {answered}   {took}")


def _asked(record: CallRecord) -> str:
    way = f"{record.caller.name} → {record.target.name}"
    request = _members(record.argument) if record.operation == HANDLE else {}
    if "method" in request and "path" in request:
        query = f"?{request['queryString']}" if request.get("queryString") else ""
        return f"{request['method']} {request['path']}{query}  ({way})"
    shown = "" if record.argument_length == 0 else f" {_shown(record.argument, record.argument_length)}"
    return f"{way}  {record.operation}{shown}"


def _answered(record: CallRecord) -> str:
    response = _members(record.result) if record.operation == HANDLE else {}
    if "statusCode" not in response:
        return _shown(record.result, record.result_length) if record.result_length else "done"
    status, header, body = response["statusCode"], response.get("header"), response.get("body")
    given = header.get("content-type") if isinstance(header, dict) else None
    media_type = str(given[0]).partition(";")[0] if isinstance(given, list) and given else "text/plain"
    if media_type == "text/plain" and isinstance(body, bytes):
        return f"{status} {short(repr(body.decode('utf-8', 'replace')))}"
    return f"{status} {media_type}, {record.result_length / 1000:.1f} kB"


def _members(data: bytes) -> dict[str, Any]:
    """The members of a map whose end may be missing, as far as they are there."""
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(data)
    found: dict[str, Any] = {}
    try:
        for _ in range(unpacker.read_map_header()):
            name = unpacker.unpack()
            found[str(name)] = unpacker.unpack()
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    return found


def _shown(data: bytes, length: int) -> str:
    if len(data) == length:
        try:
            return _written(msgpack.unpackb(data, strict_map_key=False))
        except (ValueError, TypeError, msgpack.UnpackException):
            pass
    return f"({length} bytes)"


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return short("{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}")
    return short(repr(value) if isinstance(value, str | bytes) else str(value))


def short(text: str) -> str:
    """A text on one line, cut where it is long."""
    line = text.replace("\n", "\\n")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
