"""What every store behind wrpc:blobstore has to do (wrpc-1x.md §5.3), in version 0.2.0 and in 0.1.0: subclass one of the two."""

from __future__ import annotations

from provider_sdk.contracts.wasi_blobstore import EarlyWasiBlobstore
from provider_sdk.testing.conformance.blobstore.component_containers import ComponentContainers
from provider_sdk.testing.conformance.blobstore.component_objects import (
    ComponentCopies,
    ComponentLists,
    ComponentObjects,
    ComponentRanges,
)
from provider_sdk.testing.conformance.blobstore.component_places import ComponentPlaces
from provider_sdk.testing.conformance.blobstore.component_sequences import ComponentSequences
from provider_sdk.testing.conformance.blobstore.component_streams import ComponentFutures, ComponentStreams


class _Both(
    ComponentContainers,
    ComponentObjects,
    ComponentRanges,
    ComponentLists,
    ComponentCopies,
    ComponentStreams,
    ComponentPlaces,
    ComponentSequences,
):
    """What both versions have."""


class WasiBlobstoreConformance(_Both, ComponentFutures):
    """The whole suite of 0.2.0. A subclass whose name begins with Test declares `capabilities` and gives `store()`."""


class EarlyWasiBlobstoreConformance(_Both):
    """The whole suite of 0.1.0."""

    version = EarlyWasiBlobstore
