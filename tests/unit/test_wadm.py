"""wadm manifests: what is read, and that every problem is named with its line."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_sdk import InvalidArgument, NotFound
from provider_sdk.lattice.wadm import ActorComponent, Manifest, ManifestLink, ProviderComponent, read_manifest, write_manifest

GOOD = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: shop
spec:
  components:
    - name: front
      type: actor
      properties: {image: file://./front.wasm}
      traits:
        - type: spreadscaler
          properties: {replicas: 3}
        - type: linkdef
          properties:
            target: http
            values: {address: "127.0.0.1:8080"}
    - name: http
      type: capability
      properties:
        image: registry.example/httpserver:0.1.0
        contract: wasmcloud:httpserver
        config: {readonly_mode: true}
"""


def read(tmp_path: Path, text: str) -> Manifest:
    path = tmp_path / "wadm.yaml"
    path.write_text(textwrap.dedent(text))
    return read_manifest(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(InvalidArgument) as caught:
        read(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]


def test_actors_providers_and_links_are_read(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    assert (manifest.name, manifest.base, manifest.warnings) == ("shop", tmp_path.resolve(), ())
    (actor,) = manifest.actors
    assert (actor.name, actor.image, actor.replicas) == ("front", "file://./front.wasm", 3)
    assert [(link.target, dict(link.values)) for link in actor.links] == [("http", {"address": "127.0.0.1:8080"})]
    (provider,) = manifest.providers
    assert (provider.contract, provider.link_name, json.loads(provider.config or "")) == (
        "wasmcloud:httpserver",
        "default",
        {"readonly_mode": True},
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("target: http\n", "target: https\n"), "wadm.yaml:14: front: linked to 'https', which is no provider of this manifest"),
        (("        contract: wasmcloud:httpserver\n", ""), "wadm.yaml:19: contract: missing"),
        (("replicas: 3", "replicas: many"), "wadm.yaml:12: front: replicas: expected a number from 1"),
        (("kind: Application", "kind: Pod"), "wadm.yaml:2: kind: expected Application"),
        (("type: actor", "type: daemon"), "wadm.yaml:8: front: type: expected actor or capability, got 'daemon'"),
        (('{address: "127.0.0.1:8080"}', "{port: 8080}"), "wadm.yaml:16: front: values.port: expected text: put 8080 in quotes"),
        (("type: linkdef", "type: link"), "wadm.yaml:13: front: trait 'link' is not supported: 0.x manifests link with a linkdef trait"),
        (("name: http\n", "name: front\n"), "wadm.yaml:17: front: the name is given twice"),
        (("  name: shop", "  name: my shop"), "wadm.yaml:4: metadata.name: only letters"),
    ],
)
def test_a_problem_is_one_line_with_file_and_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    found = problems(tmp_path, GOOD.replace(*change))
    assert any(line.startswith(expected) for line in found), found


def test_all_problems_are_told_at_once_in_order(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        GOOD.replace("replicas: 3", "replicas: 0").replace("kind: Application", "kind: X").replace("target: http\n", "target: nobody\n"),
    )
    assert [line.split(":")[1] for line in found] == ["2", "12", "14"]


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\t", "a: &a [*a]", "kind: Application\nspec: 3"])
def test_what_is_no_manifest_is_named_with_a_line(tmp_path: Path, text: str) -> None:
    assert all(line.startswith("wadm.yaml:") for line in problems(tmp_path, text))


def test_what_one_host_cannot_do_is_a_warning_by_line(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD.replace("type: spreadscaler", "type: daemonscaler"))
    assert manifest.warnings[0].startswith(f"{tmp_path}/wadm.yaml:11: front: there is one host here")


def test_warnings_stand_beside_problems(tmp_path: Path) -> None:
    text = GOOD.replace("type: spreadscaler", "type: daemonscaler").replace("replicas: 3", "replicas: 0")
    assert [line.partition(": ")[2] for line in problems(tmp_path, text)] == [
        "warning: front: there is one host here: daemonscaler is read as a number of replicas only",
        "front: replicas: expected a number from 1",
    ]


def test_an_actor_has_one_link_of_a_name_for_a_contract(tmp_path: Path) -> None:
    other = """\
    - name: second
      type: capability
      properties: {image: registry.example/other:0.1.0, contract: "wasmcloud:httpserver"%s}
"""
    link = "        - {type: linkdef, properties: {target: second}}\n    - name: http\n"
    text = GOOD.replace("    - name: http\n", link)
    assert problems(tmp_path, text + other % "") == [
        "wadm.yaml:17: front: wasmcloud:httpserver is linked to http as default already: give one of them another link_name"
    ]
    assert len(read(tmp_path, text + other % ", link_name: two").actors[0].links) == 2


def test_settings_know_their_lines(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    assert (manifest.actors[0].links[0].lines, manifest.providers[0].lines) == ({"address": 16}, {"readonly_mode": 22})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nothing\.yaml does not exist"):
        read_manifest(tmp_path / "nothing.yaml")


def test_a_written_manifest_reads_as_it_was(tmp_path: Path) -> None:
    actor = ActorComponent("a", "file:///a.wasm", 2, (ManifestLink("kv", {"url": "memory://"}), ManifestLink("n")))
    providers = (
        ProviderComponent("kv", "r/kv:1", "wasmcloud:keyvalue", "default", '{"x": 1}'),
        ProviderComponent("n", "r/n:1", "acme:n", "other"),
    )
    again = read(tmp_path, write_manifest(Manifest("app", (actor,), providers, tmp_path), "made by a test"))
    assert [(item.name, item.image, item.replicas) for item in again.actors] == [("a", "file:///a.wasm", 2)]
    assert [(link.target, dict(link.values)) for link in again.actors[0].links] == [("kv", {"url": "memory://"}), ("n", {})]
    assert [(item.name, item.image, item.contract, item.link_name, item.config) for item in again.providers] == [
        (item.name, item.image, item.contract, item.link_name, item.config) for item in providers
    ]


@given(st.text(max_size=200))
def test_any_text_gives_a_manifest_or_problems_with_lines(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "wadm.yaml"
    path.write_text(text, "utf-8", errors="replace")
    with pytest.raises(InvalidArgument):
        read_manifest(path)
