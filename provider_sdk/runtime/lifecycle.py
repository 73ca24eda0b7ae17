"""One process from start to end: connect → subscribe → serve → drain → stop.

Everything that ends it comes together here: the host's request, signals, the parent's death, a connection lost for good, a
fault in one of the SDK's own tasks.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider_sdk.config import Config, Layer
from provider_sdk.errors import ProviderError
from provider_sdk.hosts.base import Call, Health, HostProtocol, LinkSpec, StreamLimits
from provider_sdk.link import LinkKey
from provider_sdk.metrics import Metrics
from provider_sdk.provider import Provider
from provider_sdk.runtime import logs
from provider_sdk.runtime.dispatch import Dispatcher
from provider_sdk.runtime.health import health
from provider_sdk.runtime.links import LinkTable
from provider_sdk.runtime.parent import parent_died
from provider_sdk.runtime.reconcile import Reconciler
from provider_sdk.runtime.settings import RuntimeSettings, own_layers
from provider_sdk.runtime.telemetry import Tracing

log = logging.getLogger("provider")

OK, FAILED_TO_START, FAULT, DISCONNECTED = 0, 1, 70, 74
PARENT_GRACE = 1.0
THREAD_GRACE = 1.0
CYCLES_AFTER = 10_000
SAME_SIGNAL_WITHIN = 1.0
"""Ctrl-C reaches a program in one file twice: from the terminal, and handed on by the process that unpacked it."""


@dataclass(frozen=True, slots=True)
class End:
    """Why the process ends: the line for the log, the exit code, how many seconds calls and links have to finish."""

    reason: str
    code: int
    budget: float


class Runtime:
    """Runs one provider on one host; the Control that the generation's subscriptions call."""

    def __init__(
        self, provider_class: type[Provider[Any]], host: HostProtocol, settings: RuntimeSettings, *, own_process: bool = True
    ) -> None:
        self._own_process = own_process
        self._host = host
        self._settings = settings
        self._metrics = Metrics()
        self._tracing = Tracing()
        self._end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._signalled_at = 0.0
        self._refused = ""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._provider = provider_class()
        self._provider.layers = own_layers(host.provider_values, host.provider_secrets)
        self._provider.data_dir = settings.data_dir or default_data_dir(host.identity.lattice, host.identity.provider_key)
        self._provider.metrics = self._metrics
        self._provider.tracer = self._tracing
        self._links = LinkTable(self._provider, settings, host.target, self.fault, keeps_secrets=host.settings.keeps_secrets)
        self._reconciler = Reconciler(host, self._links)
        self._dispatcher = Dispatcher(
            self._links,
            timeout=settings.call_timeout or max(host.settings.call_timeout, provider_class.call_timeout),
            link_wait=settings.link_wait,
            most=settings.max_calls,
            most_per_link=settings.max_calls_per_link,
            metrics=self._metrics,
            tracing=self._tracing,
        )

    async def run(self) -> int:
        """Serve until something ends it; the exit code. ProviderError where it cannot start."""
        identity = self._host.identity
        if self._own_process:
            self._watch_signals()
            self._spawn(self._watch_parent(), "parent watch")
        limits = StreamLimits(self._settings.stream_memory, self._settings.stream_spool, self._settings.stream_timeout)
        connecting = asyncio.ensure_future(self._host.connect(self._settings.nats_ca_file, limits))
        either: list[asyncio.Future[Any]] = [connecting, self._end]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            while not connecting.done():  # wait_for of Python 3.11 loses a cancellation that comes together with a refused connection
                connecting.cancel()
                await asyncio.wait([connecting], timeout=0.05)
            end = self._end.result()
            log.info("stopping before the start was over: %s", end.reason)
            return end.code
        transport = connecting.result()
        serves = self._provider.serves
        self._provider.lattice = self._host.lattice(serves[0].__identity__.contract if serves else "")
        try:
            self._metrics.gauge(
                "provider_reconnects", "Times the NATS connection was re-established.", lambda: {(): float(transport.reconnects)}
            )
            self._metrics.gauge("provider_links", "Links by state.", self._links_by_state, "state")
            for spec in self._host.links:
                self._links.put(spec)
            await self._host.subscribe(self, self._provider.serves, self._metrics)
            log.info("provider %s (%s) of lattice %s is subscribed", identity.provider_key, identity.link_name, identity.lattice)
            transport.on_reconnect(self._reconciler.look_again)
            self._spawn(self._watch_connection(transport.closed()), "connection watch")
            return await self._serve()
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=1.0)
            with contextlib.suppress(TimeoutError, ProviderError):
                async with asyncio.timeout(2.0):
                    await self._host.close()

    async def _serve(self) -> int:
        loop = asyncio.get_running_loop()
        entered: asyncio.Future[None] = loop.create_future()
        leave = asyncio.Event()
        lifespan = asyncio.create_task(self._lifespan(entered, leave), name="lifespan")
        awaited: list[asyncio.Future[Any]] = [lifespan, entered, self._end]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if lifespan.done() and not self._end.done():
            lifespan.result()
        if not self._end.done():
            lifespan.add_done_callback(self.fault)
            self._links.open()
            if self._own_process:
                _look_for_cycles_less_often()
            self._spawn(self._reconciler.run(), "reconcile")
            self._spawn(self._start_extras(), "traces and metrics")
        end = await self._end
        log.info("stopping: %s", end.reason)
        self._provider.stopping = True
        until = loop.time() + end.budget
        await self._host.stop_calls()
        cancelled = await self._dispatcher.drain(end.budget * 0.6)
        if cancelled:
            log.warning("%d calls were cut off: they did not end within %.3g s", cancelled, end.budget * 0.6)
        # Of a short budget a fifth is left for what follows, of a long one half a second.
        left = max(0.02, until - loop.time())
        await self._links.close(max(left * 0.8, left - 0.5))
        leave.set()
        await asyncio.wait([lifespan], timeout=max(0.02, until - loop.time()))
        lifespan.cancel()
        if self._tracing.active:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.02, until - loop.time())):
                    await asyncio.to_thread(self._tracing.stop)
        return end.code

    async def _lifespan(self, entered: asyncio.Future[None], leave: asyncio.Event) -> None:
        async with self._provider.lifespan():
            if not entered.done():
                entered.set_result(None)
            await leave.wait()

    async def _start_extras(self) -> None:
        """What may come late: traces and the metrics address. Neither stops a provider that can serve."""
        if self._host.settings.trace_endpoint:
            try:
                await asyncio.to_thread(self._tracing.start, self._host.settings.trace_endpoint, type(self._provider).__name__)
            except ProviderError as error:
                log.warning("%s", error)
        if self._settings.metrics_address:
            from provider_sdk.runtime.exposition import serve

            try:
                await serve(self._settings.metrics_address, self._metrics, self.health)
            except (ProviderError, OSError) as error:
                log.error("metrics_address %s: %s", self._settings.metrics_address, error)

    def put_link(self, spec: LinkSpec) -> None:
        """See Control."""
        self._links.put(spec)
        self._reconciler.note(spec.key)

    def delete_link(self, key: LinkKey) -> None:
        """See Control."""
        self._links.delete(key)
        self._reconciler.note(key)

    def look_again(self) -> None:
        """See Control."""
        self._reconciler.look_again()

    def update_config(self, values: Mapping[str, str]) -> None:
        """See Control."""
        layers = own_layers(values, self._host.provider_secrets)
        if layers[0] == self._provider.layers[0]:
            return
        log.info("the provider's configuration has changed")
        provider = self._provider
        before = provider.layers_before or provider.layers
        wrong = _fault(provider.config_class, layers) if not _fault(provider.config_class, before) else ""
        provider.layers, provider.layers_before = layers, before if wrong else ()
        self._refused = wrong or _fault(RuntimeSettings, layers[:1])
        if self._refused:
            log.error(
                "%s refused, as before: %s", "the provider's configuration is" if wrong else "settings of the process are", self._refused
            )
        else:
            self._tell_of_later_settings(layers[0])
        self._links.reconfigure()

    def _tell_of_later_settings(self, layer: Layer) -> None:
        changed = RuntimeSettings.load(layer, ignore=None).config.differing(self._settings)
        if changed:
            log.warning("settings that count from the next start on: %s", ", ".join(changed))

    async def health(self) -> Health:
        """See Control."""
        return await health(self._provider, self._links, self._refused)

    def shut_down(self) -> None:
        """See Control."""
        self._stop(End("the host asked for it", OK, self._host.settings.shutdown_budget))

    @property
    def full(self) -> bool:
        """See Control."""
        return self._dispatcher.full

    def start_call(self, serve: Coroutine[Any, Any, None]) -> None:
        """See Control."""
        self._dispatcher.start(serve)

    def end_call(self) -> None:
        """See Control."""
        self._dispatcher.end()

    def run_call(self, call: Call) -> Awaitable[Any]:
        """See Control."""
        return self._dispatcher.run(call)

    def fault(self, task: asyncio.Task[None]) -> None:
        """See Control."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.critical("fault in %s: %s: %s", task.get_name(), type(error).__name__, error, exc_info=error)
        self._stop(End(f"a fault in {task.get_name()}", FAULT, PARENT_GRACE))

    def _stop(self, end: End) -> None:
        if not self._end.done():
            self._end.set_result(end)

    def _spawn(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self.fault)

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, self._signalled, number)
            except NotImplementedError:  # the loop of Windows
                signal.signal(number, lambda number, _: loop.call_soon_threadsafe(self._signalled, signal.Signals(number)))

    def _signalled(self, number: signal.Signals) -> None:
        now = asyncio.get_running_loop().time()
        if self._signalled_at and now - self._signalled_at < SAME_SIGNAL_WITHIN:
            return
        self._signalled_at = now
        if self._end.done():
            os._exit(128 + number)
        self._stop(End(f"{number.name} received", OK, self._settings.drain_timeout))

    async def _watch_parent(self) -> None:
        await parent_died()
        self._stop(End("the process that started this one has ended", OK, PARENT_GRACE))

    async def _watch_connection(self, closed: Awaitable[str]) -> None:
        reason = await closed
        self._stop(End(f"the NATS connection ended for good: {reason}", DISCONNECTED, PARENT_GRACE))

    def _links_by_state(self) -> dict[tuple[str, ...], float]:
        counts: dict[tuple[str, ...], float] = {}
        for entry in self._links:
            counts[(entry.state.value,)] = counts.get((entry.state.value,), 0.0) + 1
        return counts


def _fault(settings: type[Config], layers: tuple[Layer, ...]) -> str:
    """What is wrong with the layers by themselves."""
    try:
        settings.load(*layers, ignore=None)
    except ProviderError as error:
        return error.message
    return ""


def default_data_dir(lattice: str, provider_key: str) -> Path:
    """The user's state folder, from the password database because hosts clear the environment (§1.1), then lattice and provider."""
    try:
        import pwd

        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        home = Path("/var/tmp")
    except ImportError:  # Windows has no such database
        home = Path(os.environ.get("LOCALAPPDATA") or Path.cwd().anchor)
    return home / ".local" / "state" / "wasmcloud-providers" / lattice / provider_key


def _look_for_cycles_less_often() -> None:
    """What a call makes is freed when it ends; the search for cycles, at Python's own rate, would be a tenth of the time of each.

    What the start has made stays, and is not searched again.
    """
    gc.freeze()
    gc.set_threshold(CYCLES_AFTER, 20, 20)


def _ignore_signals() -> None:
    """The end has come already, and a signal that comes twice, such as that of a terminal that an unpacker hands on, is not to spoil it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # the loop of Windows
            loop.remove_signal_handler(number)  # closing the loop would do it, and leave the signal's default
        signal.signal(number, signal.SIG_IGN)


def _end_without_threads(code: int, handler: logs.StderrHandler) -> None:
    """End the process after a moment: Python would wait for as long as a thread of a backend is in a call that blocks."""

    def end() -> None:
        log.warning("threads are still at work: ended without them")
        handler.drain(0.5)
        os._exit(code)

    timer = threading.Timer(THREAD_GRACE, end)
    timer.daemon = True
    timer.start()


def serve(provider_class: type[Provider[Any]], host: HostProtocol) -> int:
    """Run `provider_class` on `host` until it ends; the process's exit code."""
    settings = RuntimeSettings.load(Layer("provider configuration", host.provider_values), ignore=None).config
    level = host.settings.log_level or settings.log_level or "info"
    handler = logs.configure(level, structured=host.settings.structured_logging)

    async def run() -> int:
        code = await Runtime(provider_class, host, settings).run()
        _ignore_signals()
        _end_without_threads(code, handler)
        return code

    try:
        return asyncio.run(run())
    except (ProviderError, OSError) as error:
        log.error("cannot start: %s", error)
        return FAILED_TO_START
    except Exception as error:
        log.critical("fault: %s: %s", type(error).__name__, error, exc_info=error)
        return FAULT
    finally:
        handler.drain(0.5)
