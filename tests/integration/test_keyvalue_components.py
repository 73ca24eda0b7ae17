"""The keyvalue on a 1.x host: which link a call belongs to, settings from secrets, links to components that watch."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest

from provider_sdk import Layer, PermissionDenied, Target
from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.contracts.wasi_keyvalue import Atomics, Batch, Store, Watcher
from provider_sdk.lattice.wrpc.manifest_reader import read_wrpc_manifest
from provider_sdk.testing import Era, WrpcProvided, WrpcTestLattice, a_lattice, a_wrpc_lattice
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.namespaces import MOST_TOLD
from providers.keyvalue.provider import KeyValueProvider
from tests.servers.redis import running
from tests.waiting import until


class Heard(Watcher):
    """A component that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes | None]] = []

    async def on_set(self, bucket: str, key: str, value: bytes) -> None:
        self.told.append((key, value))

    async def on_delete(self, bucket: str, key: str) -> None:
        self.told.append((key, None))


async def provided(lattice: WrpcTestLattice, folder: Path) -> WrpcProvided:
    return await lattice.in_process(KeyValueProvider, configuration={"data_dir": str(folder), "link_wait": "3s"})


async def test_links_of_one_component_are_told_apart_by_their_names(tmp_path: Path) -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await provided(lattice, tmp_path)
        first = await lattice.link(provider, {"url": "sqlite://one.db"}, component="hello")
        second = await lattice.link(provider, {"url": "sqlite://two.db"}, component="hello", name="second")
        other = await lattice.link(provider, {"url": "sqlite://one.db"}, component="other", name="third")
        await Store.at(first).set("", "a", b"1")
        await Store.at(second).set("", "a", b"2")
        assert [await Store.at(link).get("", "a") for link in (first, second, other)] == [b"1", b"2", b"1"]
        with pytest.raises(PermissionDenied):
            await Store.at(lattice.caller("nobody").provider(provider.id)).get("", "a")


@pytest.mark.parametrize("era", Era)
async def test_every_interface_is_served_to_hosts_of_both_eras(tmp_path: Path, era: Era) -> None:
    async with a_wrpc_lattice(era=era) as lattice:
        target = await lattice.link(await provided(lattice, tmp_path), {"url": "memory://"})
        await Batch.at(target).set_many("b", [("a", b"41"), ("c", b"\xff" * 3_000_000)])
        assert await Atomics.at(target).increment("b", "a", 1) == 42
        assert await Batch.at(target).get_many("b", ["c", "x", "a"]) == [("c", b"\xff" * 3_000_000), None, ("a", b"42")]
        assert sorted((await Store.at(target).list_keys("b")).keys) == ["a", "c"]


@pytest.mark.needs("redis-server")
async def test_the_url_may_be_a_secret_of_the_link(tmp_path: Path) -> None:
    with running(tmp_path / "redis") as server:
        server.command("SET", "old", "from before")
        async with a_wrpc_lattice() as lattice:
            provider = await provided(lattice, tmp_path)
            target = await lattice.link(provider, {"URL": "redis://127.0.0.1:1"}, secrets={"URL": server.url})
            assert await Store.at(target).get("default", "old") == b"from before"
            await Atomics.at(target).increment("", "counter", 300)
        assert server.command("GET", "counter") == b"300"


@pytest.mark.needs("redis-server")
async def test_a_bucket_with_keys_of_its_own_is_told_once_where_the_official_provider_has_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "provider")
    with running(tmp_path / "redis") as server:
        server.command("SET", "a", "official")
        async with a_wrpc_lattice() as lattice:
            provider = await provided(lattice, tmp_path)
            own = Store.at(await lattice.link(provider, {"URL": server.url}))
            assert [await own.get(bucket, "a") for bucket in ("", "default", "visits", "visits")] == [b"official", b"official", None, None]
            told = [record.getMessage() for record in caplog.records if "of its own" in record.getMessage()]
            assert told == ["bucket visits has keys of its own (//visits:…); the official provider keeps all in one: buckets=ignore"]
            one = Store.at(await lattice.link(provider, {"URL": server.url, "buckets": "ignore"}, component="other"))
            file = Store.at(await lattice.link(provider, {"url": "sqlite://one.db"}, component="third"))
            assert [await store.get("visits", "a") for store in (one, file)] == [b"official", None]
            assert sum("of its own" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.needs("redis-server")
async def test_a_component_that_makes_up_buckets_fills_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "provider")
    with running(tmp_path / "redis") as server:
        async with a_wrpc_lattice() as lattice:
            store = Store.at(await lattice.link(await provided(lattice, tmp_path), {"URL": server.url}))
            for number in range(MOST_TOLD + 5):
                await store.exists(f"b{number}", "a")
        assert sum("of its own" in record.getMessage() for record in caplog.records) == MOST_TOLD


async def test_what_0x_actors_and_1x_components_write_is_one(tmp_path: Path) -> None:
    values = {"url": f"sqlite://{tmp_path}/both.db", "namespace": "shared"}
    async with a_lattice() as old, a_wrpc_lattice() as new:
        contract = KeyValue.__identity__.contract
        before = await old.process("providers.keyvalue", contract=contract, configuration={"data_dir": str(tmp_path)})
        after = await new.process("providers.keyvalue", serves=KeyValueProvider.serves, configuration={"data_dir": str(tmp_path)})
        actor = KeyValue.at(await old.link(before, values))
        component: Target = await new.link(after, values)
        await actor.set("greeting", "grüß dich", 0)
        assert await Store.at(component).get("default", "greeting") == "grüß dich".encode()
        assert [await actor.increment("n", 1), await Atomics.at(component).increment("", "n", 1), await actor.increment("n", 1)] == [
            1,
            2,
            3,
        ]
        await Store.at(component).delete("", "greeting")
        assert await actor.contains("greeting") is False


async def test_a_component_is_told_of_what_another_one_changes_until_the_link_is_deleted(tmp_path: Path) -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await provided(lattice, tmp_path)
        heard = Heard()
        component = await lattice.component(heard)
        values = {"url": "memory://"}
        store = Store.at(await lattice.link(provider, values))
        await lattice.link_to(provider, component, (Watcher,), {**values, "watch": "SET@a*,DEL@a*"})

        async def touched() -> None:
            while not heard.told:
                await store.set("", "a first", b"1")
                await asyncio.sleep(0.05)

        await asyncio.wait_for(touched(), 30)
        await store.set("", "a", b"\xff" * 2_000_000)
        await until(lambda: heard.told[-1] == ("a", b"\xff" * 2_000_000))
        await store.delete("", "a")
        await until(lambda: heard.told[-1] == ("a", None))
        await lattice.unlink_from(provider, component)

        async def is_told() -> bool:
            told = len(heard.told)
            await store.set("", "a", b"1")
            await asyncio.sleep(0.3)
            return len(heard.told) > told

        async with asyncio.timeout(20):
            while await is_told():
                pass


async def test_a_component_that_is_restarted_is_told_again(tmp_path: Path) -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await provided(lattice, tmp_path)
        values = {"url": "memory://"}
        store = Store.at(await lattice.link(provider, values))
        await lattice.link_to(provider, "watching", (Watcher,), {**values, "watch": "SET@a"})
        present = Heard()
        await lattice.link_to(provider, await lattice.component(present), (Watcher,), {**values, "watch": "SET@b"}, name="present")
        async with asyncio.timeout(20):
            while not present.told:  # by then the link before this one is up as well
                await store.set("", "b", b"1")
                await asyncio.sleep(0.05)
        await store.set("", "a", b"while it was away")
        await asyncio.sleep(0.1)
        heard = Heard()
        await lattice.component(heard, id="watching")
        await until(lambda: heard.told == [("a", b"while it was away")])


async def test_a_link_that_watches_nothing_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await provided(lattice, tmp_path)
        component = await lattice.component(Heard())
        await lattice.link_to(provider, component, (Watcher,), {"url": "memory://"})
        await until(lambda: "nothing is watched" in caplog.text)


def test_the_manifest_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "providers.md").read_text("utf-8")
    (text,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "package: keyvalue" in block]
    (tmp_path / "wadm.yaml").write_text(text, "utf-8")
    manifest = read_wrpc_manifest(tmp_path / "wadm.yaml")
    component, provider = manifest.workloads
    served, watched = component.links[0], provider.links[0]
    assert (served.interfaces, watched.interfaces) == (("store", "atomics", "batch"), ("watcher",))
    for (config,), watches in ((served.target_settings.config, False), (watched.source_settings.config, True)):
        loaded = KeyValueConfig.load(Layer("link values", config.properties or {}))
        assert not loaded.warnings and loaded.config.namespace == "visits"
        assert bool(loaded.config.interest) is watches
