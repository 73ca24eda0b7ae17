"""Where an archive comes from that a verb is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def located(reference: str) -> Iterator[Path]:
    """The file of an archive for as long as it is looked at; one in a registry is fetched into the cache."""
    from provider_packaging.fetch import fetched, is_reference
    from provider_packaging.oci.reference import Reference

    if is_reference(reference):
        yield fetched(Reference.parse(reference))
    else:
        yield Path(reference.removeprefix("file://"))
