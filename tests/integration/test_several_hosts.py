"""Several emulated hosts on one lattice: each knows the links of all, whoever put them."""

from __future__ import annotations

import json
from typing import Any

import nats

from provider_sdk.lattice.host import Host, HostOptions
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.nats_server import NatsServer
from tests.waiting import until

CONTRACT = "acme:fake"


def known(host: Host) -> set[tuple[str, str]]:
    return {(link.actor_id, link.values.get("is", "")) for link in host.links}


async def test_links_put_changed_and_deleted_at_any_host_are_known_to_all() -> None:
    async with NatsServer.start() as server:
        one_options, other_options = (HostOptions(lattice="both", manner=manner) for manner in (Manner.RUST, Manner.OTP))
        async with Host.start(server.url, one_options) as one, Host.start(server.url, other_options) as other:
            await one.put_link("MA", "VP", CONTRACT, values={"is": "first"})
            await one.put_link("MA", "VP", CONTRACT, values={"is": "second"})
            assert known(one) == {("MA", "second")}
            await until(lambda: known(other) == {("MA", "second")})
            await other.put_link("MB", "VP", CONTRACT)
            await until(lambda: known(one) == {("MA", "second"), ("MB", "")})
            await other.delete_link("MA", CONTRACT)
            await until(lambda: known(one) == {("MB", "")})


async def test_a_host_that_comes_later_knows_the_links_that_are_there() -> None:
    async with NatsServer.start() as server, Host.start(server.url, HostOptions(lattice="both")) as first:
        await first.put_link("MA", "VP", CONTRACT, values={"is": "old"})
        async with (
            Host.start(server.url, HostOptions(lattice="both")) as late,
            Host.start(server.url, HostOptions(lattice="alone")) as alone,
        ):
            assert known(late) == {("MA", "old")}
            assert known(alone) == set()


async def test_a_link_deleted_while_a_host_asks_for_the_links_does_not_come_back() -> None:
    link = {"actor_id": "MA", "provider_id": "VP", "contract_id": CONTRACT, "link_name": "default", "values": {}}
    async with NatsServer.start() as server, await nats.connect(server.url) as other:

        async def answer(message: Any) -> None:
            event = {"id": "1", "type": "com.wasmcloud.lattice.linkdef_deleted", "data": link}
            await message.respond(json.dumps({"links": [link, link | {"actor_id": "MB"}]}).encode())
            await other.publish("wasmbus.evt.both", json.dumps(event).encode())

        await other.subscribe("wasmbus.ctl.both.get.links", cb=answer)
        await other.flush()
        async with Host.start(server.url, HostOptions(lattice="both")) as late:
            await until(lambda: ("MB", "") in known(late))
            await until(lambda: known(late) == {("MB", "")})
