"""Compressed responses: when, and what becomes of the headers that mean the bytes."""

from __future__ import annotations

import gzip as judge

import pytest

from providers.httpserver.answer import Answer, Lines
from providers.httpserver.gzip import compress

TEXT = b"the same again and again. " * 100
HTML = ("content-type", "text/html; charset=utf-8")


async def compressed(*lines: tuple[str, str], body: bytes = TEXT, accepted: str = "gzip", status: int = 200) -> Answer:
    answer = Answer(status, list(lines), body)
    await compress(answer, accepted, 1024)
    return answer


def encoding(answer: Answer) -> str:
    return dict(answer.lines).get("content-encoding", "")


async def test_a_compressed_body_is_the_same_when_a_client_unpacks_it() -> None:
    answer = await compressed(HTML)
    assert (encoding(answer), judge.decompress(answer.whole)) == ("gzip", TEXT)
    assert len(answer.whole) < len(TEXT) // 10


async def test_a_long_body_too() -> None:
    body = TEXT * 1000
    assert judge.decompress((await compressed(HTML, body=body)).whole) == body


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("br, deflate, gzip;q=0.5", True),
        ("*", True),
        ("*;q=0.1, br", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=x", False),
        ("gzipped", False),
    ],
)
async def test_only_for_clients_that_take_it(accepted: str, taken: bool) -> None:
    answer = await compressed(HTML, accepted=accepted)
    assert (encoding(answer) == "gzip") == taken
    assert (answer.whole == TEXT) != taken


@pytest.mark.parametrize("accepted", ["gzip", "br", ""])
async def test_caches_learn_that_the_response_depends_on_it_whether_or_not_it_was_compressed(accepted: str) -> None:
    assert ("vary", "accept-encoding") in (await compressed(HTML, accepted=accepted)).lines


@pytest.mark.parametrize(
    ("kind", "worth_it"),
    [
        ("text/plain", True),
        ("text/css", True),
        ("TEXT/HTML;charset=utf-8", True),
        ("application/json", True),
        ("application/problem+json; charset=utf-8", True),
        ("application/xml", True),
        ("image/svg+xml", True),
        ("application/javascript", True),
        ("application/wasm", True),
        ("image/png", False),
        ("application/zip", False),
        ("application/octet-stream", False),
        ("application/jsonish", False),
        ("", False),
    ],
)
async def test_kinds_that_are_text_are_compressed(kind: str, worth_it: bool) -> None:
    answer = await compressed(("content-type", kind))
    assert (encoding(answer) == "gzip") == worth_it
    assert (("vary", "accept-encoding") in answer.lines) == worth_it


async def test_a_short_response_and_one_without_a_kind_are_left_as_they_are() -> None:
    assert encoding(await compressed(HTML, body=b"x" * 1023)) == ""
    assert encoding(await compressed(HTML, body=b"x" * 1024)) == "gzip"
    assert (await compressed()).lines == []


@pytest.mark.parametrize(
    "line",
    [
        ("content-encoding", "br"),
        ("content-encoding", "gzip"),
        ("cache-control", "public, No-Transform"),
        ("content-range", "bytes 0-2599/2600"),
        ("content-digest", "sha-256=:AAAA:"),
        ("repr-digest", "sha-256=:AAAA:"),
        ("content-md5", "AAAA"),
    ],
)
async def test_what_is_encoded_or_described_by_its_bytes_is_left_as_it_is(line: tuple[str, str]) -> None:
    given: Lines = [HTML, line, ("cache-control", "public")]
    answer = await compressed(*given)
    assert (answer.lines, answer.whole) == (given, TEXT)


@pytest.mark.parametrize("status", [204, 206, 304])
async def test_a_status_without_or_with_a_part_of_a_body_is_left_as_it_is(status: int) -> None:
    assert (await compressed(HTML, status=status)).lines == [HTML]


async def test_a_strong_validator_becomes_weak_and_ranges_are_offered_no_more() -> None:
    answer = await compressed(HTML, ("etag", '"abc"'), ("accept-ranges", "bytes"))
    assert ("etag", 'W/"abc"') in answer.lines
    assert "accept-ranges" not in dict(answer.lines)


async def test_a_weak_validator_stays_and_so_do_both_for_clients_that_take_no_gzip() -> None:
    assert ("etag", 'W/"abc"') in (await compressed(HTML, ("etag", 'W/"abc"'))).lines
    plain = await compressed(HTML, ("etag", '"abc"'), ("accept-ranges", "bytes"), accepted="")
    assert {("etag", '"abc"'), ("accept-ranges", "bytes")} <= set(plain.lines)
