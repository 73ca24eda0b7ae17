"""Who somebody is to a registry: from the environment, or from Docker's and Podman's files and helpers. Nothing here shows a secret."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from provider_packaging.oci import docker_files

USER, PASSWORD, URL = "WASH_REG_USER", "WASH_REG_PASSWORD", "WASH_REG_URL"
HOST_VARIABLES = ("WASMCLOUD_OCI_REGISTRY", "OCI_REGISTRY")
"""As hosts have them: the registry that `…_USER` and `…_PASSWORD` are for."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password; or a token that others are had for; or the one that registries take."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    source: str = ""

    @property
    def named(self) -> str:
        """Whose they are and where they come from, for a message."""
        return f"the login{f' {self.username!r}' if self.username else ''}{f' from {self.source}' if self.source else ''}"


Finder = Callable[[str, str], Credentials | None]
"""Gives what is known for a registry and a repository in it."""


def given(username: str, password: str) -> Finder:
    """What was given on the command line, for every registry."""
    return lambda registry, repository: Credentials(username, password, source="the command line")


def find(registry: str, repository: str = "", environment: Mapping[str, str] | None = None, *, target: bool = True) -> Credentials | None:
    """What the environment or the files say for a registry, or None.

    WASH_REG_USER and WASH_REG_PASSWORD count for the registry of WASH_REG_URL, and without it for the one that is the `target` of a verb.
    """
    environment = os.environ if environment is None else environment
    return _from_environment(registry, repository, environment, target) or _from_files(registry, repository, environment)


def _from_environment(registry: str, repository: str, environment: Mapping[str, str], target: bool) -> Credentials | None:
    user, password = environment.get(USER), environment.get(PASSWORD)
    url = environment.get(URL)
    if user and password and (_is_for(url, registry, repository) if url else target):
        return Credentials(user, password, source=USER)
    for name in HOST_VARIABLES:
        user, password = environment.get(f"{name}_USER"), environment.get(f"{name}_PASSWORD")
        if user and password and _is_for(environment.get(name, ""), registry, repository):
            return Credentials(user, password, source=f"{name}_USER")
    return None


def _is_for(place: str, registry: str, repository: str) -> bool:
    place = place.partition("://")[2] if "://" in place else place
    place = place.rstrip("/").lower()
    return bool(place) and f"{registry}/{repository}/".startswith(f"{place}/")


def _from_files(registry: str, repository: str, environment: Mapping[str, str]) -> Credentials | None:
    for file in docker_files.files(environment):
        entry = docker_files.read(file).entry(registry, repository, environment)
        if entry is not None:
            return Credentials(entry.username, entry.password, entry.identity_token, entry.registry_token, source=str(file))
    return None
