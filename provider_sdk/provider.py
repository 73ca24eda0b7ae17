"""Provider: what an author subclasses. One class, one async context manager a link."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, get_args

from provider_sdk.config import Config, Layer
from provider_sdk.context import Tracer
from provider_sdk.interface import Interface, Lattice
from provider_sdk.link import C, Link
from provider_sdk.metrics import Metrics


class Provider(ABC, Generic[C]):
    """A capability provider, subclassed as `class Mine(Provider[MyConfig], serves=(MyInterface,))`.

    `serves` names the interfaces that its links answer. The attributes below are set before `lifespan` is entered.
    """

    serves: ClassVar[tuple[type[Interface], ...]] = ()
    config_class: ClassVar[type[Config]] = Config
    call_timeout: ClassVar[float] = 0.0
    """Seconds that a call may take although callers may wait for less: for work that is better finished. The setting comes first."""

    layers: tuple[Layer, ...]
    """The provider's own configuration and secrets as the host gave them, before they were typed. A 1.x host may change the first."""
    layers_before: tuple[Layer, ...] = ()
    """Those that were right, where the last ones are wrong by themselves; else none."""
    data_dir: Path
    """Where embedded backends keep their data; made by whoever writes there first."""
    lattice: Lattice
    """Whom this provider can ask beside the actors that are linked to it: `Greeter.at(self.lattice.provider(key, "acme:greeter"))`."""
    metrics: Metrics
    """Counters and gauges that appear beside the SDK's own."""
    tracer: Tracer
    """Spans for work that does not begin with a call."""
    stopping: bool = False
    """Whether the process is about to end: links are then left all at once, and none comes after."""

    def __init_subclass__(cls, serves: tuple[type[Interface], ...] | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if serves is not None:
            cls.serves = serves
        for base in getattr(cls, "__orig_bases__", ()):
            arguments = get_args(base)
            if arguments and isinstance(arguments[0], type) and issubclass(arguments[0], Config):
                cls.config_class = arguments[0]

    @abstractmethod
    def link(self, link: Link[C]) -> AbstractAsyncContextManager[object]:
        """Serve one link: an `@asynccontextmanager` that yields what answers its calls.

        Yield an implementation of an interface in `serves`, a tuple of them, or None for a provider that only calls.
        Entered on put-link, left on delete-link, replacement and shutdown, in a task of its own. Raising before the
        yield makes the link failed: the reason goes to log and health and it is tried again with backoff.
        """

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """What several links share (a listening socket, a pool). Entered before the first link, left after the last."""
        yield

    async def health(self) -> str:
        """A line that says what is wrong with the provider as a whole, empty when nothing is; answer within a second."""
        return ""

    @property
    def config(self) -> C:
        """The provider's own configuration, without any link's values. InvalidArgument where that alone is not valid.

        Read it where it is needed and not once: a 1.x host may change it while the provider runs. A change that is wrong is none.
        """
        loaded: C = self.config_class.load(*(self.layers_before or self.layers)).config  # type: ignore[assignment]  # the class argument is C
        return loaded

    @property
    def log(self) -> logging.Logger:
        """The provider's logger."""
        return logging.getLogger("provider")
