"""What PostgreSQL says (SQLSTATE) in the words of our errors: one table.

A server's own words about a statement may quote what is stored, so they go to the log; those about a connection are shown.
"""

from __future__ import annotations

from typing import NamedTuple

import asyncpg  # type: ignore[import-untyped]  # it has no annotations

from provider_sdk import Code, ProviderError


class Row(NamedTuple):
    """`prefix` of a SQLSTATE; the first row that fits counts."""

    prefix: str
    code: Code
    meaning: str
    retryable: bool | None = None


TABLE = (
    Row("08", Code.UNAVAILABLE, "the connection was lost"),
    Row("0A000", Code.UNAVAILABLE, "the schema was changed while it was in use"),
    Row("25006", Code.UNAVAILABLE, "the server takes no writes: it is a standby, or set so"),
    Row("28", Code.UNAUTHENTICATED, "the login is refused"),
    Row("3D000", Code.NOT_FOUND, "the database does not exist"),
    Row("3F000", Code.UNAVAILABLE, "the schema has gone; it is made anew"),
    Row("40", Code.UNAVAILABLE, "it met others at the same key again and again; nothing is changed"),
    Row("42501", Code.PERMISSION_DENIED, "the role may not do this"),
    Row("42P01", Code.UNAVAILABLE, "the schema has gone; it is made anew"),
    Row("42883", Code.UNAVAILABLE, "the schema has gone; it is made anew"),
    Row("53100", Code.RESOURCE_EXHAUSTED, "the server's disk is full"),
    Row("53300", Code.UNAVAILABLE, "the server has no connection left"),
    Row("53", Code.RESOURCE_EXHAUSTED, "the server is short of memory or of another resource"),
    Row("54", Code.RESOURCE_EXHAUSTED, "it is larger than the server can hold", retryable=False),
    Row("55P03", Code.DEADLINE_EXCEEDED, "somebody held the key for too long; nothing is changed"),
    Row("57014", Code.DEADLINE_EXCEEDED, "it took too long; nothing is changed"),
    Row("57P", Code.UNAVAILABLE, "the server stops or starts"),
    Row("58", Code.UNAVAILABLE, "the server cannot read or write its files"),
    Row("XX", Code.INTERNAL, "the server reports a fault of its own or damaged data"),
    Row("", Code.INTERNAL, "the statement failed"),
)
REPEATABLE = ("40001", "40P01")
"""Nothing was done, and the same may succeed at once."""
STALE = ("0A000", "3F000", "42P01", "42883")
"""What a connection knows of the schema is out of date."""


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE; empty where the error is none of the server's."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else ""


def meaning(error: BaseException) -> Row:
    """The row for an exception of asyncpg, or of the way to the server."""
    state = sqlstate(error)
    if not state:
        # The last is what asyncpg says on a connection on which the server has just taken its leave.
        return TABLE[0] if isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError) else TABLE[-1]
    return next(row for row in TABLE if state.startswith(row.prefix))


def is_lost(error: BaseException) -> bool:
    """Whether the connection is of no use any more."""
    return meaning(error) is TABLE[0] or sqlstate(error).startswith("57P") or not sqlstate(error)


def failed(where: str, error: BaseException, more: str = "") -> ProviderError:
    """The error of a statement."""
    row = meaning(error)
    state = f" [{sqlstate(error)}]" if sqlstate(error) else ""
    made = ProviderError.of(row.code, f"PostgreSQL at {where}: {row.meaning}{more}{state}", retryable=row.retryable, detail=said(error))
    made.__cause__ = error
    return made


def not_connected(where: str, error: BaseException) -> ProviderError:
    """The error of a connection that was not made."""
    row = meaning(error)
    if sqlstate(error):
        made = ProviderError.of(row.code, f"PostgreSQL at {where}: {row.meaning}: {said(error)} [{sqlstate(error)}]")
    else:
        made = ProviderError.of(Code.UNAVAILABLE, f"PostgreSQL at {where} cannot be reached: {said(error) or type(error).__name__}")
    made.__cause__ = error
    return made


def said(error: BaseException) -> str:
    """An exception's text in one line."""
    return " ".join(str(error).split())[:500]


def renewed(error: ProviderError) -> ProviderError:
    """The same error for another call: an exception that is raised twice collects both traces."""
    made = ProviderError.of(error.code, error.message, retryable=error.retryable, detail=error.detail)
    made.__cause__ = error.__cause__
    return made
