"""The page on provider.toml has the keys that are read, no more and no fewer, and its example is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provider_sdk.errors import InvalidArgument
from provider_sdk.provider_toml import read_provider_toml

PAGE = Path(__file__).parents[2] / "docs" / "provider-toml.md"


def keys_that_are_read(folder: Path) -> set[str]:
    """As the reader itself names them to whoever wrote another one."""
    (folder / "provider.toml").write_text("qqqqq = 1\n[freeze]\nqqqqq = 1\n")
    with pytest.raises(InvalidArgument) as raised:
        read_provider_toml(folder)
    top, inner = re.findall(r"qqqqq: unknown: there are (.*)", raised.value.message)
    return {key for key in top.split(", ") if key != "freeze"} | {f"freeze.{key}" for key in inner.split(", ")}


def test_the_page_has_a_row_for_each_key_that_is_read(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| .+\. \| .+ \| .+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(keys_that_are_read(tmp_path))


def test_its_example_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "provider.toml").write_text(example)
    assert read_provider_toml(tmp_path).data == {"botocore": ("data/s3/**",)}


def test_a_key_is_required_where_the_page_says_so(tmp_path: Path) -> None:
    required = re.findall(r"^\| `(\w+)` \|.*\| required \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    (tmp_path / "provider.toml").write_text("")
    with pytest.raises(InvalidArgument) as raised:
        read_provider_toml(tmp_path)
    assert sorted(re.findall(r":1: (\w+): missing", raised.value.message)) == sorted(required)
