"""The licence of a distribution as CycloneDX wants it said: an SPDX expression where its metadata gives one, else its own words.

Core metadata has said it in three ways: License-Expression (PEP 639), the free text of License, and classifiers, of which PEP 639 calls
most ambiguous ("BSD License"). Nothing is guessed from those.
"""

from __future__ import annotations

from email.message import Message
from importlib.metadata import PackageMetadata
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

UNKNOWN: list[dict[str, Any]] = [{"license": {"name": "unknown"}}]

_LONGEST = 100
_SAYS_NOTHING = {"", "unknown", "license", "licence", "none", "see license", "see license file", "dual license"}
_BY_CLASSIFIER = {
    "Blue Oak Model License (BlueOak-1.0.0)": "BlueOak-1.0.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "CMU License (MIT-CMU)": "MIT-CMU",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "zlib/libpng License": "Zlib",
}


def expression(text: str) -> list[dict[str, Any]]:
    """`text`, an SPDX expression, as the licences of a component."""
    return [{"expression": text, "acknowledgement": "declared"}]


def licences(metadata: PackageMetadata | Message) -> list[dict[str, Any]]:
    """The licences of a component, by the metadata of its distribution. Never empty: what is not said is `unknown`."""
    classifiers = [words[-1] for words in (text.split(" :: ") for text in metadata.get_all("Classifier") or []) if words[0] == "License"]
    classifiers = [text for text in classifiers if text not in {"OSI Approved", "DFSG approved"}]
    said = " ".join((metadata["License"] or "").split()) if "License" in metadata else ""
    given = (metadata["License-Expression"] or "") if "License-Expression" in metadata else ""
    for text in (given, said, _BY_CLASSIFIER.get(classifiers[0], "") if len(classifiers) == 1 else ""):
        if found := _spdx(text):
            return expression(found)
    if said.lower() in _SAYS_NOTHING or len(classifiers) > 1 or len(said) > _LONGEST:
        return [_named(text) for text in sorted(classifiers)] or ([_named(said)] if len(said) > _LONGEST else UNKNOWN)
    return [_named(said)]


def _named(text: str) -> dict[str, Any]:
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return {"license": {"name": short, "acknowledgement": "declared"}}


def _spdx(text: str) -> str:
    if not text or len(text) > 1000:
        return ""
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return ""
