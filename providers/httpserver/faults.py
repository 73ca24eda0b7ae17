"""What is not HTTP as the parser sees it, and the status that answers it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiohttp.http_exceptions import BadHttpMethod, BadStatusLine, HttpProcessingError, LineTooLong

from providers.httpserver.limits import Limits

_UNKNOWN_METHOD = re.compile(r"""b["'][!#$%&*+.^_`|~0-9A-Za-z-]+ """)


@dataclass(frozen=True, slots=True)
class Fault:
    """`detail` is for the client, `reason` for the log."""

    status: int
    detail: str = ""
    reason: str = ""


def fault_of(error: HttpProcessingError, limits: Limits) -> Fault:
    """The fault that an error of the parser stands for; it tells most apart in words only."""
    reason = " ".join(str(error).split())
    text = str(error.message)
    if isinstance(error, LineTooLong):
        return Fault(414 if str(error.args[1]) == str(limits.max_uri) else 431, reason=reason)
    if "Too many headers" in text:
        return Fault(431, reason=reason)
    if isinstance(error, BadHttpMethod):
        if "HTTPS" in text:
            return Fault(400, "This port speaks HTTP, and the request is HTTPS.", reason)
        if _UNKNOWN_METHOD.search(text):
            return Fault(501, reason=reason)
    if isinstance(error, BadStatusLine) and "Invalid HTTP version" in text:
        return Fault(505, reason=reason)
    return Fault(400, reason=reason)
