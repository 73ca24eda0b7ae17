"""provider.toml: what an author writes, and the line that each fault is shown at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provider_sdk import Provider
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.provider_toml import read_provider_toml
from providers.blobstore.provider import BlobstoreProvider
from providers.httpserver.provider import HttpServerProvider
from providers.keyvalue.provider import KeyValueProvider
from providers.numbergen.provider import NumberGenProvider

WHOLE = """\
name = "greeter"
contract = "acme:greeter"
interfaces = ["acme:greeter/greeter@0.1.0"]
version = "0.1.0"
revision = 3
vendor = "Acme"
module = "greeter"
extras = ["metrics"]
targets = ["x86_64-linux"]

[freeze]
include = ["greeter.backends.*"]
exclude = ["greeter.cli"]

[freeze.data]
botocore = ["data/s3/**"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "provider.toml"
    path.write_text(text, "utf-8")
    return path


def faults(folder: Path, text: str) -> list[str]:
    path = written(folder, text)
    with pytest.raises(InvalidArgument) as raised:
        read_provider_toml(path)
    return [line.removeprefix(f"{path}:") for line in raised.value.message.splitlines()]


def test_all_of_it_is_read_from_the_file_or_its_folder(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE)
    found = read_provider_toml(path)
    assert found == read_provider_toml(tmp_path)
    assert (found.name, found.contracts, found.version, found.revision, found.vendor) == ("greeter", ("acme:greeter",), "0.1.0", 3, "Acme")
    assert (found.module, found.extras, found.targets) == ("greeter", ("metrics",), ("x86_64-linux",))
    assert (found.interfaces, found.include, found.exclude) == (("acme:greeter/greeter@0.1.0",), ("greeter.backends.*",), ("greeter.cli",))
    assert found.data == {"botocore": ("data/s3/**",)}


def test_a_missing_file_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"provider\.toml does not exist: a provider's folder holds a provider\.toml"):
        read_provider_toml(tmp_path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            ('name = "greeter"', 'name = "Greeter"'),
            '1: name: \'Greeter\': expected lower-case letters, digits, "-" and "_", 63 at the most',
        ),
        (('name = "greeter"\n', ""), '1: name: missing: expected lower-case letters, digits, "-" and "_", 63 at the most'),
        (('"acme:greeter"', '"greeter"'), "2: contract: 'greeter': expected an id such as acme:greeter"),
        (("interfaces = [", 'contracts = ["a:b"]\ninterfaces = ['), "2: contract: stands beside contracts: give one of the two"),
        (
            ("revision = 3", "revision = 0"),
            "5: revision: 0: expected a whole number from 1 to 2147483647, raised for every published build",
        ),
        (
            ("revision = 3", "revision = true"),
            "5: revision: True: expected a whole number from 1 to 2147483647, raised for every published build",
        ),
        (('module = "greeter"', 'module = "greeter.py!"'), "7: module: 'greeter.py!': expected the name of a module, such as greeter"),
        (('["metrics"]', '"metrics"'), "8: extras: 'metrics': expected a list"),
        (('["x86_64-linux"]', '["linux/amd64"]'), "9: targets: 'linux/amd64': expected ARCH-OS such as x86_64-linux"),
        (('["x86_64-linux"]', '["x86_64-linux", "x86_64-linux"]'), "9: targets: 'x86_64-linux' stands there twice"),
        (("vendor =", "vendro ="), "6: vendro: unknown: did you mean vendor?"),
        (("include = [", "hidden = ["), "12: freeze.hidden: unknown: there are include, exclude, data"),
        (('"greeter.cli"', '"greeter/cli"'), "13: freeze.exclude: 'greeter/cli': expected a module, or all below one: greeter.cli.*"),
        (('"data/s3/**"', '"../s3"'), "16: freeze.data.botocore: '../s3': expected a pattern below the package's folder"),
        (("botocore =", '".." ='), "16: freeze.data...: expected the name of a package"),
        (("botocore =", '"/etc" ='), "15: freeze.data./etc: expected the name of a package"),
        (('vendor = "Acme"', 'vendor = "Acme'), "6: not TOML: Illegal character '\\n'"),
    ],
)
def test_a_fault_is_shown_at_its_line(tmp_path: Path, change: tuple[str, str], line: str) -> None:
    assert line in faults(tmp_path, WHOLE.replace(*change))


def test_a_file_that_is_nested_without_end_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"provider\.toml: nested too deeply"):
        read_provider_toml(written(tmp_path, f"x = {'[' * 10_000}"))


def test_all_faults_are_shown_at_once_in_their_order(tmp_path: Path) -> None:
    shown = faults(tmp_path, WHOLE.replace("0.1.0", "\\u0000").replace("revision = 3", "revision = -1").replace('"Acme"', "7"))
    assert [line.split(":")[1].strip() for line in shown] == ["interfaces", "version", "revision", "vendor"]


def test_a_provider_of_1x_needs_no_contract(tmp_path: Path) -> None:
    assert read_provider_toml(written(tmp_path, WHOLE.replace('contract = "acme:greeter"\n', ""))).contracts == ()


def test_neither_contract_nor_interface_is_a_fault(tmp_path: Path) -> None:
    text = "\n".join(line for line in WHOLE.splitlines() if not line.startswith(("contract", "interfaces")))
    assert faults(tmp_path, text) == ["1: contract: missing: an id such as acme:greeter, or interfaces of 1.x hosts"]


@pytest.mark.parametrize("place", ["greeter.py", "greeter/__main__.py", "src/greeter.py"])
def test_the_module_is_found_beside_the_file_or_in_src(tmp_path: Path, place: str) -> None:
    module = tmp_path / place
    module.parent.mkdir(parents=True, exist_ok=True)
    module.touch()
    found = read_provider_toml(written(tmp_path, WHOLE)).root
    assert found == (tmp_path / "src" if place.startswith("src/") else tmp_path)


def test_the_module_is_found_above_a_file_that_lies_in_its_package(tmp_path: Path) -> None:
    folder = tmp_path / "pack" / "greeter"
    folder.mkdir(parents=True)
    (folder / "__main__.py").touch()
    assert read_provider_toml(written(folder, WHOLE.replace('module = "greeter"', 'module = "pack.greeter"'))).root == tmp_path


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"module 'greeter': neither greeter\.py nor greeter/__main__\.py is there"):
        _ = read_provider_toml(written(tmp_path, WHOLE)).root


@pytest.mark.parametrize("provider", [BlobstoreProvider, HttpServerProvider, KeyValueProvider, NumberGenProvider])
def test_those_of_the_pack_name_the_interfaces_that_are_served(provider: type[Provider[Any]]) -> None:
    found = read_provider_toml(Path(__file__).parents[2].joinpath(*provider.__module__.split(".")[:-1]))
    assert sorted(found.interfaces) == sorted(interface.__identity__.wit for interface in provider.serves if interface.__identity__.wit)
