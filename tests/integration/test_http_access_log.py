"""The access log of httpserver, and the ids of requests."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from provider_sdk import Context
from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse
from provider_sdk.testing import Manner
from tests.integration.http_front import ask, greet, running
from tests.integration.http_wire import connected
from tests.integration.test_http_policies import OTHER, PAGE, VISITOR, cors

COMMON = r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /a\?b=c HTTP/1\.1" 200 5'


@pytest.mark.parametrize(
    ("form", "line"),
    [("common", COMMON), ("combined", rf'{COMMON} "https://x\.example/" "some agent"')],
)
async def test_a_line_for_each_request_goes_to_stderr_as_it_is(form: str, line: str) -> None:
    async with running() as it:
        _, port = await it.serve(greet, access_log=form)
        await ask(port, "GET /a?b=c HTTP/1.1\nreferer: https://x.example/\nuser-agent: some agent")
        await it.said(f"^{line}$")


async def test_the_json_form_has_the_request_id_that_client_and_actor_get() -> None:
    async with running() as it:
        actor, port = await it.serve(greet, access_log="json", trusted_proxies="127.0.0.1")
        answer = await ask(port, f"GET / HTTP/1.1\nx-forwarded-for: {VISITOR}\nx-forwarded-host: www.example.com")
        found = json.loads((await it.said(r'^\{"timestamp".*'))[0])
        expected = {"client": VISITOR, "host": "www.example.com", "status": 200, "sent": 5, "request_id": answer.values("x-request-id")[0]}
        assert {name: found[name] for name in expected} == expected
        assert actor.asked[0].header["x-request-id"] == answer.values("x-request-id")


async def test_every_answer_has_a_line_whoever_gave_it(tmp_path: Path) -> None:
    file = tmp_path / "access.log"

    async def handle(request: HttpRequest) -> HttpResponse:
        if request.path == "/wait":
            await asyncio.Future()
        raise ValueError("no")

    logged = {"access_log": "json", "access_log_file": str(file)}
    async with running() as it:
        settings = {"cors": cors(allowed_origins=[PAGE]), "max_content_len": "4", "timeout_ms": "100"}
        _, port = await it.serve(handle, **logged, **settings)
        await ask(port, f"GET /1 HTTP/1.1\norigin: {OTHER}")
        await ask(port, f"OPTIONS /2 HTTP/1.1\norigin: {PAGE}\naccess-control-request-method: GET")
        await ask(port, "POST /3 HTTP/1.1\ncontent-length: 5\n\nabcde")
        await ask(port, "GET /4 HTTP/1.1")
        await ask(port, "GET /wait HTTP/1.1")
        _, port = await it.serve(handle, **logged, readonly_mode="true")
        await ask(port, "PUT /6 HTTP/1.1\ncontent-length: 0")
        async with asyncio.timeout(10):
            while len(lines := file.read_text().splitlines()) < 6:
                await asyncio.sleep(0.01)
    found = sorted((entry["target"], entry["status"]) for entry in map(json.loads, lines))
    assert found == [("/1", 403), ("/2", 200), ("/3", 413), ("/4", 500), ("/6", 405), ("/wait", 504)]


INJECTED = [b"/%0d%0aforged", b'/"forged', b"/\\x22", b"/\x7f", b"/\xff\xfe", b"/caf\xc3\xa9", b"/\x1b[2J", b"/\xe2\x80\xa8", b"/\x85"]


@pytest.mark.parametrize("form", ["common", "combined", "json"])
async def test_no_request_forges_a_line(form: str, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    async with running() as it:
        _, port = await it.serve(greet, access_log=form, access_log_file=str(file))
        answered = 0
        for target in INJECTED:
            async with connected(port) as wire:
                agent = target[1:].replace(b"\n", b"")
                await wire.write(
                    b"GET " + target + b" HTTP/1.1\r\nhost: here\r\nuser-agent: " + agent + b'\r\nreferer: "' + agent + b"\r\n\r\n"
                )
                answered += (await wire.answer()).status == 200
        async with asyncio.timeout(10):
            while file.read_bytes().count(b"\n") < answered:
                await asyncio.sleep(0.01)
    written = file.read_bytes()
    assert answered >= 3
    assert written.isascii()
    assert written.count(b"\n") == answered
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", written)
    for line in written.decode().splitlines():
        if form == "json":
            json.loads(line)["target"].encode()
        else:
            assert len(re.findall(r'(?<!\\)"', line)) == {"common": 2, "combined": 6}[form]


async def test_lines_go_to_a_file_which_may_be_moved_while_it_is_written(tmp_path: Path) -> None:
    file, old = tmp_path / "access.log", tmp_path / "access.log.1"
    async with running() as it:
        actor, port = await it.serve(greet, access_log="common", access_log_file=str(file))
        for number in range(60):
            if number == 30:
                file.rename(old)
            assert (await ask(port, f"GET /{number} HTTP/1.1")).status == 200
        await it.unlink(actor.key)
        await it.said("link down")
        assert not [line for line in it.lines if "GET /" in line]
    numbers = [int(found) for found in re.findall(r'"GET /(\d+) HTTP', old.read_text() + file.read_text())]
    assert numbers == list(range(60))
    assert file.read_text().count("\n") >= 29


@pytest.mark.parametrize("manner", list(Manner))
async def test_a_file_that_cannot_be_written_fails_the_link_with_one_line(manner: Manner, tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "access.log"
    async with running(manner) as it:
        actor = await it.actor(greet)
        await it.link(actor.key, address="127.0.0.1:0", access_log="common", access_log_file=str(file))
        await it.said(
            rf"link failed, will be retried: access_log_file: {re.escape(str(file))} cannot be written: No such file or directory"
        )
        file.parent.mkdir()
        assert (await ask(await it.listening())).status == 200


async def test_a_file_that_cannot_be_written_any_more_is_told_once_and_requests_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = folder / "access.log"
    async with running() as it:
        _, port = await it.serve(greet, access_log="common", access_log_file=str(file))
        folder.rename(tmp_path / "away")
        for _ in range(5):
            assert (await ask(port)).status == 200
        await it.said(rf"ERROR.*access_log_file {re.escape(str(file))} cannot be written: No such file or directory: lines are lost")
        folder.mkdir()
        async with asyncio.timeout(10):
            while not file.exists():
                assert (await ask(port)).status == 200
        await it.said(rf"WARNING.*{re.escape(str(file))} is written again: \d+ lines were lost")
        assert not [line for line in it.lines if "cannot be written" in line]


async def test_an_id_that_the_client_brings_is_kept_and_a_strange_one_is_replaced() -> None:
    async with running() as it:
        actor, port = await it.serve(greet)
        kept = await ask(port, "GET / HTTP/1.1\nX-Request-ID: abc-123")
        assert (kept.values("x-request-id"), actor.asked[-1].header["x-request-id"]) == (["abc-123"], ["abc-123"])
        for strange in ("", "a b", "x" * 129, "caf\xe9", "a, b"):
            replaced = await ask(port, f"GET / HTTP/1.1\nX-Request-ID: {strange}")
            assert re.fullmatch("[0-9a-f]{32}", replaced.values("x-request-id")[0]), strange
        assert len({asked.header["x-request-id"][0] for asked in actor.asked}) == 6


async def test_the_id_goes_by_the_name_that_is_set_or_by_none() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {"X-Correlation-Id": ["the actor's"]}, b"")

    async with running() as it:
        actor, port = await it.serve(handle, request_id_header="X-Correlation-ID")
        answer = await ask(port, "GET / HTTP/1.1\nx-correlation-id: mine\nx-request-id: other")
        assert (answer.values("x-correlation-id"), answer.values("x-request-id")) == (["mine"], [])
        assert (actor.asked[-1].header["x-correlation-id"], actor.asked[-1].header["x-request-id"]) == (["mine"], ["other"])
        actor, port = await it.serve(handle, request_id_header="")
        answer = await ask(port)
        assert answer.values("x-correlation-id") == ["the actor's"]
        assert "x-request-id" not in actor.asked[-1].header


async def test_the_id_is_in_the_lines_about_the_request_and_on_its_error_page() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        raise ValueError("no")

    async with running() as it:
        _, port = await it.serve(handle)
        answer = await ask(port, "GET / HTTP/1.1\nx-request-id: abc-123\naccept: application/json")
        assert (json.loads(answer.body)["request_id"], answer.values("x-request-id")) == ("abc-123", ["abc-123"])
        assert b"Request abc-123\n" in (await ask(port, "GET / HTTP/1.1\nx-request-id: abc-123")).body
        await it.said(r"GET /: 500.*call_id=abc-123")


async def test_the_clients_trace_goes_on_in_the_call_to_the_actor() -> None:
    seen: list[tuple[str, str] | None] = []

    async def handle(request: HttpRequest) -> HttpResponse:
        trace = Context.current().trace
        seen.append(None if trace is None else (trace.traceparent, trace.tracestate))
        return HttpResponse(200, {}, b"")

    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with running() as it:
        _, port = await it.serve(handle)
        await ask(port, f"GET / HTTP/1.1\ntraceparent: {parent}\ntracestate: vendor=value")
        await ask(port, "GET / HTTP/1.1\ntraceparent: nonsense\ntracestate: vendor=value")
        await ask(port)
    assert seen == [(parent, "vendor=value"), None, None]
