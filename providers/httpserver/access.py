"""The access log: a line for each request, in the common or combined form of web servers or as JSON."""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provider_sdk import InvalidArgument

log = logging.getLogger("provider.access")
log.setLevel(logging.INFO)  # whoever asks for access lines gets them whatever level is logged
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and how it was answered; `seconds` from its headers to the last byte of the response."""

    client: str
    method: str
    target: str
    version: str
    host: str
    referer: str
    user_agent: str
    status: int
    sent: int
    seconds: float
    request_id: str


def common(entry: Entry) -> str:
    """`127.0.0.1 - - [31/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5`."""
    now = time.gmtime()
    moment = f"{now.tm_mday:02d}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year}:{now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d} +0000"
    line = f"{entry.method} {entry.target} {entry.version}"
    return f'{entry.client} - - [{moment}] "{_quoted(line)}" {entry.status} {entry.sent or "-"}'


def combined(entry: Entry) -> str:
    """The common form, then referer and user agent."""
    return f'{common(entry)} "{_quoted(entry.referer or "-")}" "{_quoted(entry.user_agent or "-")}"'


def as_json(entry: Entry) -> str:
    """One object with every member of the entry and the moment."""
    content = {name: getattr(entry, name) for name in Entry.__slots__} | {"seconds": round(entry.seconds, 6)}
    moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}Z"
    return json.dumps({"timestamp": moment} | content)


_FORMS: dict[str, Callable[[Entry], str]] = {"common": common, "combined": combined, "json": as_json}


class _File(logging.handlers.WatchedFileHandler):
    """A file that says in one line why it cannot be written, once a failure."""

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 # its name in logging
        if not self.failed:
            log.error("access_log_file %s cannot be written: %s: lines are lost", self.baseFilename, sys.exc_info()[1])
        self.failed = True


class AccessLog:
    """Where the lines of one link go. A file is written by a thread: a disk may be slow."""

    def __init__(self, form: str, file: Path | None) -> None:
        self._form = _FORMS[form]
        self._lines: queue.SimpleQueue[logging.LogRecord] | None = None
        if file is not None:
            try:
                handler = _File(file, encoding="utf-8")
            except OSError as error:
                raise InvalidArgument(f"access_log_file: {file} cannot be written: {error.strerror}") from None
            self._handler = handler
            self._lines = queue.SimpleQueue()
            self._writer = logging.handlers.QueueListener(self._lines, handler)
            self._writer.start()

    def write(self, entry: Entry) -> None:
        """Add the line of one request."""
        line = self._form(entry)
        if self._lines is None:
            log.info("%s", line, extra={"bare": True})
        else:
            self._lines.put(logging.makeLogRecord({"msg": line, "levelno": logging.INFO}))

    def close(self) -> None:
        """Write what is left. Blocks: call it in a thread."""
        if self._lines is not None:
            self._writer.stop()
            self._handler.close()


def _quoted(text: str) -> str:
    """Text inside quotation marks, with everything escaped that could break or forge a line."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    plain = (bytes([byte]).decode() if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}" for byte in _bytes(text))
    return "".join(plain)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
