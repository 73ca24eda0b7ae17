"""The secrets backend that a 1.x host asks for what links and providers refer to (wrpc-1x.md §2.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from provider_sdk.nkeys import CurveKey
from provider_sdk.transport.base import Message, Transport

PREFIX = "wasmcloud.secrets"
"""The subjects' prefix, which the host is told."""

BACKEND = "store"


class SecretsBackend:
    """Answers with `values`, text or bytes by key, and keeps the keys that it was asked for."""

    def __init__(self, transport: Transport, values: Mapping[str, str | bytes]) -> None:
        self.values = dict(values)
        self.asked: list[str] = []
        self._transport = transport
        self._key = CurveKey.generate()

    async def serve(self) -> None:
        """Answer from now on."""
        subjects = f"{PREFIX}.v1alpha1.{BACKEND}"
        await self._transport.subscribe(f"{subjects}.server_xkey", self._tell_key)
        await self._transport.subscribe(f"{subjects}.get", self._give)
        await self._transport.flush()

    async def _tell_key(self, message: Message) -> None:
        await self._transport.publish(message.reply, self._key.public.encode())

    async def _give(self, message: Message) -> None:
        host = (message.headers or {})["WasmCloud-Host-Xkey"]
        key = str(json.loads(self._key.open(message.data, host))["key"])
        self.asked.append(key)
        value = self.values[key]
        form = {"string_secret": value} if isinstance(value, str) else {"binary_secret": [*value]}
        own = CurveKey.generate()
        sealed = own.seal(json.dumps({"secret": {"version": "1", **form}}).encode(), host)
        await self._transport.publish(message.reply, sealed, headers={"Server-Response-Xkey": own.public})


def reference(name: str, key: str) -> dict[str, str]:
    """The configuration that stands for a secret: as `name` in a provider's settings, by `key` in the backend."""
    policy = json.dumps({"type": "properties.secret.wasmcloud.dev/v1alpha1", "properties": {}})
    return {"name": name, "type": "secret.wasmcloud.dev/v1alpha1", "backend": BACKEND, "key": key, "policy": policy}
