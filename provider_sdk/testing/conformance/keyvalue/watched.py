"""Changes that a component is told of: the ones it watches, in each key's order."""

from __future__ import annotations

import asyncio

from provider_sdk.testing.conformance.choice import needs
from provider_sdk.testing.conformance.keyvalue.imports import Changes, ImportsCapability, ImportsSuite

LAST = "the last one"
"""Set at the end of a test: what is not told soon after this is not told."""
QUIET = 0.3


class Watched(ImportsSuite):
    """watcher."""

    async def _told(self, changes: Changes) -> list[tuple[str, bytes | None]]:
        """All that is told, but for LAST."""
        found = [await self._next(changes)]
        while found[-1][0] != LAST:
            found.append(await self._next(changes))
        await asyncio.sleep(QUIET)
        while not changes.empty():
            found.append(changes.get_nowait())
        return sorted((change for change in found if change[0] != LAST), key=str)

    async def _next(self, changes: Changes) -> tuple[str, bytes | None]:
        async with asyncio.timeout(self.told_within):
            return await changes.get()

    @needs(ImportsCapability.WATCHED)
    async def test_a_component_is_told_what_is_set_and_deleted_by_whichever_operation(self) -> None:
        async with self.imports() as have, self.watched("SET@a, del@a") as changes:
            await have.store.set("", "a", b"\xff")
            assert await self._next(changes) == ("a", b"\xff")
            await have.store.set("", "a", b"41")
            assert await self._next(changes) == ("a", b"41")
            await have.atomics.increment("", "a", 1)
            assert await self._next(changes) == ("a", b"42")
            await have.store.delete("", "a")
            assert await self._next(changes) == ("a", None)
            await have.atomics.increment("default", "a", 7)
            assert await self._next(changes) == ("a", b"7")
            await have.batch.set_many("", [("a", b""), ("b", b"")])
            assert await self._next(changes) == ("a", b"")
            await have.batch.delete_many("", ["a", "b"])
            assert await self._next(changes) == ("a", None)

    @needs(ImportsCapability.WATCHED)
    async def test_it_is_told_of_what_it_watches_and_of_nothing_else(self) -> None:
        async with self.imports() as have, self.watched(f"SET@a,DEL@b,SET@{LAST}") as changes:
            for key in ("a", "b", "a2", "", "A", "*", "c"):
                await have.store.set("", key, b"1")
            for key in ("b", "a2", "", "A", "*", "c", "missing"):
                await have.store.delete("", key)
            await have.store.set("", LAST, b"")
            assert await self._told(changes) == [("a", b"1"), ("b", None)]

    @needs(ImportsCapability.WATCHED, ImportsCapability.BUCKETS)
    async def test_it_is_told_of_its_own_bucket_alone(self) -> None:
        async with self.imports() as have, self.watched(f"SET@a,DEL@a,SET@{LAST}") as changes:
            await have.store.set("another", "a", b"1")
            await have.store.delete("another", "a")
            await have.store.set("", LAST, b"")
            assert await self._told(changes) == []

    @needs(ImportsCapability.WATCHED)
    async def test_a_star_stands_for_whatever_follows(self) -> None:
        async with self.imports() as have, self.watched(f"SET@user:*,DEL@u[*,SET@{LAST}") as changes:
            for key in ("user:", "user:1", "user", "u[1", "u1", "auser:1"):
                await have.store.set("", key, key.encode())
            assert [await self._next(changes), await self._next(changes)] == [("user:", b"user:"), ("user:1", b"user:1")]
            for key in ("user:", "u[1", "u1"):
                await have.store.delete("", key)
            await have.store.set("", LAST, b"")
            assert await self._told(changes) == [("u[1", None)]

    @needs(ImportsCapability.WATCHED)
    async def test_the_last_value_is_told_however_fast_the_changes_are(self) -> None:
        async with self.imports() as have, self.watched("SET@n*,DEL@n*") as changes:

            async def caller(key: str) -> None:
                for number in range(self.rounds):
                    await have.store.set("", key, b"%d" % number)
                    if number % 3 == 2:
                        await have.store.delete("", key)
                await have.store.set("", key, b"last")

            keys = [f"n{number}" for number in range(self.callers)]
            await asyncio.gather(*map(caller, keys))
            wanted: dict[str, bytes | None] = dict.fromkeys(keys, b"last")
            last: dict[str, bytes | None] = {}
            while last != wanted or not changes.empty():
                # The value told may be newer than the change that it is told for, so it may come before an older removal, and again.
                key, value = await self._next(changes)
                last[key] = value
                if last == wanted:
                    await asyncio.sleep(QUIET)

    @needs(ImportsCapability.WATCHED, ImportsCapability.SHARED)
    async def test_what_another_instance_changes_is_told(self) -> None:
        async with self.imports(), self.watched("SET@a,DEL@a") as changes, self.second() as second:
            await second.store.set("", "a", b"1")
            assert await self._next(changes) == ("a", b"1")
            await second.store.delete("", "a")
            assert await self._next(changes) == ("a", None)

    @needs(ImportsCapability.WATCHED, ImportsCapability.ACTORS)
    async def test_what_an_actor_changes_is_told_and_what_goes_by_its_time(self) -> None:
        async with self.imports(), self.watched("SET@a,DEL@a,SET@l,DEL@l") as changes, self.actor() as actor:
            await actor.list_add("l", "no value")
            await actor.set("a", "1", 1)
            assert await self._next(changes) == ("a", b"1")
            async with asyncio.timeout(self.told_within + 10):
                assert await changes.get() == ("a", None)
            await actor.list_clear("l")
            assert await self._next(changes) == ("l", None)

    @needs(ImportsCapability.WATCHED)
    async def test_two_components_are_told_alike(self) -> None:
        async with self.imports() as have, self.watched("SET@a") as first, self.watched("SET@a") as second:
            await have.store.set("", "a", b"1")
            assert await self._next(first) == await self._next(second) == ("a", b"1")
