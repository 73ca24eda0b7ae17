"""Answers that the server gives by itself: plain text, or JSON (RFC 9457) for clients that prefer it. None tells what went wrong inside."""

from __future__ import annotations

import json
from http import HTTPStatus

from providers.httpserver.answer import Answer, Lines
from providers.httpserver.weights import weighted

DETAILS = {
    400: "The request is not HTTP as it is written down.",
    404: "Nothing is served under this host name and path.",
    405: "This method is not allowed here.",
    408: "The request did not arrive in time.",
    413: "The body is longer than is taken here.",
    414: "The request target is longer than is taken here.",
    417: "This server meets no other expectation than 100-continue.",
    421: "This host name is not served over this connection.",
    431: "The headers are more, or longer, than is taken here.",
    500: "The program behind this address failed.",
    501: "This method is not known here.",
    502: "The program behind this address gave no usable answer.",
    503: "The service is not available now. Try again later.",
    504: "The program behind this address did not answer in time.",
    505: "HTTP/1.1 is spoken here.",
}
# What a client may name, and the JSON type that it gets: none of it is plain text.
_PLAIN, _PROBLEM = "", "application/problem+json"
_FORMS = dict.fromkeys(("text/html", "text/plain", "text/*", "*/*"), _PLAIN)
_FORMS |= {_PROBLEM: _PROBLEM, "application/json": "application/json", "application/*": _PROBLEM}
_NO_STORE = ("cache-control", "no-store")


def page(status: int, accept: str = "", request_id: str = "", *, detail: str = "", end: bool = False) -> Answer:
    """The answer of `status` in the form that `accept`, the request's header, prefers."""
    title, said = _phrase(status), detail or DETAILS.get(status, "")
    form = _json_form(accept)
    if form:
        content = {"title": title, "status": status, "detail": said} | ({"request_id": request_id} if request_id else {})
        body, kind = json.dumps(content).encode() + b"\n", form
    else:
        known = f"Request {request_id}\n" if request_id else ""
        body, kind = f"{status} {title}\n{said}\n{known}".encode(), "text/plain; charset=utf-8"
    lines: Lines = [("content-type", kind), _NO_STORE]
    if status == 503:
        lines.append(("retry-after", "1"))
    return Answer(status, lines, body, end=end)


def bare(status: int, detail: str = "") -> bytes:
    """A last word as bytes, for a connection that has no request yet."""
    body = f"{status} {_phrase(status)}\n{detail or DETAILS[status]}\n"
    head = f"HTTP/1.1 {status} {_phrase(status)}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
    return f"{head}{'retry-after: 1' + chr(13) + chr(10) if status == 503 else ''}connection: close\r\n\r\n{body}".encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _json_form(accept: str) -> str:
    """The JSON type to send, empty for text: the kind of the greatest weight, then the one that is named first (RFC 9110 §12.5.1)."""
    if not accept or accept == "*/*":
        return _PLAIN
    known = [(weight, kind != "*/*", _FORMS[kind]) for kind, weight in weighted(accept) if kind in _FORMS and weight > 0]
    return max(known, key=lambda entry: entry[:2], default=(0.0, False, _PLAIN))[2]
