"""The verb `build` when it goes wrong: what it says, and that nothing is left."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from provider_packaging.build import pack
from provider_packaging.targets import native_target
from provider_sdk.errors import InvalidArgument, Unavailable
from provider_sdk.provider_toml import ProviderToml, read_provider_toml
from tests.frozen import REPOSITORY, frozen
from tests.integration.test_dev import until
from tests.unit.packaged import ISSUER, SUBJECT


def at_work(folder: Path) -> list[str]:
    """The processes of PyInstaller that write into a folder; what it starts is told by its file of work."""
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "stat=,args="], capture_output=True, text=True, check=True).stdout
    return [row for row in shown.splitlines() if "PyInstaller" in row and str(folder) in row and not row.startswith("Z")]


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_ended_leaves_no_process_and_no_file(tmp_path: Path, ended_by: signal.Signals) -> None:
    out = tmp_path / "dist"
    command = [sys.executable, "-m", "provider_sdk.cli.main", "package", "build", f"{REPOSITORY}/providers/numbergen", "--program-only"]
    with subprocess.Popen([*command, "-o", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        while not list(out.glob("*/work")):
            assert running.poll() is None, running.stderr and running.stderr.read()
            time.sleep(0.02)
        assert at_work(out)
        running.send_signal(ended_by)
        assert running.wait(60) == 130
    assert list(out.iterdir()) == []
    until(lambda: not at_work(out), 10)


def test_a_program_that_does_not_start_is_told_of_by_its_own_words(tmp_path: Path) -> None:
    program = tmp_path / "greeter"
    words = "ModuleNotFoundError: No module named 'tea'\n[PYI-7:ERROR] Failed to execute script 'greeter-program'"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\nTraceback (most recent call last):\n{words}\nEND\nexit 1\n")
    program.chmod(0o755)
    provider = ProviderToml(tmp_path, "greeter", ("acme:greeter",), "0.1.0", 1, "Acme", "greeter")
    with pytest.raises(Unavailable, match=r"does not run .*: ModuleNotFoundError: No module named 'tea'$"):
        pack(provider, {native_target(): program}, tmp_path / "dist", ISSUER, SUBJECT.public)


def test_what_the_program_does_not_serve_makes_no_archive(tmp_path: Path) -> None:
    provider = read_provider_toml(REPOSITORY / "providers" / "numbergen")
    contract, interface = "acme:tea", "acme:tea/pot@0.1.0"
    for wrong, name in ((replace(provider, contracts=(contract,)), contract), (replace(provider, interfaces=(interface,)), interface)):
        with pytest.raises(InvalidArgument, match=rf"provider\.toml: {name}: the program does not serve that, but wasmcloud:numbergen"):
            pack(wrong, {native_target(): frozen("numbergen")}, tmp_path, ISSUER, SUBJECT.public)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_is_listed_and_not_packed_is_told_of(tmp_path: Path) -> None:
    text = (REPOSITORY / "providers" / "numbergen" / "provider.toml").read_text()
    (tmp_path / "provider.toml").write_text(re.sub(r"(?m)^targets = .*$", f'targets = ["arm-linux", "{native_target()}"]', text))
    (tmp_path / f"numbergen.{native_target()}.bin").symlink_to(frozen("numbergen"))
    command = [sys.executable, "-m", "provider_sdk.cli.main", "package", "build", tmp_path, "--programs", tmp_path, "-d", tmp_path / "keys"]
    done = subprocess.run([*map(str, command), "-o", str(tmp_path / "dist")], capture_output=True, text=True, check=True)
    told = [line for line in done.stderr.splitlines() if line.startswith("provider: ")]
    assert len(told) == 1 and "has no program for arm-linux, which provider.toml lists" in told[0]


def test_no_key_is_made_for_what_cannot_be_built(tmp_path: Path) -> None:
    text = (REPOSITORY / "providers" / "numbergen" / "provider.toml").read_text()
    (tmp_path / "provider.toml").write_text(text.replace("providers.numbergen", "acme_nowhere"))
    command = [sys.executable, "-m", "provider_sdk.cli.main", "package", "build", str(tmp_path), "-d", str(tmp_path / "keys")]
    done = subprocess.run([*command, "-o", str(tmp_path / "dist")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "module 'acme_nowhere': neither" in done.stderr
    assert not (tmp_path / "keys").exists()
