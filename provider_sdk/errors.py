"""Errors as values: one exception type, a closed set of codes, one subclass a code.

The message may be shown to the calling component; the detail goes to the log only.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import ClassVar


class Code(StrEnum):
    """What went wrong, for a program to act on. The set is closed: callers may match on it exhaustively."""

    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    PRECONDITION_FAILED = "precondition_failed"
    INVALID_ARGUMENT = "invalid_argument"
    OUT_OF_RANGE = "out_of_range"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    UNAVAILABLE = "unavailable"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"


_RETRYABLE = frozenset({Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})


class ProviderError(Exception):
    """A failure with a code.

    `message` may be shown to a component; `detail` is written to the log and nowhere else; `retryable` says whether the
    same call may succeed later (by default true for resource_exhausted, unavailable and deadline_exceeded). A vendor's
    exception belongs in `__cause__` (`raise NotFound(...) from error`).
    """

    def __init__(self, code: Code | str, message: str, *, retryable: bool | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.code = Code(code)
        self.message = message
        self.retryable = self.code in _RETRYABLE if retryable is None else retryable
        self.detail = detail

    def __str__(self) -> str:
        return self.message

    @staticmethod
    def of(code: Code | str, message: str, *, retryable: bool | None = None, detail: str = "") -> ProviderError:
        """The error of the subclass that belongs to `code`; ValueError for a code outside the set."""
        return _SUBCLASSES[Code(code)](message, retryable=retryable, detail=detail)


class _Coded(ProviderError):
    default_code: ClassVar[Code]

    def __init__(self, message: str, *, retryable: bool | None = None, detail: str = "") -> None:
        super().__init__(self.default_code, message, retryable=retryable, detail=detail)


class NotFound(_Coded):
    """The thing that was asked for does not exist."""

    default_code = Code.NOT_FOUND


class AlreadyExists(_Coded):
    """The thing to be made exists already."""

    default_code = Code.ALREADY_EXISTS


class PreconditionFailed(_Coded):
    """The system is not in the state that the operation needs."""

    default_code = Code.PRECONDITION_FAILED


class InvalidArgument(_Coded):
    """The argument is wrong whatever the state of the system; the message names the path of the member."""

    default_code = Code.INVALID_ARGUMENT


class OutOfRange(_Coded):
    """A position or number lies outside what exists or can be held."""

    default_code = Code.OUT_OF_RANGE


class Unauthenticated(_Coded):
    """The caller did not prove who it is."""

    default_code = Code.UNAUTHENTICATED


class PermissionDenied(_Coded):
    """The caller is known and may not do this."""

    default_code = Code.PERMISSION_DENIED


class ResourceExhausted(_Coded):
    """A limit was reached: concurrent calls, size, count, disk."""

    default_code = Code.RESOURCE_EXHAUSTED


class Unavailable(_Coded):
    """What stands behind the operation cannot be reached now."""

    default_code = Code.UNAVAILABLE


class DeadlineExceeded(_Coded):
    """The answer did not come in time; whether the operation was carried out is unknown."""

    default_code = Code.DEADLINE_EXCEEDED


class Unsupported(_Coded):
    """The operation or the option is not offered here."""

    default_code = Code.UNSUPPORTED


class Internal(_Coded):
    """A fault of the program itself."""

    default_code = Code.INTERNAL


_SUBCLASSES: dict[Code, type[_Coded]] = {kind.default_code: kind for kind in _Coded.__subclasses__()}
LONGEST_ERROR = 16_384
_CODE = re.compile(rf"^(.*) \[({'|'.join(Code)})\]$", re.DOTALL)


def error_text(error: ProviderError) -> str:
    """What is sent for an error: the message, cut to what any message can carry, and ` [code]`, from which a caller of ours restores it."""
    message = error.message if len(error.message) <= LONGEST_ERROR else f"{error.message[:LONGEST_ERROR]}…"
    if not message.isascii():
        # A file's name may hold bytes that are not UTF-8, and an answer that cannot be encoded is none.
        message = message.encode("utf-8", "backslashreplace").decode()
    return f"{message} [{error.code.value}]"


def error_of(text: str) -> ProviderError:
    """The error that the other side's text stands for: its code where the text ends in ` [code]`, else internal."""
    found = _CODE.match(text)
    return ProviderError.of(found[2], found[1]) if found else Internal(text)
