"""Where an archive comes from that a verb is given."""

from __future__ import annotations

from pathlib import Path


def located(reference: str) -> Path:
    """The file of an archive; one in a registry is fetched into the cache."""
    from provider_packaging.fetch import fetched, is_reference
    from provider_packaging.oci.reference import Reference

    return fetched(Reference.parse(reference)) if is_reference(reference) else Path(reference.removeprefix("file://"))
