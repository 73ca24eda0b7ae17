"""What verbs share: options, the keys that follow from them, an end that leaves nothing half done, and words about what was written."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from provider_sdk.errors import InvalidArgument
from provider_sdk.nkeys import KeyPair, Prefix, decode_public

JsonOption = Annotated[bool, typer.Option("--json", help="For a program to read.")]
FolderOption = Annotated[Path | None, typer.Option("-d", "--directory", help="Folder of the keys; default: WASH_KEYS, or ~/.wash/keys.")]
IssuerOption = Annotated[
    str | None,
    typer.Option("-i", "--issuer", envvar="WASH_ISSUER_KEY", show_envvar=True, help="Who signs: file of an account key, or a seed."),
]
SubjectOption = Annotated[
    str | None,
    typer.Option(
        "-s", "--subject", envvar="WASH_SUBJECT_KEY", show_envvar=True, help="The provider: file of its key, a seed, or V… itself."
    ),
]
KeygenOption = Annotated[bool, typer.Option("--disable-keygen", help="Fail where a key is missing, instead of making one.")]


@dataclass(frozen=True)
class Signing:
    """How the keys of a verb are to be found."""

    folder: Path | None
    issuer: str | None
    subject: str | None
    generate: bool

    def account(self) -> KeyPair:
        """The issuer's pair."""
        from provider_packaging.keys import Kind, default_stem, find_key

        return find_key(Kind.ACCOUNT, default_stem(), value=self.issuer, folder=self.folder, generate_missing=self.generate)

    def provider(self, stem: str) -> str:
        """The provider's public key, which is all that claims hold of it."""
        from provider_packaging.keys import Kind, find_key

        if self.subject and self.subject.startswith("V"):
            if decode_public(self.subject)[0] is not Prefix.PROVIDER:
                raise InvalidArgument(f"{self.subject} is not the key of a provider")
            return self.subject
        return find_key(Kind.SERVICE, stem, value=self.subject, folder=self.folder, generate_missing=self.generate).public


def tidy_when_ended() -> None:
    """SIGTERM and SIGHUP end a verb as Ctrl-C does, which leaves no half of an archive, and no process that goes on."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)


def wrote(files: Mapping[str, Path], *, as_json: bool) -> None:
    """A line for each file or folder; as JSON, their paths by what they are."""
    if as_json:
        print(json.dumps({name: str(path) for name, path in files.items()}))
        return
    for path in files.values():
        print(f"wrote {path}" if path.is_dir() else f"wrote {path}, {path.stat().st_size:,} bytes")
