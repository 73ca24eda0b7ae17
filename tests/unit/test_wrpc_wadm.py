"""wadm manifests of 1.x: what is read, that every problem is named with its line, and how a manifest's generation is known."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from provider_sdk import InvalidArgument, NotFound
from provider_sdk.lattice.manifests import Generation, read_any_manifest
from provider_sdk.lattice.wadm import Manifest
from provider_sdk.lattice.wrpc.manifest import WrpcManifest, workload_id
from provider_sdk.lattice.wrpc.manifest_reader import read_wrpc_manifest
from provider_sdk.lattice.wrpc.secrets_file import BoxSecrets
from provider_sdk.lattice.wrpc.settings import SecretReference

EXAMPLES = Path(__file__).parents[2] / "examples"
HEAD = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: my-Shop}
spec:
"""
GOOD = (
    HEAD
    + """\
  policies:
    - name: vault
      type: policy.secret.wasmcloud.dev/v1alpha1
      properties: {backend: vault-prod}
  components:
    - name: Front End
      type: component
      properties:
        image: file://./front.py
        config:
          - name: look
            properties: {color: red}
      traits:
        - type: spreadscaler
          properties: {instances: 3}
        - type: link
          properties:
            namespace: wasi
            package: keyvalue
            interfaces: [store, atomics]
            name: cache
            source: {config: [{name: shared}]}
            target:
              name: keyvalue
              config:
                - name: redis
                  properties: {url: "redis://127.0.0.1"}
              secrets:
                - name: password
                  properties: {policy: vault, key: db/main, field: word, version: "3"}
    - name: keyvalue
      type: capability
      properties:
        id: kv
        image: registry.example/keyvalue:0.1.0
        secrets:
          - name: token
            properties: {policy: vault, key: token}
"""
)


def read(tmp_path: Path, text: str) -> WrpcManifest:
    path = tmp_path / "wadm.yaml"
    path.write_text(textwrap.dedent(text))
    return read_wrpc_manifest(path)


def problems(tmp_path: Path, components: str) -> list[str]:
    with pytest.raises(InvalidArgument) as caught:
        read(tmp_path, HEAD + textwrap.indent(textwrap.dedent(components), "  "))
    return [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]


def test_components_providers_links_configurations_and_secrets_are_read(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    assert (manifest.name, manifest.base, manifest.warnings) == ("my-Shop", tmp_path.resolve(), ())
    assert manifest.policies == {"vault": "vault-prod"}
    front, keyvalue = manifest.workloads
    assert (front.id, front.provider, front.instances, front.image) == ("my_shop-front_end", False, 3, "file://./front.py")
    assert (keyvalue.id, keyvalue.provider, keyvalue.instances) == ("kv", True, 1)
    (link,) = front.links
    assert (link.target, link.namespace, link.package, link.interfaces, link.name) == (
        "keyvalue",
        "wasi",
        "keyvalue",
        ("store", "atomics"),
        "cache",
    )
    (redis,), (password,) = link.target_settings.config, link.target_settings.secrets
    assert redis.properties == {"url": "redis://127.0.0.1"}
    assert (password.name, password.policy, password.key, password.field, password.version) == ("password", "vault", "db/main", "word", "3")


def test_names_on_the_lattice_begin_with_the_application_s_but_for_what_is_there_already(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    (link,) = manifest.workloads[0].links
    assert manifest.config_names(link.source_settings) == ("shared",)
    names = manifest.config_names(link.target_settings)
    assert names == ("my-Shop-redis", "SECRET_my-Shop-vault-db_main-word-3-password")


def test_the_older_spelling_of_a_link_means_the_same(tmp_path: Path) -> None:
    text = """
      components:
        - name: front
          type: component
          properties: {image: file://./front.py}
          traits:
            - type: link
              properties:
                target: keyvalue
                namespace: wasi
                package: keyvalue
                interfaces: [store]
                source_config: [{name: here}]
                target_config: [{name: there, properties: {a: b}}]
        - {name: keyvalue, type: capability, properties: {image: x/keyvalue:1}}
    """
    (link,) = read(tmp_path, HEAD + textwrap.indent(textwrap.dedent(text), "  ")).workloads[0].links
    assert (link.target, link.name) == ("keyvalue", "default")
    assert [item.name for item in link.source_settings.config] == ["here"]
    assert [(item.name, item.properties, item.lines) for item in link.target_settings.config] == [("there", {"a": "b"}, {"a": 18})]


def test_a_manifest_has_what_it_needs(tmp_path: Path) -> None:
    assert problems(tmp_path, "components: []") == ["wadm.yaml:4: spec.components: missing: name a component and what it is linked to"]
    assert problems(tmp_path, "components: [{name: a, type: actor, properties: {image: x}}]") == [
        "wadm.yaml:5: a: type: expected component or capability, got 'actor'"
    ]
    assert problems(tmp_path, "components: [{name: a, type: component}]") == ["wadm.yaml:5: image: missing"]


def test_what_is_of_0x_is_told_as_such(tmp_path: Path) -> None:
    text = """
    components:
      - name: a
        type: component
        properties: {image: x}
        traits:
          - {type: linkdef, properties: {target: b}}
      - name: b
        type: capability
        properties:
          image: y
          contract: wasmcloud:keyvalue
          colour: red
    """
    assert problems(tmp_path, text) == [
        "wadm.yaml:11: a: trait 'linkdef' is not supported: 1.x manifests link with a link trait (target, namespace, package, interfaces)",
        "wadm.yaml:16: b: contract is not known: that is of 0.x, on 1.x links name namespace, package and interfaces",
        "wadm.yaml:17: b: colour is not known",
    ]


def test_a_key_that_nobody_knows_is_a_problem_wherever_it_stands(tmp_path: Path) -> None:
    text = """
    policies: [{name: vault, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: b}}]
    components:
      - name: a
        type: component
        properties: {image: x}
        traits:
          - type: link
            properties:
              namespace: wasi
              package: keyvalue
              interfaces: [store]
              sourc: {config: [{name: here}]}
              source:
                confg: [{name: here}]
              target:
                name: b
                config:
                  - name: there
                    propertys: {a: b}
                secrets:
                  - name: word
                    properties: {policy: vault, key: k, feild: f}
      - {name: b, type: capability, properties: {image: y}}
    """
    assert problems(tmp_path, text) == [
        "wadm.yaml:17: a: sourc is not known",
        "wadm.yaml:19: a: confg is not known",
        "wadm.yaml:24: there: propertys is not known",
        "wadm.yaml:27: word: feild is not known",
    ]


def test_links_lead_somewhere_once_and_not_from_provider_to_provider(tmp_path: Path) -> None:
    link = "{{type: link, properties: {{namespace: wasi, package: keyvalue, interfaces: [{0}], target: {{name: {1}}}}}}}"
    text = f"""
    components:
      - name: a
        type: component
        properties: {{image: x}}
        traits:
          - {link.format("store", "b")}
          - {link.format("batch, store", "c")}
          - {link.format("store", "nobody")}
      - {{name: b, type: capability, properties: {{image: y}}}}
      - name: c
        type: capability
        properties: {{image: z}}
        traits:
          - {link.format("store", "b")}
          - {{type: link, properties: {{target: a, interfaces: store}}}}
    """
    assert problems(tmp_path, text) == [
        "wadm.yaml:12: a: two links named default for wasi:keyvalue/store",
        "wadm.yaml:13: a: linked to 'nobody', which is not in this manifest",
        "wadm.yaml:13: a: two links named default for wasi:keyvalue/store",
        "wadm.yaml:19: c: a provider cannot be linked to the provider b",
        "wadm.yaml:20: c: interfaces: expected a list of names, such as [store]",
        "wadm.yaml:20: namespace: missing",
        "wadm.yaml:20: package: missing",
    ]


def test_names_and_ids_are_given_once(tmp_path: Path) -> None:
    text = """
    components:
      - {name: a, type: component, properties: {image: x}}
      - {name: a, type: component, properties: {image: x, id: other}}
      - {name: b, type: component, properties: {image: x, id: other}}
    """
    assert problems(tmp_path, text) == ["wadm.yaml:8: a: the name is given twice", "wadm.yaml:9: other: the id is given twice"]


def test_settings_are_text_the_same_everywhere_and_secrets_have_a_policy(tmp_path: Path) -> None:
    text = """
    components:
      - name: a
        type: component
        properties:
          image: x
          config:
            - name: one
              properties: {port: 8080}
            - name: two
              properties: {a: b}
      - name: b
        type: capability
        properties:
          image: y
          config:
            - {name: two, properties: {a: c}}
            - {name: two}
          secrets:
            - {name: password, properties: {policy: vault, key: k}}
            - {name: token, properties: {policy: vault}}
    """
    assert problems(tmp_path, text) == [
        "wadm.yaml:13: a: one.port: expected text: put 8080 in quotes",
        "wadm.yaml:21: config two: given before with other properties (line 14)",
        "wadm.yaml:24: secret password: there is no policy 'vault' of type policy.secret.wasmcloud.dev/v1alpha1",
        "wadm.yaml:25: key: missing",
        "wadm.yaml:25: secret token: there is no policy 'vault' of type policy.secret.wasmcloud.dev/v1alpha1",
    ]


def test_what_is_read_otherwise_is_warned_of(tmp_path: Path) -> None:
    text = """
    policies: [{name: p, type: policy.other}]
    components:
      - name: a
        type: component
        properties: {image: x}
        traits: [{type: daemonscaler, properties: {replicas: 2}}]
    """
    manifest = read(tmp_path, HEAD + textwrap.indent(textwrap.dedent(text), "  "))
    assert [line.partition(": ")[2] for line in manifest.warnings] == [
        "policy p: type 'policy.other' is not known: ignored",
        "a: there is one host here: daemonscaler is read as a number of instances only",
    ]
    assert manifest.workloads[0].instances == 2


def test_warnings_stand_beside_problems(tmp_path: Path) -> None:
    text = """
    policies: [{name: p, type: policy.other}]
    components: [{name: a, type: actor}]
    """
    assert problems(tmp_path, text) == [
        "wadm.yaml:6: warning: policy p: type 'policy.other' is not known: ignored",
        "wadm.yaml:7: a: type: expected component or capability, got 'actor'",
    ]


def test_both_spellings_of_a_side_count_together(tmp_path: Path) -> None:
    link = "{target: {name: b, config: [{name: new}]}, target_config: [{name: old}], namespace: x, package: y, interfaces: [z]}"
    text = f"""
    components:
      - {{name: a, type: component, properties: {{image: x}}, traits: [{{type: link, properties: {link}}}]}}
      - {{name: b, type: capability, properties: {{image: y}}}}
    """
    (read_link,) = read(tmp_path, HEAD + textwrap.indent(textwrap.dedent(text), "  ")).workloads[0].links
    assert [item.name for item in read_link.target_settings.config] == ["old", "new"]


def test_an_id_is_made_of_application_and_name() -> None:
    assert workload_id("My.App", "HTTP server-2") == "my_app-http_server_2"


@pytest.mark.parametrize(
    ("example", "kind"), [("hello", Manifest), ("greeter", Manifest), ("hello-1x", WrpcManifest), ("greeter/wadm-1x.yaml", WrpcManifest)]
)
def test_a_manifest_s_generation_is_known_by_its_content(example: str, kind: type) -> None:
    path = EXAMPLES / example
    assert isinstance(read_any_manifest(path / "wadm.yaml" if path.is_dir() else path), kind)


def test_a_provider_alone_is_of_0x_where_it_names_its_contract(tmp_path: Path) -> None:
    path = tmp_path / "wadm.yaml"
    path.write_text(HEAD + "  components: [{name: a, type: capability, properties: {image: x, contract: 'acme:a'}}]\n")
    assert isinstance(read_any_manifest(path), Manifest)
    path.write_text(HEAD + "  components: [{name: a, type: capability, properties: {image: x, config: [{name: o, properties: {a: b}}]}}]\n")
    assert isinstance(read_any_manifest(path), WrpcManifest)


def test_a_generation_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "wadm.yaml"
    path.write_text(HEAD + "  components: [{name: a, type: capability, properties: {image: x}}]\n")
    with pytest.raises(InvalidArgument, match="contract: missing"):
        read_any_manifest(path, Generation.WASMBUS)
    found = read_any_manifest(path)
    assert isinstance(found, WrpcManifest)
    assert found.workloads[0].provider


# Secrets of the box


def test_a_secret_is_in_the_file_or_in_a_variable_which_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = BoxSecrets(tmp_path)
    with pytest.raises(NotFound, match=r"secret db/main, field word: neither in the variable SECRET_DB_MAIN_WORD nor in .*secrets\.yaml"):
        secrets(SecretReference("password", "db/main", field="word"))
    (tmp_path / "secrets.yaml").write_text("db/main: {word: hunter2}\nraw: !!binary AP8=\nnumber: 5\n")
    assert secrets(SecretReference("password", "db/main", field="word")) == "hunter2"
    assert secrets(SecretReference("password", "raw")) == b"\x00\xff"
    assert secrets.place(SecretReference("password", "raw")) == str(tmp_path / "secrets.yaml")
    with pytest.raises(InvalidArgument, match="number: expected text in quotes"):
        secrets(SecretReference("password", "number"))
    monkeypatch.setitem(os.environ, "SECRET_DB_MAIN_WORD", "other")
    assert secrets(SecretReference("password", "db/main", field="word")) == "other"
    assert secrets.place(SecretReference("password", "db/main", field="word")) == "the variable SECRET_DB_MAIN_WORD"


def test_a_broken_secrets_file_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secrets.yaml").write_text("password: 'hunter2\n")
    with pytest.raises(InvalidArgument) as caught:
        BoxSecrets(tmp_path)(SecretReference("password", "password"))
    assert "hunter2" not in str(caught.value)
