"""The emulated 1.x host against a provider by hand (no SDK) on a real NATS server: what wrpc-1x.md §1 and §2 have a provider see."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from provider_sdk import Interface
from provider_sdk.errors import AlreadyExists, InvalidArgument, NotFound, Unavailable
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.interface import fails
from provider_sdk.lattice.health import HealthTimes
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.lattice.wrpc.components import Component
from provider_sdk.lattice.wrpc.handshake import WrpcProgram
from provider_sdk.lattice.wrpc.host import WrpcHostOptions, WrpcLatticeHost
from provider_sdk.lattice.wrpc.links import InterfaceLink
from provider_sdk.lattice.wrpc.providers import Supervision, WrpcProvider
from provider_sdk.lattice.wrpc.settings import Secret, SecretReference
from provider_sdk.nkeys import CurveKey
from provider_sdk.transport.base import Message

SCRIPT = Path(__file__).with_name("fake_wrpc_provider.py")
FIELDS = {
    "host_id": str,
    "lattice_rpc_prefix": str,
    "link_name": str,
    "lattice_rpc_user_jwt": str,
    "lattice_rpc_user_seed": str,
    "lattice_rpc_url": str,
    "provider_key": str,
    "env_values": dict,
    "instance_id": str,
    "link_definitions": list,
    "cluster_issuers": list,
    "config": dict,
    "secrets": dict,
    "host_xkey_public_key": str,
    "provider_xkey_private_key": str,
    "default_rpc_timeout_ms": int,
    "structured_logging": bool,
    "log_level": str,
    "otel_config": dict,
}
SINCE_1_1 = {"secrets", "host_xkey_public_key", "provider_xkey_private_key"}
LINK = InterfaceLink("comp", "fake", "acme", "fake", ("fake",), target_config=("link",))


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < limit, "waited in vain"
        await asyncio.sleep(0.02)


@dataclass
class Lattice:
    host: WrpcLatticeHost
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    secrets: dict[str, Secret] = field(default_factory=dict)

    async def start(self, *config: str) -> WrpcProvider:
        provider = await self.host.start_provider(WrpcProgram((sys.executable, str(SCRIPT)), "fake", "fake", config, "file://fake"))
        await self.host.ready(provider)
        return provider

    async def report(self) -> dict[str, Any]:
        answer = await self.host.core.transport.request("report.fake", b"", timeout=5.0)
        found: dict[str, Any] = json.loads(answer.data)
        return found

    async def order(self, text: str) -> None:
        await self.host.core.transport.request("order.fake", text.encode(), timeout=5.0)

    async def heard(self, count: int, verb: str = "linkdefs") -> list[list[Any]]:
        """The messages of that kind, once there are `count`; none may come late."""
        found: list[list[Any]] = []

        async def enough() -> bool:
            found[:] = [item for item in (await self.report())["heard"] if verb in item[0]]
            return len(found) >= count

        await until(enough)
        await asyncio.sleep(0.1)
        await enough()
        assert len(found) == count, found
        return found

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    async def event(self, name: str) -> dict[str, Any]:
        async def told() -> bool:
            return name in self.names()

        await until(told)
        return next(data for told_name, data in self.events if told_name == name)

    async def control(self, topic: str, body: object = None) -> dict[str, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        answer = await self.host.core.transport.request(f"wasmbus.ctl.v1.{self.host.core.lattice}.{topic}", data, timeout=5.0)
        found: dict[str, Any] = json.loads(answer.data)
        return found


@asynccontextmanager
async def a_lattice(*, era: Era = Era.SECOND, supervision: Supervision | None = None, **options: Any) -> AsyncIterator[Lattice]:
    output: list[str] = []
    kept: dict[str, Secret] = {}
    events: list[tuple[str, dict[str, Any]]] = []

    def collect(program: WrpcProgram, stream: str, line: str) -> None:
        output.append(line)

    def find(reference: SecretReference) -> Secret:
        if reference.key not in kept:
            raise NotFound(f"secret {reference.key} does not exist")
        return kept[reference.key]

    def event(message: Message) -> None:
        document = json.loads(message.data)
        assert document["specversion"] == "1.0"
        name = document["type"].removeprefix("com.wasmcloud.lattice.")
        assert message.subject == f"wasmbus.evt.test.{name}"
        events.append((name, document["data"]))

    given = supervision or Supervision(restart_pause=0.5)
    watched = Supervision(given.restarts, given.restart_pause, given.shutdown_delay, given.health, collect, given.shape)
    async with NatsServer.start() as server:
        chosen = WrpcHostOptions(lattice="test", era=era, supervision=watched, find_secret=find, **options)
        async with WrpcLatticeHost.start(server.url, chosen) as host:
            await host.core.transport.subscribe("wasmbus.evt.test.>", event)
            await host.core.transport.flush()
            yield Lattice(host, events, output, kept)


# Start


async def test_a_provider_gets_the_host_data_of_1x_on_one_line_and_an_empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RUST_LOG": "debug", "OTEL_SOMETHING": "x", "AWS_SECRET": "y"}.items():
        monkeypatch.setenv(name, value)
    async with a_lattice() as lattice:
        await lattice.host.put_config("own", {"size": "3", "color": "red"})
        await lattice.host.put_config("more", {"color": "blue"})
        await lattice.start("own", "more")
        report = await lattice.report()
        data = report["host_data"]
        assert {name: type(value) for name, value in data.items()} == FIELDS
        assert (data["provider_key"], data["lattice_rpc_prefix"], data["link_name"]) == ("fake", "test", "default")
        assert data["config"] == {"size": "3", "color": "blue"}
        assert data["host_id"] == lattice.host.host_id
        assert data["host_xkey_public_key"] == lattice.host.core.curve.public
        assert data["otel_config"]["protocol"] == "Http"
        assert (report["line_end"], report["padded"], report["stdin_ended"], report["arguments"]) == ("0d0a", True, True, [])
        environment = {name for name in report["environment"] if name != "LC_CTYPE"}  # which the interpreter sets itself
        assert environment == {"RUST_LOG", *(name for name in os.environ if name.startswith("OTEL_"))}
        assert (await lattice.event("provider_started"))["provider_id"] == "fake"


async def test_a_host_of_1_0_knows_neither_x_keys_nor_secrets() -> None:
    async with a_lattice(era=Era.FIRST) as lattice:
        await lattice.host.put_config("link", {"a": "1"})
        await lattice.host.put_config("SECRETx", {"b": "2"})
        await lattice.host.put_link(InterfaceLink("comp", "fake", "acme", "fake", ("fake",), target_config=("link", "SECRETx")))
        await lattice.start()
        data = (await lattice.report())["host_data"]
        assert set(data) == set(FIELDS) - SINCE_1_1
        (link,) = data["link_definitions"]
        assert link["target_config"] == {"a": "1", "b": "2"}
        assert "target_secrets" not in link
        await lattice.host.put_link(InterfaceLink("other", "fake", "acme", "fake", ("fake",)))
        assert {subject for subject, _ in await lattice.heard(2)} == {"fake.linkdefs.put", "other.linkdefs.put"}


async def test_secrets_of_the_provider_itself_come_plain() -> None:
    async with a_lattice() as lattice:
        lattice.secrets |= {"text": "grün", "raw": b"\x00\xff"}
        await lattice.host.put_config("SECRET_text", SecretReference("password", "text").values())
        await lattice.host.put_config("SECRET_raw", SecretReference("key", "raw").values())
        await lattice.start("SECRET_text", "SECRET_raw")
        data = (await lattice.report())["host_data"]
        assert data["secrets"] == {"password": {"kind": "String", "value": "grün"}, "key": {"kind": "Bytes", "value": [0, 255]}}
        assert data["config"] == {}


@pytest.mark.parametrize("config", ["missing", "SECRET_lost", "SECRET_odd"])
async def test_a_start_with_settings_that_do_not_exist_fails(config: str) -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("SECRET_lost", SecretReference("password", "nowhere").values())
        await lattice.host.put_config("SECRET_odd", {"value": "no reference"})
        with pytest.raises((NotFound, InvalidArgument), match=r"does not exist|is no reference"):
            await lattice.start(config)
        assert (await lattice.event("provider_start_failed"))["provider_id"] == "fake"
        assert lattice.host.providers == []


async def test_hostile_host_data_can_be_fed() -> None:
    async with a_lattice(supervision=Supervision(restarts=False, shape=lambda document: b"nothing of the kind\r\n")) as lattice:
        provider = await lattice.host.start_provider(WrpcProgram((sys.executable, str(SCRIPT)), "fake", "fake"))
        with pytest.raises(Unavailable):
            await lattice.host.ready(provider)


# Links


async def test_a_link_goes_to_the_x_key_and_in_copy_to_both_ids() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("link", {"url": "there"})
        provider = await lattice.start()
        await lattice.host.put_link(LINK)
        heard = await lattice.heard(3)
        assert {subject for subject, _ in heard} == {f"{item}.linkdefs.put" for item in (provider.xkey.public, "fake", "comp")}
        definition = {
            "source_id": "comp",
            "target": "fake",
            "name": "default",
            "wit_namespace": "acme",
            "wit_package": "fake",
            "interfaces": ["fake"],
            "source_config": {},
            "target_config": {"url": "there"},
            "source_secrets": None,
            "target_secrets": None,
        }
        assert [document for _, document in heard] == [definition] * 3
        assert (await lattice.event("linkdef_set"))["target_config"] == ["link"]


async def test_an_identical_link_put_again_reaches_the_copies_alone_and_a_changed_one_all() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("link", {"url": "there"})
        provider = await lattice.start()
        for link, count in ((LINK, 3), (LINK, 5), (InterfaceLink("comp", "fake", "acme", "fake", ("fake", "more")), 8)):
            await lattice.host.put_link(link)
            heard = await lattice.heard(count)
        sealed = [document for subject, document in heard if subject.startswith(provider.xkey.public)]
        assert [document["interfaces"] for document in sealed] == [["fake"], ["fake", "more"]]
        assert len(lattice.host.links) == 1


async def test_secrets_of_a_link_are_sealed_for_the_provider_and_go_to_its_x_key_alone() -> None:
    async with a_lattice() as lattice:
        lattice.secrets |= {"text": "grün", "raw": b"\x00\xff"}
        await lattice.host.put_config("plain", {"url": "there"})
        await lattice.host.put_config("SECRET_text", SecretReference("password", "text").values())
        await lattice.host.put_config("SECRETraw", SecretReference("key", "raw").values())
        provider = await lattice.start()
        link = InterfaceLink("comp", "fake", "acme", "fake", ("fake",), "default", ("SECRETraw",), ("plain", "SECRET_text"))
        await lattice.host.put_link(link)
        ((subject, document),) = await lattice.heard(1)
        assert subject == f"{provider.xkey.public}.linkdefs.put"
        assert document["target_config"] == {"url": "there"}
        data = (await lattice.report())["host_data"]
        key = CurveKey.from_seed(data["provider_xkey_private_key"])

        def opened(side: str) -> Any:
            return json.loads(key.open(bytes(document[side]), data["host_xkey_public_key"]))

        assert opened("target_secrets") == {"password": {"kind": "String", "value": "grün"}}
        assert opened("source_secrets") == {"key": {"kind": "Bytes", "value": [0, 255]}}


async def test_a_configuration_in_small_letters_is_no_secret() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("secret_y", {"name": "password"})
        await lattice.start()
        await lattice.host.put_link(InterfaceLink("comp", "fake", "acme", "fake", ("fake",), target_config=("secret_y",)))
        assert {json.dumps(document["target_config"]) for _, document in await lattice.heard(3)} == {'{"name": "password"}'}


async def test_a_provider_that_starts_is_told_the_links_of_both_its_sides() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("link", {"url": "there"})
        await lattice.host.put_link(LINK)
        await lattice.host.put_link(InterfaceLink("fake", "comp", "wasi", "http", ("incoming-handler",), source_config=("link",)))
        await lattice.host.put_link(InterfaceLink("comp", "somebody", "wasi", "keyvalue", ("store",)))
        await lattice.start()
        links = (await lattice.report())["host_data"]["link_definitions"]
        assert [(link["source_id"], link["target"]) for link in links] == [("comp", "fake"), ("fake", "comp")]
        assert links[1]["source_config"] == {"url": "there"}


async def test_a_deleted_link_is_told_to_both_ids_without_configuration() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("link", {"url": "there"})
        await lattice.host.put_link(LINK)
        await lattice.start()
        await lattice.host.delete_link("comp", "acme", "fake")
        heard = await lattice.heard(2)
        assert {subject for subject, _ in heard} == {"fake.linkdefs.del", "comp.linkdefs.del"}
        assert heard[0][1]["target_config"] == {}
        assert lattice.host.links == []
        assert (await lattice.event("linkdef_deleted"))["source_id"] == "comp"


async def test_a_caller_has_one_target_for_an_interface_under_one_name() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_link(InterfaceLink("comp", "one", "wasi", "keyvalue", ("store", "atomics")))
        with pytest.raises(AlreadyExists, match="comp is linked to one for wasi:keyvalue/store as default already"):
            await lattice.host.put_link(InterfaceLink("comp", "two", "wasi", "keyvalue", ("store",)))
        assert (await lattice.event("linkdef_set_failed"))["target"] == "two"
        await lattice.host.put_link(InterfaceLink("comp", "two", "wasi", "keyvalue", ("store",), "second"))
        await lattice.host.put_link(InterfaceLink("comp", "two", "wasi", "keyvalue", ("batch",)))
        assert len(lattice.host.links) == 3


# Configuration


async def test_a_changed_configuration_is_told_whole_and_an_unchanged_one_is_not() -> None:
    async with a_lattice() as lattice:
        host = lattice.host
        await host.put_config("own", {"a": "1"})
        await host.put_config("more", {"b": "2"})
        await lattice.start("own", "more")
        before = len([item for item in (await lattice.report())["heard"] if "config" in item[0]])
        await host.put_config("own", {"a": "1"})
        await host.put_config("other", {"c": "3"})
        await host.put_config("own", {"a": "5"})
        await host.delete_config("more")
        heard = await lattice.heard(before + 2, "config.update")
        assert [document for _, document in heard[before:]] == [{"a": "5", "b": "2"}, {"a": "5"}]


async def test_a_link_is_not_told_of_a_change_of_its_configuration() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("link", {"url": "there"})
        await lattice.start()
        await lattice.host.put_link(LINK)
        await lattice.heard(3)
        await lattice.host.put_config("link", {"url": "elsewhere"})
        await lattice.heard(3)


async def test_the_configuration_is_told_once_at_every_start() -> None:
    async with a_lattice() as lattice:
        told: list[Any] = []
        await lattice.host.core.transport.subscribe(
            "wasmbus.rpc.test.fake.config.update", lambda message: told.append(json.loads(message.data))
        )
        await lattice.host.put_config("own", {"a": "1"})
        await lattice.start("own")
        assert told == [{"a": "1"}]


# Supervision


async def test_a_provider_that_ends_is_started_again_with_the_same_key_and_what_is_new() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("own", {"a": "1"})
        await lattice.host.put_config("gone", {"b": "1"})
        provider = await lattice.start("own", "gone")
        first = await lattice.report()
        await lattice.host.put_config("own", {"a": "2"})
        await lattice.host.delete_config("gone")
        await lattice.host.put_link(InterfaceLink("comp", "fake", "acme", "fake", ("fake",)))
        lattice.host.kill_provider("fake")
        await until(lambda: _true(provider.restart_count == 1))
        await lattice.host.ready(provider)
        second = await lattice.report()
        assert second["pid"] != first["pid"]
        before, after = first["host_data"], second["host_data"]
        assert after["instance_id"] != before["instance_id"]
        assert after["provider_xkey_private_key"] == before["provider_xkey_private_key"]
        assert after["config"] == {"a": "2"}
        assert len(after["link_definitions"]) == 1
        assert not {"provider_stopped", "provider_start_failed"} & set(lattice.names())
        assert lattice.names().count("provider_started") == 1


async def test_between_two_restarts_is_a_pause() -> None:
    async with a_lattice(supervision=Supervision(restart_pause=0.6)) as lattice:
        provider = await lattice.host.start_provider(WrpcProgram((sys.executable, "-c", "pass"), "fake", "fake"))
        await until(lambda: _true(provider.restart_count == 1))
        since = time.monotonic()
        await until(lambda: _true(provider.restart_count == 3))
        assert 1.1 < time.monotonic() - since < 4


async def test_hosts_before_1_6_start_nothing_again() -> None:
    async with a_lattice(supervision=Supervision(restarts=False)) as lattice:
        provider = await lattice.start()
        lattice.host.kill_provider("fake")
        await until(lambda: _true(not provider.running))
        await asyncio.sleep(0.2)
        assert provider.restart_count == 0
        assert provider.health.message == "ended with status -9"


async def test_a_provider_that_answers_the_shutdown_request_is_killed_at_once() -> None:
    async with a_lattice() as lattice:
        await lattice.start()
        await lattice.host.stop_provider("fake")
        assert f"shutting down {lattice.host.host_id}" in lattice.output
        assert "still here" not in lattice.output
        assert (await lattice.event("provider_stopped"))["provider_id"] == "fake"
        with pytest.raises(NotFound):
            await lattice.host.stop_provider("fake")


async def test_a_provider_that_does_not_answer_is_killed_after_300_ms() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("own", {"mode": "stubborn"})
        provider = await lattice.start("own")
        since = time.monotonic()
        await lattice.host.stop_provider("fake")
        assert 0.29 < time.monotonic() - since < 2
        assert not provider.running


async def test_the_end_of_the_host_kills_without_a_request() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.start()
    assert not provider.running
    assert lattice.output == []


async def test_health_is_told_by_its_changes_and_only_where_the_answer_is_one() -> None:
    async with a_lattice(supervision=Supervision(health=HealthTimes(0.3, 0.1)), rpc_timeout=0.3) as lattice:
        await lattice.start()
        await lattice.event("health_check_passed")
        await lattice.event("health_check_status")
        await lattice.order('{"healthy":false,"message":"unwell"}')
        assert await lattice.event("health_check_failed") == {"host_id": lattice.host.host_id, "provider_id": "fake"}
        for answer in ("no JSON", '{"fine":true}', "silence"):
            await lattice.order(answer)
            await asyncio.sleep(0.5)
            before = lattice.names()
            await asyncio.sleep(0.7)
            assert lattice.names() == before


# Control interface


async def test_the_control_interface_answers_in_envelopes() -> None:
    async def resolve(reference: str) -> WrpcProgram:
        if reference != "file://fake":
            raise NotFound(f"{reference} does not exist")
        return WrpcProgram((sys.executable, str(SCRIPT)), "", "fake")

    async with a_lattice(resolve_provider=resolve) as lattice:
        identity = (await lattice.control("host.ping"))["response"]
        assert (identity["id"], identity["lattice"], identity["version"]) == (lattice.host.host_id, "test", "1.9.2")
        assert await lattice.control("config.get.own") == {"success": True, "message": "Configuration not found"}
        assert (await lattice.control("config.put.own", {"a": "1"}))["success"]
        assert (await lattice.control("config.get.own"))["response"] == {"a": "1"}
        assert not (await lattice.control("config.put.own", {"a": 1}))["success"]
        start = {
            "host_id": lattice.host.host_id,
            "provider_ref": "file://fake",
            "provider_id": "fake",
            "config": ["own"],
            "annotations": {},
        }
        assert (await lattice.control(f"provider.start.{lattice.host.host_id}", start))["success"]
        await lattice.event("provider_started")
        assert [item["id"] for item in (await lattice.control(f"host.get.{lattice.host.host_id}"))["response"]["providers"]] == ["fake"]
        assert (
            await lattice.control(f"provider.start.{lattice.host.host_id}", {**start, "provider_ref": "file://no", "provider_id": "no"})
        )["success"]
        assert (await lattice.event("provider_start_failed"))["error"] == "file://no does not exist"
        link = LINK.document() | {"target_config": ["own"]}
        assert (await lattice.control("link.put", link))["success"]
        assert (await lattice.control("link.get"))["response"] == [link]
        unknown = await lattice.control("link.put", link | {"source_config": ["nothing"]})
        assert not unknown["success"]
        assert "configuration nothing does not exist" in unknown["message"]
        gone = {"source_id": "comp", "name": "default", "wit_namespace": "acme", "wit_package": "fake"}
        assert (await lattice.control("link.del", gone))["success"]
        assert (await lattice.control("link.get"))["response"] == []
        stop = {"host_id": lattice.host.host_id, "provider_id": "fake"}
        assert (await lattice.control(f"provider.stop.{lattice.host.host_id}", stop))["success"]
        await lattice.event("provider_stopped")
        assert (await lattice.control("config.del.own"))["success"]
        assert (await lattice.event("config_deleted")) == {"config_name": "own"}
        assert (await lattice.control(f"host.stop.{lattice.host.host_id}", {}))["success"]
        await asyncio.wait_for(lattice.host.stop_requested(), 1)


# Components


class Twice(Interface, wit="acme:twice/twice@0.1.0"):
    @abstractmethod
    @fails(str)
    async def twice(self, text: str) -> str: ...


class Once(Interface, wit="acme:once/once@0.1.0"):
    @abstractmethod
    async def once(self, text: str) -> str: ...


class Doubling(Twice):
    def __init__(self, once: Once) -> None:
        self.once = once

    async def twice(self, text: str) -> str:
        return await self.once.once(text) + await self.once.once(text)


class Same(Once):
    async def once(self, text: str) -> str:
        return text


def component(me: Component) -> tuple[Interface, ...]:
    return (Doubling(Once.at(me)),)


@pytest.mark.parametrize("era", list(Era))
async def test_components_in_python_call_each_other_over_links(era: Era) -> None:
    async with a_lattice(era=era, resolve_component=lambda reference: component) as lattice:
        scale = {"component_ref": "file://twice.py", "component_id": "twice", "count": 3, "host_id": lattice.host.host_id, "config": []}
        assert (await lattice.control(f"component.scale.{lattice.host.host_id}", scale))["success"]
        assert (await lattice.event("component_scaled"))["max_instances"] == 3
        caller = lattice.host.component("me").provider("twice")
        with pytest.raises(NotFound, match=r"twice has no link named default for acme:once/once@0\.1\.0"):
            await Twice.at(caller).twice("ab")
        await lattice.host.put_link(InterfaceLink("twice", "once", "acme", "once", ("once",)))
        with pytest.raises(Unavailable):
            await Twice.at(caller).twice("ab")
        await lattice.host.serve_component("once", Same())
        assert await Twice.at(caller).twice("ab") == "abab"
        await lattice.control(f"component.scale.{lattice.host.host_id}", scale | {"count": 0})
        await until(lambda: _true(len(lattice.host.components) == 1))
        with pytest.raises(Unavailable):
            await Twice.at(caller).twice("ab")


async def _true(value: bool) -> bool:
    return value
