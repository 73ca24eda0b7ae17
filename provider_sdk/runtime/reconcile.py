"""Takes up what link messages did not tell: the lattice's control interface has the last word on which links there are.

Messages can be lost (a link put between spawn and subscription, §6.2; a reconnect) or come in another order than they were sent. So the
control interface is asked at start, after each reconnect, and a moment after link messages. Its answer may lag behind a message, so
what a message said is only undone, and a link that it does not know only given up, when two answers, some time apart, agree on it.
Where it does not answer, the last message counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from provider_sdk.hosts.base import HostProtocol, LinkSpec
from provider_sdk.link import LinkKey
from provider_sdk.runtime.links import LinkTable
from provider_sdk.runtime.retry import Backoff

log = logging.getLogger("provider.links")

QUIET = 0.5
AT_THE_LATEST = 5.0
CONFIRM_AFTER = 2.0
GIVE_UP_AT = 30.0


class Reconciler:
    """Compares the link table with the control interface when there is reason to."""

    def __init__(self, host: HostProtocol, links: LinkTable) -> None:
        self._host = host
        self._links = links
        self._touched: dict[LinkKey, float] = {}
        self._wake = asyncio.Event()
        self._patience = Backoff(1.0, GIVE_UP_AT * 2)

    def note(self, key: LinkKey) -> None:
        """A message about this link came."""
        self._touched[key] = asyncio.get_running_loop().time()
        self._wake.set()

    def look_again(self) -> None:
        """Messages may have been missed."""
        self._patience.reset()
        self._wake.set()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        self._wake.set()
        first = True
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not first:
                await self._until_quiet()
            first = False
            touched, self._touched = self._touched, {}
            if await self._reconcile(touched):
                self._patience.reset()
            elif (pause := self._patience.next()) < GIVE_UP_AT:
                # Nobody answered: after a reconnect the hosts may still be on their way back.
                self._touched = touched | self._touched
                asyncio.get_running_loop().call_later(pause, self._wake.set)

    async def _until_quiet(self) -> None:
        """Wait until no message has come for a moment, so that a burst costs one question."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AT_THE_LATEST):
                while True:
                    await asyncio.sleep(QUIET)
                    if not self._wake.is_set():
                        return
                    self._wake.clear()

    async def _reconcile(self, touched: dict[LinkKey, float]) -> bool:
        """Compare once; False where the control interface does not answer, or does not have all of a link."""
        known = await self._known()
        if known is None:
            return False
        doubtful = self._take_up(known, touched)
        whole = not any(spec.fault for spec in known.values())
        if not doubtful:
            return whole
        await asyncio.sleep(CONFIRM_AFTER)
        again = await self._known()
        if again is None:
            return False
        for key in doubtful:
            if key in self._touched:
                continue
            if again.get(key) == known.get(key):
                self._settle(key, again.get(key))
            else:
                self.note(key)
        return whole

    async def _known(self) -> dict[LinkKey, LinkSpec] | None:
        known = await self._host.known_links()
        return None if known is None else {spec.key: spec for spec in known}

    def _take_up(self, known: dict[LinkKey, LinkSpec], touched: dict[LinkKey, float]) -> list[LinkKey]:
        """Put what no message told of; return the keys where the last message, or a link that is there, contradicts `known`."""
        wanted = self._links.wanted()
        for key, spec in known.items():
            if key not in touched and key not in self._touched and wanted.get(key) != spec:
                self._settle(key, spec)
        gone = [key for key in wanted if key not in known and key not in touched]
        return gone + [key for key in touched if wanted.get(key) != known.get(key)]

    def _settle(self, key: LinkKey, spec: LinkSpec | None) -> None:
        log.info("link %s: the lattice's control interface says so", "given up" if spec is None else "taken up", extra={"link": str(key)})
        if spec is None:
            self._links.delete(key)
        else:
            self._links.put(spec)
