"""A key holds one kind of value: what is for another kind is refused, naming the key and both kinds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.errors import PreconditionFailed
from provider_sdk.testing.conformance.keyvalue.suite import TWICE, KeyValueSuite

KEY = "the-key"
MAKE: dict[str, Callable[[KeyValue], Awaitable[Any]]] = {
    "text": lambda store: store.set(KEY, "5", 0),
    "list": lambda store: store.list_add(KEY, "5"),
    "set": lambda store: store.set_add(KEY, "5"),
}
READ: dict[str, Callable[[KeyValue], Awaitable[Any]]] = {
    "text": lambda store: store.get(KEY),
    "list": lambda store: store.list_range(KEY, 0, -1),
    "set": lambda store: store.set_query(KEY),
}
OPERATIONS: dict[str, tuple[str, Callable[[KeyValue], Awaitable[Any]]]] = {
    "get": ("text", lambda store: store.get(KEY)),
    "increment": ("(text|counter)", lambda store: store.increment(KEY, 1)),
    "list_add": ("list", lambda store: store.list_add(KEY, "5")),
    "list_del": ("list", lambda store: store.list_del(KEY, "5")),
    "list_range": ("list", lambda store: store.list_range(KEY, 0, -1)),
    "list_range of nothing": ("list", lambda store: store.list_range(KEY, 1, 0)),
    "set_add": ("set", lambda store: store.set_add(KEY, "5")),
    "set_del": ("set", lambda store: store.set_del(KEY, "5")),
    "set_query": ("set", lambda store: store.set_query(KEY)),
    "set_union": ("set", lambda store: store.set_union([KEY])),
    "set_union behind a set": ("set", lambda store: store.set_union(["other", KEY])),
    "set_union before a set": ("set", lambda store: store.set_union([KEY, "other"])),
    "set_intersection": ("set", lambda store: store.set_intersection([KEY])),
    "set_intersection behind a set": ("set", lambda store: store.set_intersection(["other", KEY])),
    "set_intersection behind a missing set": ("set", lambda store: store.set_intersection(["missing", KEY])),
}
REMOVE: dict[str, Callable[[KeyValue], Awaitable[bool]]] = {
    "delete": lambda store: store.delete(KEY),
    "list_clear": lambda store: store.list_clear(KEY),
    "set_clear": lambda store: store.set_clear(KEY),
}
WRONG = [(held, name) for held in MAKE for name, (kind, _) in OPERATIONS.items() if held not in kind]


class Kinds(KeyValueSuite):
    """Text, lists and sets under one key."""

    @pytest.mark.parametrize(("held", "operation"), WRONG)
    async def test_an_operation_for_another_kind_is_refused_and_changes_nothing(self, held: str, operation: str) -> None:
        wanted, call = OPERATIONS[operation]
        async with self.store() as store:
            await store.set_add("other", "a")
            await MAKE[held](store)
            before = await READ[held](store)
            for _ in TWICE:
                with pytest.raises(PreconditionFailed, match=KEY) as caught:
                    await call(store)
                assert caught.match(rf"\b{held}\b") and caught.match(rf"\b{wanted}\b")
                assert await READ[held](store) == before

    @pytest.mark.parametrize("held", MAKE)
    @pytest.mark.parametrize("operation", REMOVE)
    async def test_what_removes_a_key_removes_it_whatever_it_holds(self, held: str, operation: str) -> None:
        async with self.store() as store:
            await MAKE[held](store)
            assert await store.contains(KEY) is True
            assert await REMOVE[operation](store) is True
            assert await REMOVE[operation](store) is False
            assert await store.contains(KEY) is False

    @pytest.mark.parametrize("held", MAKE)
    async def test_set_puts_text_in_place_of_whatever_is_there(self, held: str) -> None:
        async with self.store() as store:
            await MAKE[held](store)
            for _ in TWICE:
                await store.set(KEY, "new", 0)
                assert (await store.get(KEY)).value == "new"

    @pytest.mark.parametrize("before", MAKE)
    @pytest.mark.parametrize("after", MAKE)
    async def test_a_key_that_was_removed_may_hold_any_kind(self, before: str, after: str) -> None:
        async with self.store() as store:
            await MAKE[before](store)
            assert await store.delete(KEY) is True
            await MAKE[after](store)
            found = await READ[after](store)
            assert found == ["5"] or found.value == "5"
            assert await store.delete(KEY) is True
