"""Secrets of links and of providers: the host asks a backend for them and seals them for the provider (wrpc-1x.md §2.3, §2.4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.archives import Archive
from tests.interop.secrets_backend import PREFIX, SecretsBackend, reference
from tests.interop.world import World, a_world

pytestmark = pytest.mark.needs("host1x")

GREETER = "acme:greeter/greeter"


async def backend_of(world: World) -> SecretsBackend:
    """One with a word and a signature, and named configurations that refer to them."""
    backend = SecretsBackend(world.control.transport, {"vault/word": "Psst,", "vault/signature": "(señor X)"})
    await backend.serve()
    for name in ("word", "signature"):
        await world.config(reference(name, f"vault/{name}"), f"SECRET_{name}")
    return backend


async def test_secrets_reach_the_provider_and_nobody_else(tmp_path: Path, archive: Archive) -> None:
    async with a_world(tmp_path, "--secrets-topic", PREFIX) as world:
        backend = await backend_of(world)
        await world.provide(archive("confidant"), "confidant", config="SECRET_signature")
        await world.link("confidant", GREETER, configs="SECRET_word")
        assert await world.told("greet", name="Ada") == "Psst, Ada (señor X)"
        assert set(backend.asked) == {"vault/word", "vault/signature"}
        assert "Psst" not in world.host.output and "señor" not in world.host.output


async def test_secrets_of_a_link_that_is_there_first_reach_the_provider(tmp_path: Path, archive: Archive) -> None:
    async with a_world(tmp_path, "--secrets-topic", PREFIX) as world:
        await backend_of(world)
        await world.link("confidant", GREETER, configs="SECRET_word")
        await world.provide(archive("confidant"), "confidant")
        assert await world.told("greet", name="Ada") == "Psst, Ada "


async def test_a_secret_may_be_given_as_bytes(tmp_path: Path, archive: Archive) -> None:
    async with a_world(tmp_path, "--secrets-topic", PREFIX) as world:
        backend = await backend_of(world)
        backend.values["vault/word"] = b"Psst,"
        await world.provide(archive("confidant"), "confidant")
        await world.link("confidant", GREETER, configs="SECRET_word")
        assert await world.told("greet", name="Ada") == "Psst, Ada "


async def test_a_secret_in_plain_configuration_serves_and_warns(world: World, archive: Archive) -> None:
    await world.provide(archive("confidant"), "confidant")
    await world.link("confidant", GREETER, values={"word": "Loud:"})
    assert await world.told("greet", name="Ada") == "Loud: Ada "
    assert "Loud" not in world.host.output
    warnings = [line for line in world.host.output.splitlines() if "word" in line and "secret" in line.lower()]
    assert warnings
