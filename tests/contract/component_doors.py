"""Ways of components of 1.x to a store: straight to the backend; beside it an actor of 0.x, and a second instance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from provider_sdk import Layer
from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.testing.conformance.keyvalue import ComponentConformance, Imports
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.namespaces import Buckets
from providers.keyvalue.provider import implementations
from providers.keyvalue.stores import Stores
from tests.contract.doors import direct
from tests.contract.places import Place

PAGE = 100


@asynccontextmanager
async def directly(stores: Stores, values: Mapping[str, str]) -> AsyncIterator[Imports]:
    """What a component's link with these values would offer, in this process."""
    config = KeyValueConfig.load(Layer("test", values)).config
    async with stores.use(config) as store:
        _, *offered = implementations(Buckets(store, config, "component"), config)
        yield Imports(*offered)  # type: ignore[arg-type]  # in the order of Imports


class ComponentDirect(ComponentConformance):
    """The backend, without a provider around it. `backend` names the fixture that gives the place."""

    __test__ = False

    backend: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = {"keys_per_page": str(PAGE)}
    longest_page = 2 * PAGE

    @pytest.fixture(autouse=True)
    def _placed(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.place: Place = request.getfixturevalue(self.backend)
        self.folder = tmp_path

    def fresh(self) -> None:
        self.values = {"url": self.place.url(), "namespace": self.place.namespace(), **self.settings}
        self.stores = Stores(self.folder)

    @asynccontextmanager
    async def imports(self) -> AsyncIterator[Imports]:
        self.fresh()
        async with directly(self.stores, self.values) as have:
            yield have

    @asynccontextmanager
    async def second(self) -> AsyncIterator[Imports]:
        async with directly(Stores(self.folder), self.values) as have:
            yield have

    @asynccontextmanager
    async def actor(self) -> AsyncIterator[KeyValue]:
        async with direct(self.stores, self.values) as store:
            yield store

    @asynccontextmanager
    async def limited(self, limits: Mapping[str, int]) -> AsyncIterator[Imports]:
        self.fresh()
        async with directly(self.stores, {**self.values, **{name: str(limit) for name, limit in limits.items()}}) as have:
            yield have
