"""The link table: links are entered, changed, left, retried, and found for calls."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from provider_sdk import Config, Interface, Link, LinkKey, PermissionDenied, Provider, Secret, Target, Unavailable, setting
from provider_sdk.config import Layer
from provider_sdk.hosts.base import LinkSpec
from provider_sdk.hosts.wasmbus.links_wire import encode_health
from provider_sdk.interface import Operation
from provider_sdk.link import LinkState, Role
from provider_sdk.runtime.health import health
from provider_sdk.runtime.links import LinkTable
from provider_sdk.runtime.settings import RuntimeSettings
from tests.waiting import until


class Words(Interface, contract="acme:words"):
    @abstractmethod
    async def word(self) -> str: ...


class WordsConfig(Config):
    word: str = setting("hello", doc="What is said.")
    count: int = setting(1, doc="How often.")
    password: Secret | None = setting(None, doc="What lets one in.")

    def __post_init__(self) -> None:
        if self.word == "raises":
            raise KeyError("no such colour")


class Saying(Words):
    def __init__(self, word: str) -> None:
        self.said = word

    async def word(self) -> str:
        return self.said


class Speaker(Provider[WordsConfig], serves=(Words,)):
    def __init__(self) -> None:
        self.events: list[str] = []
        self.serving: set[str] = set()
        self.broken: dict[str, Exception] = {}
        self.gate: asyncio.Event | None = None

    @asynccontextmanager
    async def link(self, link: Link[WordsConfig]) -> AsyncIterator[Words]:
        word = link.config.word
        if self.gate is not None:
            await self.gate.wait()
        if word in self.broken:
            raise self.broken[word]
        self.events.append(f"enter {word}")
        self.serving.add(word)
        try:
            yield Saying(word)
        finally:
            self.serving.discard(word)
            self.events.append(f"leave {word}")


class Nobody(Target):
    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> Any:
        raise Unavailable("nobody")


KEY = LinkKey("MA", "acme:words", "default")


def spec(word: str, key: LinkKey = KEY, **more: str) -> LinkSpec:
    return LinkSpec(key, {"word": word, **more})


@contextlib.asynccontextmanager
async def a_table(*, keeps_secrets: bool = False, **values: object) -> AsyncIterator[tuple[LinkTable, Speaker]]:
    provider = Speaker()
    provider.layers = ()
    faults: list[BaseException] = []

    def fault(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            faults.append(error)

    settings = RuntimeSettings.load(Layer("test", {"drain_timeout": 1, **values})).config
    table = LinkTable(provider, settings, lambda key: Nobody(), fault, keeps_secrets=keeps_secrets)
    table.open()
    try:
        yield table, provider
    finally:
        await table.close(2.0)
        assert not faults
        assert not provider.serving


def state(table: LinkTable) -> LinkState:
    return next(iter(table)).state


async def test_a_link_that_is_put_serves_and_one_that_is_deleted_is_left() -> None:
    async with a_table() as (table, provider):
        table.put(spec("a"))
        serving = await table.find("MA", "acme:words", 1.0)
        assert await serving.method(Words.operations()[0])() == "a"
        table.delete(KEY)
        await until(lambda: not list(table))
        assert provider.events == ["enter a", "leave a"]


async def test_putting_the_same_link_again_changes_nothing() -> None:
    async with a_table() as (table, provider):
        for _ in range(10):
            table.put(spec("a"))
            await table.find("MA", "acme:words", 1.0)
        assert provider.events == ["enter a"]


async def test_a_changed_link_is_entered_anew_before_the_old_one_is_left() -> None:
    async with a_table() as (table, provider):
        table.put(spec("a"))
        await table.find("MA", "acme:words", 1.0)
        table.put(spec("b"))
        await until(lambda: len(provider.events) == 3)
        assert provider.events == ["enter a", "enter b", "leave a"]


async def test_a_call_in_flight_ends_on_the_link_where_it_began() -> None:
    async with a_table() as (table, provider):
        table.put(spec("a"))
        old = await table.find("MA", "acme:words", 1.0)
        old.in_flight += 1
        table.put(spec("b"))
        await until(lambda: "enter b" in provider.events)
        assert (await table.find("MA", "acme:words", 1.0)).spec == spec("b")
        assert "leave a" not in provider.events
        old.end_call()
        await until(lambda: "leave a" in provider.events)


async def test_a_change_that_fails_leaves_the_link_serving_as_before_and_says_so() -> None:
    async with a_table() as (table, provider):
        provider.metrics = None  # type: ignore[assignment]
        table.put(spec("a"))
        await table.find("MA", "acme:words", 1.0)
        table.put(spec("a", count="many"))
        await until(lambda: bool(next(iter(table)).reason))
        assert state(table) is LinkState.UP
        assert (await table.find("MA", "acme:words", 0.1)).spec == spec("a")
        report = await health(provider, table)
        assert report.healthy
        assert "count" in report.message


async def test_a_link_that_fails_is_retried_and_others_go_on() -> None:
    other = LinkKey("MB", "acme:words", "default")
    async with a_table() as (table, provider):
        provider.broken["a"] = Unavailable("the backend is away")
        table.put(spec("a"))
        table.put(spec("b", other))
        await table.find("MB", "acme:words", 1.0)
        await until(lambda: next(iter(table)).state is LinkState.FAILED)
        with pytest.raises(Unavailable, match="the backend is away"):
            await table.find("MA", "acme:words", 0.5)
        report = await health(provider, table)
        assert not report.healthy
        assert "the backend is away" in report.message
        del provider.broken["a"]
        await until(lambda: all(entry.state is LinkState.UP for entry in table))
        assert (await health(provider, table)).message == ""


async def test_a_link_whose_context_ends_by_itself_is_failed_and_entered_again() -> None:
    class Crumbling(Speaker):
        @asynccontextmanager
        async def link(self, link: Link[WordsConfig]) -> AsyncIterator[Words]:
            async with asyncio.TaskGroup() as group:
                if not self.events:
                    group.create_task(self.crumble())
                self.events.append("enter")
                yield Saying("x")

        async def crumble(self) -> None:
            await asyncio.sleep(0.01)
            raise OSError("the ground gave way")

    provider = Crumbling()
    provider.layers = ()
    table = LinkTable(provider, RuntimeSettings.load().config, lambda key: Nobody(), lambda task: None)
    table.open()
    table.put(spec("x"))
    await until(lambda: provider.events == ["enter", "enter"])
    await until(lambda: state(table) is LinkState.UP)
    await table.close(2.0)


async def test_an_unlinked_caller_is_refused_after_waiting_a_moment() -> None:
    async with a_table() as (table, _):
        with pytest.raises(PermissionDenied, match=r"^unlinked actor: 'MX'"):
            await table.find("MX", "acme:words", 0.05)


async def test_a_call_that_overtakes_its_link_waits_for_it() -> None:
    async with a_table() as (table, _):
        waiting = asyncio.create_task(table.find("MA", "acme:words", 2.0))
        await asyncio.sleep(0.02)
        table.put(spec("late"))
        assert (await waiting).spec == spec("late")


async def test_deleting_a_link_that_is_still_being_entered_gives_it_up() -> None:
    async with a_table() as (table, provider):
        provider.gate = asyncio.Event()
        table.put(spec("slow"))
        await asyncio.sleep(0.02)
        table.delete(KEY)
        await until(lambda: not list(table))
        assert provider.events == []


async def test_setting_up_a_link_is_bounded_in_time() -> None:
    async with a_table(link_timeout=0.1) as (table, provider):
        provider.gate = asyncio.Event()
        table.put(spec("slow"))
        await until(lambda: state(table) is LinkState.FAILED)
        assert "took more than" in next(iter(table)).reason


async def test_a_failed_link_that_is_put_with_other_values_is_waited_for() -> None:
    async with a_table() as (table, provider):
        provider.broken["bad"] = OSError("no such backend")
        table.put(spec("bad"))
        await until(lambda: state(table) is LinkState.FAILED)
        table.put(spec("good"))
        assert (await table.find("MA", "acme:words", 1.0)).spec == spec("good")


async def test_a_call_waits_for_its_link_however_few_calls_are_allowed() -> None:
    async with a_table(max_calls=1) as (table, _):
        waiting = asyncio.create_task(table.find("MA", "acme:words", 2.0))
        await asyncio.sleep(0.02)
        table.put(spec("late"))
        assert (await waiting).spec == spec("late")


async def test_a_setting_of_the_whole_provider_among_link_values_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    async with a_table() as (table, _):
        table.put(spec("a", call_timeout="9s"))
        await table.find("MA", "acme:words", 1.0)
        assert "link values: call_timeout is ignored: it belongs in the provider's own configuration" in caplog.messages


async def test_two_links_of_one_peer_under_two_names_are_kept_apart() -> None:
    async with a_table() as (table, provider):
        for name in ("left", "right"):
            table.put(spec(name, LinkKey("MA", "acme:words", name)))
            found = await table.find("MA", "acme:words", 1.0, name)
            assert await found.method(Words.operations()[0])() == name
        with pytest.raises(PermissionDenied):
            await table.find("MA", "acme:words", 0.05, "third")
        table.delete(LinkKey("MA", "acme:words", "left"))
        await until(lambda: "leave left" in provider.events)
        assert table.serving("MA", "acme:words", "left") is None
        assert table.serving("MA", "acme:words", "right") is not None


async def test_a_call_that_names_its_link_takes_none_of_another_package() -> None:
    async with a_table() as (table, _):
        table.put(spec("words", LinkKey("MA", "acme:words", "default")))
        table.put(spec("any", LinkKey("MB", "", "default")))
        assert (await table.find("MA", "acme:words", 1.0, "default")).spec.key.contract == "acme:words"
        with pytest.raises(PermissionDenied):
            await table.find("MA", "acme:other", 0.05, "default")
        assert (await table.find("MB", "acme:other", 1.0, "default")).spec.key.contract == ""
        assert (await table.find("MA", "acme:other", 1.0)).spec.key.contract == "acme:words"


async def test_a_configuration_class_that_raises_costs_its_own_link_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with a_table() as (table, provider):
        table.put(spec("raises", LinkKey("MB", "acme:words", "default")))
        with pytest.raises(Unavailable, match="KeyError: 'no such colour'"):
            await table.find("MB", "acme:words", 1.0)
        table.put(spec("a"))
        await table.find("MA", "acme:words", 1.0)
        assert provider.serving == {"a"}


async def test_a_link_by_which_the_provider_calls_lets_nobody_in() -> None:
    async with a_table() as (table, provider):
        table.put(spec("out", LinkKey("MA", "acme:words", "default", Role.SOURCE)))
        await until(lambda: provider.events == ["enter out"])
        with pytest.raises(PermissionDenied, match="unlinked actor"):
            await table.find("MA", "acme:words", 0.05)
        table.put(spec("in"))
        assert (await table.find("MA", "acme:words", 1.0)).spec == spec("in")
        assert provider.serving == {"in", "out"}


async def test_a_link_that_was_put_with_a_fault_is_refused_for_it() -> None:
    async with a_table() as (table, provider):
        table.put(replace(spec("a"), fault="it cannot be read"))
        with pytest.raises(Unavailable, match="it cannot be read"):
            await table.find("MA", "acme:words", 1.0)
        table.put(spec("a"))
        await table.find("MA", "acme:words", 1.0)
        table.put(replace(spec("b"), fault="it cannot be read"))
        await until(lambda: bool(next(iter(table)).reason))
        assert (await table.find("MA", "acme:words", 0.1)).spec == spec("a")
        assert provider.events == ["enter a"]


async def test_what_a_failed_link_lacks_is_told_beside_the_reason() -> None:
    async with a_table() as (table, provider):
        table.put(replace(spec("a", count="many"), note="its secrets are not there"))
        await until(lambda: state(table) is LinkState.FAILED)
        message = (await health(provider, table)).message
        assert "count" in message
        assert message.endswith(" (its secrets are not there)")


def own(**values: str) -> tuple[Layer, ...]:
    return (Layer("provider configuration", values),)


async def test_a_configuration_is_taken_up_by_links_whose_settings_it_changes_alone() -> None:
    other = LinkKey("MB", "acme:words", "default")
    async with a_table() as (table, provider):
        provider.layers = own(word="first")
        table.put(LinkSpec(KEY, {}))
        table.put(spec("own", other))
        await table.find("MA", "acme:words", 1.0)
        await table.find("MB", "acme:words", 1.0)
        before = table.serving("MB", "acme:words")
        provider.layers = own(word="second")
        table.reconfigure()
        await until(lambda: "leave first" in provider.events)
        assert provider.events[-2:] == ["enter second", "leave first"]
        assert table.serving("MB", "acme:words") is before


async def test_a_wrong_configuration_leaves_links_serving_and_the_right_one_again_takes_the_word_back() -> None:
    async with a_table() as (table, provider):
        provider.layers = own(word="right")
        table.put(LinkSpec(KEY, {}))
        before = await table.find("MA", "acme:words", 1.0)
        entry = next(iter(table))
        provider.layers = own(word="wrong", count="many")
        table.reconfigure()
        await until(lambda: "count" in entry.reason)
        assert entry.state is LinkState.UP
        assert entry.serving is before
        provider.layers = own(word="right")
        table.reconfigure()
        await until(lambda: entry.reason == "")
        assert entry.serving is before
        assert provider.events == ["enter right"]


async def test_a_configuration_that_changes_while_a_link_is_entered_is_the_one_that_serves() -> None:
    async with a_table() as (table, provider):
        provider.layers, provider.gate = own(word="first"), asyncio.Event()
        table.put(LinkSpec(KEY, {}))
        await asyncio.sleep(0.02)
        provider.layers = own(word="second")
        table.reconfigure()
        provider.gate.set()
        await until(lambda: provider.serving == {"second"})
        await until(lambda: state(table) is LinkState.UP)


async def test_a_secret_in_plain_values_warns_once_a_link_where_the_host_keeps_secrets(caplog: pytest.LogCaptureFixture) -> None:
    for keeps, expected in ((False, 0), (True, 2)):
        caplog.clear()
        async with a_table(keeps_secrets=keeps) as (table, _):
            for peer in ("MA", "MB"):
                for word in ("a", "b"):
                    table.put(spec(word, LinkKey(peer, "acme:words", "default"), password="hushhush"))
                    await until(lambda peer=peer, word=word: _word(table, peer) == word)  # type: ignore[misc]  # bound at once
            table.put(LinkSpec(LinkKey("MC", "acme:words", "default"), {}, {"password": "hushhush"}))
            await table.find("MC", "acme:words", 1.0)
        lines = [line for line in caplog.messages if "is a secret" in line]
        assert lines == ["link values: password is a secret, and stands in plain configuration: give it as a secret"] * expected
        assert "hushhush" not in caplog.text


def _word(table: LinkTable, peer: str) -> str:
    serving = table.serving(peer, "acme:words")
    return serving.spec.values["word"] if serving is not None else ""


async def test_nothing_is_entered_any_more_while_the_table_closes() -> None:
    async with a_table() as (table, provider):
        table.put(spec("a"))
        serving = await table.find("MA", "acme:words", 1.0)
        serving.in_flight += 1
        closing = asyncio.create_task(table.close(2.0))
        await asyncio.sleep(0.02)
        table.put(spec("a"))
        table.put(spec("b", LinkKey("MB", "acme:words", "default")))
        serving.end_call()
        await closing
        assert provider.events == ["enter a", "leave a"]


async def test_a_link_that_ends_while_its_change_is_refused_is_failed(caplog: pytest.LogCaptureFixture) -> None:
    class Crumbling(Speaker):
        ground = asyncio.Event()

        @asynccontextmanager
        async def link(self, link: Link[WordsConfig]) -> AsyncIterator[Words]:
            async with asyncio.TaskGroup() as group:
                if link.config.word == "bad":
                    raise Unavailable("no such backend")
                group.create_task(self.crumble())
                yield Saying("x")

        async def crumble(self) -> None:
            await self.ground.wait()
            raise OSError("the ground gave way")

    provider = Crumbling()
    provider.layers = ()
    table = LinkTable(provider, RuntimeSettings.load().config, lambda key: Nobody(), lambda task: None)
    table.open()
    table.put(spec("a"))
    await table.find("MA", "acme:words", 1.0)
    table.put(spec("bad"))
    entry = next(iter(table))
    await until(lambda: entry.attempts >= 3)
    assert entry.reason == "no such backend"
    assert sum("change refused" in line for line in caplog.messages) == 1
    provider.ground.set()
    await until(lambda: entry.state is LinkState.FAILED)
    assert entry.serving is None
    assert "link failed, will be retried: the ground gave way" in caplog.messages
    await table.close(2.0)


async def test_a_replaced_link_that_leaves_with_an_error_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Slamming(Speaker):
        @asynccontextmanager
        async def link(self, link: Link[WordsConfig]) -> AsyncIterator[Words]:
            yield Saying(link.config.word)
            raise OSError(f"{link.config.word} did not close")

    provider = Slamming()
    provider.layers = ()
    table = LinkTable(provider, RuntimeSettings.load().config, lambda key: Nobody(), lambda task: None)
    table.open()
    table.put(spec("a"))
    await table.find("MA", "acme:words", 1.0)
    table.put(spec("b"))
    await until(lambda: "link left with an error: a did not close" in caplog.messages)
    await table.close(2.0)


async def test_health_can_be_told_whatever_the_reason_is() -> None:
    async with a_table() as (table, provider):
        provider.metrics = None  # type: ignore[assignment]
        provider.broken["a"] = OSError("\udcff" * 2_000_000)
        table.put(spec("a"))
        await until(lambda: state(table) is LinkState.FAILED)
        report = await health(provider, table)
        assert len(encode_health(report.healthy, report.message)) < 20_000
