"""The page of the hello example, asked for as a browser does: what is on it, and that nothing which a request says becomes a part of it."""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgpack
import pytest

from provider_sdk import Config, Interface, Link, Provider, Unavailable
from provider_sdk.testing import Manner, TestLattice, a_lattice
from provider_sdk.types import S32

HELLO = Path(__file__).parents[2] / "examples" / "hello" / "hello.wasm"
BOTH = pytest.mark.parametrize("manner", list(Manner))
ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&lt;&"
VOID = {"link", "meta", "input", "img"}


class KeyValue(Interface, contract="wasmcloud:keyvalue"):
    @abstractmethod
    async def increment(self, key: str, value: S32) -> S32:
        """The number under `key` after `value` was added."""


class Store(KeyValue):
    """Counts in memory, or fails with `failure`."""

    def __init__(self, failure: str = "") -> None:
        self.failure = failure
        self.numbers: defaultdict[str, int] = defaultdict(int)

    async def increment(self, key: str, value: int) -> int:
        if self.failure:
            raise Unavailable(self.failure)
        self.numbers[key] += value
        return self.numbers[key]


def provider_of(store: Store) -> type[Provider[Any]]:
    class StoreProvider(Provider[Config], serves=(KeyValue,)):
        @asynccontextmanager
        async def link(self, link: Link[Config]) -> AsyncIterator[KeyValue]:
            yield store

    return StoreProvider


class Page(HTMLParser):
    """A page's elements with the names of their attributes, and the text of each element that has an id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.references: list[str] = []
        self.values: dict[str, str] = {}
        self.texts: defaultdict[str, str] = defaultdict(str)
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, tuple(given)))
        self.references += [given[name] for name in ("src", "href", "action") if name in given]
        if "value" in given:
            self.values[given["id"]] = given["value"]
        if tag not in VOID:
            self._open.append(given.get("id", ""))
            self.texts[self._open[-1]] += ""

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for identifier in filter(None, self._open):
            self.texts[identifier] += data


@dataclass(frozen=True)
class Reply:
    status: int
    header: dict[str, str]
    text: str

    @property
    def page(self) -> Page:
        assert self.header["content-type"] == "text/html; charset=utf-8"
        return Page(self.text)


@dataclass
class Demo:
    """The hello actor behind an httpserver at `port`."""

    lattice: TestLattice
    actor: str
    port: int

    async def get(self, path: str = "/", method: str = "GET", **header: str) -> Reply:
        given = {"accept": ACCEPT} | {name.replace("_", "-"): value for name, value in header.items()}
        return await asyncio.to_thread(self._get, path, method, given)

    def _get(self, path: str, method: str, header: dict[str, str]) -> Reply:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers=header)
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())
        finally:
            connection.close()

    async def hand_over(self, name: str, value: str) -> Page:
        """The page for a request as no HTTP client may send it: its method or a header has `value`."""
        header = {"accept": [ACCEPT], "host": ["here"]} | ({} if name == "method" else {name: [value]})
        request = {"method": value if name == "method" else "GET", "path": "/", "queryString": "", "header": header, "body": b""}
        answer = await self.lattice.host.call_actor(self.actor, "HttpServer.HandleRequest", msgpack.packb(request))
        return Page(msgpack.unpackb(answer)["body"].decode())

    async def link(self, provider: type[Provider[Any]], contract: str) -> None:
        await self.lattice.link(await self.lattice.in_process(provider, contract=contract), actor=self.actor)


@asynccontextmanager
async def demo(manner: Manner = Manner.RUST, store: Store | None = None, *, numbers: bool = True) -> AsyncIterator[Demo]:
    async with a_lattice(manner=manner) as lattice:
        actor = (await lattice.host.start_actor(HELLO.read_bytes(), "hello:1")).id
        http = await lattice.process("providers.httpserver", contract="wasmcloud:httpserver")
        if numbers:
            await lattice.link(await lattice.process("providers.numbergen", contract="wasmcloud:numbergen"), actor=actor)
        await lattice.link(http, {"address": "127.0.0.1:0"}, actor=actor)
        it = Demo(lattice, actor, await listening(http.output))
        if store is not None:
            await it.link(provider_of(store), "wasmcloud:keyvalue")
        yield it


async def listening(lines: list[str]) -> int:
    """The port of the first line that tells of one."""
    async with asyncio.timeout(60):
        while True:
            for line in lines:
                if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                    return int(found[1])
            await asyncio.sleep(0.01)


@BOTH
async def test_a_browser_gets_a_page_with_a_number_and_others_get_text(manner: Manner) -> None:
    async with demo(manner) as it:
        page = await it.get("/?min=7&max=7")
        assert (page.status, page.page.texts["number"], page.page.values) == (200, "7", {"min": "7", "max": "7"})
        assert int((await it.get()).page.texts["number"]) in range(1, 101)
        for accept in ("*/*", "application/json", "text/htmlx, text/plain"):
            text = await it.get(accept=accept)
            assert (text.status, text.header["content-type"]) == (200, "text/plain; charset=utf-8")
            assert "/random" in text.text


async def test_the_page_shows_the_request_as_the_actor_got_it() -> None:
    async with demo() as it:
        plain = (await it.get(user_agent="a browser")).page.texts
        shown = [plain[f"fact-{name}"] for name in ("method", "path", "host", "user-agent")]
        assert shown == ["GET", "/", f"127.0.0.1:{it.port}", "a browser"]
        named = (await it.get("/?min=2&max=3", x_request_id="4711")).page.texts
        assert (named["fact-path"], named["fact-x-request-id"], named["asked"]) == ("/?min=2&max=3", "4711", "GET /?min=2&max=3")


async def test_the_page_is_made_of_what_the_actor_serves_and_says_so_to_the_browser() -> None:
    async with demo() as it:
        answer = await it.get()
        policy = dict(rule.strip().split(" ", 1) for rule in answer.header["content-security-policy"].split(";"))
        assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
        assert (answer.header["x-content-type-options"], answer.header["cache-control"]) == ("nosniff", "no-store")
        elements = answer.page.elements
        assert [tag for tag, names in elements if tag == "style" or (tag == "script" and "src" not in names)] == []
        assert [name for _, names in elements for name in names if name == "style" or name.startswith("on")] == []
        assert {"/app.js", "/style.css"} < set(answer.page.references)
        for reference in answer.page.references:
            assert re.match(r"/(?!/)|data:image/svg\+xml,", reference)
        for path, media_type in (("/app.js", "text/javascript"), ("/style.css", "text/css")):
            part = await it.get(path)
            assert (part.status, part.header["content-type"]) == (200, f"{media_type}; charset=utf-8")
            assert part.header["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["method", "host", "user-agent", "x-request-id"])
async def test_whatever_a_provider_hands_over_is_shown_as_text_and_adds_nothing_to_the_page(name: str) -> None:
    async with demo() as it:
        harmless, hostile = await it.hand_over(name, "x"), await it.hand_over(name, HOSTILE)
        assert (hostile.elements, hostile.texts[f"fact-{name}"]) == (harmless.elements, HOSTILE)


async def test_a_hostile_header_that_came_over_http_is_shown_as_text() -> None:
    async with demo() as it:
        hostile = await it.get(user_agent=HOSTILE)
        assert (hostile.status, hostile.page.elements) == (200, (await it.get(user_agent="x")).page.elements)
        assert hostile.page.texts["fact-user-agent"] == HOSTILE


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("name", ["min", "max", "other"])
async def test_a_hostile_query_is_shown_as_text_and_adds_nothing_to_the_page(name: str, encoded: bool) -> None:
    sent = "".join(f"%{byte:02X}" for byte in HOSTILE.encode()) if encoded else re.sub("[ &]", "+", HOSTILE)
    async with demo() as it:
        harmless, hostile = await it.get(f"/?{name}={'x' if name != 'other' else ''}"), await it.get(f"/?{name}={sent}")
        assert hostile.status == (200 if name == "other" else 400)
        assert (hostile.page.elements, hostile.page.texts["fact-path"]) == (harmless.page.elements, f"/?{name}={sent}")
        if name in ("min", "max"):
            assert hostile.page.values[name] == (HOSTILE if encoded else sent)


async def test_a_query_that_is_no_utf8_becomes_a_page_that_is() -> None:
    async with demo() as it:
        for junk in ("%FF", "%ED%A0%80", "%C3", "%F0%9F", "%00"):
            assert (await it.get(f"/?min={junk}<b>")).page.elements == (await it.get("/?min=x")).page.elements


async def test_an_unknown_path_is_404_in_plain_text() -> None:
    async with demo() as it:
        answer = await it.get("/<script>alert(1)</script>")
        assert (answer.status, answer.header["content-type"]) == (404, "text/plain; charset=utf-8")


@BOTH
async def test_visits_are_counted_where_a_key_value_store_is_linked(manner: Manner) -> None:
    store = Store()
    async with demo(manner, store) as it:
        for count in ("1", "2", "3"):
            page = (await it.get()).page
            assert (page.texts["visits"], page.texts["counted"]) == (count, f"counts visit {count}")
        await it.get(method="HEAD")
        await it.get(accept="*/*")
        await it.get("/random")
        assert store.numbers == {"hello:visits": 3}


@BOTH
async def test_without_a_store_there_is_no_counter_but_a_word_how_to_get_one(manner: Manner) -> None:
    async with demo(manner) as it:
        answer = await it.get()
        assert answer.status == 200
        assert {"visits", "counted"} & set(answer.page.texts) == set()
        assert "wasmcloud:keyvalue" in answer.text


async def test_a_store_that_fails_takes_only_the_counter_away_and_its_reason_is_text() -> None:
    async with demo(store=Store(HOSTILE)) as it:
        answer = await it.get()
        assert (answer.status, answer.page.texts["number"].isdecimal(), "visits" in answer.page.texts) == (200, True, False)
        assert not {"img"} & {tag for tag, _ in answer.page.elements}
        assert [tag for tag, _ in answer.page.elements].count("script") == 1


@BOTH
async def test_a_wrong_range_is_400_and_the_page_says_what_is_wrong(manner: Manner) -> None:
    async with demo(manner) as it:
        for query, told in (("min=9&max=5", "min 9 is above max 5"), ("min=-1", "whole numbers"), ("max=4294967296", "whole numbers")):
            answer = await it.get(f"/?{query}")
            assert (answer.status, answer.page.texts["number"]) == (400, "–")
            assert told in answer.page.texts["told"]


@BOTH
async def test_without_numbers_the_page_is_502_and_tells_why(manner: Manner) -> None:
    async with demo(manner, numbers=False) as it:
        answer = await it.get()
        assert (answer.status, answer.page.texts["number"], answer.page.texts["drawn"]) == (502, "–", "gives no number")
        assert answer.page.texts["told"]
