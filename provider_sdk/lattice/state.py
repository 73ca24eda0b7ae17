"""The folder `.provider/` of a running lattice: who runs it, how to reach it, what it wrote. One lattice a folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from provider_sdk.errors import AlreadyExists, NotFound

FOLDER = Path(".provider")


@dataclass
class Named:
    """An actor, component or provider that the manifest names. `source` is where its interfaces are declared (a file, a folder), on 1.x."""

    kind: str
    key: str
    contract: str = ""
    link_name: str = "default"
    source: str = ""


@dataclass
class State:
    """What another program needs to reach the lattice. `caller` is the identity of programs, which the host of a 0.x lattice trusts.

    `generation` is 0.x or 1.x; the latter has no seed. `troubles` are what providers complained of once all was started, None before that.
    """

    pid: int
    url: str
    lattice: str
    host_id: str
    cluster_seed: str = field(repr=False)
    caller: str = ""
    manifest: str = ""
    addresses: list[str] = field(default_factory=list)
    names: dict[str, Named] = field(default_factory=dict)
    generation: str = "0.x"
    troubles: list[str] | None = None


def write_state(folder: Path, state: State) -> None:
    """Replace the state file; only its owner may read it, for it holds the cluster's seed."""
    path = folder / "lattice.json"
    aside = path.with_suffix(".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(state), file, indent=2)
    aside.replace(path)


def read_state(folder: Path = FOLDER) -> State:
    """The state of the lattice that runs in `folder`; NotFound where none does."""
    hint = f"no lattice runs in {folder.resolve().parent}: start one with `provider dev up MANIFEST` or `provider dev run ACTOR.wasm`"
    if not _held(folder):
        raise NotFound(hint)
    try:
        content: dict[str, Any] = json.loads((folder / "lattice.json").read_text())
        content["names"] = {name: Named(**item) for name, item in content["names"].items()}
        return State(**content)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        raise NotFound(hint) from None


def _held(folder: Path) -> bool:
    """Whether a living process holds the folder: its lock goes with it, however it ends."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Own the folder until left; AlreadyExists where another lattice does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyExists(f"a lattice runs in {folder.resolve().parent} already: end it with `provider dev down`") from None
        try:
            yield
        finally:
            (folder / "lattice.json").unlink(missing_ok=True)
