"""Keys that sign archives, in the folders and files of `wash` (packaging.md §1.6, §3): FOLDER/STEM_KIND.nk, the seed and nothing else."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from provider_packaging.aside import open_new
from provider_packaging.home import home
from provider_sdk.errors import AlreadyExists, InvalidArgument, NotFound, ProviderError, Unavailable
from provider_sdk.nkeys import KeyPair, Prefix

SUFFIX = ".nk"
_LONGEST = 1024
_log = logging.getLogger(__name__)


class Kind(StrEnum):
    """What a key is for; the end of its file's name."""

    ACCOUNT = "account"
    SERVICE = "service"
    MODULE = "module"
    CLUSTER = "cluster"
    SERVER = "server"
    OPERATOR = "operator"
    USER = "user"

    @property
    def prefix(self) -> Prefix:
        """The same in a key's text."""
        return _PREFIXES[self]

    @staticmethod
    def of(word: str) -> Kind:
        """The kind that `wash` calls so; InvalidArgument names all of them."""
        lower = word.lower()
        try:
            return Kind(_OTHER_NAMES.get(lower, lower))
        except ValueError:
            raise InvalidArgument(f"no kind of key is called {word!r}: there are {', '.join((*Kind, *_OTHER_NAMES))}") from None


_PREFIXES = {
    Kind.ACCOUNT: Prefix.ACCOUNT,
    Kind.SERVICE: Prefix.PROVIDER,
    Kind.MODULE: Prefix.MODULE,
    Kind.CLUSTER: Prefix.CLUSTER,
    Kind.SERVER: Prefix.SERVER,
    Kind.OPERATOR: Prefix.OPERATOR,
    Kind.USER: Prefix.USER,
}
_OTHER_NAMES = {"provider": "service", "component": "module", "actor": "module", "host": "server"}


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key in a folder. The pair is None where the file holds none or cannot be read."""

    path: Path
    pair: KeyPair | None

    @property
    def stem(self) -> str:
        """The file's name without `.nk`."""
        return self.path.name.removesuffix(SUFFIX)


def folders(given: Path | None = None) -> tuple[Path, ...]:
    """Where keys are looked for, the first to the last: the one that was given or that WASH_KEYS (or WASH_KEYS_DIR) names, and no other;
    else `~/.wash/keys` and `$XDG_DATA_HOME/wash/keys`.
    """
    named = given or os.environ.get("WASH_KEYS") or os.environ.get("WASH_KEYS_DIR")
    if named:
        return (Path(named),)
    data = os.environ.get("XDG_DATA_HOME")
    return home() / ".wash" / "keys", (Path(data) if data else home() / ".local" / "share") / "wash" / "keys"


def key_files(folder: Path) -> list[Path]:
    """The files that are called as keys are, by name; none where there is no folder. Unavailable for one that cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unavailable(f"{folder} cannot be read: {error.strerror}", retryable=False) from error


def default_stem() -> str:
    """What an account key is called where nothing else is said: the user's name."""
    return os.environ.get("USER") or "user"


def read_key(path: Path) -> KeyPair:
    """The pair of a file; InvalidArgument, which never shows what is in it. A file that others may read, and a line feed, are warned of."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST)
            mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        raise NotFound(f"{path}: no such key") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}", retryable=False) from error
    text = data.decode("ascii", "replace")
    if text != text.rstrip("\r\n"):
        _log.warning("%s ends with a line feed, which wash does not take: a key's file holds 58 characters", path)
    if os.name == "posix" and mode & 0o077:
        _log.warning("%s may be read by others: chmod 600 %s", path, path)
    try:
        return KeyPair.from_seed(text.rstrip("\r\n"))
    except InvalidArgument as error:
        raise InvalidArgument(f"{path}: {error.message}") from None


def save_key(pair: KeyPair, path: Path) -> None:
    """Write a seed to a new file of mode 0600, in a folder that is made with mode 0700. AlreadyExists."""
    try:
        _make_private(path.parent)
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with open_new(aside, 0o600) as file:
                file.write(pair.seed.encode())
                file.flush()
                os.fsync(file.fileno())
            # A link, unlike a rename, never takes the place of a key that is there.
            os.link(aside, path)
        finally:
            with suppress(FileNotFoundError):
                aside.unlink()
    except FileExistsError:
        raise AlreadyExists(f"{path} exists, and is left as it is") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}", retryable=False) from error


def generate(kind: Kind, stem: str, folder: Path | None = None) -> tuple[KeyPair, Path]:
    """A new pair, saved in the first of the folders."""
    pair, path = KeyPair.generate(kind.prefix), folders(folder)[0] / _file(kind, stem)
    save_key(pair, path)
    return pair, path


def find_key(kind: Kind, stem: str, *, value: str | None = None, folder: Path | None = None, generate_missing: bool = True) -> KeyPair:
    """The pair that signs, found as `wash` finds it: `value` is the path of a file, else a seed; without one, FOLDER/STEM_KIND.nk.

    A missing one is made and saved, and told of in the log, unless that is not wanted: then NotFound.
    """
    pair = _given(value) if value else _stored(kind, stem, folder, generate_missing=generate_missing)
    if pair.prefix is not kind.prefix:
        raise InvalidArgument(f"{pair.public} is the key of {_name(pair.prefix)}: that of {_name(kind.prefix)} is needed")
    return pair


def stored_keys(folder: Path | None = None) -> Iterator[KeyFile]:
    """Every key of the folders, by name."""
    for place in folders(folder):
        for path in key_files(place):
            try:
                pair: KeyPair | None = read_key(path)
            except ProviderError:
                pair = None
            yield KeyFile(path, pair)


def lookup(text: str, folder: Path | None = None) -> list[KeyFile]:
    """The keys that are called so: by the name of their file, with or without `.nk` or the kind, or by public key."""
    name = text.removesuffix(SUFFIX)
    return [
        key
        for key in stored_keys(folder)
        if key.stem == name or key.stem.rpartition("_")[0] == name or (key.pair is not None and key.pair.public == text)
    ]


def _given(value: str) -> KeyPair:
    path = Path(value)
    with suppress(OSError, ValueError):
        if path.is_file():
            return read_key(path)
    try:
        return KeyPair.from_seed(value)
    except InvalidArgument:
        # It may be a seed with a slip of the pen: only what cannot be one is shown.
        shown = f" {value!r}" if "/" in value or value.endswith(SUFFIX) else ""
        raise InvalidArgument(f"the key{shown} that was given is neither a file nor a seed") from None


def _stored(kind: Kind, stem: str, folder: Path | None, *, generate_missing: bool) -> KeyPair:
    name = _file(kind, stem)
    places = folders(folder)
    for place in places:
        with suppress(NotFound):
            return read_key(place / name)
    if not generate_missing:
        raise NotFound(f"no key {name} in {' or '.join(map(str, places))}: make one with `provider package keys generate {kind} {stem}`")
    try:
        pair, path = generate(kind, stem, folder)
    except AlreadyExists:
        return read_key(places[0] / name)
    _log.warning("made the key %s: %s", path, pair.public)
    return pair


def _file(kind: Kind, stem: str) -> str:
    if not stem or stem.startswith(".") or "/" in stem or "\\" in stem or not stem.isprintable():
        raise InvalidArgument(f"{stem!r} is no name for a key")
    return f"{stem}_{kind}{SUFFIX}"


def _make_private(folder: Path) -> None:
    """The folder, and those above it as everybody makes them."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def _name(prefix: Prefix) -> str:
    return next(f"{'an' if kind in (Kind.ACCOUNT, Kind.OPERATOR) else 'a'} {kind}" for kind, its in _PREFIXES.items() if its is prefix)
