"""The access log: a line for each request, in the common or combined form of web servers or as JSON."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provider_sdk import InvalidArgument

log = logging.getLogger("provider.access")
log.setLevel(logging.INFO)  # whoever asks for access lines gets them whatever level is logged

MOST_WAITING = 10_000
CLOSE_WITHIN = 1.0
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
    return f'{entry.client or "-"} - - [{moment}] "{_quoted(line)}" {entry.status} {entry.sent or "-"}'


def combined(entry: Entry) -> str:
    """The common form, then referer and user agent."""
    return f'{common(entry)} "{_quoted(entry.referer or "-")}" "{_quoted(entry.user_agent or "-")}"'


def as_json(entry: Entry) -> str:
    """One object with every member of the entry and the moment."""
    now = time.time()
    moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
    content: dict[str, object] = {"timestamp": moment}
    for name in Entry.__slots__:
        value = getattr(entry, name)
        content[name] = _whole(value) if isinstance(value, str) else value
    return json.dumps(content | {"seconds": round(entry.seconds, 6)})


_FORMS: dict[str, Callable[[Entry], str]] = {"common": common, "combined": combined, "json": as_json}


class AccessLog:
    """Where the lines of one link go."""

    def __init__(self, form: str, file: Path | None) -> None:
        self._form = _FORMS[form]
        self._file = None if file is None else _File(file)

    def write(self, entry: Entry) -> None:
        """Add the line of one request."""
        line = self._form(entry)
        if self._file is None:
            log.info("%s", line, extra={"bare": True})
        else:
            self._file.add(line)

    def close(self) -> None:
        """Write what is left. Blocks: call it in a thread."""
        if self._file is not None:
            self._file.close()


class _File:
    """A file that a thread adds lines to, since a disk may be slow: opened anew when it was moved, and tried again when it fails."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = self._open()
        except (OSError, ValueError) as error:
            raise InvalidArgument(f"access_log_file: {path} cannot be written: {getattr(error, 'strerror', None) or error}") from None
        self._lines: list[str] = []
        self._lost = 0
        self._failed = self._torn = self._ended = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="access log", daemon=True)
        self._thread.start()

    def add(self, line: str) -> None:
        with self._wake:
            if len(self._lines) < MOST_WAITING:
                self._lines.append(line)
                self._wake.notify()
            else:
                self._lost += 1

    def close(self) -> None:
        with self._wake:
            self._ended = True
            self._wake.notify()
        self._thread.join(CLOSE_WITHIN)

    def _open(self) -> int:
        # Without waiting, since a named pipe that nobody reads would hold up the opening, and a full one the writing.
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)

    def _write_all(self) -> None:
        lines: list[str] = []
        while lines or not self._ended:
            with self._wake:
                while not self._lines and not self._ended:
                    self._wake.wait()
                lines, self._lines = self._lines, []
            if lines:
                self._write(lines)
        os.close(self._descriptor)

    def _write(self, lines: list[str]) -> None:
        data = ("\n" if self._torn else "") + "\n".join(lines) + "\n"
        left = data.encode("ascii", "backslashreplace")
        try:
            self._follow()
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self._torn = self._torn or len(left) < len(data)
            self._lose(len(lines))
            if not self._failed:
                log.error("access_log_file %s cannot be written: %s: lines are lost", self._path, error.strerror)
            self._failed = True
            return
        self._failed = self._torn = False
        lost = self._lose(0)
        if lost:
            log.warning("access_log_file %s is written again: %d lines were lost", self._path, lost)

    def _follow(self) -> None:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there is None or not os.path.samestat(there, os.fstat(self._descriptor)):
            opened = self._open()
            os.close(self._descriptor)
            self._descriptor = opened

    def _lose(self, count: int) -> int:
        """Count lines as lost, or with 0 take the count back."""
        with self._wake:
            lost = self._lost
            self._lost = lost + count if count else 0
        return lost


def _quoted(text: str) -> str:
    """Text inside quotation marks, with everything escaped that could break or forge a line."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    plain = (bytes([byte]).decode() if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}" for byte in _bytes(text))
    return "".join(plain)


def _whole(text: str) -> str:
    """Text without halves of characters, which stand for bytes that are no UTF-8 and which readers of JSON choke on."""
    return text if text.isascii() else _bytes(text).decode("utf-8", "backslashreplace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
