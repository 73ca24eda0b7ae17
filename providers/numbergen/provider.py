"""Numbergen: the operating system's secure randomness behind the numbergen contract. It has no settings.

It answers under whatever contract id the operator links it with, since a call names an operation and nobody checks the id. Two make
sense: `wasmcloud:numbergen`, our own, and `wasmcloud:builtin:numbergen`, which official hosts answer themselves, so that under it
only other hosts ever ask this provider (wasmbus-0x.md §8.3). The id that its archive declares is the one in provider.toml.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from provider_sdk import Config, InvalidArgument, Link, Provider
from provider_sdk.contracts.numbergen import NumberGen


class SystemNumbers(NumberGen):
    """Numbers that nobody can foretell, every one of a range as likely as the others."""

    async def generate_guid(self) -> str:
        return str(uuid.uuid4())

    async def random_in_range(self, min: int, max: int) -> int:
        if min > max:
            raise InvalidArgument(f"min {min} is above max {max}")
        return min + secrets.randbelow(max - min + 1)

    async def random32(self) -> int:
        return secrets.randbits(32)


class NumberGenProvider(Provider[Config], serves=(NumberGen,)):
    """Random numbers and identifiers."""

    @asynccontextmanager
    async def link(self, link: Link[Config]) -> AsyncIterator[NumberGen]:
        yield SystemNumbers()
