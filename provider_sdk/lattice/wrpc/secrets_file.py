"""Where the lattice in a box keeps secrets: variables of the environment, and a file beside the manifest.

# secrets.yaml                      # or, first of all, as variables
redis-password: hunter2             # SECRET_REDIS_PASSWORD
vault/db: {user: app, word: x}      # SECRET_VAULT_DB_USER, SECRET_VAULT_DB_WORD
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.lattice.wrpc.settings import Secret, SecretReference

FILE = "secrets.yaml"


class BoxSecrets:
    """Finds secrets by key and field, whatever backend a manifest names; the file is read anew each time. `folder` is the manifest's."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def __call__(self, reference: SecretReference) -> Secret:
        """The secret; NotFound says where it could have been, InvalidArgument what is wrong with the file."""
        variable = _variable(reference)
        if variable in os.environ:
            return os.environ[variable]
        value = self._content().get(reference.key)
        if reference.field:
            value = value.get(reference.field) if isinstance(value, dict) else None
        if value is None:
            what = f"{reference.key}, field {reference.field}" if reference.field else reference.key
            raise NotFound(f"secret {what}: neither in the variable {variable} nor in {self.path}")
        if not isinstance(value, str | bytes):
            raise InvalidArgument(f"{self.path}: {reference.key}: expected text in quotes, !!binary, or a map of fields of such")
        return value

    def place(self, reference: SecretReference) -> str:
        """Where the secret is; raises as the call itself does."""
        self(reference)
        variable = _variable(reference)
        return f"the variable {variable}" if variable in os.environ else str(self.path)

    def _content(self) -> dict[str, Any]:
        import yaml

        try:
            content = yaml.safe_load(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            # The parser's message would show the text.
            raise InvalidArgument(f"{self.path}: cannot be read as YAML") from None
        if not isinstance(content, dict | None):
            raise InvalidArgument(f"{self.path}: expected a map of secrets by key")
        return content or {}


def _variable(reference: SecretReference) -> str:
    return "SECRET_" + re.sub(r"\W", "_", f"{reference.key} {reference.field}".strip()).upper()
