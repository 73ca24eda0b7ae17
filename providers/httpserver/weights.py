"""Header lists with weights, such as Accept and Accept-Encoding (RFC 9110 §12.4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WEIGHT = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)


def weighted(text: str) -> Iterator[tuple[str, float]]:
    """Each item in lower case, without its parameters, with its weight: 1 where it has none, 0 where that is not one."""
    for item in text.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
        yield name, float(weight) if _WEIGHT.fullmatch(weight) else 0.0
