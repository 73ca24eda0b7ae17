"""Frozen programs as hosts run them: no Python, no environment, and SIGKILL for the process that was spawned."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from provider_packaging.freeze import Form, freeze
from provider_sdk.contracts.numbergen import NumberGen
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.provider_toml import read_provider_toml
from provider_sdk.testing import Manner, a_lattice
from tests.frozen import REPOSITORY, frozen
from tests.integration.test_handshake import host_data, line
from tests.servers.ports import free_port
from tests.tiers import scale
from tests.waiting import until

CONTRACT = NumberGen.__identity__.contract
SHARED = Path("/tmp")  # where programs unpack that are not told of another place


@pytest.fixture(scope="module")
def program() -> Path:
    return frozen("numbergen")


@pytest.fixture
def silence() -> Iterator[socket.socket]:
    """A server that never says a word: who connects to it goes on starting."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1000)
        listening.settimeout(120)
        yield listening


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """The URL of one that is there for as long as the test."""
    async with NatsServer.start(url="") as it:
        yield it.url


def processes(program: Path) -> list[int]:
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [row.split(None, 2) for row in shown.splitlines()]
    return [int(row[0]) for row in rows if len(row) == 3 and not row[1].startswith("Z") and row[2].split()[0] == str(program)]


def unpacked_by(pid: int, folder: Path = SHARED) -> list[Path]:
    return list(folder.glob(f"_MEI{pid:08x}*"))


def holds_something(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except FileNotFoundError:  # it has just been removed
        return False


def url(listening: socket.socket) -> str:
    return f"nats://127.0.0.1:{listening.getsockname()[1]}"


def start(program: Path, server: str, folder: Path, *, new_session: bool = False) -> subprocess.Popen[bytes]:
    """As a Rust host does it, but for the folder of temporary files."""
    process = subprocess.Popen(
        [program], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={"TMPDIR": str(folder)}, start_new_session=new_session
    )
    assert process.stdin is not None
    process.stdin.write(line(host_data(lattice_rpc_url=server)))
    process.stdin.close()
    return process


@contextlib.contextmanager
def started(program: Path, server: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One that would not end by itself."""
    with start(program, server, folder) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("manner", list(Manner))
async def test_a_frozen_provider_serves_under_either_host_and_leaves_nothing(
    program: Path, manner: Manner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name not in {"TIER", "CI"}]:
        monkeypatch.delenv(name)  # what a host of the OTP manner hands on
    async with a_lattice(manner=manner, rpc_timeout=15.0) as lattice:
        provider = await lattice.process(program, contract=CONTRACT)
        numbers = NumberGen.at(await lattice.link(provider))
        assert await numbers.random_in_range(7, 7) == 7
        assert b"healthy" in await lattice.health(provider)
        assert len(unpacked_by(provider.pid)) == 1
    # The folder itself may stay empty where the unpacker was killed in the very moment in which the provider had ended.
    await until(lambda: not any(map(holds_something, unpacked_by(provider.pid))))


def test_a_frozen_provider_says_by_hand_what_it_says_from_source(program: Path) -> None:
    for option in ("--help", "--schema"):
        source = subprocess.run(
            [sys.executable, "-m", "providers.numbergen", option], capture_output=True, check=True, cwd=REPOSITORY, timeout=120
        )
        by_itself = subprocess.run([program, option], capture_output=True, check=True, env={}, timeout=120)
        assert by_itself.stdout == source.stdout
        assert by_itself.stderr == b""


def test_the_base_with_metrics_and_traces_takes_22_mb_at_the_most(program: Path) -> None:
    assert program.stat().st_size <= 22_000_000


async def test_metrics_and_traces_are_inside(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}"
    exported = asyncio.Event()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"NumberGen.Random32")
        exported.set()
        writer.close()

    async def scraped() -> bytes:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(*address.split(":"))
            writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = await reader.read()
            writer.close()
            return text
        return b""

    async with await asyncio.start_server(collect, "127.0.0.1") as collector:
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.sockets[0].getsockname()[1]}")
        async with a_lattice() as lattice:
            provider = await lattice.process(program, contract=CONTRACT, configuration={"metrics_address": address})
            numbers = NumberGen.at(await lattice.link(provider))
            async with asyncio.timeout(120):
                while b'operation="NumberGen.Random32"} ' not in await scraped() or not exported.is_set():
                    await numbers.random32()
                    await asyncio.sleep(0.1)


def test_whenever_it_is_killed_no_process_is_left_and_no_folder_after_the_next_start(
    program: Path, silence: socket.socket, server: str, tmp_path: Path
) -> None:
    # At a random moment of half a second it is unpacking, starting or waiting for the server.
    for _ in range(scale(test=10, ci=25, soak=100)):
        with start(program, url(silence), tmp_path) as process:
            time.sleep(random.uniform(0.0, 0.5))
            process.kill()
        since = time.monotonic()
        while processes(program):
            assert time.monotonic() - since < 60.0, "a process is left"
            time.sleep(0.01)
        assert process.stderr is not None and process.stderr.closed
    # A server that never says a word is given up after some seconds, and not all may be swept by then.
    with started(program, server, tmp_path) as process:
        since = time.monotonic()
        while list(tmp_path.iterdir()) != unpacked_by(process.pid, tmp_path) or not unpacked_by(process.pid, tmp_path):
            assert time.monotonic() - since < 120.0, f"folders are left: {list(tmp_path.iterdir())}"
            time.sleep(0.05)
        process.terminate()
        process.wait()
    assert not list(tmp_path.iterdir())


def test_what_a_running_provider_has_unpacked_stays(program: Path, server: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        one, other, killed = (stack.enter_context(started(program, server, tmp_path)) for _ in range(3))
        time.sleep(0.05)
        killed.kill()
        one_files = _settled(one.pid, tmp_path)
        next_one = stack.enter_context(started(program, server, tmp_path))
        since = time.monotonic()
        while unpacked_by(killed.pid, tmp_path) or not unpacked_by(next_one.pid, tmp_path):
            assert time.monotonic() - since < 120.0
            time.sleep(0.05)
        time.sleep(2.5)  # the sweeps of all of them
        assert _settled(one.pid, tmp_path) == one_files == _settled(other.pid, tmp_path)
        for process in (one, other, next_one):
            assert process.poll() is None
            process.terminate()
            process.wait()


def _settled(pid: int, folder: Path) -> int:
    """How many files a provider has unpacked, once all are there: the provider has changed the folder's mode."""
    since = time.monotonic()
    while not (found := unpacked_by(pid, folder)) or found[0].stat().st_mode & 0o1000 == 0:
        assert time.monotonic() - since < 120.0
        time.sleep(0.02)
    return sum(1 for path in found[0].rglob("*") if path.is_file())


async def test_it_ends_with_a_host_that_is_killed(program: Path, tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import asyncio
            from pathlib import Path
            from provider_sdk.testing import a_lattice

            async def main():
                async with a_lattice() as lattice:
                    provider = await lattice.process(Path({str(program)!r}), contract={CONTRACT!r})
                    print(provider.pid, flush=True)
                    await asyncio.sleep(60)

            asyncio.run(main())
            """
        )
    )
    host = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=subprocess.PIPE, cwd=REPOSITORY)
    assert host.stdout is not None
    provider = int(await host.stdout.readline())
    assert provider in processes(program)
    host.kill()
    await host.wait()
    await until(lambda: provider not in processes(program) and not unpacked_by(provider))


@pytest.mark.parametrize("whole_group", [False, True], ids=["to the spawned process", "to the group, as Ctrl-C does"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(
    program: Path, silence: socket.socket, tmp_path: Path, number: signal.Signals, whole_group: bool
) -> None:
    with start(program, url(silence), tmp_path, new_session=True) as process:
        connection, _ = silence.accept()  # its handlers stand before it connects
        (os.killpg if whole_group else os.kill)(process.pid, number)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait() == 0
        assert f"{number.name} received" in said
        connection.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.soak
def test_the_same_sources_give_the_same_bytes_from_another_folder(program: Path, tmp_path: Path) -> None:
    for room in ("provider_sdk", "providers", "packaging"):
        subprocess.run(["cp", "-r", str(REPOSITORY / room), str(tmp_path)], check=True)
    provider = read_provider_toml(tmp_path / "providers" / "numbergen")
    assert freeze(provider, tmp_path / "out" / "another name").read_bytes() == program.read_bytes()


@pytest.mark.soak
async def test_the_form_of_a_folder_is_one_process(tmp_path: Path) -> None:
    folder = freeze(read_provider_toml(REPOSITORY / "providers" / "numbergen"), tmp_path / "folder", form=Form.ONEDIR)
    async with a_lattice() as lattice:
        provider = await lattice.process(folder / "numbergen", contract=CONTRACT)
        assert await NumberGen.at(await lattice.link(provider)).random_in_range(7, 7) == 7
        assert processes(folder / "numbergen") == [provider.pid]
        await lattice.kill(provider)
        assert not processes(folder / "numbergen")
