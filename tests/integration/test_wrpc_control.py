"""What a 1.x host says to a provider's process, and what it hears (wrpc-1x.md §1, §2): over real NATS, subject by subject."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from provider_sdk.errors import ProviderError
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.transport.base import Message
from tests.integration.wrpc_driver import IN, NO_KEYS, OUT, ControlInterface, Driver, a_driver, incoming, link
from tests.tiers import scale
from tests.waiting import until


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer.start(url="") as running:
        yield running


@pytest_asyncio.fixture
async def driver(server: NatsServer, tmp_path: Path) -> AsyncIterator[Driver]:
    async with a_driver(server.url, tmp_path) as found:
        yield found


# Links: the subjects, the roles, the names


async def test_a_link_put_on_the_x_key_is_served(driver: Driver) -> None:
    provider = await driver.spawn()
    await provider.put(incoming(target_config={"word": "w"}, source_config={"word": "not ours"}))
    found = await provider.until_links(lambda links: IN in links)
    assert (found[IN]["word"], found[IN]["interfaces"]) == ("w", ["told"])
    assert await provider.over("comp").own() == "w"


async def test_a_link_put_on_the_providers_own_id_is_served_under_hosts_with_and_without_x_keys(driver: Driver) -> None:
    for keys in ({}, NO_KEYS):
        provider = await driver.spawn(**keys)
        await provider.publish("linkdefs.put", incoming(target_config={"word": "copy"}))
        assert (await provider.until_links(lambda links: IN in links))[IN]["word"] == "copy"
        provider.process.kill()
        await provider.process.wait()


async def test_a_link_whose_source_is_the_provider_has_the_values_of_the_source(driver: Driver) -> None:
    provider = await driver.spawn()
    definition = link("teller", "comp", source_config={"word": "ours"}, target_config={"word": "theirs"})
    await provider.put({**definition, "source_secrets": provider.sealed({"token": "t"})})
    found = await provider.until_links(bool)
    assert (list(found), found[OUT]["word"], found[OUT]["token"]) == ([OUT], "ours", "t")


async def test_a_component_that_is_target_of_the_provider_may_not_call_it(driver: Driver) -> None:
    provider = await driver.spawn(links=[link("teller", "comp")])
    with pytest.raises(ProviderError):
        await provider.over("comp").own()


async def test_the_two_roles_towards_one_component_are_two_links(driver: Driver) -> None:
    provider = await driver.spawn(links=[link("teller", "comp", source_config={"word": "out"}), incoming(target_config={"word": "in"})])
    found = await provider.until_links(lambda links: len(links) == 2)
    assert (found[IN]["word"], found[OUT]["word"]) == ("in", "out")
    await provider.publish("linkdefs.del", link("teller", "comp"))
    assert list(await provider.until_links(lambda links: len(links) == 1)) == [IN]


async def test_two_link_names_of_one_component_are_kept_apart(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming("left", target_config={"word": "l"})])
    await provider.put(incoming("right", target_config={"word": "r"}))
    await provider.until_links(lambda links: len(links) == 2)
    assert [await provider.over("comp", name).own() for name in ("left", "right")] == ["l", "r"]
    await provider.publish("linkdefs.del", incoming("left"))
    assert list(await provider.until_links(lambda links: len(links) == 1)) == ["comp/acme:told/right as target"]
    assert await provider.over("comp", "right").own() == "r"
    with pytest.raises(ProviderError):
        await provider.over("comp", "left").own()


async def test_a_link_for_nothing_that_is_served_is_one_warning_and_one_for_a_part_of_it_none(driver: Driver) -> None:
    provider = await driver.spawn(links=[link("early", "teller", interfaces=["slip"])])
    for interfaces in (["slip"], ["told", "types"]):
        await provider.put(incoming(interfaces=interfaces))
        await provider.publish("linkdefs.put", incoming(interfaces=interfaces))
    await provider.until_links(lambda links: IN in links and links[IN]["interfaces"] == ["told", "types"])
    log = await provider.until_logged("it is for acme:told/slip, and this provider serves acme:told/told")
    assert log.count("and this provider serves") == 2  # of the link in the host data, and of the one that was put


async def test_links_of_namespace_wrpc_are_those_of_wasi(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming(wit_namespace="wrpc", wit_package="keyvalue", target_config={"word": "1"})])
    await provider.put(incoming(wit_namespace="wasi", wit_package="keyvalue", target_config={"word": "2"}))
    found = await provider.until_links(lambda links: any(item["word"] == "2" for item in links.values()))
    assert list(found) == ["comp/wasi:keyvalue/default as target"]


async def test_a_link_put_again_changes_nothing_and_one_put_with_other_values_replaces_it(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming(target_config={"word": "old"})])
    first = await provider.until_links(lambda links: IN in links)
    await provider.put(incoming(target_config={"word": "old"}))
    await provider.publish("linkdefs.put", incoming(target_config={"word": "old"}))
    await provider.put(incoming("other"))
    assert (await provider.until_links(lambda links: len(links) == 2))[IN] == first[IN]
    await provider.put(incoming(target_config={"word": "new"}, interfaces=["told", "more"]))
    found = await provider.until_links(lambda links: links[IN]["word"] == "new")
    assert found[IN]["interfaces"] == ["told", "more"]


async def test_puts_and_dels_count_in_the_order_in_which_they_were_sent(driver: Driver) -> None:
    provider = await driver.spawn()
    for number in range(30):
        await provider.put(incoming(target_config={"word": str(number)}))
        await provider.publish("linkdefs.del", incoming())
        await provider.publish("linkdefs.put", incoming(target_config={"word": f"copy {number}"}))
    await provider.put(incoming("last"))
    found = await provider.until_links(lambda links: len(links) == 2 and links.get(IN, {}).get("word") == "copy 29")
    assert "comp/acme:told/last as target" in found


async def test_whatever_is_put_copied_and_deleted_what_was_said_last_counts(driver: Driver) -> None:
    provider = await driver.spawn()
    seed = random.randrange(1 << 32)
    chance, said = random.Random(seed), dict[str, tuple[str, str | None]]()
    for step in range(scale(test=100, ci=300, soak=5000)):
        name, word, how = chance.choice("abc"), str(step), chance.choice(("put", "copy", "delete", "pause"))
        if how == "put":
            token = chance.choice(("s", "t", None))
            await provider.put(
                incoming(name, target_config={"word": word}, target_secrets=provider.sealed({"token": token}) if token else None)
            )
            said[name] = word, token
        elif how == "copy":
            await provider.publish("linkdefs.put", incoming(name, target_config={"word": word}))
            said[name] = word, said.get(name, ("", None))[1]
        elif how == "delete":
            await provider.publish("linkdefs.del", incoming(name))
            said.pop(name, None)
        else:
            await asyncio.sleep(chance.random() / 50)
    expected = {f"comp/acme:told/{name} as target": what for name, what in said.items()}
    print("seed", seed)
    await provider.until_links(lambda links: {place: (item["word"], item["token"]) for place, item in links.items()} == expected)


async def test_what_is_no_link_of_this_provider_is_logged_and_dropped(driver: Driver) -> None:
    provider = await driver.spawn(links=[link("comp", "stranger")])
    await provider.put(link("comp", "somebody else"))
    for payload in (b"", b"{", b"[]", b'{"source_id": 1}', b"\xff"):
        await provider.put(payload)
        await provider.publish("linkdefs.del", payload)
        await provider.publish("config.update", payload)
    await provider.put(incoming())
    assert list(await provider.until_links(bool)) == [IN]
    log = await provider.until_logged("'somebody else' is none of this provider's")
    assert "link_definitions: dropped: the link 'default' from 'comp' to 'stranger'" in log
    assert log.count("ERROR provider.host") == 2 + 3 * 5


# Secrets


async def test_secrets_of_both_kinds_are_opened_in_the_host_data_and_in_puts(driver: Driver) -> None:
    provider = await driver.spawn()
    await provider.put(incoming("text", target_secrets=provider.sealed({"token": "gehéim"})))
    await provider.put(incoming("bytes", target_secrets=provider.sealed({"token": "gehéim".encode()})))
    found = await provider.until_links(lambda links: len(links) == 2)
    assert {item["token"] for item in found.values()} == {"gehéim"}
    assert "gehéim" not in provider.log.read_text()


async def test_secrets_of_the_other_side_are_left_alone(driver: Driver) -> None:
    provider = await driver.spawn()
    await provider.put(incoming(source_secrets=[1, 2, 3], target_secrets=provider.sealed({"token": "t"})))
    assert (await provider.until_links(lambda links: IN in links))[IN]["token"] == "t"


async def test_bytes_that_are_no_text_are_refused_for_a_secret_setting_without_being_shown(driver: Driver) -> None:
    provider = await driver.spawn()
    await provider.put(incoming(target_secrets=provider.sealed({"token": b"\xff\xfe"})))
    health = await provider.until_health(lambda answer: not answer["healthy"])
    assert "link secrets: token: <secret> (bytes that are not UTF-8) is not text" in health["message"]


async def test_a_link_whose_secrets_cannot_be_opened_is_refused_in_log_and_health_until_it_is_put_well(driver: Driver) -> None:
    provider = await driver.spawn()
    await provider.put(incoming(target_secrets=[120, 107, 118, 49, *range(60)]))
    health = await provider.until_health(lambda answer: not answer["healthy"])
    assert "link comp/acme:told/default: failed: its secrets cannot be opened" in health["message"]
    await until(lambda: "its secrets cannot be opened" in provider.log.read_text())
    assert not await provider.links()
    await provider.put(incoming(target_secrets=provider.sealed({"token": "t"})))
    assert (await provider.until_links(lambda links: IN in links))[IN]["token"] == "t"
    assert await provider.until_health(lambda answer: answer["healthy"]) == {"healthy": True}


async def test_a_link_that_serves_goes_on_when_it_is_put_with_secrets_that_cannot_be_opened(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming(target_config={"word": "good"})])
    await provider.until_links(lambda links: IN in links)
    await provider.put(incoming(target_config={"word": "new"}, target_secrets=[1]))
    health = await provider.until_health(lambda answer: "message" in answer)
    assert health["healthy"]
    assert "change refused, serving as before: its secrets cannot be opened" in health["message"]
    assert (await provider.links())[IN]["word"] == "good"


async def test_a_copy_without_secrets_does_not_take_away_those_that_were_told(driver: Driver) -> None:
    provider = await driver.spawn()
    await provider.put(incoming(target_secrets=provider.sealed({"token": "t"})))
    await provider.until_links(lambda links: IN in links)
    await provider.publish("linkdefs.put", incoming(target_config={"word": "resolved anew"}))
    found = await provider.until_links(lambda links: links[IN]["word"] == "resolved anew")
    assert found[IN]["token"] == "t"
    await provider.put(incoming(target_config={"word": "resolved anew"}))
    assert (await provider.until_links(lambda links: links[IN]["token"] is None))[IN]["word"] == "resolved anew"


async def test_the_providers_own_secrets_come_in_the_clear_and_beat_its_configuration(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming()], config={"token": "plain"}, secrets={"token": {"kind": "String", "value": "sealed"}})
    assert (await provider.until_links(lambda links: IN in links))[IN]["token"] == "sealed"
    assert "is a secret" not in provider.log.read_text()


async def test_a_secret_in_plain_configuration_warns_once_a_link_and_setting_and_is_not_shown(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming(name, target_config={"token": "hushhush"}) for name in ("default", "other")])
    await provider.put(incoming(target_config={"token": "hushhush", "word": "w"}))
    await provider.until_links(lambda links: links.get(IN, {}).get("word") == "w")
    log = await provider.until_logged("link values: token is a secret, and stands in plain configuration")
    assert log.count("stands in plain configuration") == 2
    assert "hushhush" not in log


async def test_a_host_without_secrets_is_not_told_to_use_them(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming(target_config={"token": "plain"})], **NO_KEYS)
    await provider.until_links(lambda links: IN in links)
    assert "stands in plain configuration" not in provider.log.read_text()


# Configuration


async def test_a_configuration_is_taken_up_by_the_links_whose_settings_it_changes_and_by_no_other(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming("own", target_config={"word": "mine"}), incoming()], config={"word": "first"})
    before = await provider.until_links(lambda links: len(links) == 2)
    assert before[IN]["word"] == "first"
    await provider.publish("config.update", {"word": "second"})
    after = await provider.until_links(lambda links: links.get(IN, {}).get("word") == "second")
    assert after[IN]["entered"] > before[IN]["entered"]
    own = "comp/acme:told/own as target"
    assert after[own] == before[own]


async def test_the_configuration_that_comes_at_every_start_changes_nothing(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming()], config={"word": "w"})
    before = await provider.until_links(lambda links: IN in links)
    await provider.publish("config.update", {"word": "w"})
    await provider.put(incoming("later"))
    assert (await provider.until_links(lambda links: len(links) == 2))[IN] == before[IN]
    assert "configuration has changed" not in provider.log.read_text()


async def test_a_wrong_configuration_leaves_links_as_they_are_until_it_is_right_again(driver: Driver) -> None:
    provider = await driver.spawn(links=[incoming()], config={"word": "right", "count": "1"})
    before = await provider.until_links(lambda links: IN in links)
    await provider.publish("config.update", {"word": "wrong", "count": "many"})
    health = await provider.until_health(lambda answer: "change refused" in answer.get("message", ""))
    assert health["healthy"]
    assert 'configuration refused, as before: provider configuration: count: "many" is not' in health["message"]
    assert 'default: change refused, serving as before: provider configuration: count: "many" is not' in health["message"]
    assert await provider.over("comp").own() == "right"
    await provider.publish("config.update", {"word": "right", "count": "1"})
    assert await provider.until_health(lambda answer: "message" not in answer) == {"healthy": True}
    assert (await provider.links())[IN] == before[IN]
    await provider.publish("config.update", {"word": "new", "count": "2"})
    assert (await provider.until_links(lambda links: links.get(IN, {}).get("word") == "new"))[IN]["count"] == 2


async def test_what_a_provider_reads_of_its_own_configuration_is_what_was_told_last(driver: Driver) -> None:
    provider = await driver.spawn(config={"own_word": "first"})
    wrong = {"own_word": "wrong", "count": "many"}
    for told, read in (({"own_word": "second"}, "second"), (wrong, "second"), ({"own_word": "third"}, "third")):
        await provider.publish("config.update", told)
        await asyncio.sleep(0.1)
        assert json.loads(await provider.over("observer").links())["own_word"] == read


async def test_settings_that_count_from_the_next_start_on_are_told_in_one_line(driver: Driver) -> None:
    provider = await driver.spawn(config={"max_calls": "7"})
    await provider.publish("config.update", {"max_calls": "8", "link_wait": "2s"})
    await provider.until_logged("settings that count from the next start on: max_calls, link_wait")
    await provider.publish("config.update", {"max_calls": "none"})
    health = await provider.until_health(lambda answer: "message" in answer)
    assert health["healthy"]
    assert "configuration refused, as before: provider configuration: max_calls" in health["message"]


# What was lost


def stored(name: str = "default", *configs: str, **changes: Any) -> dict[str, Any]:
    return {**link("comp", "teller", name), "source_config": ["theirs"], "target_config": list(configs), **changes}


async def test_a_link_lost_between_spawn_and_subscription_is_recovered_from_the_control_interface(driver: Driver) -> None:
    control = ControlInterface(driver.transport)
    control.configs = {"base": {"word": "base", "count": "3"}, "over": {"word": "over"}, "theirs": {"word": "not ours"}}
    control.links = [
        stored("default", "base", "over"),
        link("a", "b"),
        {**link("comp", "observed"), "name": 5},
        stored(source_id="observer"),
    ]
    await control.open()
    provider = await driver.spawn()
    found = await provider.until_links(lambda links: IN in links)
    assert (found[IN]["word"], found[IN]["count"]) == ("over", 3)
    assert await provider.over("comp").own() == "over"
    assert "theirs" not in "".join(control.asked)


async def test_a_recovered_links_secrets_are_missed_in_health_until_the_host_tells_them(driver: Driver) -> None:
    control = ControlInterface(driver.transport)
    control.configs = {"base": {"word": "w"}}
    control.links = [stored("default", "base", "SECRET_token"), stored(source_id="observer")]
    await control.open()
    provider = await driver.spawn()
    await provider.until_links(lambda links: IN in links)
    health = await provider.until_health(lambda answer: "message" in answer)
    assert health["healthy"]
    assert "link comp/acme:told/default: the host did not tell its secrets" in health["message"]
    await provider.put(incoming(target_config={"word": "w"}, target_secrets=provider.sealed({"token": "t"})))
    await provider.until_links(lambda links: links[IN]["token"] == "t")
    assert await provider.until_health(lambda answer: "message" not in answer) == {"healthy": True}


async def test_a_link_that_was_told_with_its_secrets_keeps_them_whatever_the_store_says(driver: Driver) -> None:
    control = ControlInterface(driver.transport)
    control.configs = {"base": {"word": "w"}, "more": {"word": "changed"}}
    control.links = [stored("default", "base", "SECRET_token"), stored(source_id="observer")]
    await control.open()
    provider = await driver.spawn()
    await provider.put(incoming(target_config={"word": "w"}, target_secrets=provider.sealed({"token": "t"})))
    before = await provider.until_links(lambda links: links.get(IN, {}).get("token") == "t")
    control.asked.clear()
    await provider.put(incoming("other"))
    control.links.append(stored("other"))
    async with asyncio.timeout(10):
        while control.asked.count("link.get") < 1:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    assert (await provider.links())[IN] == before[IN]


async def test_a_link_lost_while_no_host_answers_is_recovered_from_the_buckets(tmp_path: Path) -> None:
    async with NatsServer.start(url="") as server, a_driver(server.url, tmp_path) as driver:
        await bucket(driver, "LATTICEDATA_lattice", {"COMPONENT_comp": {"url": "file:///c", "links": [stored("default", "base")]}})
        await bucket(driver, "CONFIGDATA_lattice", {"base": {"word": "stored"}})
        provider = await driver.spawn()
        assert (await provider.until_links(lambda links: IN in links))[IN]["word"] == "stored"


async def test_a_link_whose_configuration_is_gone_is_not_entered_without_it(tmp_path: Path) -> None:
    async with NatsServer.start(url="") as server, a_driver(server.url, tmp_path) as driver:
        control = ControlInterface(driver.transport)
        control.links = [stored("default", "base", "dotted.name"), stored("other", "base", "gone"), stored(source_id="observer")]
        control.configs = {"base": {"word": "w"}}
        await control.open()
        await bucket(driver, "CONFIGDATA_lattice", {"dotted.name": {"count": "5"}, "gone": {"word": "was here"}})
        await driver.transport.publish("$KV.CONFIGDATA_lattice.gone", b"", headers={"KV-Operation": "PURGE"})
        provider = await driver.spawn()
        found = await provider.until_links(lambda links: IN in links)
        assert (found[IN]["word"], found[IN]["count"]) == ("w", 5)
        health = await provider.until_health(lambda answer: not answer["healthy"])
        assert "its configuration could not be had: gone" in health["message"]
        assert list(await provider.links()) == [IN]
        control.configs["gone"] = {"word": "came"}
        found = await provider.until_links(lambda links: len(links) == 2)
        assert sorted(link["word"] for link in found.values()) == ["came", "w"]


async def test_a_link_follows_its_named_configurations_and_what_is_wrong_changes_nothing(driver: Driver) -> None:
    control = ControlInterface(driver.transport)
    control.configs = {"base": {"word": "w"}, "more": {"count": "1"}}
    control.links = [stored("default", "base", "more"), stored(source_id="observer")]
    await control.open()
    provider = await driver.spawn()

    async def change(name: str, **values: str) -> None:
        control.configs[name] = values
        event = {"type": "com.wasmcloud.lattice.config_set", "data": {"config_name": name}}
        await driver.transport.publish("wasmbus.evt.lattice.config_set", json.dumps(event).encode())

    await provider.put(incoming(target_config={"word": "w", "count": "1"}))
    await provider.until_links(lambda links: links.get(IN, {}).get("count") == 1)
    async with asyncio.timeout(20):
        while control.asked.count("config.get.more") < 1:
            await asyncio.sleep(0.05)
    await change("base", word="moved")
    assert (await provider.until_links(lambda links: links[IN]["word"] == "moved"))[IN]["count"] == 1
    await change("more", count="many")
    health = await provider.until_health(lambda answer: "message" in answer)
    assert "count" in health["message"]
    assert (await provider.links())[IN]["word"] == "moved"
    await change("more", count="2")
    await provider.until_links(lambda links: links[IN]["count"] == 2)
    asked = len(control.asked)
    await change("of_another_link", word="x")
    await driver.transport.publish("wasmbus.evt.lattice.config_set", b"not JSON")
    await asyncio.sleep(1.5)
    assert len(control.asked) == asked


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"success": false}', b'{"success": true, "response": {}}'])
async def test_a_control_interface_that_answers_nothing_of_use_leaves_it_to_the_buckets(tmp_path: Path, answer: bytes) -> None:
    async with NatsServer.start(url="") as server, a_driver(server.url, tmp_path) as driver:

        async def useless(message: Message) -> None:
            await driver.transport.publish(message.reply, answer)

        await driver.transport.subscribe("wasmbus.ctl.v1.lattice.>", useless)
        await bucket(
            driver, "LATTICEDATA_lattice", {"COMPONENT_c.d": {"links": [stored(source_id="c.d")]}, "COMPONENT_x": [], "CLAIMS_y": {}}
        )
        provider = await driver.spawn()
        await provider.until_links(lambda links: "c.d/acme:told/default as target" in links)


async def test_a_store_that_cannot_be_read_takes_no_link_away(driver: Driver) -> None:
    control = ControlInterface(driver.transport)
    control.links = [{**stored(), "interfaces": 3}]
    await control.open()
    provider = await driver.spawn(links=[incoming()])
    await provider.until_logged("the lattice's store of links cannot be read: link.interfaces: expected a list of strings")
    await provider.until_links(lambda links: IN in links)


async def test_buckets_that_cannot_be_read_whole_take_no_link_away(tmp_path: Path) -> None:
    async with NatsServer.start(url="") as server, a_driver(server.url, tmp_path) as driver:
        await bucket(driver, "LATTICEDATA_lattice", {"COMPONENT_comp": {"links": [stored()]}, "COMPONENT_x": {}})
        await driver.transport.request("$KV.LATTICEDATA_lattice.COMPONENT_x", b"{", timeout=2.0)
        provider = await driver.spawn()
        await provider.until_logged("store of links cannot be read: COMPONENT_x of bucket LATTICEDATA_lattice is not JSON")
        assert not await provider.links()


async def bucket(driver: Driver, name: str, entries: dict[str, Any]) -> None:
    """A key-value bucket as JetStream has them."""
    config = {"name": f"KV_{name}", "subjects": [f"$KV.{name}.>"], "max_msgs_per_subject": 1, "allow_direct": True, "storage": "memory"}
    created = await driver.transport.request(f"$JS.API.STREAM.CREATE.KV_{name}", json.dumps(config).encode(), timeout=2.0)
    assert "error" not in json.loads(created.data)
    for key, value in entries.items():
        await driver.transport.request(f"$KV.{name}.{key}", json.dumps(value).encode(), timeout=2.0)
