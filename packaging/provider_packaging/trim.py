"""What is left out of a frozen program: imports that are not followed, and data files that nothing reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

EDGES: dict[str, tuple[str, ...]] = {
    "_sitebuiltins": ("pydoc",),
    "asyncpg": ("cryptography",),
    "botocore": ("awscrt", "cryptography", "OpenSSL", "pip"),
    "concurrent.futures": ("concurrent.futures.process", "multiprocessing"),
    "encodings": ("_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp", "_codecs_kr", "_codecs_tw", "_multibytecodec"),
    "msgspec": ("attr", "attrs", "tomli", "tomli_w", "yaml"),
    "nacl": ("cffi", "setuptools"),
    "nats": ("cryptography", "nkeys"),
    "redis": ("OpenSSL", "cryptography", "requests"),
    "requests": ("OpenSSL", "chardet", "cryptography", "simplejson", "urllib3.contrib.pyopenssl"),
    "site": ("readline", "rlcompleter", "sitecustomize", "usercustomize"),
    "urllib3": (
        "OpenSSL",
        "backports",
        "brotli",
        "brotlicffi",
        "cryptography",
        "h2",
        "socks",
        "urllib3.contrib.emscripten",
        "urllib3.contrib.pyopenssl",
    ),
}
"""Imports that are not followed from a package: optional ones, and those of development. Who else imports the same gets it all the same."""

EXCLUDED = ("setuptools._vendor",)
"""PyInstaller takes these for the packages that they are copies of, whenever one of them is imported somewhere in a `try`."""

_JUNK = (
    "**/examples-1.json",
    "**/examples-1.json.gz",
    "**/*.pyi",
    "**/py.typed",
    "**/*.c",
    "**/*.h",
    "**/*.pyx",
    "**/*.pxd",
    "**/tests/**",
)
_METADATA = ("METADATA", "PKG-INFO", "entry_points.txt")
INFO = (".dist-info", ".egg-info")
"""Ends of the names of folders that describe an installed package."""


def edges(include: Iterable[str], unwanted: Iterable[str], importers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """For each package the imports that are not followed from it: EDGES, and of the `importers` all that is `unwanted`; never what
    is asked for by `include`."""
    asked = {name.removesuffix(".*") for name in include}
    found = {name: set(cut) for name, cut in EDGES.items()}
    for importer in importers:
        found.setdefault(importer, set()).update(unwanted)
    return {name: tuple(sorted(cut - asked)) for name, cut in sorted(found.items()) if cut - asked}


def is_kept(path: str) -> bool:
    """Whether a data file that a hook has found is of use: `path` is where it would lie, from the program's folder."""
    folder = path.split("/", maxsplit=1)[0]
    if folder.endswith(INFO):
        return PurePosixPath(path).name in _METADATA
    return not is_junk(path)


def is_junk(path: str) -> bool:
    """Whether nothing reads such a file while a program runs."""
    return any(matches(path, pattern) for pattern in _JUNK)


def matches(path: str, pattern: str) -> bool:
    """Whether a relative path with `/` matches: `*` stays within a name, `**` goes through folders."""
    return re.fullmatch("".join(_PARTS.get(part, re.escape(part)) for part in _SPLIT.split(pattern)), path) is not None


_SPLIT = re.compile(r"(\*\*/|\*\*|\*|\?)")
_PARTS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
