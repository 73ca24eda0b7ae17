"""What PyInstaller is told, derived from provider.toml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provider_packaging import trim
from provider_packaging.plan import Form, Plan, make_plan
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.provider_toml import ProviderToml, read_provider_toml

PROVIDERS = Path(__file__).parents[2] / "providers"


@pytest.fixture
def provider(tmp_path: Path) -> ProviderToml:
    package = tmp_path / "acme"
    (package / "parts" / "deep").mkdir(parents=True)
    (package / "parts" / "deep" / "__init__.py").touch()
    for name in ("__init__", "__main__", "parts/__init__", "parts/one", "parts/deep/two"):
        (package / f"{name}.py").touch()
    (package / "lazy.py").write_text("import importlib\n\ndef load(name):\n    importlib.import_module('acme.parts.one')\n")
    (package / "pages").mkdir()
    (package / "pages" / "index.html").touch()
    return ProviderToml(tmp_path, "acme", ("acme:x",), "0.1.0", 1, "Acme", "acme")


def plan(provider: ProviderToml) -> Plan:
    return make_plan(provider, Form.ONEFILE, strip=True)


def test_what_python_m_would_run_and_what_the_sdk_needs_is_told(provider: ProviderToml) -> None:
    assert {"acme", "acme.__main__", "_cffi_backend", "provider_packaging.guard"} <= set(plan(provider).hidden)


def test_a_module_named_in_a_call_of_import_module_is_told(provider: ProviderToml) -> None:
    assert "acme.parts.one" in plan(provider).hidden


def test_a_pattern_stands_for_all_modules_below(provider: ProviderToml) -> None:
    hidden = plan(replace(provider, include=("acme.parts.*",))).hidden
    assert {"acme.parts", "acme.parts.one", "acme.parts.deep", "acme.parts.deep.two"} <= set(hidden)


def test_a_pattern_of_an_installed_package_is_found_without_importing_it(provider: ProviderToml) -> None:
    assert "nats.js.kv" in plan(replace(provider, include=("nats.*",))).hidden


def test_a_pattern_without_a_package_names_the_place(provider: ProviderToml) -> None:
    with pytest.raises(NotFound, match=r"provider\.toml: freeze\.include: acme\.gone\.\*"):
        plan(replace(provider, include=("acme.gone.*",)))


def test_a_module_that_there_is_not_names_the_place(provider: ProviderToml) -> None:
    with pytest.raises(NotFound, match=r"provider\.toml: freeze\.include: acme\.gone: no such module"):
        plan(replace(provider, include=("acme.gone",)))


@pytest.mark.parametrize("name", ["acme.parts", "acme.parts.one", "sqlite3", "nats.js.kv", "msgspec._core"])
def test_a_module_of_the_provider_of_python_or_of_a_package_is_found(provider: ProviderToml, name: str) -> None:
    assert name in plan(replace(provider, include=(name,))).hidden


def test_what_is_left_out_is_the_module_or_all_below_it(provider: ProviderToml) -> None:
    assert "acme.parts.one" in plan(replace(provider, exclude=("acme.parts.one",))).excluded
    below = plan(replace(provider, exclude=("acme.parts.*",))).excluded
    assert {"acme.parts.one", "acme.parts.deep", "acme.parts.deep.two"} <= set(below)
    assert "acme.parts" not in below


def test_a_source_that_is_not_python_is_told_with_its_line(provider: ProviderToml) -> None:
    (provider.folder / "acme" / "broken.py").write_text("x = 1\ndef (\n")
    with pytest.raises(InvalidArgument, match=r"acme/broken\.py:2: not Python"):
        plan(provider)


def test_data_of_a_package_is_what_matches(provider: ProviderToml) -> None:
    made = plan(replace(provider, data={"acme": ("pages/**",)}))
    assert made.data == [(str(provider.folder / "acme" / "pages" / "index.html"), "acme/pages")]
    assert made.own_data == ["acme"]


def test_data_that_nothing_matches_names_the_pattern(provider: ProviderToml) -> None:
    with pytest.raises(NotFound, match=r"freeze\.data\.acme: gone/\*"):
        plan(replace(provider, data={"acme": ("gone/*",)}))


def test_of_the_aws_librarys_data_only_the_services_in_use_are_kept() -> None:
    services = {
        Path(target).parts[2] for _, target in plan(read_provider_toml(PROVIDERS / "blobstore")).data if len(Path(target).parts) > 2
    }
    assert services == {"s3", "sso", "sso-oidc", "sts"}


@pytest.mark.parametrize("package", ["nats", "provider_sdk"])
def test_what_belongs_to_an_extra_that_is_not_listed_is_not_followed(provider: ProviderToml, package: str) -> None:
    assert {"aiohttp", "multidict", "opentelemetry", "prometheus_client", "pytest"} <= set(plan(provider).edges[package])


def test_what_belongs_to_a_listed_extra_is_followed(provider: ProviderToml) -> None:
    listed = replace(provider, extras=("httpserver", "telemetry"))
    assert not {"aiohttp", "multidict", "opentelemetry", "requests"} & set(plan(listed).edges["provider_sdk"])
    assert "opentelemetry.exporter.otlp.proto.http.trace_exporter" in plan(listed).hidden
    assert "opentelemetry.exporter.otlp.proto.http.trace_exporter" not in plan(provider).hidden


def test_what_is_asked_for_by_name_is_followed(provider: ProviderToml) -> None:
    assert "aiohttp" not in plan(replace(provider, include=("aiohttp.*",))).edges["nats"]


def test_an_extra_that_there_is_not_is_told_with_those_that_there_are(provider: ProviderToml) -> None:
    with pytest.raises(InvalidArgument, match=r"extras: 'sqlite': provider-sdk has no such extra; it has .*keyvalue"):
        plan(replace(provider, extras=("sqlite",)))


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("data/a.json", "data/*.json", True),
        ("data/s3/a.json", "data/*.json", False),
        ("data/s3/2006/a.json", "data/s3/**", True),
        ("data/s3-control/a.json", "data/s3/**", False),
        ("a/b/examples-1.json", "**/examples-1.json", True),
        ("examples-1.json", "**/examples-1.json", True),
        ("data/axjson", "data/a.json", False),
    ],
)
def test_patterns_are_those_of_a_shell(path: str, pattern: str, expected: bool) -> None:
    assert trim.matches(path, pattern) is expected


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("opentelemetry_api-1.0.dist-info/entry_points.txt", True),
        ("opentelemetry_api-1.0.dist-info/METADATA", True),
        ("acme-1.0.dist-info/direct_url.json", False),
        ("acme-1.0.dist-info/RECORD", False),
        ("certifi/cacert.pem", True),
        ("nacl/py.typed", False),
        ("botocore/data/s3/2006-03-01/examples-1.json", False),
    ],
)
def test_of_data_that_hooks_find_what_a_program_reads_is_kept(path: str, kept: bool) -> None:
    assert trim.is_kept(path) is kept


@pytest.mark.parametrize(("name", "whose"), [("platform", "Python itself"), ("nats", "a package that the SDK uses")])
def test_a_module_that_would_hide_one_that_the_program_needs_is_refused(provider: ProviderToml, name: str, whose: str) -> None:
    (provider.folder / f"{name}.py").touch()
    with pytest.raises(InvalidArgument, match=rf"provider\.toml: module '{name}': {whose} has a module {name}: give yours another name"):
        plan(replace(provider, module=name))


def test_sources_are_read_in_their_own_encoding(provider: ProviderToml) -> None:
    text = "# -*- coding: latin-1 -*-\nimport importlib\nimportlib.import_module('acme.caf\xe9')\n"
    (provider.folder / "acme" / "lazy.py").write_text(text, "latin-1")
    assert "acme.caf\xe9" in plan(provider).hidden
