"""The emulated 1.x host beside the real one: for the same commands both tell a provider by hand the same, and the lattice of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.lattice.wrpc.handshake import WrpcProgram
from provider_sdk.lattice.wrpc.host import WrpcHostOptions, WrpcLatticeHost
from provider_sdk.lattice.wrpc.settings import Secret, SecretReference
from provider_sdk.nkeys import CurveKey, KeyPair, Prefix
from tests.interop import archives
from tests.interop.control import Control, Refused
from tests.interop.secrets_backend import PREFIX, SecretsBackend, reference
from tests.interop.world import a_world

pytestmark = pytest.mark.needs("host1x")

SCRIPT = Path(__file__).parents[1] / "integration" / "fake_wrpc_provider.py"
SECRETS: dict[str, Secret] = {"vault/word": "grün", "vault/raw": b"\x00\xff"}
SETTLED = 0.7
OF_NO_CONCERN = {"host_heartbeat", "host_started", "health_check_passed", "health_check_status"}
"""What the two tell at other times."""


@dataclass
class Seen:
    """What a provider and a listener saw, with what differs from run to run under names of its own."""

    host_data: dict[str, Any] = field(default_factory=dict)
    after_a_crash: dict[str, Any] = field(default_factory=dict)
    kept: list[bool] = field(default_factory=list)
    environment: set[str] = field(default_factory=set)
    steps: list[tuple[str, Counter[str]]] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)


async def play(control: Control, archive: str) -> Seen:
    """A provider's life by commands, and what became of each."""
    await control.put_config("own", {"a": "1"})
    await control.put_config("more", {"a": "2", "b": "3"})
    await control.put_config("link", {"url": "there"})
    await control.put_config("SECRET_word", reference("password", "vault/word"))
    await control.put_config("SECRET_raw", reference("key", "vault/raw"))
    await control.put_link("first", "fake", "acme:fake/fake", target_config="link,SECRET_word")
    await control.start_provider(archive, "fake", ["own", "more", "SECRET_raw"])
    seen = Seen()
    report = await _report(control)
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "a link": partial(control.put_link, "comp", "fake", "acme:fake/fake", target_config="link"),
        "the same again": partial(control.put_link, "comp", "fake", "acme:fake/fake", target_config="link"),
        "with other interfaces": partial(control.put_link, "comp", "fake", "acme:fake/fake,more", target_config="link"),
        "with a secret": partial(control.put_link, "second", "fake", "acme:fake/fake", target_config="link,SECRET_word"),
        "with the provider as its source": partial(
            control.put_link, "fake", "comp", "wasi:http/incoming-handler", source_config="link,SECRET_raw", target_config="own"
        ),
        "the same for another provider": partial(control.put_link, "comp", "other", "acme:fake/fake"),
        "with other interfaces of it for another provider": partial(control.put_link, "comp", "other", "acme:fake/third"),
        "with a configuration that is not there": partial(control.put_link, "third", "fake", "acme:fake/fake", target_config="nothing"),
        "of the namespace of the wire": partial(control.put_link, "third", "fake", "wrpc:fake/fake"),
        "of others": partial(control.put_link, "comp", "somebody", "wasi:keyvalue/store"),
        "a changed configuration": partial(control.put_config, "own", {"a": "1", "c": "4"}),
        "an unchanged one": partial(control.put_config, "own", {"a": "1", "c": "4"}),
        "one of a link": partial(control.put_config, "link", {"url": "elsewhere"}),
        "a deleted one": partial(control.command, "config.del.more"),
        "a deleted link": partial(control.delete_link, "comp", "acme:fake"),
        "one that is not there": partial(control.delete_link, "comp", "acme:nothing"),
    }
    for name, step in steps.items():
        before = len((await _report(control))["heard"])
        refused = ""
        try:
            await step()
        except Refused:
            refused = ", which is refused"
        await asyncio.sleep(SETTLED)
        report = await _report(control)
        seen.steps.append((name + refused, Counter(_readable(item, report["host_data"]) for item in report["heard"][before:])))
    await control.transport.publish("order.fake", b"crash")
    again = report
    async with asyncio.timeout(15):
        while again["pid"] == report["pid"]:
            again = await _report(control)
    seen.after_a_crash = _stable(again["host_data"])
    kept = "provider_xkey_private_key", "host_xkey_public_key", "instance_id"
    seen.kept = [again["host_data"][name] == report["host_data"][name] for name in kept]
    await control.stop_provider("fake")
    await control.event("provider_stopped", provider_id="fake")
    seen.host_data = _stable(report["host_data"])
    seen.environment = set(report["environment"])
    seen.events = Counter(
        f"{event.kind} {sorted(event.data)} {sorted(event.data.get('claims', ()))}"
        for event in control.events
        if event.kind not in OF_NO_CONCERN and "fake" in str(event.data)
    )
    return seen


async def _report(control: Control) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while True:
            try:
                found: dict[str, Any] = json.loads((await control.transport.request("report.fake", b"", timeout=2.0)).data)
            except Exception:  # it is not there yet
                await asyncio.sleep(0.05)
            else:
                return found


def _readable(item: list[Any], data: Mapping[str, Any]) -> str:
    """A message with the X key by that name, and the secrets opened."""
    subject, document = item
    key = CurveKey.from_seed(data["provider_xkey_private_key"])
    return f"{subject.replace(key.public, 'X')} {json.dumps(_opened(document, data), sort_keys=True)}"


def _opened(document: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    key = CurveKey.from_seed(data["provider_xkey_private_key"])
    opened = dict(document)
    for side in ("source_secrets", "target_secrets"):
        if opened.get(side):
            opened[side] = json.loads(key.open(bytes(opened[side]), data["host_xkey_public_key"]))
    return opened


def _stable(data: Mapping[str, Any]) -> dict[str, Any]:
    """Host data with the kind of what differs from run to run."""
    links = sorted((_opened(link, data) for link in data["link_definitions"]), key=json.dumps)
    stable = dict(data) | {"link_definitions": links}
    for name in ("host_id", "lattice_rpc_prefix", "lattice_rpc_url", "instance_id", "host_xkey_public_key", "provider_xkey_private_key"):
        stable[name] = f"{type(stable[name]).__name__} {stable[name][:1] if name.endswith('key') or name == 'host_id' else ''}"
    return stable


async def real(folder: Path) -> Seen:
    archive = archives.of_script("tests.integration.fake_wrpc_provider", folder)
    async with a_world(folder, "--secrets-topic", PREFIX) as world:
        await SecretsBackend(world.control.transport, SECRETS).serve()
        return await play(world.control, f"file://{archive}")


async def emulated() -> Seen:
    def find(asked: SecretReference) -> Secret:
        return SECRETS[asked.key]

    key = KeyPair.generate(Prefix.PROVIDER).public
    program = WrpcProgram((sys.executable, str(SCRIPT)), "", "fake", key=key, version="0.1.0")
    options = WrpcHostOptions(lattice="box", find_secret=find, resolve_provider=lambda _: program)
    async with (
        NatsServer.start(url="") as nats,
        WrpcLatticeHost.start(nats.url, options),
        Control.open(nats.url, "box") as control,
    ):
        await control.find_host()
        return await play(control, "file://fake")


async def test_a_provider_cannot_tell_them_apart(tmp_path: Path) -> None:
    wanted, found = await real(tmp_path), await emulated()
    assert found.host_data == wanted.host_data
    assert found.environment == wanted.environment
    for (name, heard), (real_name, real_heard) in zip(found.steps, wanted.steps, strict=True):
        assert (name, heard) == (real_name, real_heard)
    assert found.after_a_crash == wanted.after_a_crash
    assert found.kept == wanted.kept == [True, True, False]
    assert found.events == wanted.events
