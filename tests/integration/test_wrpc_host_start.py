"""How the emulated 1.x host starts a provider by hand (no SDK): host data, environment, configuration, secrets (wrpc-1x.md §1)."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from provider_sdk.errors import InvalidArgument, NotFound, Unavailable
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.lattice.wrpc.handshake import WrpcProgram
from provider_sdk.lattice.wrpc.links import InterfaceLink
from provider_sdk.lattice.wrpc.providers import Supervision
from provider_sdk.lattice.wrpc.settings import SecretReference
from tests.integration.wrpc_host import SCRIPT, a_lattice

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


async def test_the_configuration_is_told_once_at_every_start() -> None:
    async with a_lattice() as lattice:
        told: list[Any] = []
        await lattice.host.core.transport.subscribe(
            "wasmbus.rpc.test.fake.config.update", lambda message: told.append(json.loads(message.data))
        )
        await lattice.host.put_config("own", {"a": "1"})
        await lattice.start("own")
        assert told == [{"a": "1"}]
