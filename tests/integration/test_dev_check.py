"""`provider dev check`: what a manifest comes to, told by its lines, with nothing started; and what `dev up` makes of official images."""

from __future__ import annotations

import json
import socket
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provider_sdk.cli.check import look
from provider_sdk.findings import Finding, Level
from provider_sdk.lattice.manifests import Generation
from provider_sdk.lattice.wrpc.manifest import POLICY
from providers.blobstore import config as blobstore
from providers.keyvalue import config as keyvalue
from tests.integration.test_dev import EXAMPLES, Terminal
from tests.servers.ports import free_port

HEAD = "kind: Application\nmetadata: {name: shop}\nspec:\n"
OFFICIAL = f"""\
  policies:
    - name: vault
      type: {POLICY}
      properties: {{backend: vault-prod}}
  components:
    - name: counter
      type: component
      properties:
        image: ghcr.io/wasmcloud/components/http-keyvalue-counter-rust:0.1.0
      traits:
        - type: spreadscaler
          properties: {{instances: 1}}
        - type: link
          properties:
            target: kvredis
            namespace: wasi
            package: keyvalue
            interfaces: [atomics, store, batch]
            target_config:
              - name: redis-url
                properties:
                  url: redis://127.0.0.1:6379
        - type: link
          properties:
            namespace: wasi
            package: blobstore
            interfaces: [blobstore, container, types]
            target:
              name: s3
              config:
                - name: s3
                  properties:
                    bucket_region: eu-central-1
              secrets:
                - name: access_key_id
                  properties: {{policy: vault, key: s3, field: id}}
                - name: secret_access_key
                  properties: {{policy: vault, key: s3, field: secret}}
        - type: link
          properties:
            namespace: wasmcloud
            package: messaging
            interfaces: [consumer]
            target: {{name: nats}}
    - name: kvredis
      type: capability
      properties:
        image: ghcr.io/wasmcloud/keyvalue-redis:0.28.2
    - name: s3
      type: capability
      properties:
        image: ghcr.io/wasmcloud/blobstore-s3:0.11.0
    - name: nats
      type: capability
      properties:
        image: ghcr.io/wasmcloud/messaging-nats:0.23.1
        config: [{{name: cluster}}]
    - name: httpserver
      type: capability
      properties:
        image: ghcr.io/wasmcloud/http-server:0.27.0
      traits:
        - type: link
          properties:
            target: counter
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source_config:
              - name: default-http
                properties:
                  address: 127.0.0.1:PORT
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def written(folder: Path, text: str) -> Path:
    """The manifest with that spec, beside a component in Python."""
    (folder / "front.py").touch()
    path = folder / "wadm.yaml"
    path.write_text(HEAD + (text if text.startswith("  ") else textwrap.indent(textwrap.dedent(text).lstrip("\n"), "  ")))
    return path


def told(found: list[Finding]) -> list[str]:
    return [f"{item.level} {item.subject.rpartition('/')[2].removeprefix('wadm.yaml:')}: {item.message}" for item in found]


def bad(path: Path) -> list[str]:
    """What is not as it should be; that each has an advice is asked of all of them."""
    faults = [item for item in look(path) if item.level is not Level.OK]
    assert all(item.advice for item in faults), faults
    return told(faults)


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize("manifest", sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*.yaml")))
def test_the_examples_are_as_they_should_be(terminal: Terminal, manifest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_S3_SECRET", "demo-secret")
    found = look(terminal.example(*manifest.split("/")))
    assert [item for item in found if item.level is not Level.OK] == []
    assert len(found) >= 3
    assert not (terminal.folder / ".provider").exists()


def test_an_official_manifest_of_1x_is_told_what_stands_in_and_what_it_lacks_here(tmp_path: Path) -> None:
    port = free_port()
    installed = "0.1.0, installed here, stands in for ghcr.io/wasmcloud"
    secrets = tmp_path / "secrets.yaml"
    assert told(look(written(tmp_path, OFFICIAL.replace("PORT", str(port))))) == [
        "ok wadm.yaml: shop, for 1.x hosts: 5 workloads, 4 links",
        f"warning 48: kvredis: keyvalue {installed}/keyvalue-redis:0.28.2",
        "warning 25: kvredis, link with counter: link values: url is a secret, and stands in plain configuration: give it as a secret",
        "ok 48: kvredis: takes its settings and 1 link",
        f"warning 52: s3: blobstore {installed}/blobstore-s3:0.11.0",
        "ok 52: s3: takes its settings and 1 link",
        "ok 56: nats: ghcr.io/wasmcloud/messaging-nats:0.23.1: an archive that is fetched at `provider dev up`, not looked into",
        f"warning 61: httpserver: httpserver {installed}/http-server:0.27.0",
        "ok 61: httpserver: takes its settings and 1 link",
        f"ok 67: httpserver: listens at 127.0.0.1:{port}",
        "warning 9: counter: ghcr.io/wasmcloud/components/http-keyvalue-counter-rust:0.1.0 is not run here, its links are checked",
        "warning 60: config cluster: it has no properties here, so it has to be in the lattice already: not looked at",
        f"warning 38: secret s3, field id: neither in the variable SECRET_S3_ID nor in {secrets}",
        f"warning 40: secret s3, field secret: neither in the variable SECRET_S3_SECRET nor in {secrets}",
    ]


def test_an_official_manifest_of_0x_too(tmp_path: Path) -> None:
    text = """
    components:
      - name: counter
        type: actor
        properties: {image: "wasmcloud.azurecr.io/kvcounter:0.4.0"}
        traits:
          - {type: linkdef, properties: {target: http, values: {ADDRESS: "127.0.0.1:0"}}}
          - {type: linkdef, properties: {target: kv, values: {URL: "redis://127.0.0.1:6379"}}}
      - {name: http, type: capability, properties: {image: "wasmcloud.azurecr.io/httpserver:0.19.1", contract: "wasmcloud:httpserver"}}
      - {name: kv, type: capability, properties: {image: "wasmcloud.azurecr.io/kvredis:0.22.0", contract: "wasmcloud:keyvalue"}}
    """
    assert bad(written(tmp_path, text)) == [
        "warning 11: http: httpserver 0.1.0, installed here, stands in for wasmcloud.azurecr.io/httpserver:0.19.1",
        "warning 12: kv: keyvalue 0.1.0, installed here, stands in for wasmcloud.azurecr.io/kvredis:0.22.0",
        "warning 5: counter: wasmcloud.azurecr.io/kvcounter:0.4.0 is not run here, its links are checked",
    ]


def test_settings_of_1x_are_judged_by_the_provider_s_own_class_and_told_by_their_lines(tmp_path: Path) -> None:
    text = """
    components:
      - name: front
        type: component
        properties: {image: file://./front.py}
        traits:
          - type: link
            properties:
              namespace: wasi
              package: keyvalue
              interfaces: [store]
              target:
                name: kv
                config:
                  - name: base
                    properties:
                      connections: many
                      backend: redis
                  - name: over
                    properties:
                      backend: etcd
                      conect_timeout: 2s
      - name: kv
        type: capability
        properties:
          image: registry.example/keyvalue:0.1.0
          config:
            - name: own
              properties:
                max_calls: none
                max_batch: "0"
    """
    assert bad(written(tmp_path, text)) == [
        'wrong 32: kv: provider configuration: max_calls: "none" is not a whole number of at least 1',
        'wrong 23: kv, link with front: link values: backend: "etcd" is not one of "memory", "sqlite", "redis", "postgres"',
        'wrong 19: kv, link with front: link values: connections: "many" is not a whole number from 1 to 1000',
        'wrong 33: kv: provider configuration: max_batch: "0" is not a whole number of at least 1',
        'warning 24: kv, link with front: link values: unknown setting "conect_timeout" is ignored: did you mean "connect_timeout"?',
    ]


def test_settings_of_0x_too(tmp_path: Path) -> None:
    text = """
    components:
      - name: front
        type: actor
        properties: {image: file://./front.wasm}
        traits:
          - type: linkdef
            properties:
              target: kv
              values:
                backend: redis
                password: hunter2
                conections: "5"
      - name: kv
        type: capability
        properties:
          image: registry.example/keyvalue:0.1.0
          contract: wasmcloud:keyvalue
          config:
            log_level: loud
      - {name: n, type: capability, properties: {image: x/numbergen, contract: "wasmcloud:builtin:numbergen", config: "[1]"}}
    """
    (tmp_path / "front.wasm").touch()
    assert bad(written(tmp_path, text)) == [
        'wrong 22: kv: provider configuration: log_level: "loud" is not one of "trace", "debug", "info", "warn", "error"',
        'warning 15: kv, link with front: link values: unknown setting "conections" is ignored: did you mean "connections"?',
        "warning 23: n: nothing is linked to it",
        "wrong 23: n: config: expected a map, or the text of a JSON object",
    ]


def test_a_store_that_nobody_names_is_told_of_for_it_is_another_than_the_official_provider_s(tmp_path: Path) -> None:
    text = """
    components:
      - name: front
        type: component
        properties: {image: file://./front.py}
        traits:
          - {type: link, properties: {namespace: wasi, package: keyvalue, interfaces: [store], target: {name: kv}}}
          - {type: link, properties: {namespace: wasi, package: blobstore, interfaces: [blobstore], target: {name: s3}}}
      - {name: kv, type: capability, properties: {image: x/keyvalue}}
      - {name: s3, type: capability, properties: {image: x/blobstore}}
    """
    assert bad(written(tmp_path, text)) == [
        f"warning 9: kv, link with front: {keyvalue.NO_STORE}",
        f"warning 10: s3, link with front: {blobstore.NO_STORE}",
    ]


def test_what_a_setting_of_the_lattice_s_own_may_give_is_not_missing(tmp_path: Path) -> None:
    source = (EXAMPLES / "greeter" / "greeter.py").read_text().replace('setting("Hello", ', "setting(")
    (tmp_path / "greeter.py").write_text(source)
    text = """
    components:
      - name: front
        type: component
        properties: {image: file://./front.py}
        traits:
          - {type: link, properties: {namespace: acme, package: greeter, interfaces: [greeter], target: {name: greeter%s}}}
      - {name: greeter, type: capability, properties: {image: file://./greeter.py}}
    """
    missing = bad(written(tmp_path, text % ""))
    assert [line.partition(" is missing")[0] for line in missing] == ["wrong 9: greeter, link with front: the required setting greeting"]
    assert bad(written(tmp_path, text % ", config: [{name: words}]")) == [
        "warning 9: config words: it has no properties here, so it has to be in the lattice already: not looked at"
    ]


def test_a_link_is_for_what_its_provider_serves(tmp_path: Path) -> None:
    link = "{{type: link, properties: {{namespace: {0}, package: {1}, interfaces: [{2}], target: {{name: {3}}}}}}}"
    text = f"""
    components:
      - name: front
        type: component
        properties: {{image: file://./front.py}}
        traits:
          - {link.format("wrpc", "keyvalue", "store, atomcis", "kv")}
          - {link.format("wasi", "http", "incoming-handler", "http")}
      - {{name: kv, type: capability, properties: {{image: x/keyvalue, config: [{{name: own, properties: {{backend: memory}}}}]}}}}
      - {{name: http, type: capability, properties: {{image: x/httpserver}}}}
    """
    found = [item for item in look(written(tmp_path, text)) if item.level is Level.WRONG]
    assert told(found) == [
        "wrong 9: kv: it does not serve wasi:keyvalue/atomcis",
        "wrong 10: http: it does not serve wasi:http/incoming-handler",
    ]
    assert [item.advice for item in found] == [
        "it serves wasi:keyvalue/atomics, wasi:keyvalue/batch, wasi:keyvalue/store",
        "it serves nothing and only calls: its links stand on itself",
    ]


def test_a_contract_is_one_that_the_provider_serves(tmp_path: Path) -> None:
    text = """
    components:
      - name: front
        type: actor
        properties: {image: file://./none.wasm}
        traits: [{type: linkdef, properties: {target: kv, values: {backend: memory}}}]
      - {name: kv, type: capability, properties: {image: x/keyvalue, contract: "wasmcloud:keyvlaue"}}
    """
    assert bad(written(tmp_path, text)) == [
        "wrong 9: kv: it does not serve wasmcloud:keyvlaue",
        f"wrong 5: front: {tmp_path}/none.wasm does not exist",
    ]


def test_a_program_that_is_not_there_or_does_not_start_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "tea.par.gz").touch()
    text = """
    components:
      - name: front
        type: component
        properties: {image: file://./nothing.py}
        traits:
          - {type: link, properties: {namespace: a, package: b, interfaces: [c], target: {name: tea}}}
      - {name: broken, type: capability, properties: {image: file://./broken.py}}
      - {name: gone, type: capability, properties: {image: file://./gone}}
      - {name: tea, type: capability, properties: {image: file://./tea.par.gz}}
    """
    found = look(written(tmp_path, text))
    assert told(found) == [
        "ok wadm.yaml: shop, for 1.x hosts: 4 workloads, 1 link",
        "wrong 10: broken: it does not start: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        f"wrong 11: gone: {tmp_path}/gone does not exist",
        "ok 12: tea: file://./tea.par.gz: an archive here, not looked into",
        f"wrong 5: front: {tmp_path}/nothing.py does not exist",
    ]


def test_an_address_that_is_taken_is_a_warning_and_one_that_is_none_is_wrong(tmp_path: Path) -> None:
    text = """
    components:
      - {{name: front, type: component, properties: {{image: file://./front.py}}}}
      - name: http
        type: capability
        properties: {{image: {image}}}
        traits:
          - type: link
            properties:
              namespace: wasi
              package: http
              interfaces: [incoming-handler]
              target: {{name: front}}
              source: {{config: [{{name: here, properties: {{address: "{address}"}}}}]}}
    """
    (tmp_path / "http.par.gz").touch()
    with taken_port() as port:
        taken = text.format(image="x/httpserver", address=f"127.0.0.1:{port}")
        assert bad(written(tmp_path, taken)) == [f"warning 11: http: 127.0.0.1:{port} cannot be used now: Address already in use"]
    for address in ("127.0.0.1:99999", "8080"):
        none = text.format(image="x/httpserver", address=address)
        assert bad(written(tmp_path, none)) == [
            f"wrong 16: http, link with front: address: {address!r} is not ip:port, such as 127.0.0.1:8080"
        ]
        unknown = text.format(image="file://./http.par.gz", address=address)
        assert bad(written(tmp_path, unknown)) == [f"wrong 11: http: {address!r} is no address such as 127.0.0.1:8080"]


def test_a_secret_is_looked_for_where_the_box_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets.yaml").write_text("s3: {secret: hunter2}\n")
    monkeypatch.setenv("SECRET_S3_ID", "hunter2")
    found = [line for line in told(look(written(tmp_path, OFFICIAL))) if "hunter2" in line or " secret " in line]
    assert found == [
        "ok 38: secret access_key_id: in the variable SECRET_S3_ID",
        f"ok 40: secret secret_access_key: in {tmp_path}/secrets.yaml",
    ]
    (tmp_path / "secrets.yaml").write_text("s3: {secret: 5}\n")
    assert any(line.startswith("wrong 40: ") and "expected text in quotes" in line for line in bad(tmp_path / "wadm.yaml"))


def test_what_the_reader_finds_is_told_with_its_warnings(tmp_path: Path) -> None:
    link = "{type: link, properties: {namespace: wasi, package: keyvalue, interfaces: [store], target: {name: %s}}}"
    text = f"""
    policies: [{{name: p, type: policy.other}}]
    components:
      - name: front
        type: component
        properties: {{image: file://./front.py}}
        traits:
          - {link % "kv"}
          - {link % "other"}
          - {link % "nobody"}
      - name: kv
        type: capability
        properties: {{image: x/keyvalue, secrets: [{{name: url, properties: {{policy: p, key: k}}}}]}}
      - {{name: other, type: capability, properties: {{image: x/keyvalue}}}}
    """
    found = bad(written(tmp_path, text))
    assert "wrong 11: front: two links named default for wasi:keyvalue/store" in found
    assert "wrong 12: front: linked to 'nobody', which is not in this manifest" in found
    assert [line for line in found if line.startswith("wrong 15: secret url: there is no policy 'p'")]
    assert found[-1] == "warning 4: policy p: type 'policy.other' is not known: ignored"
    path = tmp_path / "wadm.yaml"
    path.write_text("a: [")
    assert bad(path) == ["wrong 1: not YAML: expected the node content, but found '<stream end>'"]


def test_the_command_tells_a_person_or_a_program_and_starts_nothing(terminal: Terminal) -> None:
    path = terminal.example("hello-1x")
    done = terminal.type("check", str(path.parent))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"ok      {path}: hello-1x, for 1.x hosts: 4 workloads, 3 links\n")
    assert done.stdout.endswith("\n\nnothing is wrong\n")
    path.write_text(path.read_text().replace("backend: sqlite", "backend: lite"))
    done = terminal.type("check", str(path), "--json", "--generation", "1.x")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"], [item["level"] for item in found["findings"]].count("wrong")) == (1, False, 1)
    as_other = terminal.type("check", str(path), "--generation", "0.x")
    assert (as_other.returncode, as_other.stdout.count("WRONG ")) == (1, 6)
    nothing = terminal.type("check")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (1, "", "provider: wadm.yaml does not exist\n")
    assert [item.name for item in terminal.folder.iterdir()] == ["hello-1x"]


def test_up_tells_warnings_beside_what_is_wrong(terminal: Terminal) -> None:
    path = written(terminal.folder, "policies: [{name: p, type: policy.other}]\ncomponents: [{name: a, type: component}]\n")
    done = terminal.type("up", "--generation", Generation.WRPC.value)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [
            f"provider: {path.name}:4: warning: policy p: type 'policy.other' is not known: ignored",
            f"provider: {path.name}:5: image: missing",
        ],
    )


def test_up_check_without_http_names_the_verb_that_is_for_any_manifest(terminal: Terminal) -> None:
    done = terminal.type("up", "--check", str(terminal.example("greeter", "wadm-1x.yaml")))
    told = "provider: --check is for the hello example, and nothing listens here: provider dev check looks at any manifest\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


def test_up_runs_the_pack_for_official_images_and_says_so(terminal: Terminal) -> None:
    path = terminal.example("hello-1x")
    text = path.read_text().replace("registry.example/wasmcloud/httpserver:0.1.0", "ghcr.io/wasmcloud/http-server:0.27.0")
    path.write_text(text.replace("registry.example/wasmcloud/keyvalue:0.1.0", "ghcr.io/wasmcloud/keyvalue-redis:0.28.2"))
    with terminal.running("up", str(path)):
        assert terminal.get("/")[1] == "Hello! You are visitor 1.\n"
        assert (
            "listens at 127.0.0.1:" in (now := terminal.type("check", str(path)).stdout) and " now, in the lattice that runs here\n" in now
        )
        for name, image in (("httpserver", "http-server:0.27.0"), ("keyvalue", "keyvalue-redis:0.28.2")):
            stands_in = f"{name} 0.1.0, installed here, stands in for ghcr.io/wasmcloud/{image}: name its own archive for real hosts\n"
            assert stands_in in terminal.output()
