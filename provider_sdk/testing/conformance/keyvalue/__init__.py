"""What every store behind the contract keyvalue has to do (wasmbus-0x.md §8.2): subclass `KeyValueConformance`.

It asks through `provider_sdk.contracts.keyvalue.KeyValue` alone, so that it judges an implementation as well as a provider
behind a lattice, by a caller of the contract.
"""

from __future__ import annotations

from provider_sdk.testing.conformance.keyvalue.concurrency import Concurrency
from provider_sdk.testing.conformance.keyvalue.expiry import Expiry
from provider_sdk.testing.conformance.keyvalue.keys import Keys
from provider_sdk.testing.conformance.keyvalue.kinds import Kinds
from provider_sdk.testing.conformance.keyvalue.limits import Sizes
from provider_sdk.testing.conformance.keyvalue.lists import Lists
from provider_sdk.testing.conformance.keyvalue.places import Places
from provider_sdk.testing.conformance.keyvalue.sequences import Sequences
from provider_sdk.testing.conformance.keyvalue.sets import Sets
from provider_sdk.testing.conformance.keyvalue.suite import Capability, KeyValueSuite
from provider_sdk.testing.conformance.keyvalue.texts import Counters, Texts

__all__ = ["Capability", "KeyValueConformance", "KeyValueSuite"]


class KeyValueConformance(Texts, Counters, Lists, Sets, Kinds, Keys, Sizes, Expiry, Concurrency, Places, Sequences):
    """The whole suite. A subclass whose name begins with Test declares `capabilities` and gives `store()`."""
