"""The link table: brings the links that are wanted into being, keeps them, and finds the one that a call belongs to.

Each link has a worker task that moves it towards what was last asked for; put and delete only note the wish. A serving link
lives in a task of its own, so that a task group inside the provider's context manager behaves. Messages may come twice,
late and in any order: equal wishes change nothing, and a burst of changes collapses into the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.config import Layer, Loaded
from provider_sdk.errors import (
    DeadlineExceeded,
    InvalidArgument,
    PermissionDenied,
    ProviderError,
    ResourceExhausted,
    Unavailable,
    Unsupported,
)
from provider_sdk.hosts.base import LinkSpec
from provider_sdk.interface import Operation, Target
from provider_sdk.link import Link, LinkKey, LinkState, Role
from provider_sdk.provider import Provider
from provider_sdk.runtime.retry import Backoff
from provider_sdk.runtime.settings import RuntimeSettings, load_link

log = logging.getLogger("provider.links")

# Unknown settings, and secrets in plain configuration, that are logged once each.
MOST_WARNED = 256
BY_ITSELF = "the provider left the link by itself"


class Serving:
    """One entered context of a link: what answers its calls, and how many are in flight."""

    def __init__(self, spec: LinkSpec, link: Link[Any], layers: tuple[Layer, ...] = ()) -> None:
        self.spec = spec
        self.link = link
        self.layers = layers
        self.in_flight = 0
        self.delivering: set[asyncio.Task[Any]] = set()
        self.task: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._idle = asyncio.Event()
        self._methods: dict[Operation, Callable[..., Any]] = {}
        self._implementations: tuple[object, ...] = ()

    async def hold(self, provider: Provider[Any], entered: asyncio.Future[None]) -> None:
        """Enter the provider's context, say so, stay until told to leave."""
        async with provider.link(self.link) as offered:
            self._implementations = offered if isinstance(offered, tuple) else (offered,)
            if not entered.done():
                entered.set_result(None)
            await self._leave.wait()

    def method(self, operation: Operation) -> Callable[..., Any]:
        """The implementation's bound method for `operation`; Unsupported where the link offers none."""
        found = self._methods.get(operation)
        if found is None:
            for item in self._implementations:
                if isinstance(item, operation.interface):
                    found = self._methods[operation] = getattr(item, operation.method)
                    break
            else:
                raise Unsupported(f"{operation.name}: this link does not offer {operation.interface.__name__}")
        return found

    @property
    def ended(self) -> bool:
        """Whether the context has been left, by itself or because it was told to."""
        return self.task is not None and self.task.done()

    def end_call(self) -> None:
        """A call that was counted in `in_flight` has ended: the context is not left before all have."""
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()

    def cut(self) -> None:
        """Deliver nothing any more."""
        for call in self.delivering:
            call.cancel()

    async def leave(self, drain: float, limit: float, *, cut: bool) -> None:
        """Let calls in flight finish for `drain` seconds, then leave the context, cancelled after `limit` more.

        With `cut` nothing is delivered any more after that: streams of a link that is replaced may go on, those of a deleted one not.
        """
        assert self.task is not None
        if self.in_flight:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain):
                    await self._idle.wait()
        if cut:
            self.cut()
        self._leave.set()
        await asyncio.wait([self.task], timeout=limit)
        if not self.task.done():
            log.warning("link %s: still not left after %.1f s: cancelled", self.spec.key, limit)
            self.task.cancel()
            await asyncio.wait([self.task], timeout=1.0)


@dataclass(eq=False)
class Entry:
    """A link in the table: what is wanted, what serves now, what served before and may still deliver, and why nothing serves."""

    key: LinkKey
    wanted: LinkSpec | None
    serving: Serving | None = None
    earlier: list[Serving] = field(default_factory=list)
    state: LinkState = LinkState.PENDING
    reason: str = ""
    attempts: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    worker: asyncio.Task[None] | None = None


class LinkTable:
    """All links of the process."""

    def __init__(
        self,
        provider: Provider[Any],
        settings: RuntimeSettings,
        target: Callable[[LinkKey], Target],
        on_fault: Callable[[asyncio.Task[None]], None],
        *,
        keeps_secrets: bool = False,
    ) -> None:
        self._provider = provider
        self._keeps_secrets = keeps_secrets
        self._settings = settings
        self._target = target
        self._on_fault = on_fault
        self._entries: dict[LinkKey, Entry] = {}
        self._by_peer: dict[str, list[Entry]] = {}
        self._news: asyncio.Future[None] | None = None
        self._open = asyncio.Event()
        self._waiting = 0
        self._warned: set[tuple[LinkKey | None, str]] = set()
        self._closed = False
        self._leaving: set[asyncio.Task[None]] = set()
        self._held: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def open(self) -> None:
        """Begin to enter links: until now they were only noted."""
        self._open.set()

    def put(self, spec: LinkSpec) -> None:
        """Want this link. An equal wish changes nothing; after `close` none does."""
        if self._closed:
            return
        entry = self._entries.get(spec.key)
        if entry is None:
            entry = self._entries[spec.key] = Entry(spec.key, spec)
            self._by_peer.setdefault(spec.key.peer, []).append(entry)
            entry.worker = asyncio.create_task(self._work(entry), name=f"link {spec.key}")
            entry.worker.add_done_callback(self._on_fault)
        elif entry.wanted != spec:
            entry.wanted, entry.reason = spec, ""
            if entry.serving is None:
                entry.state = LinkState.PENDING
            entry.changed.set()

    def delete(self, key: LinkKey) -> None:
        """Do not want this link any more; unknown ones are ignored."""
        entry = self._entries.get(key)
        if entry is not None and entry.wanted is not None:
            entry.wanted = None
            entry.changed.set()

    def reconfigure(self) -> None:
        """The provider's own configuration has changed: links whose settings are others now are entered anew."""
        for entry in self._entries.values():
            entry.changed.set()

    def wanted(self) -> dict[LinkKey, LinkSpec]:
        """The links that are wanted now."""
        return {entry.key: entry.wanted for entry in self._entries.values() if entry.wanted is not None}

    def serving(self, peer: str, contract: str, name: str = "") -> Serving | None:
        """The link over which `peer` calls, if it serves now; one of another name than `name` is none, unless that is empty."""
        entry = self._lookup(peer, contract, name)
        return entry.serving if entry is not None and entry.wanted is not None else None

    async def find(self, peer: str, contract: str, wait: float, name: str = "") -> Serving:
        """The link over which `peer` calls, waiting up to `wait` seconds for one that is late or being set up.

        PermissionDenied `unlinked actor: '…'` where there is none (§4.5 #11), Unavailable where it is failed.
        """
        found = self.serving(peer, contract, name)
        if found is not None:
            return found
        if self._waiting >= max(1, self._settings.max_calls // 4):
            raise ResourceExhausted("too many calls wait for their links")
        self._waiting += 1
        try:
            return await self._await_link(peer, contract, wait, name)
        finally:
            self._waiting -= 1

    async def _await_link(self, peer: str, contract: str, wait: float, name: str) -> Serving:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while True:
            entry = self._lookup(peer, contract, name)
            if entry is not None and entry.wanted is not None:
                if entry.serving is not None:
                    return entry.serving
                if entry.state is LinkState.FAILED:
                    raise Unavailable(f"the link to {self._provider.__class__.__name__} is not up: {entry.reason}")
            if loop.time() >= until:
                break
            if self._news is None:
                self._news = loop.create_future()
            await asyncio.wait([self._news], timeout=until - loop.time())
        if entry is not None and entry.wanted is not None:
            raise Unavailable("the link is still being set up")
        raise PermissionDenied(f"unlinked actor: '{peer}'")

    def _lookup(self, peer: str, contract: str, name: str) -> Entry | None:
        found = None
        for entry in self._by_peer.get(peer, ()):
            key = entry.key
            if key.role is Role.SOURCE or (name and key.name != name):
                continue
            # Nobody on a 0.x lattice checks the contract of an invocation (§4.5), so it only chooses among several links. Callers of 1.x,
            # who name the link, mean the package.
            if key.contract == contract:
                return entry
            if not name or not key.contract:
                found = found or entry
        return found

    def _announce(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
        self._news = None

    async def _work(self, entry: Entry) -> None:
        """Move one link towards what is wanted, until it is not wanted."""
        await self._open.wait()
        backoff = Backoff()
        while True:
            entry.changed.clear()
            if entry.serving is not None and entry.serving.ended:
                self._ended(entry, entry.serving)
            wanted, serving = entry.wanted, entry.serving
            if wanted is None:
                entry.state = LinkState.CLOSING
                await self._leave(entry)
                if entry.wanted is None:
                    self._forget(entry)
                    return
                entry.state = LinkState.PENDING
            elif serving is not None and serving.spec == wanted and self._as_configured(serving):
                entry.state, entry.reason = LinkState.UP, ""
                await self._until_changed(entry, serving, backoff)
            elif await self._enter(entry, wanted):
                self._announce()
            else:
                self._announce()
                await self._pause(entry, backoff.next())

    async def _until_changed(self, entry: Entry, serving: Serving, backoff: Backoff) -> None:
        """Wait for a new wish, or for the serving context to end by itself, which makes the link failed."""
        assert serving.task is not None
        loop = asyncio.get_running_loop()
        since = loop.time()
        changed = asyncio.ensure_future(entry.changed.wait())
        await asyncio.wait([changed, serving.task], return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        if loop.time() - since > backoff.highest:
            backoff.reset()
        if serving.ended:
            self._ended(entry, serving)
            await self._pause(entry, backoff.next())

    def _ended(self, entry: Entry, serving: Serving) -> None:
        """The serving context has ended by itself."""
        assert serving.task is not None
        entry.serving = None
        self._failed(entry, _outcome(serving.task) or Unavailable(BY_ITSELF))
        self._announce()

    async def _pause(self, entry: Entry, seconds: float) -> None:
        """Wait before the next attempt, less long for a new wish or where what still serves ends."""
        changed = asyncio.ensure_future(entry.changed.wait())
        awaited: list[asyncio.Future[Any]] = [changed]
        if entry.serving is not None and entry.serving.task is not None:
            awaited.append(entry.serving.task)
        await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()

    async def _enter(self, entry: Entry, wanted: LinkSpec) -> bool:
        """Enter the context for `wanted`; an old one serves until the new one does. False when that failed or the wish changed."""
        entry.attempts += 1
        try:
            serving = Serving(wanted, self._link(wanted), self._provider.layers)
        except Exception as error:
            self._failed(entry, error)
            return False
        loop = asyncio.get_running_loop()
        entered: asyncio.Future[None] = loop.create_future()
        serving.task = asyncio.create_task(serving.hold(self._provider, entered), name=f"serve {entry.key}")
        self._held.add(serving.task)
        serving.task.add_done_callback(self._released)
        changed = asyncio.ensure_future(entry.changed.wait())
        awaited: list[asyncio.Future[Any]] = [entered, serving.task, changed]
        await asyncio.wait(awaited, timeout=self._settings.link_timeout, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        if entered.done() and not serving.task.done():
            old, entry.serving = entry.serving, serving
            log.info("link up", extra={"link": str(entry.key)})
            if old is not None:
                entry.earlier = [one for one in entry.earlier if one.delivering] + [old]
                self._retire(old)
            return True
        ended = serving.task.done()
        superseded = entry.changed.is_set() and not ended
        if not ended:
            serving.task.cancel()
            await asyncio.wait([serving.task], timeout=1.0)
        if superseded:
            return True
        limit = DeadlineExceeded(f"setting up the link took more than {self._settings.link_timeout:g} s")
        self._failed(entry, _outcome(serving.task) or (Unavailable(BY_ITSELF) if ended else limit))
        return False

    def _as_configured(self, serving: Serving) -> bool:
        """Whether the settings of what serves are still those of its link; where the new ones are wrong, the next attempt says why."""
        if serving.layers == self._provider.layers:
            return True
        try:
            changed = self._load(serving.spec).config != serving.link.config
        except Exception:
            return False
        if not changed:
            serving.layers = self._provider.layers
        return not changed

    def _released(self, task: asyncio.Task[None]) -> None:
        self._held.discard(task)
        _outcome(task)  # asyncio would report an error that nobody has looked at, such as one of a set-up that was given up

    def _load(self, spec: LinkSpec) -> Loaded[Any]:
        if spec.fault:
            raise InvalidArgument(spec.fault)
        provider = self._provider
        return load_link(provider.config_class, provider.layers, spec.values, spec.secrets)

    def _link(self, spec: LinkSpec) -> Link[Any]:
        loaded = self._load(spec)
        for warning in loaded.warnings:
            self._warn(warning, spec.key, None)
        for warning in loaded.exposed if self._keeps_secrets else ():
            self._warn(warning, spec.key, spec.key)
        return Link(spec.key, loaded.config, self._target(spec.key), spec.interfaces)

    def _warn(self, warning: str, link: LinkKey, of: LinkKey | None) -> None:
        """Log it once, or once a link where `of` is that."""
        if (of, warning) not in self._warned and len(self._warned) < MOST_WARNED:
            self._warned.add((of, warning))
            log.warning("%s", warning, extra={"link": str(link)})

    def _failed(self, entry: Entry, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        known = isinstance(error, ProviderError | OSError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        if reason != entry.reason:
            what = "link failed, will be retried" if entry.serving is None else "link change refused, serving as before"
            log.error("%s: %s", what, reason, extra={"link": str(entry.key)}, exc_info=None if known else error)
        entry.reason = reason
        entry.state = LinkState.FAILED if entry.serving is None else LinkState.UP

    def _retire(self, serving: Serving) -> None:
        task = asyncio.create_task(self._left(serving, cut=False), name=f"leave {serving.spec.key}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        task.add_done_callback(self._on_fault)

    async def _leave(self, entry: Entry) -> None:
        serving, entry.serving = entry.serving, None
        if serving is not None:
            await self._left(serving, cut=True)
            log.info("link down", extra={"link": str(entry.key)})
        for one in entry.earlier:
            one.cut()
        entry.earlier = []

    async def _left(self, serving: Serving, *, cut: bool) -> None:
        assert serving.task is not None
        await serving.leave(self._settings.drain_timeout, self._settings.link_timeout, cut=cut)
        error = _outcome(serving.task)
        if error is not None:
            log.error("link left with an error: %s", error, extra={"link": str(serving.spec.key)}, exc_info=error)

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.key]
        entries = self._by_peer[entry.key.peer]
        entries.remove(entry)
        if not entries:
            del self._by_peer[entry.key.peer]

    async def close(self, limit: float) -> None:
        """Leave every link, all at once, within `limit` seconds."""
        self._closed = True
        self._open.set()
        for entry in self:
            self.delete(entry.key)
        tasks = [entry.worker for entry in self if entry.worker is not None] + list(self._leaving)
        if tasks:
            await asyncio.wait(tasks, timeout=limit)
        late = [task for task in [*tasks, *self._held] if not task.done()]
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=0.5)


def _outcome(task: asyncio.Task[None]) -> BaseException | None:
    """What ended the task; None where it ended well or not at all."""
    if not task.done() or task.cancelled():
        return None
    return task.exception()
