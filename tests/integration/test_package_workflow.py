"""The workflow that a provider's CI runs: judged by actionlint, and its own lines carried out for the target of this machine."""

from __future__ import annotations

import importlib.resources
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider_packaging.floor import floor
from provider_packaging.targets import TARGETS, native_target
from provider_sdk.lattice.registry import open_registry
from provider_sdk.nkeys import KeyPair, Prefix
from tests.frozen import REPOSITORY, frozen
from tests.servers.built import found
from tests.tiers import scale

FILE = Path(str(importlib.resources.files("provider_packaging") / "workflow" / "package.yml"))
WORKFLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text("utf-8"))
MATRIX: list[dict[str, str]] = WORKFLOW["jobs"]["program"]["strategy"]["matrix"]["include"]
NAME, TARGET = "numbergen", native_target()


def lines(job: str, step: str) -> str:
    return next(str(one["run"]) for one in WORKFLOW["jobs"][job]["steps"] if one.get("name") == step)


@pytest.mark.needs("actionlint", "shellcheck")
def test_actionlint_finds_nothing() -> None:
    program = found("actionlint")
    assert program
    done = subprocess.run([program, "-no-color", FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_target_is_built_where_its_processor_is() -> None:
    places = {one["target"]: (one["runner"], one.get("container", "")) for one in MATRIX}
    assert set(places) == set(TARGETS) - {"arm-linux", "x86_64-windows"}
    for target, (runner, container) in places.items():
        processor, system = target.split("-")
        assert runner.startswith("ubuntu" if system == "linux" else "macos")
        assert ("arm" in runner or runner == "macos-15") == (processor == "aarch64")
        assert container == (f"quay.io/pypa/manylinux_2_28_{processor}" if system == "linux" else "")


def test_the_archive_is_verified_to_have_every_target() -> None:
    words = lines("archive", "Verify").split()
    asked = [words[at + 1] for at, word in enumerate(words) if word == "--target"]
    assert asked == [one["target"] for one in MATRIX]


def test_keys_and_logins_are_known_to_the_steps_alone_that_need_them() -> None:
    for name, job in WORKFLOW["jobs"].items():
        assert "secrets." not in str(job.get("env")), name
        for step in job["steps"]:
            used = "secrets." in str(step)
            assert used == (step.get("name") in {"Sign one archive of all", "Push"}), step
            assert "secrets." not in str(step.get("run"))
    assert WORKFLOW["permissions"] == {"contents": "read"}


class Checkout:
    """The folder of a provider as the steps find it, with the packages of this Python in .venv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "providers" / NAME
        shutil.copytree(REPOSITORY / "providers" / NAME, self.folder)
        (folder / "providers" / "__init__.py").touch()
        (self.folder / ".venv").symlink_to(sys.prefix)

    def run(self, job: str, step: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A step's lines, as the runner's shell carries them out."""
        given = {name: value for name, value in os.environ.items() if not name.startswith(("WASH_", "PYTEST", "SOURCE_DATE"))}
        given |= {"TARGET": TARGET, "HOME": str(self.folder.parent), "MAX_GLIBC": str(WORKFLOW["env"]["MAX_GLIBC"])} | environment
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", lines(job, step)]
        return subprocess.run(command, cwd=self.folder, env=given, capture_output=True, text=True, timeout=240, check=False)

    def done(self, job: str, step: str, **environment: str) -> str:
        finished = self.run(job, step, **environment)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("checkout"))
    # Freezing takes half a minute, and other tests have done it for the same program.
    if scale(test=False, ci=False, soak=True):
        made.done("program", "Freeze")
    else:
        (made.folder / "dist").mkdir()
        shutil.copy(frozen(NAME), made.folder / "dist" / f"{NAME}.{TARGET}.bin")
    return made


def test_a_program_starts_and_its_floor_is_held_to_the_limit(checkout: Checkout) -> None:
    assert '"type": "object"' in checkout.done("program", "Start it with nothing of this machine")
    assert "glibc" in checkout.done("program", "What it asks of a machine", MAX_GLIBC="9.99")
    setter = floor(checkout.folder / "dist" / f"{NAME}.{TARGET}.bin").glibc
    assert setter and setter.glibc
    held = checkout.run("program", "What it asks of a machine")
    assert held.returncode == int(setter.glibc > (2, 31))
    assert (f"asks for glibc {'.'.join(map(str, setter.glibc))}" in held.stdout) == bool(held.returncode)
    other = "aarch64-linux" if TARGET == "x86_64-linux" else "x86_64-linux"
    program = checkout.folder / "dist" / f"{NAME}.{TARGET}.bin"
    program.with_name(f"{NAME}.{other}.bin").symlink_to(program)
    assert f"for {TARGET.split('-')[0]}, not for" in checkout.run("program", "What it asks of a machine", TARGET=other).stdout
    program.with_name(f"{NAME}.{other}.bin").unlink()


def test_programs_of_all_machines_become_one_signed_archive_in_the_registry(checkout: Checkout, tmp_path: Path) -> None:
    program = checkout.folder / "dist" / f"{NAME}.{TARGET}.bin"
    for place in MATRIX:
        folder = checkout.folder / "programs" / place["target"]
        folder.mkdir(parents=True)
        # Artifacts lose the mode, and those of other machines do not run on this one.
        copied = folder / f"{NAME}.{place['target']}.bin"
        copied.write_bytes(program.read_bytes() if place["target"] == TARGET else b"for another machine")
        copied.chmod(0o644)
    program.rename(tmp_path / "program")
    issuer, subject = KeyPair.generate(Prefix.ACCOUNT), KeyPair.generate(Prefix.PROVIDER)
    refused = checkout.run("archive", "Sign one archive of all", WASH_ISSUER_KEY="", WASH_SUBJECT_KEY="")
    assert refused.returncode == 1 and not list((checkout.folder / "dist").glob("*.par*"))
    keys = {"WASH_ISSUER_KEY": issuer.seed, "WASH_SUBJECT_KEY": subject.public}
    assert issuer.seed not in checkout.done("archive", "Sign one archive of all", **keys)
    assert "WRONG" not in checkout.done("archive", "Verify")
    with open_registry(tmp_path / "registry") as registry:
        where = {"REPOSITORY": f"{registry.address}/Acme/Numbers", "GITHUB_REF_NAME": "v0.1.0"}
        assert checkout.done("archive", "Push", **where).startswith(f"{registry.address}/acme/numbers")
