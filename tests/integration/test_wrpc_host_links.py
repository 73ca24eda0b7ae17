"""What the emulated 1.x host tells a running provider by hand (no SDK) of links and configuration (wrpc-1x.md §2)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provider_sdk.errors import AlreadyExists
from provider_sdk.lattice.wrpc.links import InterfaceLink
from provider_sdk.lattice.wrpc.settings import SecretReference
from provider_sdk.nkeys import CurveKey
from tests.integration.wrpc_host import LINK, a_lattice

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
