"""What an operator sets around the requests of a link: cross-origin rules, proxies, compression, error pages."""

from __future__ import annotations

import asyncio
import gzip
import json
import re

import pytest

from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.testing import Manner
from tests.integration.http_front import Answer, ask, greet, running
from tests.integration.http_wire import connected
from tests.integration.https import program
from tests.servers.ports import free_port

PAGE = "https://page.example"
OTHER = "https://other.example"
VISITOR = "192.0.2.7"
TEXT = b"the same again and again. " * 1000


async def curl(port: int, *options: str, path: str = "/") -> tuple[int, dict[str, str], str]:
    """Status, header lines by name and body, as curl has them."""
    told = await program("curl", "-sS", "-i", "--noproxy", "*", *options, f"http://127.0.0.1:{port}{path}")
    head, _, body = told.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}, body


def cors(**settings: object) -> str:
    return json.dumps(settings)


def allowed(answer: Answer) -> list[str]:
    return answer.values("access-control-allow-origin")


# Cross-origin requests


@pytest.mark.needs("curl")
async def test_as_the_official_provider_a_refused_origin_never_reaches_the_actor() -> None:
    async with running() as it:
        actor, port = await it.serve(greet, cors=cors(allowed_origins=[PAGE]))
        assert (await curl(port, "-H", f"Origin: {PAGE}"))[::2] == (200, "hello")
        status, header, body = await curl(port, "-H", f"Origin: {OTHER}")
        assert (status, body, header["content-type"]) == (403, "CORS request forbidden: origin not allowed", "text/plain; charset=utf-8")
        assert "access-control-allow-origin" not in header
        assert len(actor.asked) == 1


@pytest.mark.needs("curl")
async def test_as_the_official_provider_preflights_are_answered_without_the_actor() -> None:
    async with running() as it:
        actor, port = await it.serve(greet)
        asked = ("-X", "OPTIONS", "-H", f"Origin: {PAGE}", "-H", "Access-Control-Request-Method: PUT")
        status, header, body = await curl(port, *asked, "-H", "Access-Control-Request-Headers: content-type")
        assert (status, body, header["content-length"]) == (200, "", "0")
        assert {name: value for name, value in header.items() if name.startswith("access-control")} == {
            "access-control-allow-origin": PAGE,
            "access-control-allow-headers": "accept, accept-language, content-type, content-language",
            "access-control-allow-methods": "GET, POST, PUT, DELETE, HEAD, OPTIONS",
            "access-control-max-age": "300",
        }
        refused = [
            await curl(port, *asked[:4]),
            await curl(port, *asked[:5], "Access-Control-Request-Method: PATCH"),
            await curl(port, *asked, "-H", "Access-Control-Request-Headers: x-own"),
        ]
        assert [(status, body) for status, _, body in refused] == [
            (403, "CORS request forbidden: request-method not allowed"),
            (403, "CORS request forbidden: request-method not allowed"),
            (403, "CORS request forbidden: header not allowed"),
        ]
        assert actor.asked == []


async def test_options_without_an_origin_are_the_actors() -> None:
    async with running() as it:
        actor, port = await it.serve(greet)
        assert (await ask(port, "OPTIONS / HTTP/1.1\naccess-control-request-method: GET")).body == b"hello"
        assert (await ask(port, "OPTIONS * HTTP/1.1")).body == b"hello"
        assert [(asked.method, asked.path) for asked in actor.asked] == [("OPTIONS", "/"), ("OPTIONS", "*")]


async def test_a_page_of_an_allowed_origin_can_read_every_answer() -> None:
    """Error pages included: without the permission its script sees a network error and nothing else."""
    may_answer = asyncio.Event()

    async def handle(request: HttpRequest) -> HttpResponse:
        if request.path == "/wait":
            await may_answer.wait()
        raise ValueError("no")

    limits = {"max_content_len": "4", "max_requests": "1", "timeout_ms": "20000"}
    async with running() as it:
        actor, port = await it.serve(handle, cors=cors(allowed_origins=[PAGE]), **limits)
        origin = f"origin: {PAGE}"
        answers = {
            500: await ask(port, f"GET / HTTP/1.1\n{origin}"),
            413: await ask(port, f"POST / HTTP/1.1\n{origin}\ncontent-length: 5\n\nabcde"),
        }
        waiting = asyncio.create_task(ask(port, f"GET /wait HTTP/1.1\n{origin}"))
        async with asyncio.timeout(10):
            while len(actor.asked) < 2:
                await asyncio.sleep(0.01)
        answers[503] = await ask(port, f"GET / HTTP/1.1\n{origin}")
        may_answer.set()
        await waiting
        _, other = await it.serve(handle, cors=cors(allowed_origins=[PAGE]), readonly_mode="true")
        answers[405] = await ask(other, f"PUT / HTTP/1.1\n{origin}\ncontent-length: 0")
        assert {status: (answer.status, allowed(answer)) for status, answer in answers.items()} == {
            status: (status, [PAGE]) for status in (500, 413, 503, 405)
        }


async def test_the_links_policy_counts_and_not_what_the_actor_says() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        own = {"Access-Control-Allow-Origin": ["*"], "access-control-allow-credentials": ["true"], "Vary": ["accept"]}
        return HttpResponse(200, own, b"")

    async with running() as it:
        _, port = await it.serve(handle, cors=cors(allowed_origins=[PAGE]))
        answer = await ask(port, f"GET / HTTP/1.1\norigin: {PAGE}")
        assert (allowed(answer), answer.values("access-control-allow-credentials")) == ([PAGE], [])
        assert answer.values("vary") == ["accept", "origin"]
        assert allowed(await ask(port)) == ["*"]


async def test_by_the_standard_the_browser_does_the_refusing() -> None:
    async with running() as it:
        actor, port = await it.serve(greet, cors=cors(mode="fetch", allowed_origins=[PAGE], allow_credentials=True))
        granted, refused = [await ask(port, f"GET / HTTP/1.1\norigin: {origin}") for origin in (PAGE, OTHER)]
        assert (granted.status, allowed(granted), granted.values("access-control-allow-credentials")) == (200, [PAGE], ["true"])
        assert (refused.status, allowed(refused), refused.values("vary")) == (200, [], ["origin"])
        preflight = await ask(port, f"OPTIONS / HTTP/1.1\norigin: {PAGE}\naccess-control-request-method: PUT")
        assert (preflight.status, preflight.values("access-control-max-age"), preflight.body) == (204, ["300"], b"")
        assert len(actor.asked) == 2


async def test_off_leaves_it_all_to_the_actor() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {"access-control-allow-origin": ["*"]}, b"own")

    async with running() as it:
        actor, port = await it.serve(handle, cors=cors(mode="off", allowed_origins=[OTHER]))
        for method in ("GET", "OPTIONS"):
            answer = await ask(port, f"{method} / HTTP/1.1\norigin: {PAGE}\naccess-control-request-method: PUT")
            assert (answer.status, allowed(answer), answer.values("vary"), answer.body) == (200, ["*"], [], b"own")
        assert [asked.header["origin"] for asked in actor.asked] == [[PAGE], [PAGE]]


@pytest.mark.parametrize("manner", list(Manner))
async def test_a_wrong_origin_fails_the_link_with_one_line(manner: Manner) -> None:
    async with running(manner) as it:
        await it.link(KeyPair.generate(Prefix.MODULE).public, address="127.0.0.1:0", cors=cors(allowed_origins=["page.example"]))
        await it.said("link failed, will be retried: cors: allowed_origins: 'page.example' is not http")


# Behind proxies


SPOOFED = """\
X-Forwarded-For: 198.51.100.9
X-Forwarded-Proto: https
X-Forwarded-Host: bank.example
X-Forwarded-Port: 443
X-Real-IP: 198.51.100.9
Forwarded: for=198.51.100.9;proto=https;host=bank.example
X_Forwarded_For: 198.51.100.9"""


def told(request: HttpRequest) -> dict[str, list[str]]:
    return {name: values for name, values in request.header.items() if "forwarded" in name or name == "x-real-ip"}


async def test_without_the_setting_the_actor_gets_what_the_client_sent() -> None:
    async with running() as it:
        actor, port = await it.serve(greet)
        await ask(port, f"GET / HTTP/1.1\n{SPOOFED}")
        assert len(told(actor.asked[0])) == 7


@pytest.mark.parametrize("trusted", ["[]", "192.0.2.0/24", '["192.0.2.1", "2001:db8::/32"]'])
async def test_from_anybody_but_the_named_proxies_it_is_replaced(trusted: str) -> None:
    async with running() as it:
        actor, port = await it.serve(greet, trusted_proxies=trusted)
        await ask(port, f"GET / HTTP/1.1\n{SPOOFED}")
        assert told(actor.asked[0]) == {"x-forwarded-for": ["127.0.0.1"], "x-forwarded-proto": ["http"]}


@pytest.mark.parametrize("family", ["x-forwarded-for", "forwarded"])
async def test_a_named_proxy_is_believed_in_one_family_of_headers_and_the_other_is_left_out(family: str) -> None:
    usual = ["X-Forwarded-For: 198.51.100.9, 192.0.2.7:4711", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.example.com"]
    standard = ['Forwarded: for=198.51.100.9, for="192.0.2.7:4711";proto=https;host="www.example.com"']
    wrong = {"x-forwarded-for": ["Forwarded: for=203.0.113.1;host=evil.example"], "forwarded": ["X-Forwarded-For: 203.0.113.1"]}
    async with running() as it:
        actor, port = await it.serve(greet, trusted_proxies="127.0.0.0/8", trusted_header=family)
        lines = (usual if family == "x-forwarded-for" else standard) + wrong[family]
        await ask(port, "\n".join(["GET / HTTP/1.1", *lines]))
        assert told(actor.asked[0]) == {
            "x-forwarded-for": ["192.0.2.7, 127.0.0.1"],
            "x-forwarded-proto": ["https"],
            "x-forwarded-host": ["www.example.com"],
        }


async def test_links_are_told_apart_by_the_host_that_a_named_proxy_names() -> None:
    async with running() as it:
        port = free_port()
        actors = {}
        for name, trusted in (("a.test", "127.0.0.1"), ("b.test", "127.0.0.1"), ("c.test", "[]")):
            actors[name] = await it.actor(greet)
            await it.link(actors[name].key, port=str(port), hosts=name, trusted_proxies=trusted)
            await it.said(f"link up.*{actors[name].key}")
        async with connected(port) as wire:
            for host in ("a.test", "proxy.inside"):
                answer = await wire.ask("GET / HTTP/1.1", f"host: {host}", "x-forwarded-host: B.test:8443", f"x-forwarded-for: {VISITOR}")
                assert (answer.status, told(actors["b.test"].asked[-1])["x-forwarded-for"]) == (200, [f"{VISITOR}, 127.0.0.1"])
            # The third believes nobody, whoever led there.
            answer = await wire.ask("GET / HTTP/1.1", "host: a.test", "x-forwarded-host: c.test", f"x-forwarded-for: {VISITOR}")
            assert (answer.status, told(actors["c.test"].asked[-1])["x-forwarded-for"]) == (200, ["127.0.0.1"])
            assert (await wire.ask("GET / HTTP/1.1", "host: c.test", "x-forwarded-host: a.test")).status == 200
            assert (await wire.ask("GET / HTTP/1.1", "host: a.test", "x-forwarded-host: d.test")).status == 404
        assert {name: len(actor.asked) for name, actor in actors.items()} == {"a.test": 0, "b.test": 2, "c.test": 2}


async def test_a_client_that_names_headers_as_the_connections_own_cannot_take_the_servers_away() -> None:
    async with running() as it:
        actor, port = await it.serve(greet, trusted_proxies="[]")
        await ask(port, "GET / HTTP/1.1\nconnection: x-forwarded-for, x-forwarded-proto, x-request-id, host\nx-forwarded-for: 1.2.3.4")
        assert told(actor.asked[0]) == {"x-forwarded-for": ["127.0.0.1"], "x-forwarded-proto": ["http"]}
        assert {"x-request-id", "host"} <= actor.asked[0].header.keys()


# Compression


async def tell(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, {"content-type": ["text/html"], "etag": ['"1"']}, TEXT)


@pytest.mark.needs("curl")
async def test_responses_are_compressed_where_it_is_set_and_the_client_takes_it() -> None:
    async with running() as it:
        _, port = await it.serve(tell, gzip="true")
        status, header, body = await curl(port, "--compressed")
        assert (status, header["content-encoding"], header["etag"], header["vary"]) == (200, "gzip", 'W/"1"', "accept-encoding")
        assert (body, int(header["content-length"]) < 1000) == (TEXT.decode(), True)
        raw = await ask(port, "GET / HTTP/1.1\naccept-encoding: gzip")
        assert gzip.decompress(raw.body) == TEXT
        plain = await ask(port, "GET / HTTP/1.1\naccept-encoding: br")
        assert (plain.body, plain.values("content-encoding"), plain.values("vary")) == (TEXT, [], ["accept-encoding"])


async def test_nothing_is_compressed_unasked() -> None:
    async with running() as it:
        _, port = await it.serve(tell)
        answer = await ask(port, "GET / HTTP/1.1\naccept-encoding: gzip")
        assert (answer.body, answer.values("content-encoding"), answer.values("vary"), answer.values("etag")) == (TEXT, [], [], ['"1"'])


async def test_head_is_answered_as_get_would_be() -> None:
    async with running() as it:
        _, port = await it.serve(tell, gzip="true")
        got = await ask(port, "GET / HTTP/1.1\naccept-encoding: gzip")
        head = await ask(port, "HEAD / HTTP/1.1\naccept-encoding: gzip")
        assert head.body == b""
        for name in ("content-length", "content-encoding", "etag", "vary"):
            assert head.values(name) == got.values(name)


async def test_the_bound_for_short_responses_is_a_setting_and_permissions_stay_on_compressed_ones() -> None:
    async with running() as it:
        _, port = await it.serve(tell, gzip="true", gzip_min_size="1M", cors=cors(allowed_origins=[PAGE]))
        assert (await ask(port, "GET / HTTP/1.1\naccept-encoding: gzip")).body == TEXT
        _, port = await it.serve(tell, gzip="true", cors=cors(allowed_origins=[PAGE]))
        answer = await ask(port, f"GET / HTTP/1.1\naccept-encoding: gzip\norigin: {PAGE}")
        assert (allowed(answer), answer.values("content-encoding")) == ([PAGE], ["gzip"])
        assert sorted(answer.values("vary")) == ["accept-encoding", "origin"]


# Answers when things go wrong


async def test_error_pages_are_text_or_json_as_the_client_prefers_and_tell_nothing_of_the_inside() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        if request.path == "/status":
            return HttpResponse(7, {"x-inside": ["secret"]}, b"the secret inside")
        if request.path == "/wait":
            await asyncio.Future()
        raise ValueError("the secret inside")

    async with running() as it:
        _, port = await it.serve(handle, timeout_ms="100", max_content_len="3", path_prefix="/")
        requests = {500: "GET /error HTTP/1.1", 502: "GET /status HTTP/1.1", 504: "GET /wait HTTP/1.1"}
        requests |= {413: "POST / HTTP/1.1\ncontent-length: 4", 417: "POST / HTTP/1.1\nexpect: miracles\ncontent-length: 1"}
        for status, request in requests.items():
            text, problem = await ask(port, request), await ask(port, f"{request}\naccept: application/json")
            assert (text.status, text.values("content-type")) == (status, ["text/plain; charset=utf-8"])
            assert text.body.startswith(b"%d " % status)
            assert (problem.status, problem.values("content-type"), json.loads(problem.body)["status"]) == (
                status,
                ["application/json"],
                status,
            )
            for answer in (text, problem):
                assert answer.values("cache-control") == ["no-store"]
                assert not re.search(rb"secret|ValueError|Traceback", answer.body + str(answer.header).encode())


@pytest.mark.parametrize("accept", ["*/*", "application/problem+json"])
async def test_an_actor_that_nobody_runs_is_503_with_a_time_to_try_again_in_both_forms(accept: str) -> None:
    async with running() as it:
        await it.link(KeyPair.generate(Prefix.MODULE).public, address="127.0.0.1:0")
        answer = await ask(await it.listening(), f"GET / HTTP/1.1\naccept: {accept}")
        assert (answer.status, answer.values("retry-after")) == (503, ["1"])
        assert answer.values("content-type") == [accept if "json" in accept else "text/plain; charset=utf-8"]


async def test_readonly_mode_says_which_methods_are_allowed() -> None:
    async with running() as it:
        _, port = await it.serve(greet, readonly_mode="true")
        answer = await ask(port, "DELETE / HTTP/1.1")
        assert (answer.status, answer.values("allow")) == (405, ["GET, HEAD"])


async def test_a_path_that_nobody_serves_is_404_in_the_form_that_the_client_prefers() -> None:
    async with running() as it:
        _, port = await it.serve(greet, path_prefix="/shop")
        assert (await ask(port, "GET /shop/1 HTTP/1.1")).status == 200
        answer = await ask(port, "GET /shopping HTTP/1.1\naccept: application/json")
        assert (answer.status, json.loads(answer.body)["status"]) == (404, 404)
