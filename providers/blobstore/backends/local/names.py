"""How names are spelled on disk: one to one, and the usual names as they are.

A part of a name between slashes is a file or folder of that name where every file system takes it. What one of them does not take is
spelled `%xx`, its bytes in UTF-8. Where a file system does not tell capitals from small letters, or forms of one accented letter, both are
spelled so too (`folding`): then no two names meet, and nothing is lost where all is shown in small letters. Behind a `%` that no two digits
follow stands what is no part of the name:

- `%empty`: a part with nothing in it.
- `…%more`: a folder; the rest of a part too long for one file name is in it.
- `…%file`, `…%folder`: for an object `a` and others `a/…` side by side, whichever came later.

Files that others put there may be spelled otherwise: their name is that of the file, unless it is how another name is spelled. What begins
with a dot is hidden.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

LONGEST = 240
"""Bytes in a spelling; a mark, and what a file beside it needs, fit into the 255 of common file systems."""
LONGEST_FILE = 255
EMPTY, MORE, FILE, FOLDER = "%empty", "%more", "%file", "%folder"

_ENDS = 4
"""Bytes that the spelling of a part can grow at its two ends."""
_BAD = re.compile(r'[\x00-\x1f\x7f%<>:"\\|?*/]')
_BAD_FOLDED = re.compile(r'[\x00-\x1f\x7f%<>:"\\|?*/A-Z]|[^\x00-\x7f]')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\..*)?", re.IGNORECASE | re.DOTALL)
_ESCAPES = re.compile(r"(?:%[0-9a-f]{2})+")

Parts = tuple[str, ...]
"""The names of a file and of the folders around it that belong to one part of a name: mostly one."""


class Meaning(NamedTuple):
    """What a file or folder stands for. `partly`: only a beginning of the part; `rank`: which of several that mean the same counts."""

    text: str
    partly: bool = False
    rank: int = 0


@lru_cache(8192)
def spelled(text: str, *, folding: bool) -> Parts:
    """Where a part of a name is put."""
    if not text:
        return (EMPTY,)
    whole = _escaped(text, folding)
    if len(whole.encode()) <= LONGEST:
        return (whole,)
    *before, last = (_escaped(piece, folding) for piece in _pieces(text, folding))
    return *(piece + MORE for piece in before), last


@lru_cache(8192)
def spellings(text: str, *, folding: bool, folder: bool, slashes: bool = False) -> tuple[Parts, ...]:
    """Where a part of a name may be found, in the order that counts. `slashes`: it is a container's name, in which they are letters."""
    mark = FOLDER if folder else FILE
    plain = [spelled(text, folding=folding), spelled(text, folding=not folding)]
    found = plain + [(*parts[:-1], parts[-1] + mark) for parts in plain]
    if _one_file(text) and meaning((text,), folding=folding, folder=folder, slashes=slashes) == Meaning(text, rank=_RAW):
        found.append((text,))
    return tuple(dict.fromkeys(found))


_RAW = 4


def meaning(parts: Parts, *, folding: bool, folder: bool, slashes: bool = False) -> Meaning | None:
    """What a file or folder stands for, those that `…%more` is part of before it; None for what is hidden or no name."""
    last = parts[-1]
    if last.startswith("."):
        return None
    if len(parts) == 1 and "%" not in last:
        return _plain(last, folding)
    if folder and last.endswith(MORE):
        text = _joined(parts)
        return None if text is None else Meaning(text, partly=True)
    marked = last.endswith(mark := FOLDER if folder else FILE)
    bare = (*parts[:-1], last.removesuffix(mark))
    text = "" if bare == (EMPTY,) else _joined(bare)
    if text is not None and (slashes or "/" not in text):
        for rank, other in enumerate((folding, not folding)):
            if bare == spelled(text, folding=other):
                return Meaning(text, rank=rank + 2 * marked)
    return Meaning(last, rank=_RAW) if len(parts) == 1 and _is_text(last) else None


def _plain(name: str, folding: bool) -> Meaning | None:
    if not name.isascii() and not _is_text(name):
        return None
    if spelling_is_name(name, folding):
        return Meaning(name)
    return Meaning(name, rank=1 if spelling_is_name(name, not folding) else _RAW)


def spelling_is_name(name: str, folding: bool) -> bool:
    """Whether a part of a name is spelled as it is."""
    bad = _BAD_FOLDED if folding else _BAD
    return bool(
        name
        and not bad.search(name)
        and name[0] != "."
        and name[-1] not in ". "
        and (len(name) <= LONGEST // 4 or len(name.encode()) <= LONGEST)
        and not (name[0] in "cpanlCPANL" and _DEVICE.fullmatch(name))
    )


def _escaped(text: str, folding: bool) -> str:
    if spelling_is_name(text, folding):
        return text
    bad = _BAD_FOLDED if folding else _BAD
    first, last = 0, len(text) - 1
    odd_start = text[0] == "." or _DEVICE.fullmatch(text)
    odd_end = text[-1] in ". "
    return "".join(
        _hex(letter) if bad.match(letter) or (odd_start and at == first) or (odd_end and at == last) else letter
        for at, letter in enumerate(text)
    )


def _hex(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def _pieces(text: str, folding: bool) -> list[str]:
    bad = _BAD_FOLDED if folding else _BAD
    pieces, start, size = [], 0, 0
    for at, letter in enumerate(text):
        cost = len(letter.encode()) * (3 if bad.match(letter) else 1)
        if size + cost > LONGEST - _ENDS:
            pieces.append(text[start:at])
            start, size = at, 0
        size += cost
    return [*pieces, text[start:]]


def _joined(parts: Parts) -> str | None:
    texts = [_unescaped(part.removesuffix(MORE)) for part in parts]
    return None if None in texts else "".join(filter(None, texts))


def _unescaped(spelling: str) -> str | None:
    """The text of a spelling without marks; None where it is none."""
    if not spelling or "%" in _ESCAPES.sub("", spelling) or not _is_text(spelling):
        return None
    try:
        return _ESCAPES.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode(), spelling)
    except UnicodeDecodeError:
        return None


def _one_file(text: str) -> bool:
    return bool(text) and "/" not in text and "\0" not in text and len(text.encode()) <= LONGEST_FILE


def _is_text(name: str) -> bool:
    """Whether a file's name is UTF-8; Python shows other bytes as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
