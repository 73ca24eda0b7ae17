"""Logs: lines on stderr, text or JSON, written by a thread so that a reader who stops reading stalls nobody.

stdout stays open and silent: an OTP host reads it, and takes its end for the provider's (§1.1). A record with `bare` is written as its
message says, for lines that have a form of their own, such as those of an access log.
"""

from __future__ import annotations

import collections
import json
import logging
import sys
import threading
import time
from typing import Any

LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
FIELDS = ("operation", "link", "caller", "call_id", "traceparent")
MOST_WAITING = 10_000


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO provider.links: link up link=…`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, its traceback, if any, below."""
        if getattr(record, "bare", False):
            return record.getMessage()
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        text = f"{_moment(record)} {record.levelname} {record.name}: {_one_line(record.getMessage())}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info and record.exc_info[0] else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: timestamp, level, target, message, the fields of the call, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one JSON line."""
        if getattr(record, "bare", False):
            return record.getMessage()
        entry: dict[str, Any] = {
            "timestamp": _moment(record),
            "level": record.levelname,
            "target": record.name,
            "message": record.getMessage(),
        }
        entry.update(_fields(record))
        if record.exc_info and record.exc_info[0]:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _moment(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def _one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n") if "\n" in text or "\r" in text else text


def _fields(record: logging.LogRecord) -> dict[str, str]:
    return {name: _one_line(str(value)) for name in FIELDS if (value := getattr(record, name, None))}


class StderrHandler(logging.Handler):
    """Hands lines to a thread that writes them; when the reader is slow the oldest waiting lines are dropped and counted."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: collections.deque[str] = collections.deque()
        self._dropped = 0
        self._wake = threading.Condition()
        self._writing = False
        threading.Thread(target=self._write, name="log writer", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line."""
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        with self._wake:
            if len(self._lines) >= MOST_WAITING:
                self._lines.popleft()
                self._dropped += 1
            self._lines.append(line)
            self._wake.notify()

    def _write(self) -> None:
        while True:
            with self._wake:
                self._writing = False
                self._wake.notify_all()
                while not self._lines:
                    self._wake.wait()
                self._writing = True
                text = "\n".join(self._lines) + "\n"
                self._lines.clear()
                if self._dropped:
                    text += f"{self._dropped} log lines were dropped: stderr is not being read\n"
                    self._dropped = 0
            try:
                sys.stderr.write(text)
                sys.stderr.flush()
            except OSError:  # the reader is gone; there is nowhere left to say so
                continue

    def drain(self, limit: float) -> None:
        """Wait until what was queued is written, at most `limit` seconds."""
        with self._wake:
            self._wake.wait_for(lambda: not self._lines and not self._writing, timeout=limit)


def configure(level: str, *, structured: bool) -> StderrHandler:
    """Send all logging to stderr at `level` (one of LEVELS) as text or JSON."""
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter() if structured else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for noisy in ("nats", "asyncio", "botocore", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return handler
