"""What is too much, too long or not HTTP is refused with the status that says so, and the connection is left in a known state."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse
from tests.integration.http_front import running
from tests.integration.http_wire import Wire, comes_to, complaints, connected, metric
from tests.servers.ports import free_port


async def tell(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, {}, f"{request.method} {request.path} {len(request.body)}".encode())


async def closes_with(wire: Wire, status: int) -> None:
    """The next answer has `status` and says that it is the last; then the server closes its side."""
    answer = await wire.answer()
    assert (answer.status, answer.values("connection"), await wire.rest()) == (status, ["close"], b"")


# Heads


REFUSED_HEADS = [
    (414, [f"GET /{'x' * 200} HTTP/1.1"]),
    (414, [f"GET /?{'x' * 5000} HTTP/1.1"]),
    (431, ["GET / HTTP/1.1", f"x-long: {'x' * 300}"]),
    (431, ["GET / HTTP/1.1", f"{'x' * 400}: y"]),
    (431, ["GET / HTTP/1.1", *[f"x-{number}: {'x' * 90}" for number in range(9)]]),
    (431, ["GET / HTTP/1.1", *[f"x-{number}: y" for number in range(20)]]),
    (501, ["BREW / HTTP/1.1"]),
    (505, ["GET / HTTP/2.0"]),
    (505, ["GET / HTTP/1.7"]),
    (400, ["GET / HTP/1.1"]),
    (400, ["GET / HTTP/1.1", "no colon"]),
    (405, ["CONNECT here:443 HTTP/1.1"]),
]


async def test_a_head_that_is_refused_is_answered_and_the_connection_closed() -> None:
    async with running() as it:
        limits = {"max_uri": "100", "max_header_line": "200", "max_header": "700", "max_header_count": "16"}
        actor, port = await it.serve(tell, **limits)
        for status, lines in REFUSED_HEADS:
            async with connected(port) as wire:
                assert (await wire.ask("GET /first HTTP/1.1")).status == 200
                await wire.send(*lines)
                await closes_with(wire, status)
        assert ({asked.path for asked in actor.asked}, complaints(it)) == ({"/first"}, [])


async def test_a_head_that_just_fits_every_limit_is_served() -> None:
    async with running() as it:
        limits = {"max_uri": "100", "max_header_line": "200", "max_header": "700", "max_header_count": "6"}
        _, port = await it.serve(tell, **limits)
        fields = ["host: here", f"x-a: {'x' * 197}", f"x-b: {'x' * 197}", f"x-c: {'x' * 197}", "x-d: y", ""]
        fields[5] = f"x-e: {'x' * (700 - sum(len(field) + 2 for field in fields[:5]) - 7)}"
        async with connected(port) as wire:
            assert (await wire.ask(f"GET /{'x' * 99} HTTP/1.1", *fields)).status == 200
            fields[5] += "x"
            assert (await wire.ask("GET / HTTP/1.1", *fields)).status == 431


async def test_a_long_head_is_431_also_where_it_begins_in_one_piece_with_what_is_before_it() -> None:
    async with running() as it:
        actor, port = await it.serve(tell)
        first = b"POST /first HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\r\n"
        long = b"GET /long HTTP/1.1\r\nhost: here\r\n" + b"".join(b"x-%d: %s\r\n" % (number, b"y" * 1000) for number in range(40))
        for pieces in ([first + b"x" * 9 + long, b"\r\n"], [first, b"x" * 9 + long, b"\r\n"], [(first + b"x" * 9) * 40 + long + b"\r\n"]):
            actor.asked.clear()
            async with connected(port) as wire:
                for piece in pieces:
                    await wire.write(piece)
                    await asyncio.sleep(0.05)
                for _ in range(piece.count(b"/first") or 1):
                    assert (await wire.answer()).body == b"POST /first 9"
                await closes_with(wire, 431)
            assert {asked.path for asked in actor.asked} == {"/first"}


@pytest.mark.parametrize("size", [50_000, 3_000_000])
async def test_a_head_without_an_end_is_431_and_the_answer_can_be_read(size: int) -> None:
    async with running() as it:
        actor, port = await it.serve(tell, max_header_count="10000", max_header="1MiB")
        async with connected(port) as wire:
            await wire.write(b"GET / HTTP/1.1\r\nhost: here\r\n")
            with contextlib.suppress(ConnectionError):
                for number in range(size // 1000):
                    await wire.write(b"x-%d: " % number + b"y" * 990 + b"\r\n")
            if size < 100_000:
                assert await wire.is_open()
            else:
                await closes_with(wire, 431)
        assert (actor.asked, complaints(it)) == ([], [])


async def test_an_endless_head_behind_a_request_in_progress_is_431_after_that_ones_answer() -> None:
    may_answer = asyncio.Event()

    async def handle(request: HttpRequest) -> HttpResponse:
        await may_answer.wait()
        return HttpResponse(200, {}, b"first")

    async with running() as it:
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            await wire.send("GET / HTTP/1.1")
            await wire.write(b"GET / HTTP/1.1\r\nhost: here\r\n")
            for _ in range(10):
                await wire.write((b"x: " + b"y" * 1000 + b"\r\n") * 8)
                await asyncio.sleep(0.01)
            may_answer.set()
            assert (await wire.answer()).body == b"first"
            await closes_with(wire, 431)
        assert complaints(it) == []


async def test_a_client_that_closes_when_it_was_refused_is_let_go_at_once() -> None:
    metrics = free_port()
    async with running(configuration={"metrics_address": f"127.0.0.1:{metrics}"}) as it:
        _, port = await it.serve(tell, max_content_len="10")
        for lines in (["BREW / HTTP/1.1"], ["POST / HTTP/1.1", "content-length: 100000"]):
            async with connected(port) as wire:
                await wire.send(*lines, body=b"x" * 100)
                assert (await wire.answer()).status in (413, 501)
                assert await metric(metrics, "http_connections") == 1
            await comes_to(metrics, "http_connections", 0, within=4)  # a refused one lingers for 5 s


# Bodies


async def test_a_body_over_max_content_len_is_413_declared_or_chunked_and_the_client_can_read_that_while_it_still_sends() -> None:
    async with running() as it:
        actor, port = await it.serve(tell, max_content_len="1MiB")
        declared = ["POST / HTTP/1.1", f"content-length: {(1 << 20) + 1}"]
        async with connected(port) as wire:
            await wire.send(*declared)
            await closes_with(wire, 413)
        async with connected(port) as wire:
            await wire.send(*declared, body=b"x" * ((1 << 20) + 1))
            await closes_with(wire, 413)
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "transfer-encoding: chunked")
            with contextlib.suppress(ConnectionError):
                for _ in range(64):
                    await wire.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await closes_with(wire, 413)
        assert actor.asked == []
        async with connected(port) as wire:
            assert (await wire.ask("POST / HTTP/1.1", f"content-length: {1 << 20}", body=b"x" * (1 << 20))).body == b"POST / 1048576"


async def test_with_expect_100_continue_a_body_is_refused_before_it_is_sent() -> None:
    async with running() as it:
        actor, port = await it.serve(tell, max_content_len="10", readonly_mode="false")
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 11", "expect: 100-continue")
            await closes_with(wire, 413)
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 3", "expect: something-else")
            await closes_with(wire, 417)
        assert actor.asked == []
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 3", "Expect: 100-Continue")
            assert (await wire.answer()).status == 100
            await wire.write(b"abc")
            assert (await wire.answer()).body == b"POST / 3"
            assert (await wire.ask("POST / HTTP/1.1", "content-length: 3", "expect: 100-continue", body=b"abc")).status == 200


async def test_a_refusal_that_left_a_client_without_its_100_continue_ends_the_connection() -> None:
    # Such a client may send the body or not: what follows could be either.
    async with running() as it:
        _, port = await it.serve(tell, readonly_mode="true")
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 3", "expect: 100-continue")
            await closes_with(wire, 405)


async def test_a_broken_chunk_is_400_at_once() -> None:
    async with running() as it:
        actor, port = await it.serve(tell)
        for broken in [b"zz\r\n", b"3\r\nabcd\r\n", b"-1\r\n", b"3;\x00\r\nabc\r\n", b"fffffffffffffffff\r\n"]:
            async with connected(port) as wire:
                await wire.send("POST / HTTP/1.1", "transfer-encoding: chunked", body=b"3\r\nabc\r\n")
                await asyncio.sleep(0.05)
                await wire.write(broken)
                async with asyncio.timeout(3):
                    await closes_with(wire, 400)
        assert (actor.asked, complaints(it)) == ([], [])


async def test_bodies_together_take_no_more_than_max_body_memory_and_more_is_503_with_a_time_to_try_again() -> None:
    metrics = free_port()
    async with running(configuration={"metrics_address": f"127.0.0.1:{metrics}"}) as it:
        actor, port = await it.serve(tell, max_body_memory="1MiB")
        async with connected(port) as one, connected(port) as two:
            await one.send("POST /one HTTP/1.1", "content-length: 700001", body=b"x" * 700_000)
            await comes_to(metrics, "http_body_bytes", 700_000)
            await two.send("POST /two HTTP/1.1", "content-length: 700001", body=b"x" * 700_000)
            answer = await two.answer()
            assert (answer.status, answer.values("retry-after"), await two.rest()) == (503, ["1"], b"")
            await one.write(b"x")
            assert (await one.answer()).body == b"POST /one 700001"
        assert len(actor.asked) == 1
        await comes_to(metrics, "http_body_bytes", 0)


async def test_an_answer_that_memory_has_no_room_for_is_503() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {}, b"x" * int(request.path[1:]))

    async with running() as it:
        _, port = await it.serve(handle, max_body_memory="1MiB")
        async with connected(port) as wire:
            assert len((await wire.ask("GET /1000000 HTTP/1.1")).body) == 1_000_000
            assert (await wire.ask("GET /1048577 HTTP/1.1")).status == 503


# Numbers


async def test_requests_over_max_requests_are_503_at_once_and_their_connections_stay() -> None:
    may_answer = asyncio.Event()

    async def handle(request: HttpRequest) -> HttpResponse:
        await may_answer.wait()
        return HttpResponse(200, {}, b"late")

    async with running() as it:
        actor, port = await it.serve(handle, max_requests="2")
        async with connected(port) as one, connected(port) as two, connected(port) as three:
            await one.send("GET / HTTP/1.1")
            await two.send("GET / HTTP/1.1")
            async with asyncio.timeout(5):
                while len(actor.asked) < 2:
                    await asyncio.sleep(0.01)
            answer = await three.ask("POST / HTTP/1.1", "content-length: 3", body=b"abc")
            assert (answer.status, answer.values("retry-after"), answer.values("connection")) == (503, ["1"], [])
            may_answer.set()
            assert [(await wire.answer()).body for wire in (one, two)] == [b"late", b"late"]
            assert (await three.ask("GET / HTTP/1.1")).status == 200


@pytest.mark.parametrize("setting", ["max_connections", "max_connections_per_client"])
async def test_a_connection_too_many_gets_a_readable_503_at_once_and_the_others_go_on(setting: str) -> None:
    metrics = free_port()
    async with running(configuration={"metrics_address": f"127.0.0.1:{metrics}"}) as it:
        _, port = await it.serve(tell, **{setting: "3"})
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(connected(port)) for _ in range(3)]
            for wire in wires:
                assert (await wire.ask("GET / HTTP/1.1")).status == 200
            for _ in range(5):
                async with connected(port) as late:
                    await late.send("POST / HTTP/1.1", "content-length: 3", body=b"abc")
                    answer = await late.answer()
                    assert (answer.status, answer.values("retry-after"), await late.rest()) == (503, ["1"], b"")
            await comes_to(metrics, "http_connections", 3)
            assert (await wires[0].ask("GET / HTTP/1.1")).status == 200
        await comes_to(metrics, "http_connections", 0)
        async with connected(port) as wire:
            assert (await wire.ask("GET / HTTP/1.1")).status == 200


async def test_links_at_one_address_share_the_strictest_limits_of_its_connections() -> None:
    async with running() as it:
        port = str(free_port())
        _, _ = await it.serve(tell, port=port, max_uri="200")
        other = await it.actor(tell)
        await it.link(other.key, port=port, hosts="other.example", max_uri="100")
        await it.said(f"link up.*{other.key}")
        async with connected(int(port)) as wire:
            assert (await wire.ask(f"GET /{'x' * 150} HTTP/1.1")).status == 414
        await it.unlink(other.key)
        await it.said("link down")
        async with connected(int(port)) as wire:
            assert (await wire.ask(f"GET /{'x' * 150} HTTP/1.1")).status == 200


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_without_files_for_more_connections_the_server_says_so_and_goes_on_when_some_are_free() -> None:
    async with running() as it:
        _, port = await it.serve(tell)
        pid = it.provider.pid
        _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files(pid) + 10, most))
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(connected(port)) for _ in range(30)]
            await it.said("no more connections at .*: raise the limit of open files")
            assert (await wires[0].ask("GET / HTTP/1.1")).status == 200
        async with connected(port) as wire:
            assert (await wire.ask("GET / HTTP/1.1")).status == 200


# Order


@pytest.mark.parametrize("count", [3, 32, 33, 500])
async def test_requests_in_one_piece_are_answered_each_and_in_order(count: int) -> None:
    async with running() as it:
        actor, port = await it.serve(tell)
        async with connected(port) as wire:
            piece = b"".join(
                b"POST /%d HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n%s" % (number, number % 7, b"G" * (number % 7))
                for number in range(count)
            )
            sending = asyncio.create_task(wire.write(piece))
            bodies = [(await wire.answer()).body for _ in range(count)]
            await sending
        assert bodies == [f"POST /{number} {number % 7}".encode() for number in range(count)]
        assert [asked.path for asked in actor.asked] == [f"/{number}" for number in range(count)]


async def test_a_client_that_has_closed_its_side_still_gets_what_it_asked_for() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0.1)
        return await tell(request)

    async with running() as it:
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            await wire.write(b"".join(b"GET /%d HTTP/1.1\r\nhost: here\r\n\r\n" % number for number in range(20)))
            wire.writer.write_eof()
            answers = [await wire.answer() for _ in range(20)]
            assert [answer.body for answer in answers] == [f"GET /{number} 0".encode() for number in range(20)]
            assert ([answer.values("connection") for answer in answers[-2:]], await wire.rest()) == ([[], ["close"]], b"")


async def test_requests_byte_by_byte_are_requests_like_others() -> None:
    async with running() as it:
        actor, port = await it.serve(tell)
        async with connected(port) as wire:
            for byte in b"POST /a HTTP/1.1\r\nhost: here\r\ncontent-length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nhost: here\r\n\r\n":
                await wire.write(bytes([byte]))
                await asyncio.sleep(0)
            assert [(await wire.answer()).body for _ in range(2)] == [b"POST /a 3", b"GET /b 0"]
        assert len(actor.asked) == 2


@pytest.mark.parametrize(("values", "status"), [({"readonly_mode": "true"}, 405), ({"path_prefix": "/x"}, 404)])
async def test_an_early_answer_never_takes_the_body_for_the_next_request(values: dict[str, str], status: int) -> None:
    async with running() as it:
        actor, port = await it.serve(tell, **values)
        body = b"GET /x/evil HTTP/1.1\r\nhost: here\r\n\r\n".ljust(60_000, b"\n")
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 60000", body=body[:100])
            assert (await wire.answer()).status == status
            await wire.write(body[100:30_000])
            await asyncio.sleep(0.05)
            await wire.write(body[30_000:] + b"GET /x/next HTTP/1.1\r\nhost: here\r\n\r\n")
            assert (await wire.answer()).body == b"GET /x/next 0"
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "transfer-encoding: chunked", body=b"ea60\r\n" + body[:100])
            answer = await wire.answer()
            assert (answer.status, answer.values("connection")) == (status, ["close"])
            await wire.write(body[100:] + b"\r\n0\r\n\r\nGET /x/evil HTTP/1.1\r\nhost: here\r\n\r\n")
            assert await wire.rest() == b""
        assert [asked.path for asked in actor.asked] == ["/x/next"]


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "h2c, x"])
async def test_a_request_to_change_the_protocol_is_served_and_is_the_last(protocol: str) -> None:
    # aiohttp's parser drops what comes in one piece with it, so that a body could be read as a request.
    async with running() as it:
        actor, port = await it.serve(tell)
        async with connected(port) as wire:
            upgrade = f"GET /up HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n".encode()
            await wire.write(upgrade + b"POST /a HTTP/1.1\r\nhost: here\r\ncontent-length: 37\r\n\r\n")
            await asyncio.sleep(0.05)
            await wire.write(b"GET /evil HTTP/1.1\r\nhost: here\r\n\r\n" * 2)
            await closes_with(wire, 200)
        async with connected(port) as wire:
            await wire.send("POST /body HTTP/1.1", "connection: upgrade", f"upgrade: {protocol}", "content-length: 3", body=b"abc")
            assert (await wire.answer()).body == b"POST /body 3"
        assert ([asked.path for asked in actor.asked], complaints(it)) == (["/up", "/body"], [])


async def test_http_1_0_is_kept_alive_when_it_asks_for_that_and_not_otherwise() -> None:
    async with running() as it:
        _, port = await it.serve(tell)
        async with connected(port) as wire:
            answer = await wire.ask("GET /a HTTP/1.0", "connection: keep-alive")
            assert (answer.status, answer.values("connection")) == (200, ["keep-alive"])
            await wire.send("GET /b HTTP/1.0")
            await closes_with(wire, 200)


async def test_head_204_and_304_have_no_body_and_the_next_answer_follows_them() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        return HttpResponse(int(request.path[1:]), {"Content-Length": ["12"]}, b"a long body " if request.method == "GET" else b"")

    async with running() as it:
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            head = await wire.ask("HEAD /200 HTTP/1.1")
            assert (head.status, head.values("content-length"), head.values("transfer-encoding")) == (200, ["12"], [])
            for line, length in [("GET /204 HTTP/1.1", []), ("GET /304 HTTP/1.1", ["12"]), ("HEAD /404 HTTP/1.1", ["12"])]:
                await wire.send(line)
                answer = await wire.answer(bodiless=True)
                assert (answer.status, answer.values("content-length")) == (int(line.split()[1][1:]), length)
            assert (await wire.ask("GET /200 HTTP/1.1")).body == b"a long body "


# Large bodies, through the object store


@pytest.mark.parametrize("size", [900 << 10, (900 << 10) + 1, 8 << 20, 32 << 20])
async def test_bodies_above_the_message_limit_pass_both_ways_whole(size: int) -> None:
    async def mirror(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {}, request.body[::-1])

    metrics = free_port()
    async with running(configuration={"metrics_address": f"127.0.0.1:{metrics}"}) as it:
        _, port = await it.serve(mirror, timeout_ms="20000")
        body = bytes(range(256)) * (size // 256 + 1)
        async with connected(port) as wire:
            answer = await wire.ask("POST / HTTP/1.1", f"content-length: {size}", body=body[:size])
            assert (answer.status, answer.body == body[:size][::-1]) == (200, True)
            assert (await wire.ask("GET / HTTP/1.1")).status == 200
        await comes_to(metrics, "http_body_bytes", 0)
        assert complaints(it) == []


# curl, which waits for 100 Continue


async def curl(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        "curl", "-sv", "--max-time", "10", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, said = await process.communicate()
    return process.returncode or 0, output.decode(), said.decode()


@pytest.mark.needs("curl")
async def test_curl_sends_a_body_when_told_to_continue_and_none_when_refused() -> None:
    async with running() as it:
        actor, port = await it.serve(tell, max_content_len="100")
        url = f"http://127.0.0.1:{port}/"
        expect = ["-H", "Expect: 100-continue", "--expect100-timeout", "8", "--data-binary"]
        code, body, said = await curl(*expect, "x" * 100, url)
        assert (code, body, re.findall(r"< HTTP/1.1 (\d+)", said)) == (0, "POST / 100", ["100", "200"])
        code, _, said = await curl(*expect, "x" * 101, url)
        assert (code, re.findall(r"< HTTP/1.1 (\d+)", said), "We are completely uploaded" in said) == (0, ["413"], False)
        code, _, said = await curl("-H", "Expect:", "--data-binary", "x" * 100_000, url)
        assert (code, re.findall(r"< HTTP/1.1 (\d+)", said), len(actor.asked)) == (0, ["413"], 1)
