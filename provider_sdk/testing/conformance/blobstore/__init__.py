"""What every store behind the contract blobstore has to do (wasmbus-0x.md §8.8): subclass `BlobstoreConformance`; for 1.x see component.py.

It asks through `provider_sdk.contracts.blobstore.Blobstore` alone and gets chunks as a `ChunkReceiver`, so that it judges an
implementation as well as a provider behind a lattice, by a caller of the contract.
"""

from __future__ import annotations

from provider_sdk.testing.conformance.blobstore.component import EarlyWasiBlobstoreConformance, WasiBlobstoreConformance
from provider_sdk.testing.conformance.blobstore.component_suite import WasiBlobstoreSuite
from provider_sdk.testing.conformance.blobstore.concurrency import Concurrency
from provider_sdk.testing.conformance.blobstore.containers import Containers
from provider_sdk.testing.conformance.blobstore.downloads import Downloads
from provider_sdk.testing.conformance.blobstore.listings import Listings
from provider_sdk.testing.conformance.blobstore.names import Names
from provider_sdk.testing.conformance.blobstore.objects import Objects
from provider_sdk.testing.conformance.blobstore.places import Places
from provider_sdk.testing.conformance.blobstore.ranges import Ranges
from provider_sdk.testing.conformance.blobstore.sequences import Sequences
from provider_sdk.testing.conformance.blobstore.suite import BlobstoreSuite, Capability
from provider_sdk.testing.conformance.blobstore.uploads import Uploads

__all__ = [
    "BlobstoreConformance",
    "BlobstoreSuite",
    "Capability",
    "EarlyWasiBlobstoreConformance",
    "WasiBlobstoreConformance",
    "WasiBlobstoreSuite",
]


class BlobstoreConformance(Containers, Objects, Ranges, Listings, Uploads, Downloads, Names, Concurrency, Places, Sequences):
    """The whole suite. A subclass whose name begins with Test declares `capabilities` and gives `store(receiver)`."""
