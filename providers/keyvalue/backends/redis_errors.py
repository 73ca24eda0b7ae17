"""What a server's error means to a caller."""

from __future__ import annotations

from dataclasses import dataclass

import redis.exceptions
from hiredis import ReplyError

from provider_sdk import (
    Internal,
    InvalidArgument,
    PermissionDenied,
    ProviderError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

WRONG_KIND, NO_SCRIPT, READ_ONLY, MOVED, ASK, CLUSTER_DOWN = "WRONGTYPE", "NOSCRIPT", "READONLY", "MOVED ", "ASK ", "CLUSTERDOWN"
NO_NUMBER, OVERFLOW = "ERR value is not an integer", "ERR increment or decrement would overflow"


@dataclass(frozen=True)
class Row:
    """Replies that begin with `start` become `error` with these words."""

    start: str
    error: type[ProviderError]
    words: str


_CLUSTER = "is part of a cluster: the url has to begin with redis+cluster:// or rediss+cluster://"
TABLE = (
    Row("WRONGPASS", Unauthenticated, "does not accept the username and password"),
    Row("NOAUTH", Unauthenticated, "wants a password"),
    Row("ERR invalid password", Unauthenticated, "does not accept the password"),
    Row("ERR AUTH", Unauthenticated, "has no password for this user, and one is configured"),
    Row("NOPERM", PermissionDenied, "does not allow its user the command or the key"),
    Row("DENIED", PermissionDenied, "is in protected mode and takes connections from its own machine only"),
    Row("OOM", ResourceExhausted, "has no memory left for writes (maxmemory)"),
    Row("ERR string exceeds maximum allowed size", ResourceExhausted, "does not take a value of this size (proto-max-bulk-len)"),
    Row("ERR max number of clients", Unavailable, "has as many clients as it takes (maxclients)"),
    Row("LOADING", Unavailable, "is loading its data"),
    Row("BUSY", Unavailable, "is busy with a script"),
    Row("MISCONF", Unavailable, "takes no writes because it cannot save its data"),
    Row("NOREPLICAS", Unavailable, "takes no writes because too few replicas follow it"),
    Row("MASTERDOWN", Unavailable, "is a replica that has lost its primary"),
    Row(READ_ONLY, Unavailable, "is a replica and takes no writes"),
    Row(CLUSTER_DOWN, Unavailable, "is part of a cluster that is down"),
    Row("TRYAGAIN", Unavailable, "is handing over the slot of the key"),
    Row(MOVED, InvalidArgument, _CLUSTER),
    Row("CROSSSLOT", InvalidArgument, _CLUSTER),
    Row("ERR This instance has cluster support disabled", InvalidArgument, "is no part of a cluster, and the url says it is"),
    Row("ERR DB index is out of range", InvalidArgument, "does not have the database of this number"),
    Row("ERR invalid DB index", InvalidArgument, "does not have the database of this number"),
    Row("ERR SELECT is not allowed", InvalidArgument, "is part of a cluster and has the database 0 alone"),
    Row("ERR unknown command", Unsupported, "does not know a command that is needed"),
)


def refused(name: str, text: str) -> ProviderError:
    """The error for an error reply of the server `name`. The reply itself is for the log: it may quote what was sent."""
    for row in TABLE:
        if text.startswith(row.start):
            return row.error(f"redis at {name} {row.words}", detail=text[:500])  # type: ignore[call-arg]  # subclasses know their code
    return Internal(f"redis at {name} answered with an error", detail=text[:500])


def refusal(name: str, reply: ReplyError) -> ProviderError:
    """The same with the reply as its cause."""
    error = refused(name, str(reply))
    error.__cause__ = reply
    return error


def not_connected(name: str, cause: BaseException) -> ProviderError:
    """The error for a connection that could not be made."""
    if isinstance(cause, ProviderError):
        return type(cause)(cause.message, detail=cause.detail)  # type: ignore[call-arg]  # as above
    if isinstance(cause, redis.exceptions.RedisError) and (cause.status_code or isinstance(cause, redis.exceptions.ResponseError)):
        error = refused(name, f"{cause.status_code or ''} {cause}".strip())
    else:
        reason = "no answer in time" if isinstance(cause, redis.exceptions.TimeoutError | TimeoutError) else str(cause)
        error = Unavailable(f"redis at {name} cannot be reached: {reason}")
    error.__cause__ = cause
    return error
