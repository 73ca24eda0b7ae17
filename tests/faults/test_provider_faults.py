"""Providers under faults: servers that go, hosts that die, processes that are killed, messages that come ten times."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest

from provider_sdk import DeadlineExceeded, Internal, LinkKey, NotFound, PermissionDenied, ProviderError, ResourceExhausted, Unavailable
from provider_sdk.hosts.wasmbus.client import LatticeTarget
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.hosts.wasmbus.links_wire import LinkDefinition, encode_link
from provider_sdk.lattice.handshake import ProviderProgram
from provider_sdk.lattice.links import LinkDefinition as LatticeLink
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.testing import Manner, Provided, TestLattice, a_lattice
from tests.faults.echo import Echo
from tests.faults.restarted import restarted_under_load
from tests.integration.test_handshake import host_data, line
from tests.tiers import scale
from tests.waiting import alive, until

PROGRAM = Path(__file__).with_name("echo.py")


def _ended(pid: int) -> bool:
    return not alive(pid)


async def test_calls_go_on_after_the_server_was_killed_and_restarted_under_load() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo")
        outcomes = await restarted_under_load(lattice.server, Echo.at(await lattice.link(provider), timeout=5.0))
        assert all(good for moment, good in outcomes if moment > 2.0)


async def test_a_paused_server_is_ridden_out() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo")
        echo = Echo.at(await lattice.link(provider))
        assert await echo.echo("before") == "before"
        await lattice.server.pause()
        try:
            await asyncio.sleep(5)
        finally:
            lattice.server.resume()
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(ProviderError):
                    if await echo.echo("after") == "after":
                        break
        assert b"healthy" in await lattice.health(provider)


async def test_providers_killed_at_random_moments_leave_no_process_and_no_stuck_caller() -> None:
    times = scale(test=5, ci=8, soak=50)
    async with a_lattice() as lattice:
        for _ in range(times):
            provider = await lattice.process(PROGRAM, contract="test:echo")
            echo = Echo.at(await lattice.link(provider), timeout=1.0)
            calls = [asyncio.create_task(echo.sleep(random.randrange(200))) for _ in range(20)]
            await asyncio.sleep(random.random() * 0.15)
            await lattice.kill(provider)
            async with asyncio.timeout(20):
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert all(outcome == "" or isinstance(outcome, Unavailable | DeadlineExceeded) for outcome in outcomes)
            await until(partial(_ended, provider.pid))


@pytest.mark.parametrize("manner", list(Manner))
async def test_a_provider_ends_when_its_host_is_killed(manner: Manner, tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import asyncio
            from provider_sdk.testing import Manner, a_lattice

            async def main():
                async with a_lattice(manner=Manner.{manner.name}) as lattice:
                    provider = await lattice.process({str(PROGRAM)!r}, contract="test:echo")
                    print(provider.pid, lattice.server.pid, lattice.server.folder, flush=True)
                    await asyncio.sleep(60)

            asyncio.run(main())
            """
        )
    )
    host = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=subprocess.PIPE)
    assert host.stdout is not None
    provider, server, folder = (await host.stdout.readline()).decode().split()
    assert alive(int(provider))
    assert alive(int(server))
    host.kill()
    await host.wait()
    await until(lambda: not alive(int(provider)) and not alive(int(server)) and not Path(folder).exists())


async def test_a_provider_whose_host_is_killed_while_it_starts_ends(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, runpy, time
            import provider_sdk

            print(os.getpid(), flush=True)
            while os.getppid() == provider_sdk.runtime.parent.started_by:
                time.sleep(0.01)
            runpy.run_path({str(PROGRAM)!r}, run_name="__main__")
            """
        )
    )
    async with a_lattice() as lattice:
        given = tmp_path / "host data"
        given.write_bytes(line(host_data(lattice_rpc_url=lattice.server.url)))
        command = f'"{sys.executable}" "{script}" <"{given}" & wait'
        host = await asyncio.create_subprocess_exec("sh", "-c", command, stdout=subprocess.PIPE)
        assert host.stdout is not None
        provider = int(await host.stdout.readline())
        host.kill()
        await host.wait()
        await until(lambda: not alive(provider))


async def test_links_change_under_load_and_the_last_word_counts() -> None:
    changes = scale(test=100, ci=200, soak=5000)
    async with a_lattice(rpc_timeout=20.0) as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo", configuration={"link_wait": "10s"})
        targets = [await lattice.link(provider, {"word": "0"}) for _ in range(4)]
        keys = [target.origin.public_key for target in targets]  # type: ignore[attr-defined]
        words = dict.fromkeys(range(4), "0")
        steady = Echo.at(await lattice.link(provider, {"word": "steady"}))
        failures: list[ProviderError] = []
        done = asyncio.Event()

        async def load() -> None:
            while not done.is_set():
                try:
                    assert await steady.echo("") == "steady"
                except ProviderError as error:
                    failures.append(error)

        loads = [asyncio.create_task(load()) for _ in range(4)]
        for number in range(changes):
            index = random.randrange(4)
            if random.random() < 0.3:
                await lattice.host.delete_link(keys[index], "test:echo", "default")
            words[index] = str(number)
            await lattice.host.put_link(keys[index], provider.key, "test:echo", "default", {"word": words[index]})
        done.set()
        await asyncio.gather(*loads)
        assert not failures
        for index, target in enumerate(targets):
            async with asyncio.timeout(30):
                while await Echo.at(target).echo("") != words[index]:
                    await asyncio.sleep(0.05)


async def test_a_link_put_between_spawn_and_subscription_is_taken_up_all_the_same() -> None:
    async with a_lattice() as lattice:
        program = ProviderProgram((sys.executable, str(PROGRAM)), KeyPair.generate(Prefix.PROVIDER).public, "echo", "test:echo")
        await lattice.host.start_provider(program)
        early = await lattice.link(Provided(program.key, "test:echo"), {"word": "early "})
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(ProviderError):
                    assert await Echo.at(early).echo("bird") == "early bird"
                    break
                await asyncio.sleep(0.05)


async def test_links_that_messages_did_not_tell_are_taken_up_after_a_reconnect() -> None:
    async with a_lattice(rpc_timeout=5.0) as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo")
        echo = Echo.at(await lattice.link(provider))
        assert await echo.echo("x") == "x"
        links = lattice.host.core.links
        links.put(LatticeLink("MNEW", provider.key, "test:echo", "default", {"word": "missed "}))
        links.put(LatticeLink("MOTHER", "VOTHER", "test:other", "default", {"number": 1}))  # type: ignore[dict-item]  # as some tools do
        links.take(echo.target.origin.public_key, "test:echo", "default")  # type: ignore[attr-defined]
        await lattice.server.restart()
        target = LatticeTarget(lattice.client, Entity("MNEW", "", ""), Entity(provider.key, "default", "test:echo"))
        async with asyncio.timeout(40):
            while True:
                with contextlib.suppress(ProviderError):
                    assert await Echo.at(target).echo("bus") == "missed bus"
                    break
                await asyncio.sleep(0.1)
            with pytest.raises(PermissionDenied):
                while await echo.echo("x"):
                    await asyncio.sleep(0.1)


async def test_every_control_message_ten_times_and_shuffled_ends_as_the_lattice_says() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo", configuration={"link_wait": "20ms"})
        kept, gone = await lattice.link(provider, {"word": "1"}), await lattice.link(provider, {"word": "1"})
        await _repeat_shuffled(lattice, provider.key, kept.origin.public_key)  # type: ignore[attr-defined]
        await _repeat_shuffled(lattice, provider.key, gone.origin.public_key)  # type: ignore[attr-defined]
        await lattice.host.put_link(kept.origin.public_key, provider.key, "test:echo", "default", {"word": "final"})  # type: ignore[attr-defined]
        await lattice.unlink(provider, gone)
        await _repeat_shuffled(lattice, provider.key, kept.origin.public_key)  # type: ignore[attr-defined]
        await _repeat_shuffled(lattice, provider.key, gone.origin.public_key)  # type: ignore[attr-defined]

        async def as_the_lattice_says() -> bool:
            try:
                if await Echo.at(kept).echo("") != "final":
                    return False
            except ProviderError:
                return False
            try:
                await Echo.at(gone).echo("")
            except ProviderError as error:  # Unavailable while it is being entered once more
                return isinstance(error, PermissionDenied)
            return False

        async with asyncio.timeout(40):
            while not await as_the_lattice_says():
                await asyncio.sleep(0.2)


async def _repeat_shuffled(lattice: TestLattice, provider: str, actor: str) -> None:
    base = f"wasmbus.rpc.{lattice.host.core.lattice}.{provider}.default.linkdefs"
    messages = []
    for word in ("1", "2", "final"):
        link = encode_link(LinkDefinition(actor, provider, "default", "test:echo", {"word": word}))
        messages += [(f"{base}.put", link), (f"{base}.del", link)] * 10
    random.shuffle(messages)
    for subject, payload in messages:
        await lattice.transport.publish(subject, payload)
    await lattice.transport.flush()


async def test_a_slow_handler_delays_neither_health_nor_other_links_nor_shutdown() -> None:
    async with a_lattice(manner=Manner.OTP, rpc_timeout=20.0) as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo", configuration={"max_calls_per_link": 50})
        slow, quick = Echo.at(await lattice.link(provider)), Echo.at(await lattice.link(provider))
        waiting = [asyncio.create_task(slow.sleep(6000)) for _ in range(50)]
        await asyncio.sleep(0.2)
        with pytest.raises(ResourceExhausted):
            await slow.echo("one too many")
        assert await quick.echo("x") == "x"
        assert b"healthy" in await lattice.health(provider)
        assert not any(call.done() for call in waiting)
        assert set(await asyncio.gather(*waiting)) == {""}


async def test_overload_is_answered_at_once() -> None:
    async with a_lattice(rpc_timeout=20.0) as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo", configuration={"max_calls": 10})
        echo = Echo.at(await lattice.link(provider))
        await echo.echo("linked")
        calls = [asyncio.create_task(echo.sleep(3000)) for _ in range(40)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(outcome == "" for outcome in outcomes) == 10
        assert sum(isinstance(outcome, ResourceExhausted) for outcome in outcomes) == 30


async def test_a_handler_that_never_answers_ends_at_its_deadline() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo", configuration={"call_timeout": "300ms"})
        echo = Echo.at(await lattice.link(provider))
        with pytest.raises(DeadlineExceeded, match=r"longer than 0\.3 s"):
            await echo.sleep(60_000)
        assert await echo.echo("goes on") == "goes on"


async def test_whatever_a_handler_raises_is_answered() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo")
        echo = Echo.at(await lattice.link(provider))
        with pytest.raises(NotFound, match=r"^x{1000}"):
            await echo.fail("long")
        with pytest.raises(NotFound, match=r"^no file \\udcff$"):
            await echo.fail("not UTF-8")
        with pytest.raises(Internal):
            await echo.fail("cancelled")


async def test_control_messages_that_nobody_can_read_change_nothing() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo")
        echo = Echo.at(await lattice.link(provider))
        assert await echo.echo("x") == "x"
        base = f"wasmbus.rpc.{lattice.host.core.lattice}.{provider.key}.default"
        for garbage in (b"", b"\xc1", b"[" * 100_000, b"{" * 100_000, b"\x91" * 100_000):
            for topic in ("linkdefs.put", "linkdefs.del", "health", "shutdown"):
                await lattice.transport.publish(f"{base}.{topic}", garbage)
        assert await echo.echo("goes on") == "goes on"
        answer = await lattice.transport.request(f"{base}.shutdown", b"[" * 100_000, timeout=10.0)
        assert answer.data == b"shutting down"


async def test_a_lifespan_that_fails_ends_the_process_with_a_line(tmp_path: Path) -> None:
    program = tmp_path / "failing.py"
    program.write_text(
        textwrap.dedent("""
            from contextlib import asynccontextmanager
            from provider_sdk import Config, Provider, main

            class Failing(Provider[Config]):
                @asynccontextmanager
                async def lifespan(self):
                    raise OSError("the address is in use")
                    yield

                def link(self, link):
                    raise NotImplementedError

            main(Failing)
        """)
    )
    async with a_lattice(manner=Manner.OTP) as lattice:
        with pytest.raises(Unavailable, match="cannot start: the address is in use"):
            await lattice.process(program, contract="test:echo")


async def _served(echo: Echo) -> None:
    """Returns when the provider has what was asked before: calls of one connection arrive in their order."""
    await asyncio.sleep(0.1)
    assert await echo.echo("x") == "x"


async def test_a_thread_that_blocks_does_not_keep_the_process() -> None:
    async with a_lattice(rpc_timeout=20.0) as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo", configuration={"drain_timeout": "200ms"})
        echo = Echo.at(await lattice.link(provider))
        await echo.echo("linked")
        call = asyncio.create_task(echo.block(60_000))
        await _served(echo)
        os.kill(provider.pid, signal.SIGTERM)
        with pytest.raises(Unavailable):
            await call
        await until(lambda: not alive(provider.pid))


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice, as a program in one file gets it"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_calls_in_flight_finish(number: signal.Signals, times: int) -> None:
    async with a_lattice(rpc_timeout=20.0) as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo", configuration={"drain_timeout": "20s"})
        echo = Echo.at(await lattice.link(provider))
        await echo.echo("linked")
        call = asyncio.create_task(echo.sleep(2500))
        await _served(echo)
        for _ in range(times):
            os.kill(provider.pid, number)
            await asyncio.sleep(0.05)
        assert await call == ""
        await until(lambda: not alive(provider.pid))


async def test_a_second_signal_some_time_later_ends_it_at_once() -> None:
    async with a_lattice(rpc_timeout=60.0) as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo", configuration={"drain_timeout": "60s"})
        echo = Echo.at(await lattice.link(provider))
        await echo.echo("linked")
        call = asyncio.create_task(echo.sleep(60_000))
        await _served(echo)
        os.kill(provider.pid, signal.SIGINT)
        await asyncio.sleep(2.5)  # within a second the same signal counts once
        assert alive(provider.pid)
        os.kill(provider.pid, signal.SIGINT)
        await until(lambda: not alive(provider.pid))  # not ended at once, it would go on for the 36 s that calls have of drain_timeout
        call.cancel()


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


async def test_a_signal_that_comes_again_and_again_does_not_spoil_the_end_that_it_has_begun() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), stdin=pipe, stderr=pipe)
    assert process.stdin is not None and process.stderr is not None
    process.stdin.write(line(host_data()))
    await until(lambda: _catches(process.pid, signal.SIGTERM))
    limit = time.monotonic() + 0.8  # a second later it would be another one
    while process.returncode is None and time.monotonic() < limit:
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.001)
    assert b"SIGTERM received" in await process.stderr.read()
    assert await process.wait() == 0


async def test_a_signal_ends_a_provider_that_cannot_reach_its_lattice() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), stdin=pipe, stderr=pipe)
    assert process.stdin is not None and process.stderr is not None
    process.stdin.write(line(host_data()))
    await until(lambda: _catches(process.pid, signal.SIGTERM))
    process.send_signal(signal.SIGTERM)
    said = await process.stderr.read()
    assert b"SIGTERM received" in said
    assert await process.wait() == 0


async def test_a_shutdown_request_for_another_host_is_not_answered() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo")
        subject = f"wasmbus.rpc.{lattice.host.core.lattice}.{provider.key}.default.shutdown"
        with pytest.raises(DeadlineExceeded):
            await lattice.transport.request(subject, b'{"host_id":"NOTHER"}', timeout=0.5)
        assert alive(provider.pid)
        answer = await lattice.transport.request(subject, b"", timeout=10.0)
        assert answer.data == b"shutting down"
        await until(lambda: not alive(provider.pid))


async def test_a_reply_that_no_message_can_carry_is_an_error_and_the_connection_stays() -> None:
    async with a_lattice(url="") as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo")
        echo = Echo.at(await lattice.link(provider, {"word": "w" * 500_000}))
        assert len(await echo.echo("x" * 500_000)) == 1_000_000
        assert await echo.echo("") == "w" * 500_000


async def test_without_jetstream_only_the_large_call_fails() -> None:
    from provider_sdk.lattice.nats_server import NatsServer

    async with NatsServer.start(jetstream=False) as server, a_lattice(url=server.url) as lattice:
        provider = await lattice.process(PROGRAM, contract="test:echo")
        echo = Echo.at(await lattice.link(provider, {"word": "w" * 600_000}))
        with pytest.raises((Unavailable, Internal), match="JetStream"):
            await echo.echo("x" * 600_000)
        assert len(await echo.echo("x")) == 600_001


def test_link_keys_read_well_in_logs() -> None:
    assert str(LinkKey("MA", "test:echo", "default")) == "MA/test:echo/default"
