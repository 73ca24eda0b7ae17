"""Names of WIT and names of Python: `open-file` is the class OpenFile and the member open_file.

Acronyms stay what they are in classes: `DNS-timeout` is DNSTimeout. Names of types, cases, members and parameters are in no message of
1.x hosts; those of interfaces and functions are (wrpc-1x.md §3.1), and are kept to the letter.
"""

from __future__ import annotations

import builtins
import keyword
import re

LABEL = re.compile(r"(?:[a-z][0-9a-z]*|[A-Z][0-9A-Z]*)(?:-(?:[0-9a-z]+|[0-9A-Z]+))*")
IDENTITY = re.compile(rf"((?:{LABEL.pattern}:)+{LABEL.pattern})/({LABEL.pattern})(?:@(\d+\.\d+\.\d+[0-9A-Za-z.+-]*))?")
_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")
_ACRONYM = re.compile(r"[A-Z]{2,}[0-9]*")
_METHODS = frozenset({"at", "operations"})
_ANNOTATIONS = frozenset({"bool", "bytes", "dict", "float", "int", "list", "self", "str", "tuple", "type"})


def wit_name(name: str) -> str:
    """The WIT name of a class: `OpenFile` → `open-file`, `DNSTimeout` → `DNS-timeout`."""
    words = [word for word in _BORDER.split(name) if word]
    return "-".join(word if _ACRONYM.fullmatch(word) else word.lower() for word in words)


def class_name(name: str) -> str:
    """The class of a WIT name: `open-file` → `OpenFile`."""
    return "".join(word if _ACRONYM.fullmatch(word) else word.capitalize() for word in name.split("-"))


def member_name(name: str) -> str:
    """The member or parameter of a WIT name: `open-file` → `open_file`; what would hide a name that is needed ends in `_`."""
    found = name.replace("-", "_").lower()
    return f"{found}_" if keyword.iskeyword(found) or found in _ANNOTATIONS else found


def method_name(name: str) -> str:
    """The method of a WIT function, likewise."""
    found = member_name(name)
    return f"{found}_" if found in _METHODS else found


def constant_name(name: str) -> str:
    """The member of an enum or of flags: `read-only` → `READ_ONLY`."""
    return name.replace("-", "_").upper()


def repeated(names: list[str]) -> str:
    """The first name that stands there twice, in upper or lower case; empty where none does."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return ""


def is_builtin(name: str) -> bool:
    """Whether Python has something of that name by itself."""
    return hasattr(builtins, name)
