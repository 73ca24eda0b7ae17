"""Named configurations of a 1.x lattice, and secrets that they refer to (wrpc-1x.md §2.4): what the host makes of a list of names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.hosts.wrpc.secret_values import is_secret

TYPE = "secret.wasmcloud.dev/v1alpha1"

Secret = str | bytes


@dataclass(frozen=True, slots=True)
class SecretReference:
    """What stands in the lattice for a secret: `name` is the setting that it becomes, `backend` and `key` say where it is kept.

    `field` is a part of it, `version` one of several; empty for none.
    """

    name: str
    key: str
    backend: str = "box"
    field: str = ""
    version: str = ""
    policy: str = "{}"

    def values(self) -> dict[str, str]:
        """The reference as the named configuration that carries it."""
        given = {"name": self.name, "type": TYPE, "backend": self.backend, "key": self.key, "policy": self.policy}
        given |= {"field": self.field, "version": self.version}
        return {name: value for name, value in given.items() if value}

    @staticmethod
    def read(config: str, values: Mapping[str, str]) -> SecretReference:
        """The reference that the named configuration `config` carries; InvalidArgument."""
        missing = [name for name in ("name", "type", "backend", "key") if not values.get(name)]
        if missing or values["type"] != TYPE:
            reason = f"{missing[0]} is missing" if missing else f"type {values['type']} is not known"
            raise InvalidArgument(f"configuration {config} is no reference to a secret: {reason}")
        rest = {name: values.get(name, "") for name in ("field", "version")}
        return SecretReference(values["name"], values["key"], values["backend"], **rest, policy=values.get("policy", "{}"))


FindSecret = Callable[[SecretReference], Secret]
"""Gives a secret's value; NotFound."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a list of named configurations comes to."""

    values: dict[str, str]
    secrets: dict[str, Secret] = field(default_factory=dict, repr=False)


def no_secrets(reference: SecretReference) -> Secret:
    """A FindSecret where no secrets are kept."""
    raise NotFound(f"secret {reference.key}: this lattice keeps no secrets")


class NamedConfigs:
    """The named configurations of a lattice. `has_secrets` false is a host before v1.1, to which references are plain text."""

    def __init__(self, find_secret: FindSecret = no_secrets, *, has_secrets: bool = True) -> None:
        self._configs: dict[str, dict[str, str]] = {}
        self._find_secret = find_secret
        self._has_secrets = has_secrets

    def put(self, name: str, values: Mapping[str, str]) -> None:
        """Keep `values` under `name`, in place of what is there."""
        self._configs[name] = dict(values)

    def get(self, name: str) -> dict[str, str] | None:
        """A copy; None if there is none."""
        found = self._configs.get(name)
        return None if found is None else dict(found)

    def delete(self, name: str) -> None:
        """Forget it; an unknown one is nothing."""
        self._configs.pop(name, None)

    def check(self, names: Iterable[str]) -> None:
        """NotFound for a name that stands for nothing."""
        for name in names:
            if name not in self._configs:
                raise NotFound(f"configuration {name} does not exist")

    def known(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those that stand for something."""
        return tuple(name for name in names if name in self._configs)

    def resolve(self, names: Iterable[str]) -> Resolved:
        """The values of all together, later names winning, and the secrets behind references; NotFound, InvalidArgument."""
        resolved = Resolved({})
        for name in (names := tuple(names)):
            self.check([name])
            if self._has_secrets and is_secret(name):
                reference = SecretReference.read(name, self._configs[name])
                resolved.secrets[reference.name] = self._find_secret(reference)
        resolved.values.update(self.plain(names))
        return resolved

    def plain(self, names: Iterable[str]) -> dict[str, str]:
        """The plain values of those that are there, as `config.update` has them."""
        values: dict[str, str] = {}
        for name in names:
            if not (self._has_secrets and is_secret(name)):
                values |= self._configs.get(name, {})
        return values


def secret_document(secrets: Mapping[str, Secret]) -> dict[str, dict[str, object]]:
    """Secrets as JSON has them: `SecretValue` by name (§1.2)."""
    return {
        name: {"kind": "String", "value": value} if isinstance(value, str) else {"kind": "Bytes", "value": list(value)}
        for name, value in secrets.items()
    }


def secret_bytes(secrets: Mapping[str, Secret]) -> bytes:
    """What is sealed for a link's side (§2.3)."""
    return json.dumps(secret_document(secrets)).encode()
