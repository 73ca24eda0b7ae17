"""When a folder was made. Python shows it on some systems; Linux has a call of its own for it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache

_EMPTY_PATH, _BIRTH = 0x1000, 0x800
_SIZE, _MASK_AT, _BIRTH_AT = 256, 0, 80


def born(folder: int) -> int | None:
    """Nanoseconds since 1970 of an open folder's making; None where the system or its file system does not know."""
    status = os.fstat(folder)
    seconds = getattr(status, "st_birthtime", None)
    if seconds is not None:
        return int(seconds * 1_000_000_000)
    call = _statx()
    if call is None:
        return None
    found = ctypes.create_string_buffer(_SIZE)
    if call(folder, b"", _EMPTY_PATH, _BIRTH, found) != 0:
        return None
    if not _number(found, _MASK_AT, 4) & _BIRTH:
        return None
    return _number(found, _BIRTH_AT, 8) * 1_000_000_000 + _number(found, _BIRTH_AT + 8, 4)


def _number(found: ctypes.Array[ctypes.c_char], at: int, size: int) -> int:
    return int.from_bytes(found.raw[at : at + size], sys.byteorder, signed=size == 8)


@cache
def _statx() -> Callable[..., int] | None:
    try:
        call = ctypes.CDLL(None, use_errno=True).statx
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p)
    return call
