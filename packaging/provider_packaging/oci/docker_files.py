"""The files in which Docker, Podman and their kin keep logins, and the helpers `docker-credential-NAME` that those files name."""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provider_packaging.aside import written_aside
from provider_packaging.home import home
from provider_sdk.errors import InvalidArgument, NotFound, Unavailable

HELPER_SECONDS = 30.0
TOKEN_USER = "<token>"  # the name that says that the secret is an identity token
LARGEST = 1 << 20

_HUB = "https://index.docker.io/v1/"
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOTHING_KEPT = "credentials not found"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file or a helper has for a registry."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


def docker_file(environment: Mapping[str, str]) -> Path:
    """Docker's own file, there or not."""
    folder = environment.get("DOCKER_CONFIG")
    return (Path(folder) if folder else _home(environment) / ".docker") / "config.json"


def files(environment: Mapping[str, str]) -> list[Path]:
    """Those that are there, in the order in which they are asked."""
    places = [docker_file(environment)]
    if environment.get("REGISTRY_AUTH_FILE"):
        places.append(Path(environment["REGISTRY_AUTH_FILE"]))
    if environment.get("XDG_RUNTIME_DIR"):
        places.append(Path(environment["XDG_RUNTIME_DIR"], "containers", "auth.json"))
    places.append(Path(environment.get("XDG_CONFIG_HOME") or _home(environment) / ".config", "containers", "auth.json"))
    return [place for place in places if place.is_file()]


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment["HOME"]) if environment.get("HOME") else home()


def read(file: Path) -> LoginFile:
    """What a file holds; an empty one where it is not there. InvalidArgument names the file, and shows nothing of it."""
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST + 1)
    except FileNotFoundError:
        return LoginFile(file, {})
    except OSError as error:
        raise Unavailable(f"{file}: {error.strerror}", retryable=False) from None
    try:
        content = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(isinstance(content.get(name, {}), dict) for name in ("auths", "credHelpers")):
        raise InvalidArgument(f"{file}: not a file of registry logins: a JSON object with `auths`, `credHelpers` or `credsStore`")
    return LoginFile(file, content)


@dataclass(frozen=True, slots=True)
class LoginFile:
    """A file of logins; its representation shows its name alone."""

    file: Path
    content: dict[str, Any] = field(repr=False)

    def entry(self, registry: str, repository: str, environment: Mapping[str, str]) -> Entry | None:
        """What the helper of the registry, the helper of all, or the file itself has."""
        helper = self.helper(registry)
        if helper:
            kept = Helper(helper, self.file, environment).get(server(registry))
            if kept is not None or registry in self.content.get("credHelpers", {}):
                return kept
        auths = self.content.get("auths", {})
        for key in _keys(registry, repository):
            if isinstance(auths.get(key), dict) and auths[key]:
                return self._decoded(auths[key], key)
        return None

    def helper(self, registry: str) -> str:
        """The name of the helper that keeps the logins of a registry; empty where the file does."""
        named = self.content.get("credHelpers", {}).get(registry) or self.content.get("credsStore") or ""
        if not isinstance(named, str) or (named and not _HELPER.fullmatch(named)):
            raise InvalidArgument(f"{self.file}: {str(named)[:60]!r} is not the name of a credential helper")
        return named

    def _decoded(self, kept: dict[str, Any], key: str) -> Entry:
        username, password = kept.get("username", ""), kept.get("password", "")
        try:
            if kept.get("auth"):
                username, _, password = base64.b64decode(kept["auth"], validate=True).decode().rstrip("\0").partition(":")
        except (TypeError, ValueError, binascii.Error):
            raise InvalidArgument(f"{self.file}: auths.{key}: `auth` is not NAME:PASSWORD in base64; log in again") from None
        return _entry(username, password, kept.get("identitytoken", ""), kept.get("registrytoken", ""))

    def keep(self, registry: str, username: str, password: str, environment: Mapping[str, str]) -> str:
        """Store a login, and say where: with the helper that the file names, or in the file, which only its owner reads from then on."""
        helper = self.helper(registry)
        if helper:
            Helper(helper, self.file, environment).store(server(registry), username, password)
            return f"docker-credential-{helper}"
        coded = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._write({**self.content, "auths": {**self.content.get("auths", {}), server(registry): {"auth": coded}}})
        return str(self.file)

    def forget(self, registry: str, environment: Mapping[str, str]) -> bool:
        """Remove a login; False where there is none."""
        helper = self.helper(registry)
        found = bool(helper) and Helper(helper, self.file, environment).erase(server(registry))
        auths = self.content.get("auths", {})
        left = {key: value for key, value in auths.items() if key not in set(_keys(registry, ""))}
        if left != auths:
            self._write({**self.content, "auths": left})
        return found or left != auths

    def _write(self, content: dict[str, Any]) -> None:
        file = self.file.resolve()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with written_aside(file, 0o600) as opened:
            opened.write(json.dumps(content, indent="\t").encode() + b"\n")


def server(registry: str) -> str:
    """The name under which Docker keeps the login of a registry."""
    return _HUB if registry == "docker.io" else registry


def _keys(registry: str, repository: str) -> Iterator[str]:
    """The names under which files have a registry: the most specific place first."""
    parts = repository.split("/") if repository else []
    for count in range(len(parts), 0, -1):
        yield "/".join((registry, *parts[:count]))
    names = [registry, "index.docker.io", "registry-1.docker.io"] if registry == "docker.io" else [registry]
    for name in names:
        yield from (name, f"https://{name}", f"https://{name}/v1/", f"https://{name}/v2/", f"https://{name}/", f"http://{name}")


def _entry(username: object, password: object, identity: object = "", token: object = "") -> Entry:
    if username == TOKEN_USER:
        username, password, identity = "", "", password
    return Entry(str(username or ""), str(password or ""), str(identity or ""), str(token or ""))


@dataclass(frozen=True, slots=True)
class Helper:
    """A program `docker-credential-NAME` that a file names; what it prints is never shown."""

    name: str
    file: Path
    environment: Mapping[str, str] = field(repr=False)

    def get(self, registry: str) -> Entry | None:
        """What it keeps for a registry, or None."""
        done = self._run("get", registry)
        if done.returncode and _NOTHING_KEPT in done.stdout.lower():
            return None
        if done.returncode:
            raise self._failed(f"ended with code {done.returncode}", registry)
        try:
            kept = json.loads(done.stdout)
            return _entry(kept["Username"], kept["Secret"])
        except (ValueError, KeyError, TypeError):
            raise self._failed("answered no login", registry) from None

    def store(self, registry: str, username: str, secret: str) -> None:
        """Let it keep a login."""
        if self._run("store", json.dumps({"ServerURL": registry, "Username": username, "Secret": secret})).returncode:
            raise self._failed("could not store the login", registry)

    def erase(self, registry: str) -> bool:
        """Let it forget a login; False where it had none."""
        kept = self._run("get", registry).returncode == 0
        return self._run("erase", registry).returncode == 0 and kept

    def _run(self, verb: str, words: str) -> subprocess.CompletedProcess[str]:
        program = shutil.which(f"docker-credential-{self.name}", path=self.environment.get("PATH"))
        if program is None:
            raise NotFound(f"docker-credential-{self.name}, which {self.file} names, is not on PATH: install it, or take it out there")
        try:
            return subprocess.run(
                [program, verb],
                input=words,
                capture_output=True,
                text=True,
                timeout=HELPER_SECONDS,
                env=dict(self.environment),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._failed(f"did not answer in {HELPER_SECONDS:g} s", "") from None
        except (OSError, UnicodeDecodeError) as error:
            raise self._failed(f"cannot be run ({type(error).__name__})", "") from None

    def _failed(self, what: str, registry: str) -> Unavailable:
        look = f": `echo {registry} | docker-credential-{self.name} get` tells more" if registry else ""
        return Unavailable(f"docker-credential-{self.name}, which {self.file} names, {what}{look}", retryable=False)
