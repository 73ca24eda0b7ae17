"""The two wire eras of 1.x (wrpc-1x.md §0.3): what differs between hosts of v1.0 and those from v1.1 on."""

from __future__ import annotations

from enum import Enum


class Era(Enum):
    """`FIRST`: hosts v1.0.0 to v1.0.4. `SECOND`: v1.1.0 to v1.9.2; its host data has X keys."""

    FIRST = "A"
    SECOND = "B"
