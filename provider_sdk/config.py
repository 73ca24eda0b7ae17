"""Typed configuration: `Config`, `setting()` and the layers it is read from.

    class GreeterConfig(Config):
        greeting: str = setting("Hello", doc="Word placed before the name.")

    loaded = GreeterConfig.load(Layer("provider configuration", {...}), Layer("link values", {...}))

**Types**: str, bool, int, float, Secret, Path, Literal, Enum, list[T], tuple[T, ...], dict[str, T], another Config, and
`T | None` of each. What is read for each type stands in config_values.py.

**Names** match in any case, with "-" or "_" or neither between words: `maxSize`, `MAX_SIZE` and `max-size` are one name.

**Precedence**: a later layer overrides an earlier one, setting by setting, also inside a nested Config; null for a
`Config | None` discards what earlier layers said. Only the value that wins is read. Within one layer a setting is given
once: under two names it is an error. The exception are official names (those of the provider that ours replaces), which
may stand together: the one that is listed last wins, as it did there. A setting's own name may be an official one too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, dataclass_transform, get_type_hints, overload

from provider_sdk.config_values import Kind, Limits, Secret, Wrong, decoded, kind_of, one_line, optional, read_object, shown, without_none
from provider_sdk.errors import InvalidArgument

__all__ = ["UNGIVEN", "Config", "Layer", "Loaded", "Secret", "WrongSettings", "setting", "unfold_json"]

UNGIVEN = "the required setting "
"""What the fault of a setting that nobody gives begins with."""

T = TypeVar("T")
C_co = TypeVar("C_co", bound="Config", covariant=True)


@dataclass(frozen=True, slots=True)
class Layer:
    """One place that settings come from; `source` is what errors call it. Values of a `secret` layer are never shown."""

    source: str
    values: Mapping[str, object] = field(repr=False)
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Loaded(Generic[C_co]):
    """What a load gave: the configuration, one line for each name that no setting has, and one for each secret that was no secret."""

    config: C_co
    warnings: list[str]
    exposed: list[str]


class WrongSettings(InvalidArgument):
    """Layers that make no configuration: each of the `faults` by itself, and the lines that `Loaded` would have had beside it."""

    def __init__(self, faults: list[str], warnings: list[str], exposed: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults, self.warnings, self.exposed = faults, warnings, exposed


@dataclass(frozen=True, slots=True)
class _Setting:
    default: Any
    doc: str
    aliases: tuple[str, ...]
    official: tuple[str, ...]
    limits: Limits


@overload
def setting(
    default: T,
    *,
    doc: str,
    aliases: tuple[str, ...] = ...,
    official: tuple[str, ...] = ...,
    unit: str | None = ...,
    choices: tuple[Any, ...] | None = ...,
    minimum: float | None = ...,
    maximum: float | None = ...,
) -> T: ...
@overload
def setting(
    *,
    doc: str,
    aliases: tuple[str, ...] = ...,
    official: tuple[str, ...] = ...,
    unit: str | None = ...,
    choices: tuple[Any, ...] | None = ...,
    minimum: float | None = ...,
    maximum: float | None = ...,
) -> Any: ...
def setting(
    default: Any = MISSING,
    *,
    doc: str,
    aliases: tuple[str, ...] = (),
    official: tuple[str, ...] = (),
    unit: str | None = None,
    choices: tuple[Any, ...] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """Declare a setting; one without default is required.

    `aliases` are further names of our own, `official` those of the provider that ours replaces, lowest precedence first.
    `unit` is "seconds", "milliseconds" or "bytes": a bare number counts that, text may carry a suffix (ms, s, m, h; k, m,
    g in multiples of 1024). `minimum` and `maximum` count in that unit and are allowed values themselves.
    """
    for names in (aliases, official):
        if isinstance(names, str):
            raise TypeError(f"setting({names!r}): names are given as a tuple, ({names!r},)")
    return _Setting(default, doc, aliases, official, Limits(unit, choices, minimum, maximum))


# Without field_specifiers, since type checkers look for a default under the keyword `default` only: setting("Hello", ...)
# would count as required. So a checker sees every setting as optional, and a missing required one fails when it runs.
@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True, repr=False)
class Config:
    """Base of configurations: immutable, comparable, with secrets hidden in its repr.

    A subclass may define `__post_init__` and raise InvalidArgument or ValueError there for what spans several settings.
    """

    _hidden: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        inherited = {member.name for member in fields(cls)}
        for name, value in list(vars(cls).items()):
            if (isinstance(value, _Setting) or name in inherited) and name not in cls.__annotations__:
                raise TypeError(f"{cls.__name__}.{name}: a setting needs a type annotation")
            if isinstance(value, _Setting):
                if hasattr(Config, name):
                    raise TypeError(f"{cls.__name__}.{name}: the name belongs to Config itself")
                setattr(cls, name, _field(value))
        cls.__doc__ = cls.__doc__ or f"Settings: {cls.__name__}."  # otherwise dataclass spends time on making up a signature
        dataclass(frozen=True, kw_only=True, repr=False)(cls)
        for member in fields(cls):
            if "setting" not in member.metadata:
                raise TypeError(f"{cls.__name__}.{member.name}: declare it with setting(..., doc=...)")

    def __repr__(self) -> str:
        shown_ = (f"{m.name}={'<secret>' if m.name in self._hidden else repr(getattr(self, m.name))}" for m in fields(self))
        return f"{type(self).__name__}({', '.join(shown_)})"

    @classmethod
    def load(cls, *layers: Layer, ignore: Collection[str] | None = ()) -> Loaded[Self]:
        """Read the layers, lowest precedence first, after `expand` has unfolded each.

        Names in `ignore` are somebody else's and draw no warning, None means all of them. WrongSettings lists every
        fault in one line, each with source, name, value and what was expected.
        """
        reading = _Reading(None if ignore is None else {_fold(name) for name in ignore})
        unfolded: list[Layer] = []
        for layer in layers:
            try:
                unfolded += cls.expand(layer)
            except InvalidArgument as error:
                reading.faults.append(error.message)
        config = reading.config(cls, unfolded)
        if config is None or reading.faults:
            raise WrongSettings(reading.faults, reading.warnings, reading.exposed)
        return Loaded(config, reading.warnings, reading.exposed)

    @classmethod
    def expand(cls, layer: Layer) -> list[Layer]:
        """Unfold a layer into several, lowest precedence first: overridden for official forms such as `config_json`."""
        return [layer]

    @classmethod
    def names(cls) -> list[str]:
        """Every name that a setting of this class is known by."""
        return [name for member in _members(cls) for name in dict.fromkeys((member.name, *member.aliases, *member.official))]

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The settings as JSON Schema, draft 2020-12, with other names under `x-aliases` and `x-official`."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": cls.__name__, **_schema(cls)}

    @classmethod
    def describe(cls) -> str:
        """The settings as a table in Markdown; those of a nested Config follow it with dotted names."""
        head = ["| Setting | Value | Default | Meaning | Other names |", "|---|---|---|---|---|"]
        return "\n".join([*head, *_rows(cls, "")]) + "\n"


def unfold_json(layer: Layer, keys: tuple[str, ...] = ("config_b64", "config_json")) -> list[Layer]:
    """The objects under `keys` as layers of their own, lowest precedence first, below the rest of the layer.

    A value is JSON text, or where the key ends in "b64" its base64: either alphabet, with or without padding. Empty ones
    are skipped. InvalidArgument for anything else; it names the key and shows no value.
    """
    rest, found, faults = dict(layer.values), list[Layer](), list[str]()
    for name in keys:
        given = [key for key in layer.values if _fold(key) == _fold(name)]
        if len(given) > 1:
            faults.append(_same(layer, given))
        for key in given:
            value, encoded = rest.pop(key), _fold(key).endswith("b64")
            try:
                if value is not None and value != "":
                    values = read_object(decoded(value) if encoded else value)
                    found.append(replace(layer, source=f"{layer.source}: {one_line(key)}", values=values))
            except Wrong:
                faults.append(f"{layer.source}: {one_line(key)}: the value is not {'base64 of ' if encoded else ''}a JSON object")
    if faults:
        raise InvalidArgument("; ".join(faults))
    return [*found, replace(layer, values=rest)]


@dataclass(frozen=True, slots=True)
class _Member:
    """A setting with its annotation understood; `own` and `ranked` are folded names, ours and the official ones."""

    name: str
    doc: str
    default: Any
    aliases: tuple[str, ...]
    official: tuple[str, ...]
    own: frozenset[str]
    ranked: tuple[str, ...]
    kind: Kind
    nested: type[Config] | None


_MEMBERS: dict[type[Any], tuple[_Member, ...]] = {}


@dataclass(slots=True)
class _Reading:
    """One load: the names to pass over (None: all unknown ones), and the faults, warnings and secrets in plain layers met so far."""

    ignore: set[str] | None
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    exposed: list[str] = field(default_factory=list)

    def config(self, cls: type[T], layers: list[Layer], base: Config | None = None, path: str = "") -> T | None:
        """A `cls` (a Config) of the layers over `base`; None after a fault."""
        before = len(self.faults)
        members = _members(cls)
        given: dict[str, list[tuple[Layer, str]]] = {}
        for layer in layers:
            for name, key in self._matched(members, layer):
                given.setdefault(name, []).append((layer, key))
        values = {member.name: getattr(base, member.name) for member in members} if base is not None else {}
        for member in members:
            if member.name in given:
                values[member.name] = self._value(member, given[member.name], path)
            elif member.default is MISSING and base is None:
                self.faults.append(f"{UNGIVEN}{path}{member.name} is missing: {' '.join(member.doc.split())}")
        if len(self.faults) > before:
            return None
        return self._made(cls, values, frozenset(name for name, places in given.items() if places[-1][0].secret), path)

    def _made(self, cls: type[T], values: dict[str, Any], hidden: frozenset[str], path: str) -> T | None:
        try:
            config = cls(**values)
        except (InvalidArgument, ValueError) as error:
            self.faults.append(f"{path.removesuffix('.')}: {error}" if path else str(error))
            return None
        if hidden:
            object.__setattr__(config, "_hidden", hidden)
        return config

    def _matched(self, members: tuple[_Member, ...], layer: Layer) -> Iterator[tuple[str, str]]:
        """For each setting that the layer gives: its name, and the key under which the winning value stands."""
        found: dict[str, list[str]] = {}
        for key in layer.values:
            found.setdefault(_fold(key), []).append(key)
        known = {name for member in members for name in (*member.own, *member.ranked)}
        for folded, keys in found.items():
            if folded not in known and (self.ignore is None or folded in self.ignore):
                continue
            if len(keys) > 1:
                self.faults.append(_same(layer, keys))
            elif folded not in known:
                self.warnings.append(f"{layer.source}: unknown setting {shown(keys[0])} is ignored{_nearest(keys[0], members)}")
        for member in members:
            ours = [keys[0] for folded, keys in found.items() if folded in member.own]
            theirs = [found[name][0] for name in member.ranked if name in found]
            if len(ours) > 1 or (ours and theirs):
                self.faults.append(_same(layer, ours + theirs))
            elif ours or theirs:
                yield member.name, (ours + theirs)[-1]

    def _value(self, member: _Member, places: list[tuple[Layer, str]], path: str) -> Any:
        if member.nested is None:
            return self._read(member, *places[-1])
        inner: list[Layer] = []
        for layer, key in places:
            values = self._read(member, layer, key)
            if values is None:
                inner.clear()
            else:
                inner.append(replace(layer, source=f"{layer.source}: {one_line(key)}", values=values))
        base = member.default if isinstance(member.default, Config) else None
        return self.config(member.nested, inner, base, f"{path}{member.name}.") if inner else None

    def _read(self, member: _Member, layer: Layer, key: str) -> Any:
        value = layer.values[key]
        if member.kind.secret and member.nested is None and value and not layer.secret:
            self.exposed.append(f"{layer.source}: {one_line(key)} is a secret, and stands in plain configuration: give it as a secret")
        try:
            return member.kind.read(value)
        except Wrong:
            text = "<secret>" if member.kind.secret or layer.secret else shown(value)
            text = f"{text} (bytes that are not UTF-8)" if isinstance(value, bytes) else text
            self.faults.append(f"{layer.source}: {one_line(key)}: {text} is not {member.kind.wanted}")
            return None


def _field(declared: _Setting) -> Any:
    metadata = {"setting": declared}
    default = declared.default
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def _members(cls: type[Any]) -> tuple[_Member, ...]:
    """The settings of a Config in order; TypeError where a declaration cannot be understood."""
    known = _MEMBERS.get(cls)
    if known is None:
        known = _MEMBERS[cls] = _understood(cls)
    return known


def _understood(cls: type[Any]) -> tuple[_Member, ...]:
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise TypeError(f"{cls.__name__}: {error} in an annotation; settings need names that their module knows") from error
    members = tuple(_member(cls, declared, hints[declared.name]) for declared in fields(cls))
    owners: dict[str, str] = {}
    for member in members:
        for name in (*member.own, *member.ranked):
            if owners.setdefault(name, member.name) != member.name:
                raise TypeError(f"{cls.__name__}.{member.name}: shares the name {name!r} with {owners[name]}")
    return members


def _member(cls: type[Config], declared: Field[Any], annotation: Any) -> _Member:
    given: _Setting = declared.metadata["setting"]
    bare, nullable = without_none(annotation)
    nested = bare if isinstance(bare, type) and issubclass(bare, Config) else None
    try:
        kind = _object(cls, nested, given.limits) if nested else kind_of(bare, given.limits)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.{declared.name}: {error}") from None
    ranked = tuple(map(_fold, given.official))
    own = frozenset(map(_fold, (declared.name, *given.aliases))) - set(ranked)
    kind = optional(kind) if nullable else kind
    return _Member(declared.name, given.doc, given.default, given.aliases, given.official, own, ranked, kind, nested)


def _object(cls: type[Config], nested: type[Config], limits: Limits) -> Kind:
    if limits != Limits() or issubclass(nested, cls):
        raise TypeError("a nested Config takes no unit, choices or bounds, and is not the class itself")
    return Kind("a JSON object", read_object, _schema(nested), any(member.kind.secret for member in _members(nested)))


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _same(layer: Layer, keys: list[str]) -> str:
    return f"{layer.source}: {' and '.join(map(shown, keys))} name the same setting: give only one of them"


def _nearest(key: str, members: tuple[_Member, ...]) -> str:
    from difflib import get_close_matches  # needed after a mistake only, and slow to import

    names = {name.lower(): name for member in members for name in (*member.official, *member.aliases, member.name)}
    close = get_close_matches(one_line(key).lower(), names, 1)
    return f": did you mean {shown(names[close[0]])}?" if close else ""


def _schema(cls: type[Config]) -> dict[str, Any]:
    members = _members(cls)
    schema: dict[str, Any] = {"type": "object", "properties": {member.name: _property(member) for member in members}}
    required = [member.name for member in members if member.default is MISSING]
    return schema | ({"required": required} if required else {})


def _property(member: _Member) -> dict[str, Any]:
    extra: dict[str, Any] = {"description": f"{member.doc} {member.kind.note}".strip()}
    if member.default is not MISSING and not isinstance(member.default, Secret):
        extra["default"] = _plain(member.default)
    extra |= {"x-aliases": list(member.aliases)} if member.aliases else {}
    extra |= {"x-official": list(member.official)} if member.official else {}
    return {**member.kind.schema, **extra}


def _plain(value: Any) -> Any:
    """A default as JSON, without any secret."""
    if isinstance(value, Config):
        return {m.name: _plain(getattr(value, m.name)) for m in fields(value) if not isinstance(getattr(value, m.name), Secret)}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value if not isinstance(part, Secret)]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items() if not isinstance(part, Secret)}
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _rows(cls: type[Config], path: str) -> Iterator[str]:
    for member in _members(cls):
        names = ", ".join(f"`{name}`" for name in (*member.aliases, *member.official))
        cells = (f"`{path}{member.name}`", member.kind.wanted, _default(member), member.doc, names)
        yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
        if member.nested is not None:
            yield from _rows(member.nested, f"{path}{member.name}.")


def _default(member: _Member) -> str:
    if member.default is MISSING:
        return "required"
    if member.default is None or isinstance(member.default, (Secret, Config)):
        return "none" if member.default is None else ""
    return f"`{json.dumps(_plain(member.default), ensure_ascii=False)}`"
