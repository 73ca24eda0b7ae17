"""Listing objects: from any text on, below any other, though a server may refuse what cannot be the beginning of a name there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from providers.blobstore.backend import LONGEST_NAME, LONGEST_SEGMENT, ObjectInfo
from providers.blobstore.backends.s3.objects import BATCH, listed


@dataclass(frozen=True)
class Asked:
    """Objects of the keys that begin with `base`, whose names begin with `prefix` and are behind `behind`."""

    base: str
    prefix: str
    behind: str
    any_name: bool

    @property
    def narrower(self) -> bool:
        """Whether the server gives more than what is wanted."""
        return self._askable(self.prefix) != self.prefix

    def question(self, behind: str) -> dict[str, Any] | None:
        """What the server is asked, for names behind that one; None where there can be none."""
        prefix, behind = self._askable(self.prefix), self._askable(behind)
        if not behind.startswith(prefix):
            # Some servers find nothing where the two do not fit.
            if behind > prefix:
                return None
            behind = ""
        after = self.base + behind
        return {"Prefix": self.base + prefix, **({"StartAfter": after} if after else {})}

    def _askable(self, text: str) -> str:
        """The longest beginning of the text that a server takes. Names that are too early for the text itself are passed over later."""
        text = _cut(text, LONGEST_NAME - len(self.base.encode()))
        if self.any_name:
            return text
        text = text[: next((at for at, c in enumerate(text) if c < " " or c == "\x7f"), len(text))]
        kept = ""
        *parts, last = text.split("/")
        for part in parts:
            if part in ("", ".", "..") or len(part.encode()) > LONGEST_SEGMENT:
                return kept + (_cut(part, LONGEST_SEGMENT) if len(part) > len("..") else "")
            kept += f"{part}/"
        return kept + ("" if last in (".", "..") else _cut(last, LONGEST_SEGMENT))

    def wanted(self, name: str) -> bool:
        """Whether an object that the server names is part of the answer."""
        # What some tools put there to show a folder cannot be had under that name.
        return name > self.behind and name.startswith(self.prefix) and (self.any_name or not name.endswith("/"))

    def beyond(self, name: str) -> bool:
        """Whether this name and all that follow are not."""
        return name > self.prefix and not name.startswith(self.prefix)


def parents(name: str) -> list[str]:
    """The names that end where this one has a slash, the shortest first."""
    return [name[:at] for at, c in enumerate(name) if c == "/"]


def _cut(text: str, size: int) -> str:
    return text if len(text.encode()) <= size else text.encode()[:size].decode(errors="ignore")


async def some(
    asked: Asked, begin: str, most: int, ask: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
) -> tuple[list[ObjectInfo], bool]:
    """At least one object where there are any, `most` or some more, and whether there are others; the server begins behind `begin`."""
    found: list[ObjectInfo] = []
    more = True
    while more and len(found) < most + asked.narrower:
        question = asked.question(begin)
        if question is None:
            return found, False
        # Asked for one key, minio answers with the one that is the prefix, and says that there are no others.
        answer = await ask({**question, "MaxKeys": max(2, min(BATCH, most - len(found)))})
        page = [listed(entry, asked.base) for entry in answer.get("Contents", ()) if entry["Key"] != asked.base]
        found += (info for info in page if asked.wanted(info.name))
        if not page or asked.beyond(page[-1].name):
            return found, False
        begin, more = page[-1].name, bool(answer.get("IsTruncated"))
    return found, more
