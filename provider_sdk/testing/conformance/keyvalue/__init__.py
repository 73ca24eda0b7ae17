"""What every store behind the contract keyvalue has to do (wasmbus-0x.md §8.2): subclass `KeyValueConformance`.

It asks through `provider_sdk.contracts.keyvalue.KeyValue` alone, so that it judges an implementation as well as a provider
behind a lattice, by a caller of the contract. `ComponentConformance` does the same for the interfaces of 1.x (wrpc-1x.md §5.4).
"""

from __future__ import annotations

from provider_sdk.testing.conformance.keyvalue.batches import Batches
from provider_sdk.testing.conformance.keyvalue.concurrency import Concurrency
from provider_sdk.testing.conformance.keyvalue.expiry import Expiry
from provider_sdk.testing.conformance.keyvalue.generations import Generations
from provider_sdk.testing.conformance.keyvalue.imports import Imports, ImportsCapability, ImportsSuite
from provider_sdk.testing.conformance.keyvalue.keys import Keys
from provider_sdk.testing.conformance.keyvalue.kinds import Kinds
from provider_sdk.testing.conformance.keyvalue.limits import Sizes
from provider_sdk.testing.conformance.keyvalue.listing import Listing
from provider_sdk.testing.conformance.keyvalue.lists import Lists
from provider_sdk.testing.conformance.keyvalue.numbers import Numbers
from provider_sdk.testing.conformance.keyvalue.places import Places
from provider_sdk.testing.conformance.keyvalue.sequences import Sequences
from provider_sdk.testing.conformance.keyvalue.sets import Sets
from provider_sdk.testing.conformance.keyvalue.suite import Capability, KeyValueSuite
from provider_sdk.testing.conformance.keyvalue.texts import Counters, Texts
from provider_sdk.testing.conformance.keyvalue.values import BucketNames, Values
from provider_sdk.testing.conformance.keyvalue.watched import Watched

__all__ = [
    "Capability",
    "ComponentConformance",
    "Imports",
    "ImportsCapability",
    "ImportsSuite",
    "KeyValueConformance",
    "KeyValueSuite",
]


class KeyValueConformance(Texts, Counters, Lists, Sets, Kinds, Keys, Sizes, Expiry, Concurrency, Places, Sequences):
    """The whole suite. A subclass whose name begins with Test declares `capabilities` and gives `store()`."""


class ComponentConformance(Values, BucketNames, Listing, Numbers, Batches, Generations, Watched):
    """The whole suite for components. A subclass whose name begins with Test declares `capabilities` and gives `imports()`."""
