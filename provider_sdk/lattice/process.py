"""One provider's process, spawned as a host does it (wasmbus-0x.md §1.1, wrpc-1x.md §1.1)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import os
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from provider_sdk.errors import NotFound, PermissionDenied

log = logging.getLogger("lattice.host")

Output = Callable[[str, str], None]
"""Called with "stdout" or "stderr" and one line, without its end."""

LONGEST_LINE = 1 << 16
_LAST_WORDS = 0.5
_WRITTEN_WITHIN = 1.0


class Executable(Protocol):
    """What is started."""

    @property
    def command(self) -> tuple[str, ...]:
        """The argument vector."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def cwd(self) -> Path | None:
        """Where it starts; None: the host's own folder."""


class ProviderProcess:
    """A running or ended provider. Only the pid that was spawned is ever signalled, as on real hosts."""

    def __init__(self, process: Process, opened: list[_Lines | asyncio.WriteTransport]) -> None:
        self._process = process
        self._opened = opened

    @classmethod
    async def spawn(
        cls,
        program: Executable,
        line: bytes,
        output: Output | None,
        *,
        environment: Mapping[str, str],
        own_session: bool = False,
        closes_stdin: bool = True,
    ) -> ProviderProcess:
        """Start `program` and write `line` to it. Without `output` its streams are the caller's own, as where they are inherited.

        Raises NotFound or PermissionDenied where the program cannot be executed.
        """
        opened: list[_Lines | asyncio.WriteTransport] = []
        with contextlib.ExitStack() as childs_ends:
            streams: list[int | None] = [None, None]
            if output is not None:
                for number, name in enumerate(("stdout", "stderr")):
                    lines, end = await _Lines.open(name, output)
                    childs_ends.callback(os.close, end)
                    opened.append(lines)
                    streams[number] = end
            reading, writing = os.pipe()
            childs_ends.callback(os.close, reading)
            stdin, _ = await asyncio.get_running_loop().connect_write_pipe(asyncio.Protocol, os.fdopen(writing, "wb", 0))
            opened.append(stdin)
            execute = functools.partial(
                asyncio.create_subprocess_exec,
                *program.command,
                stdin=reading,
                stdout=streams[0],
                stderr=streams[1],
                env=environment,
                cwd=program.cwd,
                start_new_session=own_session,
            )
            try:
                process = await _when_written(execute)
            except BaseException as error:
                for ours in opened:
                    ours.close()
                if not isinstance(error, OSError):
                    raise
                kind = PermissionDenied if isinstance(error, PermissionError) else NotFound
                raise kind(f"provider {program.name}: cannot start {error.filename or program.command[0]}: {error.strerror}") from error
        stdin.write(line)
        if closes_stdin:
            stdin.close()
        return cls(process, opened)

    @property
    def pid(self) -> int:
        """The process id that was spawned."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not been seen to end."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Await the end and the last lines of output; the exit status, negative for a signal."""
        status = await self._process.wait()
        outputs = [ours.closed for ours in self._opened if isinstance(ours, _Lines)]
        if outputs:
            await asyncio.wait(outputs, timeout=_LAST_WORDS)
        for ours in self._opened:
            ours.close()
        return status

    def kill(self) -> None:
        """SIGKILL at once; nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


async def _when_written(execute: Callable[[], Awaitable[Process]]) -> Process:
    """What is started beside holds a file that was just written open for writing, from its fork to its exec: Text file busy."""
    end = asyncio.get_running_loop().time() + _WRITTEN_WITHIN
    while True:
        try:
            return await execute()
        except OSError as error:
            if error.errno != errno.ETXTBSY or asyncio.get_running_loop().time() > end:
                raise
        await asyncio.sleep(0.01)


class _Lines(asyncio.Protocol):
    def __init__(self, name: str, output: Output) -> None:
        self.name = name
        self.output = output
        self.closed = asyncio.get_running_loop().create_future()
        self._rest = b""
        self._transport: asyncio.BaseTransport | None = None

    @classmethod
    async def open(cls, name: str, output: Output) -> tuple[_Lines, int]:
        reading, writing = os.pipe()
        lines = cls(name, output)
        await asyncio.get_running_loop().connect_read_pipe(lambda: lines, os.fdopen(reading, "rb", 0))
        return lines, writing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._emit(line)
        if len(self._rest) > LONGEST_LINE:
            self._emit(self._rest)
            self._rest = b""

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self._emit(self._rest)
        if not self.closed.done():
            self.closed.set_result(None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _emit(self, line: bytes) -> None:
        try:
            self.output(self.name, line.strip(b"\r").decode(errors="replace"))
        except Exception:
            log.exception("a watcher of output failed")
