"""Values of settings: `Secret`, and for every type that a setting may have, how a given value is read and described.

A value is JSON (true, 8080, ["a"]) or text ("true", "8080", "a,b"), since link values are text only. Nothing here
puts a value into an exception: `Wrong` is bare, and the one place that prints a value is `shown`.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

_SHOWN = 60
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_NUMBER = re.compile(r"([+-]?\d{1,400})(?:\.(\d{1,400}))?(?:[eE]([+-]?\d{1,3}))?\s*([A-Za-z]*)", re.ASCII)
_TIMES = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_SIZES = {"b": 1} | {letter + rest: 1024**power for power, letter in enumerate("kmg", 1) for rest in ("", "b", "ib")}


class Secret:
    """Text that no log, repr, error or JSON shows; `reveal()` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: hand it to whom it is for and keep it out of everything else."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    def __format__(self, spec: str) -> str:
        return format("<secret>", spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)


class Wrong(Exception):
    """A value does not fit its kind; carries nothing, since the value may be a secret."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What narrows a setting's type; `minimum` and `maximum` count in `unit` and include their own value."""

    unit: str | None = None
    choices: tuple[Any, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one type are read: `read` gives the typed value or raises Wrong; `wanted` completes "x is not …"."""

    wanted: str
    read: Callable[[object], Any]
    schema: dict[str, Any]
    secret: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Exact arithmetic in whole numbers: a bare number counts `base` of the smallest part, a suffixed one its multiple."""

    base: int
    multiples: dict[str, int]
    wanted: str
    note: str


_PLAIN_UNIT = _Unit(1, {}, "", "")
_UNITS = {
    "seconds": _Unit(1000, _TIMES, "a time in {whole}seconds (or with ms, s, m or h)", "In seconds; text may carry ms, s, m or h."),
    "milliseconds": _Unit(
        1, _TIMES, "a time in {whole}milliseconds (or with ms, s, m or h)", "In milliseconds; text may carry ms, s, m or h."
    ),
    "bytes": _Unit(
        1,
        _SIZES,
        "a size in bytes (or with k, m or g in multiples of 1024)",
        "In bytes; text may carry k, m or g (also kB, KiB) in multiples of 1024.",
    ),
}


def one_line(text: str) -> str:
    """`text` cut to a readable length, with everything escaped that could break or forge a line."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def shown(value: object) -> str:
    """A value as one short line of JSON for an error message; never call it with a secret."""
    try:
        return one_line(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"


def read_object(value: object) -> Mapping[str, object]:
    """A JSON object, given as such or as its text; Wrong for anything else."""
    parsed = _parsed(value) if isinstance(value, str) else value
    if not isinstance(parsed, Mapping):
        raise Wrong
    return parsed


def decoded(value: object) -> str:
    """Base64 as text, in either alphabet, with or without padding; Wrong for anything else."""
    if not isinstance(value, str):
        raise Wrong
    bare = "".join(value.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True).decode()
    except ValueError:
        raise Wrong from None


def without_none(annotation: Any) -> tuple[Any, bool]:
    """`T | None` as (T, True), anything else as it is with False."""
    members = get_args(annotation)
    if get_origin(annotation) not in (Union, UnionType) or len(members) != 2 or type(None) not in members:
        return annotation, False
    return next(member for member in members if member is not type(None)), True


def optional(kind: Kind) -> Kind:
    """The kind that also takes null and, unless it is text itself, empty text: both mean None."""
    textual = kind.schema.get("type") == "string" and "enum" not in kind.schema and kind.schema.get("format") != "path"

    def read(value: object) -> Any:
        return None if value is None or (value == "" and not textual) else kind.read(value)

    return Kind(kind.wanted, read, {"anyOf": [kind.schema, {"type": "null"}]}, kind.secret, kind.note)


def kind_of(annotation: Any, limits: Limits) -> Kind:
    """The kind of a setting's annotation (without `| None`); TypeError where it or its limits are not supported."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (int, float):
        return _number(annotation, limits)
    if (limits.unit, limits.minimum, limits.maximum) != (None, None, None):
        raise TypeError("unit, minimum and maximum are for int and float only")
    if limits.choices is not None:
        if annotation is not str:
            raise TypeError("choices are for str, int and float only")
        return _choice({choice: choice for choice in limits.choices})
    if origin is list or (origin is tuple and arguments[1:] == (...,)):
        return _sequence(origin, _scalar(arguments[0]))
    if origin is dict and arguments[0] is str:
        return _mapping(_scalar(arguments[1]))
    return _scalar(annotation)


def _scalar(annotation: Any) -> Kind:
    if annotation in (int, float):
        return _number(annotation, Limits())
    if get_origin(annotation) is Literal and None not in get_args(annotation):
        return _choice({value: value for value in get_args(annotation)})
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _choice({member.value: member for member in annotation})
    for kind, known in _SCALARS:
        if annotation is known:
            return kind
    raise TypeError(f"{annotation!r} is not a type that a setting can have")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Wrong from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Wrong
    return value


def _word(value: object) -> str:
    """A bool, a whole number or text as bare text; Wrong for anything else and for numbers too long to print."""
    if not isinstance(value, (bool, int, str)):
        raise Wrong
    try:
        return str(value).strip()
    except ValueError:
        raise Wrong from None


def _path(value: object) -> Path:
    text = _text(value)
    if not text or "\0" in text:
        raise Wrong
    return Path(text)


def _boolean(value: object) -> bool:
    word = _word(value).lower()
    if word not in _TRUE | _FALSE:
        raise Wrong
    return word in _TRUE


_SCALARS: tuple[tuple[Kind, type], ...] = (
    (Kind("text", _text, {"type": "string"}), str),
    (Kind("text", lambda value: Secret(_text(value)), {"type": "string", "writeOnly": True}, secret=True), Secret),
    (Kind("a path", _path, {"type": "string", "format": "path"}), Path),
    (Kind("true or false", _boolean, {"type": "boolean"}), bool),
)


def _choice(choices: Mapping[Any, Any]) -> Kind:
    """One of a few values: as it is written or, where that finds none, in any case."""
    exact = {str(value): result for value, result in choices.items()}
    folded = {text.lower(): result for text, result in exact.items()}

    def read(value: object) -> Any:
        text = _word(value)
        if text in exact:
            return exact[text]
        if text.lower() in folded:
            return folded[text.lower()]
        raise Wrong

    of_text = {"type": "string"} if all(isinstance(value, str) for value in choices) else {}
    return Kind(f"one of {', '.join(map(shown, choices))}", read, {**of_text, "enum": list(choices)})


def _sequence(origin: type, item: Kind) -> Kind:
    def read(value: object) -> Any:
        if isinstance(value, str):
            bracketed = value.lstrip().startswith("[")
            value = _parsed(value) if bracketed else [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, (list, tuple)):
            raise Wrong
        return origin(item.read(part) for part in value)

    wanted = f"a list (JSON array or comma separated) whose every item is {item.wanted}"
    return Kind(wanted, read, {"type": "array", "items": item.schema}, item.secret)


def _mapping(item: Kind) -> Kind:
    def read(value: object) -> dict[str, Any]:
        return {key: item.read(part) for key, part in read_object(value).items()}

    schema = {"type": "object", "additionalProperties": item.schema}
    return Kind(f"a JSON object whose every value is {item.wanted}", read, schema, item.secret)


def _number(type_: type[int | float], limits: Limits) -> Kind:
    if limits.unit is not None and limits.unit not in _UNITS:
        raise TypeError(f"unit {limits.unit!r} is none of {', '.join(_UNITS)}")
    unit = _UNITS[limits.unit] if limits.unit else _PLAIN_UNIT
    whole = type_ is int

    def read(value: object) -> int | float:
        number = _amount(value, unit, whole)
        outside = (limits.minimum is not None and number < limits.minimum) or (limits.maximum is not None and number > limits.maximum)
        if outside or (limits.choices is not None and number not in limits.choices):
            raise Wrong
        return number

    name = "integer" if whole else "number"
    schema: dict[str, Any] = {"type": [name, "string"] if limits.unit else name}
    bounds = {"enum": limits.choices and list(limits.choices), "minimum": limits.minimum, "maximum": limits.maximum}
    schema |= {key: bound for key, bound in bounds.items() if bound is not None}
    return Kind(_wanted(unit, whole, limits), read, schema, note=unit.note)


def _amount(value: object, unit: _Unit, whole: bool) -> int | float:
    """The number in its unit, computed in whole numbers so that "4.35s" is 4350 ms and not a little less."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Wrong
    try:
        match = _NUMBER.fullmatch(str(value).strip())
        if match is None:
            raise Wrong
        digits, places, exponent, suffix = match[1], match[2] or "", int(match[3] or 0), match[4].lower()
        multiple = unit.multiples.get(suffix) if suffix else unit.base
        if multiple is None:
            raise Wrong
        above: int = int(digits + places) * multiple * 10 ** max(exponent, 0)
        below: int = 10 ** (len(places) + max(-exponent, 0)) * unit.base
        if whole and above % below:
            raise Wrong
        return above // below if whole else above / below
    except (ValueError, OverflowError):
        raise Wrong from None


def _wanted(unit: _Unit, whole: bool, limits: Limits) -> str:
    if limits.choices is not None:
        return f"one of {', '.join(map(shown, limits.choices))}"
    what = unit.wanted.format(whole="whole " if whole else "") or ("a whole number" if whole else "a number")
    if limits.minimum is not None and limits.maximum is not None:
        return f"{what} from {limits.minimum} to {limits.maximum}"
    if limits.minimum is not None:
        return f"{what} of at least {limits.minimum}"
    return what if limits.maximum is None else f"{what} of at most {limits.maximum}"
