"""A 1.x provider by hand, without the SDK: raw stdin, NATS and JSON. It is asked what it saw on `report.ID`, and ordered on `order.ID`."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import select
import sys
from typing import Any

import nats


class FakeProvider:
    def __init__(self, line: bytes) -> None:
        self.line = line
        self.data = json.loads(base64.b64decode(line.strip(), validate=True))
        self.heard: list[list[Any]] = []
        self.health: bytes | None = b'{"healthy":true}'

    def report(self) -> dict[str, Any]:
        return {
            "host_data": self.data,
            "line_end": self.line[-2:].hex(),
            "padded": len(self.line.strip()) % 4 == 0,
            "environment": dict(os.environ),
            "arguments": sys.argv[1:],
            "heard": self.heard,
            "pid": os.getpid(),
            "stdin_ended": bool(select.select([0], [], [], 0)[0]) and os.read(0, 1) == b"",
        }

    async def run(self) -> None:
        data = self.data
        client = await nats.connect(data["lattice_rpc_url"])
        base, key = f"wasmbus.rpc.{data['lattice_rpc_prefix']}", data["provider_key"]

        async def message(received: Any) -> None:
            self.heard.append([received.subject.removeprefix(f"{base}."), json.loads(received.data)])

        async def shutdown(received: Any) -> None:
            if data["config"].get("mode") == "stubborn":
                return
            print("shutting down", json.loads(received.data)["host_id"], file=sys.stderr, flush=True)
            await received.respond(b"shutting down")
            await client.flush()
            await asyncio.sleep(5)
            print("still here", file=sys.stderr, flush=True)

        async def health(received: Any) -> None:
            if self.health is not None:
                await received.respond(self.health)

        async def order(received: Any) -> None:
            text = received.data.decode()
            if text == "crash":
                os._exit(3)
            self.health = None if text == "silence" else text.encode()
            await received.respond(b"done")

        async def report(received: Any) -> None:
            await received.respond(json.dumps(self.report()).encode())

        # The X key's subject is any other than the provider's own: who is not told it cannot guess it.
        await client.subscribe(f"{base}.*.linkdefs.*", cb=message)
        await client.subscribe(f"{base}.{key}.config.update", cb=message)
        await client.subscribe(f"{base}.{key}.default.shutdown", cb=shutdown)
        await client.subscribe(f"order.{key}", cb=order)
        await client.subscribe(f"report.{key}", cb=report)
        await client.flush()
        await client.subscribe(f"{base}.{key}.health", cb=health)
        await client.flush()
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(FakeProvider(sys.stdin.buffer.readline()).run())
