"""Actors of 0.x and components of 1.x on the same data: text is bytes and bytes are text, counters are counted together."""

from __future__ import annotations

import pytest

from provider_sdk.contracts.keyvalue import GetResponse
from provider_sdk.errors import OutOfRange, PreconditionFailed
from provider_sdk.testing.conformance.choice import needs
from provider_sdk.testing.conformance.keyvalue.corpus import KEYS, VALUES
from provider_sdk.testing.conformance.keyvalue.imports import LARGEST, ImportsCapability, ImportsSuite
from provider_sdk.testing.conformance.keyvalue.listing import listed
from provider_sdk.testing.conformance.together import together


class Generations(ImportsSuite):
    """Both on one store."""

    @needs(ImportsCapability.ACTORS)
    async def test_what_an_actor_wrote_a_component_reads(self) -> None:
        async with self.imports() as have, self.actor() as actor:
            await together(actor.set(f"k{number}", value, 0) for number, value in enumerate(VALUES))
            found = await together(have.store.get("default", f"k{number}") for number in range(len(VALUES)))
            assert found == [value.encode() for value in VALUES]
            await together(actor.set(key, "", 0) for key in KEYS)
            assert set(await listed(have.store)) == {*KEYS, *(f"k{number}" for number in range(len(VALUES)))}
            await actor.delete("k0")
            assert await have.store.exists("", "k0") is False

    @needs(ImportsCapability.ACTORS)
    async def test_what_a_component_wrote_an_actor_reads_where_it_is_text(self) -> None:
        async with self.imports() as have, self.actor() as actor:
            await have.batch.set_many("", [(f"k{number}", value.encode()) for number, value in enumerate(VALUES)])
            found = await together(actor.get(f"k{number}") for number in range(len(VALUES)))
            assert found == [GetResponse(value, exists=True) for value in VALUES]
            await have.store.set("", "bytes", b"a\xff")
            with pytest.raises(PreconditionFailed, match="bytes"):
                await actor.get("bytes")
            assert await actor.contains("bytes") is True

    @needs(ImportsCapability.ACTORS)
    async def test_they_count_together(self) -> None:
        async with self.imports() as have, self.actor() as actor:
            assert await actor.increment("n", 5) == 5
            assert await have.atomics.increment("", "n", 37) == 42
            assert await actor.increment("n", -50) == -8
            with pytest.raises(OutOfRange):
                await have.atomics.increment("", "n", 7)
            assert await have.atomics.increment("", "n", 8) == 0
            assert await have.atomics.increment("", "n", LARGEST) == LARGEST
            with pytest.raises(OutOfRange):
                await actor.increment("n", -1)
            assert await actor.get("n") == GetResponse(str(LARGEST), exists=True)

    @needs(ImportsCapability.ACTORS)
    async def test_a_list_or_set_exists_and_is_listed_has_no_value_and_may_be_replaced_and_removed(self) -> None:
        async with self.imports() as have, self.actor() as actor:
            for name in ("l1", "l2"):
                await actor.list_add(name, "item")
            for name in ("s1", "s2", "s3"):
                await actor.set_add(name, "member")
            for name in ("l1", "s1"):
                assert await have.store.exists("", name) is True
                with pytest.raises(PreconditionFailed, match=name):
                    await have.store.get("", name)
                with pytest.raises(PreconditionFailed, match=name):
                    await have.atomics.increment("", name, 1)
            assert await have.batch.get_many("", ["l1", "s1"]) == [None, None]
            assert sorted(await listed(have.store)) == ["l1", "l2", "s1", "s2", "s3"]
            await have.store.set("", "l1", b"value")
            await have.batch.set_many("", [("s1", b"value")])
            assert [(await actor.get(name)).value for name in ("l1", "s1")] == ["value", "value"]
            await have.store.delete("", "l2")
            await have.batch.delete_many("", ["s2"])
            assert sorted(await listed(have.store)) == ["l1", "s1", "s3"]

    @needs(ImportsCapability.ACTORS)
    async def test_a_value_that_a_component_sets_has_no_time(self) -> None:
        async with self.imports() as have, self.actor() as actor:
            await actor.set("a", "1", 1000)
            await actor.set("b", "1", 1)
            await have.store.set("", "b", b"2")
            assert await have.atomics.increment("", "a", 1) == 2
            assert await have.store.get("", "a") == b"2"
