"""What `make package` installs is enough to build the pack, on a machine that has nothing else."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from provider_sdk.provider_toml import read_provider_toml

REPOSITORY = Path(__file__).parents[2]
LOCKS = {"venv": "requirements.txt", "venv-dev": "requirements-dev.txt"}


@pytest.mark.parametrize("name", ["numbergen", "httpserver", "keyvalue", "blobstore"])
def test_the_lock_holds_what_the_extras_of_the_pack_ask_for(name: str) -> None:
    target = re.search(r"^package: (\S+)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert target is not None
    held = {canonicalize_name(found) for found in re.findall(r"(?m)^([\w.-]+)==", (REPOSITORY / LOCKS[target[1]]).read_text())}
    requirements = [Requirement(line) for line in metadata.distribution("provider-sdk").requires or ()]
    for extra in ("package", "lattice", "cli", *read_provider_toml(REPOSITORY / "providers" / name).extras):
        asked = {canonicalize_name(one.name) for one in requirements if one.marker and one.marker.evaluate({"extra": extra})}
        assert asked and asked <= held, extra
