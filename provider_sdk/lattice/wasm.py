"""WebAssembly actors: runs a core module with the waPC ABI (wasmbus-0x.md §10.1) the way the Rust 0.x hosts do.

Guests block while they wait for a host call, so each runs on a thread of its own; what they ask is done on the event
loop. The wasmtime package is imported when the first actor is loaded and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from provider_sdk.errors import DeadlineExceeded, Internal, InvalidArgument, ProviderError, ResourceExhausted, Unavailable, Unsupported

if TYPE_CHECKING:
    import wasmtime

log = logging.getLogger(__name__)

HostCall = Callable[[str, str, str, bytes], Awaitable[bytes]]
"""Carries out a guest's call: link name (or empty), contract id or actor key or call alias, operation, argument. A
ProviderError's message is what the guest sees."""

_COMPONENT_HEADER = b"\0asm\x0d\0\1\0"
_TICKS = 25
_HOUR = 3600.0
_CLOSE_INTERVAL = 0.02
_MEMORY_PAGES = 4
_ADDRESS = 0xFFFF_FFFF
_SUCCESS = 1
_FAILURE = -1


@dataclass(frozen=True, slots=True)
class Limits:
    """What one actor may use: `instances` run at once and `waiting` more calls wait; `seconds` a call may run, waiting
    for host calls not counted (None: an hour); `memory` bytes per instance."""

    instances: int = 4
    waiting: int = 256
    seconds: float | None = 5.0
    memory: int = 64 * 1024 * 1024


class Actor:
    """A loaded actor. Instances keep their memory between calls, as on real hosts; one that trapped is thrown away."""

    def __init__(self, name: str, program: _Program, host_call: HostCall, limits: Limits) -> None:
        self.name = name
        self._program = program
        self._host_call = host_call
        self._limits = limits
        self.seconds = _HOUR if limits.seconds is None else limits.seconds
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(limits.instances, thread_name_prefix=f"actor-{name}")
        self._idle: deque[_Instance] = deque()
        self._calls: set[Future[bytes]] = set()
        self._host_calls: set[Future[bytes]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    @staticmethod
    async def load(wasm: bytes, host_call: HostCall, *, name: str = "actor", limits: Limits | None = None) -> Actor:
        """Compile a module. InvalidArgument for what is no waPC module, Unsupported for a component or without wasmtime."""
        program = await asyncio.to_thread(_compile, name, wasm)
        return Actor(name, program, host_call, limits or Limits())

    async def call(self, operation: str, payload: bytes) -> bytes:
        """Have the actor carry out `operation` on the msgpack value `payload`; its answer as msgpack.

        Internal with the actor's own text where it answers an error, and with one line where it traps; DeadlineExceeded over
        the time limit; ResourceExhausted where too many calls wait; Unavailable once closed.
        """
        if self._closing:
            raise Unavailable(f"actor {self.name} is stopped")
        if len(self._calls) >= self._limits.instances + self._limits.waiting:
            raise ResourceExhausted(f"actor {self.name}: {len(self._calls)} calls are running or waiting already")
        future = self._threads.submit(contextvars.copy_context().run, self._run, operation, payload)
        self._calls.add(future)
        future.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._calls.discard, done))
        if self._timer is None:
            self._timer = self._loop.call_later(self.seconds / _TICKS, self._tick)
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Interrupt what runs, end the threads and free the instances. Calls under way fail with Unavailable."""
        self._closing = True
        for asked in list(self._host_calls):
            asked.cancel()
        ending = asyncio.gather(*map(asyncio.wrap_future, self._calls), return_exceptions=True)
        while not ending.done():
            self._advance(_ticks(1.0))
            await asyncio.wait([ending], timeout=_CLOSE_INTERVAL)
        if self._timer is not None:
            self._timer.cancel()
        self._threads.shutdown()
        while self._idle:
            self._idle.pop().store.close()

    def _tick(self) -> None:
        self._advance(1)
        self._timer = self._loop.call_later(self.seconds / _TICKS, self._tick) if self._calls else None

    def _advance(self, ticks: int) -> None:
        for _ in range(ticks):
            self._program.engine.increment_epoch()

    def _run(self, operation: str, payload: bytes) -> bytes:
        """On a thread: one call on an idle instance or a new one."""
        import wasmtime

        if self._closing:
            raise Unavailable(f"actor {self.name} is stopped")
        call = _Call(self, operation, payload)
        self._program.current.call = call
        try:
            instance = self._instance()
            call.arm(instance.store)
            try:
                status = instance.run(len(call.operation), len(payload))
            except BaseException:
                instance.store.close()
                raise
        except (wasmtime.Trap, wasmtime.WasmtimeError, _Fault) as error:
            raise self._failure(call, error) from None
        self._idle.append(instance)
        return call.outcome(status)

    def _instance(self) -> _Instance:
        try:
            return self._idle.pop()
        except IndexError:
            return _Instance(self._program, self._limits.memory)

    def _failure(self, call: _Call, error: Exception) -> ProviderError:
        if self._closing:
            return Unavailable(f"actor {self.name} is stopped")
        where = f"actor {self.name} in {call.operation.decode()}"
        code = getattr(error, "trap_code", None)
        if call.left <= 0 or (code is not None and code.name == "INTERRUPT"):
            return DeadlineExceeded(f"{where}: ran for more than {self.seconds:g} s")
        reason = call.fault or call.guest_error or (code.name.lower().replace("_", " ") if code is not None else _first_line(error))
        return Internal(f"{where}: trapped: {reason}", detail=str(error))

    def host_call(self, binding: str, namespace: str, operation: str, payload: bytes) -> bytes:
        """On a thread: have the loop carry out a guest's call and wait for it."""

        async def ask() -> bytes:
            return await self._host_call(binding, namespace, operation, payload)

        future = asyncio.run_coroutine_threadsafe(ask(), self._loop)
        self._host_calls.add(future)
        if self._closing:
            future.cancel()
        try:
            return future.result()
        finally:
            self._host_calls.discard(future)


class _Fault(Exception):
    """A guest broke the ABI; ends its call as a trap does."""


class _Call:
    """One call into a guest: what the imports of §10.1 read and write. Each import is a method of its name."""

    def __init__(self, actor: Actor, operation: str, payload: bytes) -> None:
        self.actor = actor
        self.operation = operation.encode()
        self.request: tuple[bytes, bytes] | None = (self.operation, payload)
        self.response = b""
        self.guest_error: str | None = None
        self.host_response: bytes | None = None
        self.host_error: bytes | None = None
        # Kept here because wasmtime hands a callback's exception over through a global that all threads share.
        self.fault = ""
        self.left = actor.seconds
        self._since = 0.0
        self._store: wasmtime.Store | None = None

    def arm(self, store: wasmtime.Store) -> None:
        """Count the time from now on, against what is left."""
        self._store, self._since = store, time.monotonic()
        store.set_epoch_deadline(_ticks(self.left / self.actor.seconds))

    def outcome(self, status: int) -> bytes:
        """The result rule: a guest error, else a host error that the guest did not fetch, else a status other than 1."""
        if self.guest_error is not None:
            raise Internal(self.guest_error)
        if self.host_error is not None:
            raise Internal(self.host_error.decode())
        if status != _SUCCESS:
            where = f"actor {self.actor.name} in {self.operation.decode()}"
            raise Internal(f"{where}: returned status {status & _ADDRESS} without an error text")
        return self.response

    def guest_request(self, caller: wasmtime.Caller, operation: int, payload: int) -> None:
        if self.request is None:
            self._fail("__guest_request was called twice")
        self._write(caller, operation, self.request[0])
        self._write(caller, payload, self.request[1])
        self.request = None

    def guest_response(self, caller: wasmtime.Caller, pointer: int, length: int) -> None:
        self.response = self._read(caller, pointer, length)

    def set_guest_error(self, caller: wasmtime.Caller, pointer: int, length: int) -> None:
        self.guest_error = self._text(caller, pointer, length)

    def host_call(self, caller: wasmtime.Caller, *spans: int) -> int:
        binding, namespace, operation = (self._text(caller, spans[at], spans[at + 1]) for at in (0, 2, 4))
        payload = self._read(caller, spans[6], spans[7])
        self.left -= time.monotonic() - self._since
        if self.left <= 0:
            self._fail("out of time")
        try:
            self.host_response = bytes(self.actor.host_call(binding, namespace, operation, payload))
        except ProviderError as error:
            self.host_error = error.message.encode()
        except CancelledError:
            self._fail("its host call was cancelled")
        except Exception:
            log.exception("actor %s: the call of %s %s failed in the host", self.actor.name, namespace, operation)
            self.host_error = b"the host failed to carry out the call"
        else:
            self._resume()
            return _SUCCESS
        self._resume()
        return _FAILURE

    def host_response_len(self, caller: wasmtime.Caller) -> int:
        return len(self.host_response or b"")

    def take_host_response(self, caller: wasmtime.Caller, pointer: int) -> None:
        if self.host_response is None:
            self._fail("__host_response was called without a response")
        self._write(caller, pointer, self.host_response)
        self.host_response = None

    def host_error_len(self, caller: wasmtime.Caller) -> int:
        return len(self.host_error or b"")

    def take_host_error(self, caller: wasmtime.Caller, pointer: int) -> None:
        if self.host_error is None:
            self._fail("__host_error was called without an error")
        self._write(caller, pointer, self.host_error)
        self.host_error = None

    def console_log(self, caller: wasmtime.Caller, pointer: int, length: int) -> None:
        log.info("actor %s: %s", self.actor.name, self._text(caller, pointer, length))

    def _resume(self) -> None:
        if self._store is not None:
            self.arm(self._store)

    def _text(self, caller: wasmtime.Caller, pointer: int, length: int) -> str:
        try:
            return self._read(caller, pointer, length).decode()
        except UnicodeDecodeError:
            self._fail("a text given to the host is not UTF-8")

    def _read(self, caller: wasmtime.Caller, pointer: int, length: int) -> bytes:
        length &= _ADDRESS
        return ctypes.string_at(self._address(caller, pointer, length), length) if length else b""

    def _write(self, caller: wasmtime.Caller, pointer: int, data: bytes) -> None:
        if data:
            ctypes.memmove(self._address(caller, pointer, len(data)), data, len(data))

    def _address(self, caller: wasmtime.Caller, pointer: int, length: int) -> int:
        import wasmtime

        memory = caller.get("memory")
        if not isinstance(memory, wasmtime.Memory):
            self._fail("the module exports no memory")
        start = pointer & _ADDRESS
        if start + length > memory.data_len(caller):
            self._fail(f"bytes {start} to {start + length} lie outside the memory")
        return ctypes.addressof(memory.data_ptr(caller).contents) + start

    def _fail(self, reason: str) -> NoReturn:
        self.fault = reason
        raise _Fault(reason)


_IMPORTS: dict[str, tuple[Callable[..., int | None], int, bool]] = {
    "__guest_request": (_Call.guest_request, 2, False),
    "__guest_response": (_Call.guest_response, 2, False),
    "__guest_error": (_Call.set_guest_error, 2, False),
    "__host_call": (_Call.host_call, 8, True),
    "__host_response_len": (_Call.host_response_len, 0, True),
    "__host_response": (_Call.take_host_response, 1, False),
    "__host_error_len": (_Call.host_error_len, 0, True),
    "__host_error": (_Call.take_host_error, 1, False),
    "__console_log": (_Call.console_log, 2, False),
}


@dataclass(frozen=True, slots=True)
class _Program:
    """A compiled module with its imports; `current.call` is the call that runs on this thread."""

    engine: wasmtime.Engine
    module: wasmtime.Module
    linker: wasmtime.Linker
    current: threading.local


class _Instance:
    def __init__(self, program: _Program, memory: int) -> None:
        import wasmtime

        self.store = wasmtime.Store(program.engine)
        self.store.set_limits(memory_size=memory)
        wasi = wasmtime.WasiConfig()
        wasi.argv = ["main.wasm"]
        self.store.set_wasi(wasi)
        self.store.set_epoch_deadline(_ticks(1.0))
        exports = wasmtime.Instance(self.store, program.module, self._imports(program)).exports(self.store)
        self._guest_call: Any = exports["__guest_call"]
        self._start: Any = exports.get("_start")

    def run(self, operation_length: int, payload_length: int) -> int:
        if self._start is not None:
            self._start(self.store)
        return int(self._guest_call(self.store, operation_length, payload_length))

    def _imports(self, program: _Program) -> list[Any]:
        import wasmtime

        return [
            wasmtime.Memory(self.store, wasmtime.MemoryType(wasmtime.Limits(_MEMORY_PAGES, None)))
            if _is_memory(item)
            else program.linker.get(self.store, item.module, item.name or "")
            for item in program.module.imports
        ]


def _compile(name: str, wasm: bytes) -> _Program:
    try:
        import wasmtime
    except ImportError:
        raise Unsupported("running WebAssembly actors needs the Python package wasmtime: pip install wasmtime") from None
    if wasm.startswith(_COMPONENT_HEADER):
        raise Unsupported(f"actor {name}: is a WebAssembly component; 0.x actors are core modules")
    config = wasmtime.Config()
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    try:
        module = wasmtime.Module(engine, wasm)
    except wasmtime.WasmtimeError as error:
        raise InvalidArgument(f"actor {name}: is no valid WebAssembly module: {_first_line(error)}", detail=str(error)) from error
    program = _Program(engine, module, wasmtime.Linker(engine), threading.local())
    _link(program)
    _check(name, program)
    return program


def _link(program: _Program) -> None:
    import wasmtime

    program.linker.define_wasi()
    word = wasmtime.ValType.i32()
    for import_name, (method, parameters, returns) in _IMPORTS.items():
        kind = wasmtime.FuncType([word] * parameters, [word] if returns else [])
        for module in ("wasmbus", "wapc"):
            program.linker.define_func(module, import_name, kind, _entry(program.current, method), access_caller=True)


def _entry(current: threading.local, method: Callable[..., int | None]) -> Callable[..., int | None]:
    def entry(caller: wasmtime.Caller, *arguments: int) -> int | None:
        return method(current.call, caller, *arguments)

    return entry


def _check(name: str, program: _Program) -> None:
    import wasmtime

    if all(item.name != "__guest_call" for item in program.module.exports):
        raise InvalidArgument(f"actor {name}: exports no __guest_call; 0.x actors are waPC modules")
    store = wasmtime.Store(program.engine)
    for item in program.module.imports:
        try:
            if not _is_memory(item):
                program.linker.get(store, item.module, item.name or "")
        except wasmtime.WasmtimeError:
            raise InvalidArgument(f"actor {name}: imports {item.module}.{item.name}, which 0.x hosts do not offer") from None
    store.close()


def _is_memory(item: wasmtime.ImportType) -> bool:
    """Whether it is the memory that hosts offer to modules that bring none."""
    return (item.module, item.name) == ("", "memory")


def _ticks(share: float) -> int:
    """Epoch ticks for that share of the time limit; one more because the first may be about to pass."""
    return math.ceil(share * _TICKS) + 1


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
