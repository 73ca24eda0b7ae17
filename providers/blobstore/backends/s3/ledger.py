"""A file for each upload in parts that is on its way, so that those of a process that was killed are aborted at the next start.

The file is locked while its writer lives: an upload that nobody holds has nobody who goes on with it. It holds no secrets.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

log = logging.getLogger("provider")

FOLDER = "s3-uploads"
NEW = ".new"
GARBAGE = 60.0
"""Seconds after which a file that was never finished is."""
LARGEST = 1 << 16


@dataclass(frozen=True)
class Upload:
    """What is needed to abort one. `since`: when it was to begin, in seconds since 1970; without `upload_id` no answer to that is known."""

    endpoint: str
    bucket: str
    key: str
    upload_id: str
    since: int = 0


class Entry:
    """The file of one upload, locked."""

    def __init__(self, path: Path | None, file: int) -> None:
        self._path = path
        self._file = file

    def begun(self, upload: Upload) -> None:
        """Write down what it is called, now that the server has said so."""
        if self._path is not None:
            text = json.dumps(asdict(upload)).encode()
            with suppress(OSError):
                os.pwrite(self._file, text, 0)

    def remove(self) -> None:
        """The upload is over."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()
        self.leave()

    def leave(self) -> None:
        """The upload may still be there: the next start aborts it."""
        if self._path is not None:
            self._path = None
            os.close(self._file)


class Ledger:
    """The files of all uploads to one endpoint, in a folder that those to others share."""

    def __init__(self, data_dir: Path, endpoint: str) -> None:
        self._folder = data_dir / FOLDER
        self._endpoint = endpoint

    def upload(self, bucket: str, key: str, upload_id: str = "") -> Upload:
        """One that begins now."""
        return Upload(self._endpoint, bucket, key, upload_id, int(time.time()))

    def note(self, upload: Upload) -> Entry:
        """Write down an upload that is about to begin. Where that cannot be, the log says so, and the upload goes on."""
        path = self._folder / f"{secrets.token_hex(16)}.json"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Locked before it has its name, or a sweep could find it without its lock.
            aside = path.with_suffix(NEW)
            file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                os.write(file, json.dumps(asdict(upload)).encode())
                aside.rename(path)
            except BaseException:
                os.close(file)
                raise
        except OSError as error:
            log.warning("%s: an upload cannot be written down, and stays on the server if this process is killed: %s", path, error.strerror)
            return Entry(None, -1)
        return Entry(path, file)

    def sweep(self, abort: Callable[[Upload], bool]) -> None:
        """Have those uploads aborted that nobody holds; a file stays where `abort` says that the upload may still be there."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                self._look_at(path, abort)

    def _look_at(self, path: Path, abort: Callable[[Upload], bool]) -> None:
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            upload = _read(os.read(file, LARGEST))
            if upload is None or path.suffix == NEW:
                over = time.time() - os.fstat(file).st_mtime > GARBAGE
            else:
                over = upload.endpoint == self._endpoint and abort(upload)
            if over:
                path.unlink()
        except OSError:
            return
        finally:
            os.close(file)


def _read(text: bytes) -> Upload | None:
    try:
        upload = Upload(**json.loads(text))
    except (ValueError, TypeError):
        return None
    texts = (upload.endpoint, upload.bucket, upload.key, upload.upload_id)
    return upload if all(isinstance(value, str) for value in texts) and isinstance(upload.since, int) else None
