"""Official forms of settings, unfolded into layers: files, JSON, names of single values (wasmbus-0x.md §9.1, wrpc-1x.md §5.2)."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

from provider_sdk import InvalidArgument, Layer
from provider_sdk.config import unfold_json

# Names that 1.x has for settings of an object: which object, and which setting.
_FLAT = {
    f"{group}{name}".replace("_", ""): (group, name)
    for group, names in {
        "tls": ("cert_file", "priv_key_file"),
        "cors": ("allowed_origins", "allowed_headers", "allowed_methods", "exposed_headers", "max_age_secs"),
    }.items()
    for name in names
}
LARGEST_FILE = 1 << 20


def unfolded(layer: Layer) -> list[Layer]:
    """The layers that `layer` holds, lowest precedence first."""
    parts = [part for inner in _with_file(layer) for part in unfold_json(inner)]
    return [_without_earlier_port(_folded(_without_effect(part))) for part in parts]


def _with_file(layer: Layer) -> list[Layer]:
    given = [key for key in layer.values if _fold(key) == "configfile"]
    if len(given) > 1:
        raise InvalidArgument(f"{layer.source}: {' and '.join(given)} name the same setting: give only one of them")
    rest = {key: value for key, value in layer.values.items() if key not in given}
    if not given or not layer.values[given[0]]:
        return [replace(layer, values=rest)]
    path = Path(str(layer.values[given[0]]))
    return [
        Layer(f"{layer.source}: config_file {path}", _read(path, f"{layer.source}: config_file"), layer.secret),
        replace(layer, values=rest),
    ]


def _read(path: Path, where: str) -> dict[str, object]:
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for its writer
            raise InvalidArgument(f"{where}: {path} is not a file")
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"{where}: {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > LARGEST_FILE:
        raise InvalidArgument(f"{where}: {path} has more than {LARGEST_FILE} bytes: that is no settings file")
    try:
        content: object = tomllib.loads(data.decode()) if path.suffix.lower() == ".toml" else json.loads(data)
    except (ValueError, RecursionError) as error:
        kind = "TOML" if path.suffix.lower() == ".toml" else "JSON"
        raise InvalidArgument(f"{where}: {path} is not {kind}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InvalidArgument(f"{where}: {path} does not hold a JSON object")
    return content


def _without_effect(layer: Layer) -> Layer:
    return replace(layer, values={key: value for key, value in layer.values.items() if _fold(key) not in ("log", "disablekeepalive")})


def _folded(layer: Layer) -> Layer:
    """Single values under names of 1.x, moved into the object that they belong to."""
    values: dict[str, object] = {}
    inner: dict[str, dict[str, object]] = {}
    for key, value in layer.values.items():
        group, name = _FLAT.get(_fold(key), ("", ""))
        if group:
            inner.setdefault(group, {})[name] = value
        else:
            values[key] = value
    for group, given in inner.items():
        beside = next((key for key in values if _fold(key) == group), "")
        if beside and values[beside]:
            raise InvalidArgument(f"{layer.source}: {beside} and {group}_{next(iter(given))} name the same settings: give only one of them")
        values[beside or group] = given
    return replace(layer, values=values)


def _fold(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def _without_earlier_port(layer: Layer) -> Layer:
    given = {key.lower() for key in layer.values}
    return replace(layer, values={**layer.values, "port": None}) if "address" in given and "port" not in given else layer
