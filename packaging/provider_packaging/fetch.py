"""Provider archives for the dev lattice (entry point group `provider_sdk.archives`)."""

from __future__ import annotations

from provider_sdk.errors import Unsupported
from provider_sdk.runnable import Runnable


def runnable(reference: str) -> Runnable:
    """How the provider of an archive is started on this machine."""
    raise Unsupported(f"{reference}: archives are not started yet")
