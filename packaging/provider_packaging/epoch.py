"""The time that a build is dated with: what SOURCE_DATE_EPOCH says (reproducible-builds.org), or what stands in for it."""

from __future__ import annotations

import os

from provider_sdk.errors import InvalidArgument

VARIABLE = "SOURCE_DATE_EPOCH"
EARLIEST = 315_532_800
"""1980-01-01, the earliest that a zip file can say."""


def told() -> int | None:
    """Seconds since 1970, None where the variable is not set; InvalidArgument where it says something else."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 11):
        raise InvalidArgument(f"{VARIABLE}={text!r}: a whole number of seconds since 1970-01-01 is expected")
    return int(text)
