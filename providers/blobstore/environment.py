"""Settings that the official S3 provider reads from the environment, or from a file of such lines (wasmbus-0x.md §9.4)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provider_sdk import InvalidArgument

FILLS = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AWS_REGION": "region",
    "MAX_CHUNK_SIZE": "max_chunk_size",
    "MAX_CHUNK_SIZE_BYTES": "max_chunk_size",
}
ROLE = {
    "AWS_ROLE_ARN": "role",
    "AWS_ROLE_REGION": "region",
    "AWS_ROLE_SESSION_NAME": "session",
    "AWS_ROLE_EXTERNAL_ID": "external_id",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "web_identity_token_file",
}
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class Environment:
    """`fill`: settings below all others; `override`: above all others, as the official provider has it."""

    fill: dict[str, object]
    override: dict[str, object]


def from_environment() -> Environment:
    """What the process's own environment says. Credentials are left to the AWS tools' own search, which looks there too."""
    role = {} if os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") else ROLE
    settings = {name: setting for name, setting in FILLS.items() if setting not in ("access_key_id", "secret_access_key", "session_token")}
    names = (*settings, *role, "AWS_ENDPOINT")
    return _settings({name: os.environ[name] for name in names if os.environ.get(name)})


def from_env_file(source: str, path: object, *, secret: bool = False) -> Environment:
    """What a file of lines NAME=VALUE says; it does not change the environment. InvalidArgument where it cannot be read."""
    try:
        with Path(str(path)).open(encoding="utf-8") as file:
            text = file.read(LARGEST_FILE)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text (UTF-8)"
        shown = "<secret>" if secret else ascii(str(path)[:200])
        raise InvalidArgument(f"{source}: env: {shown} cannot be read: {reason}") from None
    values = {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found and not line.lstrip().startswith("#"):
            values[found[1]] = _unquoted(found[2])
    return _settings(values)


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text.split(" #", 1)[0].rstrip()


def _settings(values: Mapping[str, str]) -> Environment:
    fill: dict[str, object] = {FILLS[name]: value for name, value in values.items() if name in FILLS and value}
    role = {ROLE[name]: value for name, value in values.items() if name in ROLE and value}
    override: dict[str, object] = {"sts_config": role} if "role" in role else {}
    if values.get("AWS_ENDPOINT"):
        override["endpoint"] = values["AWS_ENDPOINT"]
    return Environment(fill, override)
