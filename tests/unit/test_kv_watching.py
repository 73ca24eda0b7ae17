"""Changes on their way to a component: in order, bounded, tried again, and never lost in silence."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from provider_sdk import Context, InvalidArgument, LinkKey, PermissionDenied, Unavailable
from provider_sdk.metrics import Metrics
from providers.keyvalue import watching
from providers.keyvalue.backend import Backend
from providers.keyvalue.backends.memory import MemoryStore
from providers.keyvalue.changes import Change, Interest, parse
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.watching import AT_ONCE, Counters, Watching
from tests.kv_watch import Component, Said, a_watch
from tests.waiting import until


@asynccontextmanager
async def in_memory(component: Component) -> AsyncIterator[tuple[Watching, Backend]]:
    backend = MemoryStore().namespace("")
    async with a_watch(component, backend) as watch:
        yield watch, backend


def test_what_is_watched_is_read_as_the_official_provider_reads_it() -> None:
    read = parse(" set@a , DEL@a,Set@user:*,del@b@c,")
    assert read == Interest(frozenset({(Change.SET, b"a"), (Change.DELETE, b"a"), (Change.DELETE, b"b@c")}), ((Change.SET, b"user:"),))
    assert not parse("") and not parse(" , ") and parse("SET@*").wants(Change.SET, b"")


@pytest.mark.parametrize("text", ["a", "SET", "SET@", "GET@a", "@a", "SET@a,DEL"])
def test_what_watches_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"watch: .* is not SET@key or DEL@key"):
        KeyValueConfig(watch=text)


async def test_one_key_is_told_in_order_and_one_change_at_a_time() -> None:
    gate = asyncio.Event()
    busy: Counter[str] = Counter()

    async def slowly(said: Said) -> None:
        busy[said[0]] += 1
        assert busy[said[0]] == 1
        await gate.wait()
        busy[said[0]] -= 1

    component = Component(slowly)
    async with in_memory(component) as (_, backend):
        for number in range(4):
            await backend.set(b"a", b"%d" % number, 0)
            await asyncio.sleep(0)
        await backend.delete(b"a")
        await backend.set(b"a", b"end", 0)
        gate.set()
        await until(lambda: len(component.told) == 3)
        await asyncio.sleep(0.05)
    # The first had begun; of the others the last two were left.
    assert component.told[1:] == [("a", None), ("a", b"end")]


async def test_so_many_keys_are_told_at_once_and_no_more() -> None:
    async def slowly(said: Said) -> None:
        await asyncio.sleep(0.01)

    component = Component(slowly)
    async with in_memory(component) as (_, backend):
        for number in range(10 * AT_ONCE):
            await backend.set(b"%d" % number, b"", 0)
        await until(lambda: len(component.told) == 10 * AT_ONCE)
    assert component.most_at_once == AT_ONCE
    assert sorted(component.told) == sorted((str(number), b"") for number in range(10 * AT_ONCE))


async def test_more_keys_than_may_wait_are_counted_and_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watching, "MOST_WAITING", 50)
    gate = asyncio.Event()

    async def stuck(said: Said) -> None:
        await gate.wait()

    component = Component(stuck)
    with caplog.at_level(logging.WARNING):
        async with in_memory(component) as (watch, backend):
            for number in range(80):
                await backend.set(b"%d" % number, b"", 0)
            gate.set()
            await until(lambda: len(component.told) == 50)
            assert watch.counters.lost.values == {("overload",): 30}
    assert len([line for line in caplog.messages if "not told" in line]) == 1


async def test_a_component_that_is_away_is_told_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PAUSES", (0.01, 0.01, 0.01))
    attempts: list[Said] = []

    async def away(said: Said) -> None:
        attempts.append(said)
        if len(attempts) < 4:
            raise Unavailable("nobody answers")

    component = Component(away)
    async with in_memory(component) as (watch, backend):
        await backend.set(b"a", b"1", 0)
        await until(lambda: component.told == [("a", b"1")])
        assert len(attempts) == 4 and not watch.counters.lost.values
        assert watch.counters.told.values == {("SET",): 1}


@pytest.mark.parametrize(("error", "attempts"), [(Unavailable("nobody answers"), 4), (PermissionDenied("not you"), 1)])
async def test_a_change_is_given_up_after_some_attempts_and_the_next_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, attempts: int
) -> None:
    monkeypatch.setattr(watching, "PAUSES", (0.01, 0.01, 0.01))
    seen: list[Said] = []

    async def fails(said: Said) -> None:
        seen.append(said)
        if said[1] is not None:
            raise error

    component = Component(fails)
    with caplog.at_level(logging.WARNING):
        async with in_memory(component) as (watch, backend):
            await backend.set(b"a", b"1", 0)
            await until(lambda: bool(watch.counters.lost.values))
            await backend.delete(b"a")
            await until(lambda: component.told == [("a", None)])
            assert watch.counters.lost.values == {("component",): 1}
    assert seen == [("a", b"1")] * attempts + [("a", None)]
    assert str(error) in caplog.text


async def test_what_has_gone_meanwhile_or_is_no_text_is_not_told() -> None:
    component = Component()
    async with in_memory(component) as (_, backend):
        await backend.set(b"\xff", b"1", 0)
        await backend.set(b"a", b"1", 0)
        await backend.delete(b"a")
        await backend.set(b"b", b"1", 0)
        await until(lambda: ("b", b"1") in component.told)
        await asyncio.sleep(0.05)
    assert sorted(component.told, key=str) == [("a", None), ("b", b"1")]


async def test_a_store_that_stops_telling_is_said_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    component = Component()
    async with in_memory(component) as (watch, backend):
        begin = type(backend).watch
        failures = 0

        async def fails(self: Backend, *arguments: Any) -> Any:
            nonlocal failures
            failures += 1
            if failures < 3:
                raise Unavailable("the store is away")
            await begin(self, *arguments)

        monkeypatch.setattr(type(backend), "watch", fails)
        other = Watching(backend, watch.interest, watch.link, Counters.of(Metrics()))
        async with other.running():
            assert other.trouble == "changes are not told: the store is away"
            await until(lambda: not other.trouble)
            await backend.set(b"a", b"1", 0)
            await until(lambda: ("a", b"1") in component.told)
            assert other.counters.lost.values == {("store",): 1}
    assert "the store is away" in caplog.text


async def test_a_change_is_told_without_the_deadline_of_the_call_that_made_it() -> None:
    contexts: list[Context | None] = []

    async def look(said: Said) -> None:
        contexts.append(Context.or_none())

    async def call(backend: Backend) -> None:
        Context("Store.Set", "somebody", LinkKey("somebody", "wasi:keyvalue", "default"), "1", 0.0).enter()
        await backend.set(b"a", b"1", 0)

    component = Component(look)
    async with in_memory(component) as (_, backend):
        await asyncio.create_task(call(backend))
        await until(lambda: contexts == [None])


async def test_a_fault_of_a_store_ends_the_link_and_not_the_watch_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = MemoryStore().namespace("")

    async def fails(self: Backend, *arguments: Any) -> None:
        await asyncio.sleep(0.05)
        raise RuntimeError("a fault")

    monkeypatch.setattr(type(backend), "watch", fails)
    with pytest.raises(ExceptionGroup) as caught:
        async with a_watch(Component(), backend):
            await asyncio.sleep(5)
    assert caught.group_contains(RuntimeError, match="a fault")
