"""`make demo CHECK=1`: asks the hello actor over HTTP as a person would, and looks at the answers."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VISITS = re.compile(r'id="visits">(\d+)<')
NUMBER = re.compile(r"<output[^>]*>(\d+)</output>")
TIMEOUT = 10


def ask(url: str, body: bytes | None = None) -> tuple[int, str]:
    """Status and text of one request; status 0 where no answer came."""
    status, _, text = _ask(url, body, {"Content-Type": "text/plain"} if body else {})
    return status, text


def _ask(url: str, body: bytes | None, header: dict[str, str]) -> tuple[int, str, str]:
    """Status, media type and text."""
    request = urllib.request.Request(url, data=body, headers=header)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type(), error.read().decode()
    except OSError as error:
        return 0, "", str(error)


def hello_checks(base: str) -> Iterator[tuple[str, bool, str]]:
    """Each check of the hello example at `base`: what was asked, whether the answer is right, the answer."""
    cases: list[tuple[str, bytes | None, Callable[[int, str], bool]]] = [
        ("/", None, lambda status, text: status == 200 and "/random" in text),
        ("/random?min=1&max=6", None, lambda status, text: status == 200 and text.strip() in set("123456")),
        ("/random?min=4294967295&max=4294967295", None, lambda status, text: status == 200 and text.strip() == "4294967295"),
        ("/guid", None, lambda status, text: status == 200 and GUID.fullmatch(text.strip()) is not None),
        ("/echo", b"a body", lambda status, text: status == 200 and "a body" in text),
        ("/random?min=2&max=1", None, lambda status, text: status == 400 and "above" in text),
        ("/nowhere", None, lambda status, _: status == 404),
    ]
    for path, body, right in cases:
        status, text = ask(base + path, body)
        yield f"{'POST' if body else 'GET'} {path}", right(status, text), f"{status} {text.strip()!r}"[:120]
    status, media_type, page = _ask(f"{base}/", None, {"Accept": "text/html"})
    number = NUMBER.search(page)
    shown = status == 200 and media_type == "text/html" and number is not None
    yield "GET / as a browser does", shown, f"{status} {media_type} with the number {number[1] if number else 'missing'}"
    before, after = (VISITS.search(text) for text in (page, _ask(f"{base}/", None, {"Accept": "text/html"})[2]))
    counted = before is not None and after is not None and int(after[1]) == int(before[1]) + 1
    yield "GET / once more", counted, f"visit {after[1]} after visit {before[1]}" if before and after else "no visits are counted"
