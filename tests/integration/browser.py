"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

# Without its sandbox, which root may not have; what it loads is ours.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-breakpad",
    "--disable-sync",
    "--remote-debugging-port=0",
)
STARTED_WITHIN = 30
ENDED_WITHIN = 20
ANSWERED_WITHIN = 20


class Tab:
    """One tab of a browser; made by `a_tab`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session = ""

    async def attach(self) -> None:
        """Open the tab."""
        target = (await self.command("Target.createTarget", url="about:blank"))["targetId"]
        self._session = (await self.command("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]

    async def close(self) -> None:
        """Have the whole browser end, with its helpers."""
        self._session = ""
        await self.command("Browser.close")

    async def command(self, method: str, **parameters: object) -> Any:
        """The result of a DevTools command; AssertionError with the browser's words where it refuses."""
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters} | session)
        async with asyncio.timeout(ANSWERED_WITHIN):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == number:
                    assert "error" not in message, f"{method}: {message['error']}"
                    return message["result"]

    async def load(self, url: str) -> None:
        """Load a page, with all that belongs to it."""
        result = await self.command("Page.navigate", url=url)
        assert "errorText" not in result, f"{url}: {result['errorText']}"
        await self.until(f"document.readyState === 'complete' && location.href === {url!r}")

    async def js(self, expression: str) -> Any:
        """The value of an expression in the page, of its promise if it is one; AssertionError with what it throws."""
        result = await self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]["exception"]["description"]
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        async with asyncio.timeout(ANSWERED_WITHIN):
            while not await self._holds(expression):
                await asyncio.sleep(0.02)

    async def _holds(self, expression: str) -> bool:
        """False as well while the page is being replaced by another."""
        try:
            return bool(await self.js(expression))
        except AssertionError:
            return False


@asynccontextmanager
async def a_tab(folder: Path) -> AsyncIterator[Tab]:
    """A browser of its own with a tab; its profile is in `folder`."""
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    with (folder / "chromium.log").open("wb") as log:
        command = ("chromium", *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank")
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=os.environ | home, start_new_session=True)
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(await _devtools(folder, process), max_msg_size=0) as socket:
            tab = Tab(socket)
            await tab.attach()
            yield tab
            await tab.close()
            await asyncio.wait_for(process.wait(), ENDED_WITHIN)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _devtools(folder: Path, process: asyncio.subprocess.Process) -> str:
    """Where the browser listens, which it writes down once it does."""
    async with asyncio.timeout(STARTED_WITHIN):
        while not (found := _written(folder / "profile" / "DevToolsActivePort")):
            assert process.returncode is None, _written(folder / "chromium.log")
            await asyncio.sleep(0.05)
    port, path = found.split()
    return f"ws://127.0.0.1:{port}{path}"


def _written(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.exists() else ""
