"""What a provider makes of settings, with no host and no link entered: a program that is run by hand with --settings answers with it.

    {"own": {"values": {"max_calls": "9"}, "secrets": ["token"]}, "links": [{"values": {"greeting": "Hi"}, "secrets": []}]}

is asked on its standard input, and answered by {"own": VERDICT, "links": [VERDICT]}, where a verdict has the lists `faults`, `warnings` and
`exposed` (secrets that stand in plain values). `own` is what the settings of the process are read from; what the rest of it comes to is
seen with each link. Of secrets no more than the name is told, and what a value of theirs might mend or spoil is no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provider_sdk.config import Config, Loaded, WrongSettings
from provider_sdk.errors import ProviderError
from provider_sdk.runtime.settings import RuntimeSettings, load_link, own_layers

Verdict = dict[str, list[str]]
_UNKNOWN = "unknown"


def judge(config_class: type[Config], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to what was asked; KeyError, TypeError or AttributeError for what has not that form."""
    own = asked["own"]
    process = _verdict(lambda: RuntimeSettings.load(*own_layers(own["values"], {})[:1], ignore=None))
    return {"own": process, "links": [_of_link(config_class, own, link) for link in asked["links"]]}


def _of_link(config_class: type[Config], own: Mapping[str, Any], link: Mapping[str, Any]) -> Verdict:
    """A fault that is one whether secrets are there, with a value that nobody knows, or not there at all."""

    def loaded(value: Callable[[list[str]], dict[str, object]]) -> Verdict:
        layers = own_layers(own["values"], value(own["secrets"]))
        return _verdict(lambda: load_link(config_class, layers, link["values"], value(link["secrets"])))

    with_them, without = loaded(lambda names: dict.fromkeys(names, _UNKNOWN)), loaded(lambda _: {})
    return {**with_them, "faults": [fault for fault in with_them["faults"] if fault in without["faults"]]}


def _verdict(load: Callable[[], Loaded[Any]]) -> Verdict:
    try:
        loaded = load()
        return {"faults": [], "warnings": loaded.warnings, "exposed": loaded.exposed}
    except WrongSettings as error:
        return {"faults": error.faults, "warnings": error.warnings, "exposed": error.exposed}
    except ProviderError as error:  # of a class whose own `load` raises it
        return {"faults": [error.message], "warnings": [], "exposed": []}
