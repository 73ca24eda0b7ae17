"""What authors import in tests does what it says: providers in process and as processes, actors in Python."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from provider_sdk import Config, Context, Interface, InvalidArgument, Link, NotFound, PermissionDenied, Provider, setting
from provider_sdk.errors import Unavailable
from provider_sdk.testing import Manner, a_lattice
from provider_sdk.testing.lattice import until_ready


class Greeter(Interface, contract="acme:greeter"):
    @abstractmethod
    async def greet(self, name: str) -> str: ...


class GreeterConfig(Config):
    greeting: str = setting("Hello", doc="Word placed before the name.")


class Greeting(Greeter):
    def __init__(self, word: str) -> None:
        self.word = word

    async def greet(self, name: str) -> str:
        if name == "nobody":
            raise NotFound("there is nobody of that name")
        if name == "crash":
            raise ZeroDivisionError("a secret of the program")
        return f"{self.word}, {name}! from {Context.current().caller}"


class GreeterProvider(Provider[GreeterConfig], serves=(Greeter,)):
    @asynccontextmanager
    async def link(self, link: Link[GreeterConfig]) -> AsyncIterator[Greeter]:
        yield Greeting(link.config.greeting)


class Echo(Provider[Config], serves=(Greeter,)):
    """Asks the actor that called it."""

    @asynccontextmanager
    async def link(self, link: Link[Config]) -> AsyncIterator[Greeter]:
        yield _Back(Greeter.at(link.peer))


class _Back(Greeter):
    def __init__(self, peer: Greeter) -> None:
        self.peer = peer

    async def greet(self, name: str) -> str:
        return await self.peer.greet(f"{name} again")


class AskerConfig(Config):
    ask: str = setting("", doc="Public key of the greeter to ask.")


class Asker(Provider[AskerConfig], serves=(Greeter,)):
    """Asks another provider."""

    @asynccontextmanager
    async def link(self, link: Link[AskerConfig]) -> AsyncIterator[Greeter]:
        yield _Back(Greeter.at(self.lattice.provider(link.config.ask, "acme:greeter")))


BOTH = pytest.mark.parametrize("manner", list(Manner))


@BOTH
async def test_a_provider_in_process_answers_over_real_nats(manner: Manner) -> None:
    async with a_lattice(manner=manner) as lattice:
        provider = await lattice.in_process(GreeterProvider, contract="acme:greeter", configuration={"greeting": "Hi"})
        plain = await lattice.link(provider)
        polite = await lattice.link(provider, {"GREETING": "Good day"})
        assert (await Greeter.at(plain).greet("Ada")).startswith("Hi, Ada! from M")
        assert (await Greeter.at(polite).greet("Ada")).startswith("Good day, Ada!")


@BOTH
async def test_a_provider_as_a_process_answers_and_stops_when_asked(manner: Manner) -> None:
    async with a_lattice(manner=manner) as lattice:
        provider = await lattice.process(Path(__file__).parents[2] / "examples" / "greeter" / "greeter.py", contract="acme:greeter")
        target = await lattice.link(provider, {"greeting": "Hi"})
        assert await Greeter.at(target).greet("Ada") == "Hi, Ada!"
        assert b"healthy" in await lattice.health(provider)


async def test_an_error_reaches_the_caller_with_its_code_and_an_exception_without_its_secrets() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.in_process(GreeterProvider, contract="acme:greeter")
        greeter = Greeter.at(await lattice.link(provider))
        with pytest.raises(NotFound, match="nobody of that name"):
            await greeter.greet("nobody")
        with pytest.raises(Exception, match="failed inside the provider") as caught:
            await greeter.greet("crash")
        assert "secret" not in str(caught.value)
        assert (await greeter.greet("Ada")).startswith("Hello, Ada!")


async def test_an_unlinked_caller_is_refused() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.in_process(GreeterProvider, contract="acme:greeter", configuration={"link_wait": "500ms"})
        target = await lattice.link(provider)
        await Greeter.at(target).greet("Ada")
        await lattice.unlink(provider, target)
        with pytest.raises(PermissionDenied, match="unlinked actor"):
            async with asyncio.timeout(20):
                while True:
                    await Greeter.at(target).greet("Ada")


async def test_a_wrong_value_fails_its_link_with_key_value_and_expectation() -> None:
    class Counting(Config):
        times: int = setting(1, doc="How often.")

    class Counter(Provider[Counting], serves=(Greeter,)):
        @asynccontextmanager
        async def link(self, link: Link[Counting]) -> AsyncIterator[Greeter]:
            yield Greeting("x")

    async with a_lattice() as lattice:
        provider = await lattice.in_process(Counter, contract="acme:greeter")
        target = await lattice.link(provider, {"times": "often"})
        with pytest.raises(Exception, match=r'times.*"often"'):
            await Greeter.at(target).greet("Ada")
        assert b"times" in await lattice.health(provider)


async def test_a_provider_calls_the_actor_that_is_linked_to_it() -> None:
    async with a_lattice() as lattice:
        actor = await lattice.actor(Greeting("Hello"))
        provider = await lattice.in_process(Echo, contract="acme:greeter")
        target = await lattice.link(provider, actor=actor)
        assert (await Greeter.at(target).greet("Ada")).startswith("Hello, Ada again!")


async def test_a_provider_calls_a_provider_that_is_linked_to_it() -> None:
    async with a_lattice() as lattice:
        asked = await lattice.in_process(GreeterProvider, contract="acme:greeter")
        asking = await lattice.in_process(Asker, contract="acme:greeter")
        await lattice.link(asked, actor=asking.key)
        target = await lattice.link(asking, {"ask": asked.key})
        assert await Greeter.at(target).greet("Ada") == f"Hello, Ada again! from {asking.key}"


async def test_an_argument_of_the_wrong_type_is_refused_by_its_path() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.in_process(GreeterProvider, contract="acme:greeter")
        greeter = Greeter.at(await lattice.link(provider))
        with pytest.raises(InvalidArgument, match="argument: expected a string, got an integer"):
            await greeter.greet(3)  # type: ignore[arg-type]


async def test_a_value_over_the_message_limit_goes_by_chunks_both_ways() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.in_process(GreeterProvider, contract="acme:greeter")
        greeter = Greeter.at(await lattice.link(provider), timeout=10)
        name = "x" * 3_000_000
        assert name in await greeter.greet(name)


async def test_a_provider_in_process_that_gives_no_sign_or_ends_is_an_error_of_its_start() -> None:
    async def lasts() -> int:
        await asyncio.sleep(60)
        return 0

    async def ends() -> int:
        return 74

    async def gives_no_sign() -> None:
        raise TimeoutError

    runtime = asyncio.create_task(lasts())
    with pytest.raises(TimeoutError):
        await until_ready(runtime, gives_no_sign())
    runtime.cancel()
    with pytest.raises(Unavailable, match="ended with code 74"):
        await until_ready(asyncio.create_task(ends()), asyncio.sleep(60))
