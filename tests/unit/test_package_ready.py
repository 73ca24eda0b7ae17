"""Programs that were frozen on other machines, as `provider package build --programs` takes them up."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider_packaging.build import ready_programs
from provider_packaging.targets import TARGETS, native_target
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.provider_toml import ProviderToml

OTHER = next(target for target in TARGETS if target != native_target())


TEA = ProviderToml(Path(), "tea", ("acme:tea",), "0.1.0", 1, "Acme", "tea")


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_they_are_taken_by_name_wherever_they_lie(tmp_path: Path) -> None:
    put(tmp_path, f"tea.{native_target()}.bin", f"far/off/tea.{OTHER}.bin", "tea.notes.bin", f"pot.{OTHER}.bin")
    found = ready_programs(TEA, tmp_path)
    assert found == {native_target(): tmp_path / f"tea.{native_target()}.bin", OTHER: tmp_path / f"far/off/tea.{OTHER}.bin"}


def test_without_one_for_this_machine_nothing_is_built(tmp_path: Path) -> None:
    put(tmp_path, f"tea.{OTHER}.bin")
    with pytest.raises(NotFound, match=f"no tea.{native_target()}.bin: the program for this machine is needed"):
        ready_programs(TEA, tmp_path)


def test_two_programs_for_one_target_are_both_named(tmp_path: Path) -> None:
    put(tmp_path, f"a/tea.{native_target()}.bin", f"b/tea.{native_target()}.bin")
    with pytest.raises(InvalidArgument, match=r"b/tea.*: a second program for .* beside .*a/tea"):
        ready_programs(TEA, tmp_path)
