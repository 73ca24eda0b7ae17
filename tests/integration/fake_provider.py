"""A 0.x provider by hand, without the SDK: raw stdin, NATS and msgpack. Its operations misbehave in ways that a host must notice."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import select
import sys
from typing import Any

import msgpack
import nats


class FakeProvider:
    def __init__(self, line: bytes) -> None:
        self.line = line
        self.data = json.loads(base64.b64decode(line.strip()))
        self.links: list[list[Any]] = []
        self.healthy = True
        self.stop = asyncio.Event()

    def report(self) -> dict[str, Any]:
        return {
            "host_data": self.data,
            "order": list(self.data),
            "line_end": self.line[-2:].hex(),
            "environment": dict(os.environ),
            "links": self.links,
            "pid": os.getpid(),
            "stdin_ended": bool(select.select([0], [], [], 0)[0]) and os.read(0, 1) == b"",
        }

    def answer(self, call: dict[bytes, Any]) -> dict[str, Any] | None:
        operation, payload, identifier = call[b"operation"].decode(), call[b"msg"], call[b"id"].decode()
        good = {"msg": payload, "invocation_id": identifier, "content_length": len(payload)}
        kind = operation.rpartition(".")[2]
        if kind == "Silent":
            return None
        if kind == "NoLength":
            del good["content_length"]
        elif kind == "WrongId":
            good["invocation_id"] = "other"
        elif kind == "WrongSize":
            good["content_length"] += 1
        elif kind == "Fails":
            good |= {"msg": b"", "error": "out of order", "content_length": 0}
        elif kind == "Sicken":
            self.healthy = False
        elif kind == "Crash":
            os._exit(3)
        elif kind == "Report":
            seen = {name.decode(): value.decode() if isinstance(value, bytes) else None for name, value in call.items() if name != b"msg"}
            body = json.dumps(self.report() | {"call": seen, "call_keys": [name.decode() for name in call]}).encode()
            good |= {"msg": body, "content_length": len(body)}
        return good

    async def run(self) -> None:
        url = self.data["lattice_rpc_url"]
        client = await nats.connect(url if "://" in url else f"nats://{url}")
        subject = f"wasmbus.rpc.{self.data['lattice_rpc_prefix']}.{self.data['provider_key']}.{self.data['link_name']}"

        async def call(message: Any) -> None:
            answer = self.answer(msgpack.unpackb(message.data, raw=True))
            if answer is not None:
                await message.respond(msgpack.packb(answer))

        async def link(message: Any) -> None:
            self.links.append([message.subject.rpartition(".")[2], msgpack.unpackb(message.data)])

        async def shutdown(message: Any) -> None:
            if json.loads(message.data)["host_id"] == self.data["host_id"] and self.data.get("config_json") != "stubborn":
                print("shutting down", file=sys.stderr, flush=True)
                await message.respond(b"shutting down")
                await client.flush()
                await asyncio.sleep(5)

        async def health(message: Any) -> None:
            self.links.append(["health", message.data.hex()])
            await message.respond(msgpack.packb({"healthy": self.healthy} if self.healthy else {"healthy": False, "message": "unwell"}))

        await client.subscribe(subject, queue="rpc", cb=call)
        await client.subscribe(f"{subject}.linkdefs.put", cb=link)
        await client.subscribe(f"{subject}.linkdefs.del", cb=link)
        await client.subscribe(f"{subject}.shutdown", cb=shutdown)
        await client.subscribe(f"{subject}.health", cb=health)
        await client.flush()
        print("listening", file=sys.stderr, flush=True)
        print("to stdout", flush=True)
        await asyncio.sleep(60)


if __name__ == "__main__":
    provider = FakeProvider(sys.stdin.buffer.readline())
    asyncio.run(provider.run())
