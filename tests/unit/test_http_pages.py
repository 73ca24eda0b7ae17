"""Answers that the server gives by itself: their form by `Accept`, and that none tells what went wrong inside."""

from __future__ import annotations

import json

import pytest

from providers.httpserver.pages import DETAILS, bare, page
from providers.httpserver.weights import weighted

TEXT = "text/plain; charset=utf-8"
PROBLEM = "application/problem+json"
JSON = "application/json"


def kind(accept: str) -> str:
    return dict(page(404, accept).lines)["content-type"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", TEXT),
        ("application/json", JSON),
        ("Application/JSON", JSON),
        ("application/problem+json", PROBLEM),
        ("application/*", PROBLEM),
        ("application/json, text/plain, */*", JSON),
        ("text/plain, application/json", TEXT),
        ("*/*, application/json", JSON),
        ("application/json;q=0.9, */*", TEXT),
        ("application/json;q=0.5, text/html;q=0.4", JSON),
        ("text/html;q=0.4, application/json;q=0.5", JSON),
        ("text/html, application/json;q=0", TEXT),
        ("application/json;q=0", TEXT),
        ("application/json; charset=utf-8; q=0.001", JSON),
        ("application/json;q=nan", TEXT),
        ("application/json;q=-1", TEXT),
        ("application/jsonp, image/png", TEXT),
        (",;,;q=,", TEXT),
    ],
)
def test_json_goes_to_clients_that_prefer_it_and_text_to_all_others(accept: str, expected: str) -> None:
    assert kind(accept) == expected


def test_text_says_status_reason_and_the_requests_id() -> None:
    answer = page(404, request_id="abc")
    assert answer.whole == b"404 Not Found\nNothing is served under this host name and path.\nRequest abc\n"


def test_json_is_a_problem_as_rfc_9457_has_it() -> None:
    assert json.loads(page(404, JSON, "abc").whole) == {
        "title": "Not Found",
        "status": 404,
        "detail": "Nothing is served under this host name and path.",
        "request_id": "abc",
    }


@pytest.mark.parametrize("status", sorted(DETAILS))
def test_every_status_has_a_sentence_and_is_not_stored(status: int) -> None:
    answer = page(status)
    assert answer.status == status
    assert answer.whole.decode().splitlines()[1] == DETAILS[status]
    assert dict(answer.lines)["cache-control"] == "no-store"


def test_503_says_when_to_try_again() -> None:
    assert dict(page(503).lines)["retry-after"] == "1"
    assert "retry-after" not in dict(page(500).lines)


@pytest.mark.parametrize("status", [400, 408, 503])
def test_a_last_word_is_a_whole_response_that_closes_the_connection(status: int) -> None:
    head, _, body = bare(status).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in lines
    assert b"content-length: %d" % len(body) in lines
    assert (b"retry-after: 1" in lines) == (status == 503)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gzip", {"gzip": 1}),
        ("GZIP;Q=0.5 , br", {"gzip": 0.5, "br": 1}),
        ("a;x=1;q=0.25;y", {"a": 0.25}),
        ("a;q=0.1234", {"a": 0}),
        ("a;q=1.1", {"a": 0}),
        ("a;q=1_0", {"a": 0}),
        ("a;q=\u0661", {"a": 0}),
        ("a;q=1.", {"a": 1}),
    ],
)
def test_a_weight_is_between_0_and_1_with_three_places_and_anything_else_is_0(text: str, expected: dict[str, float]) -> None:
    assert dict(weighted(text)) == expected
