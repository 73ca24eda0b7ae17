"""Answers that the server gives by itself: plain text, or JSON (RFC 9457) for clients that prefer it. None tells what went wrong inside."""

from __future__ import annotations

import json
from http import HTTPStatus

from providers.httpserver.answer import Answer, Lines

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
_TEXT = ("text/html", "text/plain", "text/*")
_JSON = ("application/problem+json", "application/json")
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


def bare(status: int) -> bytes:
    """A last word as bytes, for a connection that has no request yet."""
    body = f"{status} {_phrase(status)}\n{DETAILS[status]}\n"
    head = f"HTTP/1.1 {status} {_phrase(status)}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
    return f"{head}{'retry-after: 1' + chr(13) + chr(10) if status == 503 else ''}connection: close\r\n\r\n{body}".encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _json_form(accept: str) -> str:
    """The JSON type to send, empty where text is to be sent: what is named counts, by weight, then by place (RFC 9110 §12.5.1)."""
    if "json" not in accept:
        return ""
    named = []
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        if kind in _TEXT or kind in _JSON:
            named.append((_weight(weight), kind))
    best = max(named, key=lambda entry: entry[0], default=(0.0, ""))
    return best[1] if best[0] > 0 and best[1] in _JSON else ""


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
