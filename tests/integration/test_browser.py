"""The demo's page in a real browser: its script runs, its style applies, and the policy that it is sent with does not stand in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.browser import a_tab
from tests.integration.test_demo_page import HOSTILE, Store, demo

pytestmark = pytest.mark.needs("chromium")

TEXT = "document.getElementById('{}').textContent"
BRIGHT = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((part) => part > 127)"


async def test_the_page_shows_the_number_the_visits_and_the_way(tmp_path: Path) -> None:
    async with demo(store=Store()) as it, a_tab(tmp_path) as tab:
        await tab.load(f"http://127.0.0.1:{it.port}/?min=7&max=7")
        assert await tab.js(TEXT.format("number")) == "7"
        assert await tab.js(TEXT.format("visits")) == "1"
        stations = await tab.js("[...document.querySelectorAll('.way b')].map((station) => station.textContent)")
        assert stations == ["browser", "httpserver", "NATS", "host", "hello", "NATS", "numbergen", "keyvalue"]
        assert "HeadlessChrome" in await tab.js(TEXT.format("fact-user-agent"))
        await tab.until(TEXT.format("took"))


async def test_again_asks_for_another_number_without_loading_the_page_anew(tmp_path: Path) -> None:
    async with demo(store=Store()) as it, a_tab(tmp_path) as tab:
        await tab.load(f"http://127.0.0.1:{it.port}/")
        await tab.js("window.here = true, document.querySelector('form').min.value = document.querySelector('form').max.value = 4711")
        await tab.js("document.querySelector('button').click()")
        await tab.until(f"{TEXT.format('number')} === '4711'")
        assert await tab.js(TEXT.format("asked")) == await tab.js("'GET ' + " + TEXT.format("fact-path")) == "GET /random?min=4711&max=4711"
        assert await tab.js(TEXT.format("drawn")) == "draws 4711 from 4711 to 4711"
        assert await tab.js("document.querySelector('.way li:last-child').innerText.includes('keyvalue')") is False
        await tab.js("document.querySelector('form').max.value = 1, document.querySelector('button').click()")
        await tab.until(f"{TEXT.format('told')}.includes('min 4711 is above max 1')")
        assert (await tab.js(TEXT.format("number")), await tab.js("window.here")) == ("4711", True)


async def test_the_page_follows_the_wishes_for_darkness_and_for_rest(tmp_path: Path) -> None:
    async with demo() as it, a_tab(tmp_path) as tab:
        seen = []
        for scheme, motion in (("light", "no-preference"), ("dark", "reduce")):
            wishes = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
            await tab.command("Emulation.setEmulatedMedia", features=wishes)
            await tab.load(f"http://127.0.0.1:{it.port}/?{scheme}")
            await tab.until(TEXT.format("took"))
            seen.append(await tab.js(f"[{BRIGHT}, getComputedStyle(document.querySelector('.way li'), '::before').animationName]"))
        assert seen == [[True, "pass, pass"], [False, "none"]]


async def test_nothing_sticks_out_of_the_page_at_any_width(tmp_path: Path) -> None:
    async with demo(store=Store()) as it, a_tab(tmp_path) as tab:
        for width in (320, 390, 800, 1280):
            await tab.command("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
            await tab.load(f"http://127.0.0.1:{it.port}/?min=4294967295&max=4294967295&long={width}{'x' * 500}")
            assert await tab.js("document.documentElement.scrollWidth") <= width


async def test_a_script_that_a_link_smuggles_in_does_not_run(tmp_path: Path) -> None:
    async with demo() as it, a_tab(tmp_path) as tab:
        await tab.load(f"http://127.0.0.1:{it.port}/?min=1")
        await tab.js(f"location.search = 'min=' + encodeURIComponent({HOSTILE!r}.replaceAll('alert', 'document.title = '))")
        await tab.until("document.readyState === 'complete' && location.search.includes('script')")
        assert await tab.js("document.title") == "Hello from a WebAssembly actor"
        assert await tab.js("document.images.length") == 0
