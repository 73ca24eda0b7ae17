"""The software list of a frozen program: CycloneDX that validators take, the same for the same program, read back without running it."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import subprocess
import sys
import sysconfig
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from provider_packaging.licences import licences
from provider_packaging.sbom import ENTRY, encoded, read_software, software
from provider_sdk.errors import InvalidArgument
from provider_sdk.provider_toml import ProviderToml, read_provider_toml
from tests.unit.package_elf import an_elf
from tests.unit.package_program import a_program

TOML = """\
name = "greeter"
contract = "acme:greeter"
interfaces = ["acme:greeter/greeter@0.2.0", "acme:greeter/greeter@0.1.0"]
version = "1.2.3"
revision = 7
vendor = "Acme Ltd"
module = "greeter"
"""


def place(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    return spec.origin


def a_provider(folder: Path) -> ProviderToml:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "provider.toml").write_text(TOML)
    (folder / "greeter.py").write_text("print('hello')\n")
    return read_provider_toml(folder)


def contents(provider: ProviderToml) -> list[tuple[str, str]]:
    """What a small program has inside: modules, an extension, a library, Python's own, a namespace package, a link."""
    modules = ["aiohttp.client", "json.decoder", "msgpack", "msgpack._cmsgpack", "nacl.signing", "provider_sdk.config", "yarl"]
    found = [(name, place(name)) for name in modules]
    found += [("greeter", str(provider.folder / "greeter.py")), ("namespace", "-"), ("nothing", ""), ("libgone.so", "libthere.so")]
    name = sysconfig.get_config_var("INSTSONAME")
    library = Path(sysconfig.get_config_var("LIBDIR") or "", name)
    return [*found, (name, str(library))] if library.is_file() else found


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {component["name"]: component for component in document["components"]}


def assert_valid(document: dict[str, Any]) -> None:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(encoded(document).decode())
    assert error is None, str(error)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    provider = a_provider(tmp_path_factory.mktemp("made") / "greeter")
    return software(provider, contents(provider))


def test_the_list_has_the_provider_its_distributions_python_and_the_bootloader(document: dict[str, Any]) -> None:
    assert_valid(document)
    assert {key: document["metadata"]["component"][key] for key in ("name", "version", "supplier")} == {
        "name": "greeter",
        "version": "1.2.3",
        "supplier": {"name": "Acme Ltd"},
    }
    assert [tuple(item.values()) for item in document["metadata"]["component"]["properties"]] == [
        ("wasmcloud:revision", "7"),
        ("wasmcloud:contract", "acme:greeter"),
        ("wasmcloud:interface", "acme:greeter/greeter@0.1.0"),
        ("wasmcloud:interface", "acme:greeter/greeter@0.2.0"),
    ]
    listed = by_name(document)
    assert set(listed) == {"CPython", "PyNaCl", "aiohttp", "msgpack", "provider-sdk", "pyinstaller", "yarl"}
    for name in set(listed) - {"CPython"}:
        assert listed[name]["version"] == metadata.version(name)
    assert listed["CPython"]["version"] == sys.version.split()[0]
    assert listed["CPython"]["licenses"][0]["expression"] == "PSF-2.0"
    assert listed["pyinstaller"]["licenses"][0]["expression"] == "GPL-2.0-or-later WITH Bootloader-exception"
    assert listed["msgpack"]["licenses"][0]["expression"] == "Apache-2.0"


def a_system_library(name: str) -> Path:
    return next(path for path in Path("/usr/lib").glob(f"*-linux-gnu/{name}") if path.is_file())


@pytest.mark.needs("dpkg-query")
def test_package_urls_are_spelled_as_their_own_library_spells_them(tmp_path: Path) -> None:
    provider = a_provider(tmp_path / "greeter")
    found = [(name, str(a_system_library(name))) for name in ("libz.so.1", "libstdc++.so.6")]
    document = software(provider, contents(provider) + found)
    assert {"zlib1g", "libstdc++6"} < set(by_name(document))
    for component in document["components"]:
        assert PackageURL.from_string(component["purl"]).to_string() == component["purl"]


@pytest.mark.needs("dpkg-query")
def test_a_library_of_the_system_is_listed_with_its_hash_and_its_debian_package(tmp_path: Path) -> None:
    library = a_system_library("libz.so.1")
    provider = a_provider(tmp_path / "greeter")
    listed = by_name(software(provider, [("libz.so.1", str(library))]))
    words = ["dpkg-query", "--show", "--showformat=${Version} ${Architecture}", "zlib1g"]
    version, architecture = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    package = listed["zlib1g"]
    assert package["version"] == version and f"arch={architecture}" in package["purl"]
    assert package["licenses"] == [{"license": {"name": "unknown"}}]
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    assert [(file["name"], file["hashes"]) for file in package["components"]] == [("libz.so.1", [{"alg": "SHA-256", "content": digest}])]


def test_a_library_of_a_wheel_belongs_to_its_distribution(tmp_path: Path) -> None:
    bundled = next(
        (name, str(file.locate()))
        for name in ("cffi", "hiredis", "PyNaCl", "cryptography", "msgpack", "wasmtime")
        for file in metadata.files(name) or ()
        if file.name.endswith(".so") or ".so." in file.name
    )
    provider = a_provider(tmp_path / "greeter")
    assert bundled[0] in by_name(software(provider, [(Path(bundled[1]).name, bundled[1])]))


def test_what_nobody_knows_is_listed_as_such(tmp_path: Path) -> None:
    provider = a_provider(tmp_path / "greeter")
    stray = tmp_path / "libstray.so.1"
    stray.write_bytes(an_elf({}))
    document = software(provider, [("libstray.so.1", str(stray))])
    assert_valid(document)
    found = by_name(document)["libstray.so.1"]
    assert found["type"] == "file" and found["description"] == "of unknown origin"
    assert found["licenses"] == [{"license": {"name": "unknown"}}]
    assert found["hashes"][0]["content"] == hashlib.sha256(stray.read_bytes()).hexdigest()


def test_the_providers_own_files_and_libraries_are_its_own(tmp_path: Path) -> None:
    provider = a_provider(tmp_path / "greeter")
    (tmp_path / "greeter" / "fast.so").write_bytes(an_elf({}))
    document = software(
        provider, [("greeter", str(tmp_path / "greeter" / "greeter.py")), ("fast.so", str(tmp_path / "greeter" / "fast.so"))]
    )
    assert set(by_name(document)) == {"CPython", "pyinstaller"}
    assert [file["name"] for file in document["metadata"]["component"]["components"]] == ["fast.so"]


def test_who_asks_for_whom_is_told_of_what_is_inside(document: dict[str, Any]) -> None:
    edges = {edge["ref"]: edge["dependsOn"] for edge in document["dependencies"]}
    listed = by_name(document)
    assert listed["yarl"]["bom-ref"] in edges[listed["aiohttp"]["bom-ref"]]
    assert listed["msgpack"]["bom-ref"] in edges[listed["provider-sdk"]["bom-ref"]]
    assert set(edges["greeter"]) == {component["bom-ref"] for component in document["components"]}


def test_the_same_program_gives_the_same_bytes_from_any_folder_and_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    texts = set()
    for folder in ("here", "some/where/else"):
        provider = a_provider(tmp_path / folder)
        shuffled = contents(provider)
        random.shuffle(shuffled)
        texts.add(encoded(software(provider, shuffled)))
    assert len(texts) == 1
    text = texts.pop().decode()
    for machine in (str(tmp_path), sys.prefix, sys.base_prefix, str(Path.home()) + "/"):
        assert machine not in text
    assert "timestamp" not in text


def test_another_program_has_another_serial_number(tmp_path: Path, document: dict[str, Any]) -> None:
    provider = a_provider(tmp_path / "greeter")
    other = software(provider, contents(provider)[:3])
    assert document["serialNumber"].startswith("urn:uuid:") and document["serialNumber"] != other["serialNumber"]


def test_the_time_is_that_of_the_environment_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = a_provider(tmp_path / "greeter")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    document = software(provider, [])
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert_valid(document)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InvalidArgument, match="SOURCE_DATE_EPOCH"):
        software(provider, [])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License-Expression": "mit OR apache-2.0"}, "MIT OR Apache-2.0"),
        ({"License-Expression": "Apache-2.0", "License": "something else"}, "Apache-2.0"),
        ({"License": "BSD-3-Clause"}, "BSD-3-Clause"),
        ({"License": "Apache 2.0", "Classifier": ["License :: OSI Approved :: Apache Software License"]}, ["Apache 2.0"]),
        ({"Classifier": ["Topic :: Other", "License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved", "License :: OSI Approved :: BSD License"]}, ["BSD License"]),
        (
            {
                "License": "Dual License",
                "Classifier": ["License :: OSI Approved :: BSD License", "License :: OSI Approved :: Apache Software License"],
            },
            ["Apache Software License", "BSD License"],
        ),
        ({"License": "UNKNOWN", "Classifier": ["License :: OSI Approved :: ISC License (ISCL)"]}, "ISC"),
        ({"License": "Copyright me. " * 40}, ["Copyright me. " * 7 + "C…"]),
        ({"License-Expression": "Not-A-Licence"}, ["unknown"]),
        ({"License": "UNKNOWN"}, ["unknown"]),
        ({}, ["unknown"]),
    ],
)
def test_a_licence_is_an_spdx_expression_or_the_words_that_were_given(fields: dict[str, Any], expected: str | list[str]) -> None:
    message = Message()
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            message[name] = value
    found = licences(message)
    if isinstance(expected, str):
        assert [entry["expression"] for entry in found] == [expected]
    else:
        assert [entry["license"]["name"] for entry in found] == expected


def test_every_distribution_here_has_licences_that_the_schema_takes(document: dict[str, Any]) -> None:
    # One may be found twice, as where a checkout holds what a build of it has left.
    everything = {
        found.name: {"type": "library", "name": found.name, "licenses": licences(found.metadata)} for found in metadata.distributions()
    }
    assert_valid({**document, "components": [*everything.values()], "dependencies": []})


def test_the_list_is_read_back_from_a_program_without_running_it(tmp_path: Path, document: dict[str, Any]) -> None:
    program = a_program(tmp_path / "program", {"a.txt": b"a", ENTRY: encoded(document)})
    assert read_software(program) == document


def test_a_program_without_a_list_has_none(tmp_path: Path) -> None:
    assert read_software(a_program(tmp_path / "program", {"a.txt": b"a"})) is None
    (tmp_path / "other").write_bytes(an_elf({}))
    assert read_software(tmp_path / "other") is None


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"\xff", b'{"bomFormat": "SPDX"}', b'{"bomFormat": "CycloneDX", "components": 1}', b"[" * 200_000]
)
def test_a_broken_list_gets_one_line(text: bytes, tmp_path: Path) -> None:
    program = a_program(tmp_path / "program", {ENTRY: text})
    with pytest.raises(InvalidArgument, match=r"sbom\.cdx\.json inside: not a CycloneDX document"):
        read_software(program)


def test_a_list_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    program = a_program(tmp_path / "program", {ENTRY: bytes((16 << 20) + 1)})
    with pytest.raises(InvalidArgument, match="at the most"):
        read_software(program)


def test_a_link_to_the_environment_does_not_hide_whose_a_file_is(tmp_path: Path) -> None:
    provider = a_provider(tmp_path / "greeter")
    link = tmp_path / "link"
    link.symlink_to(Path(place("msgpack")).parent)
    assert "msgpack" in by_name(software(provider, [("msgpack", str(link / "__init__.py"))]))
