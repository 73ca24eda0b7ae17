"""`provider doctor`: each fault is brought about for real, and found, with what to do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from provider_sdk.cli.doctor import bus, interpreter, machine, places, project, verb
from provider_sdk.cli.main import run
from provider_sdk.findings import Finding, Level
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.lattice.state import State, hold, write_state
from provider_sdk.provider_toml import MANIFESTS
from tests.integration.test_package_new import type_new
from tests.servers.ports import free_port

ACTOR = """\
kind: Application
metadata: {name: tea}
spec:
  components:
    - name: drinker
      type: actor
      properties: {image: "file://./drinker.wasm"}
      traits:
"""
LINK = """\
        - type: linkdef
          properties:
            target: %s
            values: %s
"""
PROVIDER = """\
    - name: %s
      type: capability
      properties: {image: "registry.example/%s:0.1.0", contract: "%s", config: %s}
"""
WRPC = """\
kind: Application
metadata: {name: shop}
spec:
  components:
    - name: web
      type: capability
      properties: {image: "registry.example/httpserver:0.1.0"}
      traits:
        - type: link
          properties:
            {namespace: wasi, package: http, interfaces: [incoming-handler], target: {name: shop},
             source: {config: [{name: front, properties: {address: "127.0.0.1:%s"}}]}}
    - name: shop
      type: component
      properties: {image: "file://./shop.py"}
      traits:
        - type: link
          properties:
            namespace: wasi
            package: keyvalue
            interfaces: [store]
            target:
              name: kv
              config:
                - {name: away, properties: {url: "redis://:secret@127.0.0.1:%s"}}
                - {name: elsewhere}
    - name: kv
      type: capability
      properties: {image: "registry.example/keyvalue:0.1.0", config: [{name: own, properties: {url: "postgresql://127.0.0.1:%s/db"}}]}
"""


def manifest(folder: Path, name: str, contract: str, values: dict[str, str], config: object = None) -> None:
    text = ACTOR + LINK % (name, json.dumps(values)) + PROVIDER % (name, name, contract, json.dumps(config))
    (folder / "wadm.yaml").write_text(text)


def bad(found: Iterable[Finding]) -> list[str]:
    """What is not as it should be; that each has an advice is asked of all of them."""
    faults = [item for item in found if item.level is not Level.OK]
    assert all(item.advice for item in faults), faults
    return [f"{item.level} {item.subject}: {item.message}" for item in faults]


def doctor(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["provider", "doctor", *words])
    with pytest.raises(SystemExit) as ended:
        run()
    return ended.value.code


@pytest.fixture
def tea(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NATS_URL", raising=False)
    monkeypatch.setattr(verb, "WITHIN", 120.0)
    monkeypatch.setattr(bus, "WITHIN", 60.0)
    type_new(tmp_path, "tea", "--folder", ".")
    return tmp_path


def test_a_new_project_is_well_and_a_fault_in_it_is_an_exit_code_and_a_line(
    tea: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(monkeypatch, str(tea), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert {"Python", "packages", "NATS", "provider.toml", "program", *MANIFESTS} <= {item["subject"] for item in found["findings"]}
    settings = tea / "provider.toml"
    settings.write_text(settings.read_text().replace("revision = 1", "revision = 0"))
    assert doctor(monkeypatch, str(tea)) == 1
    text = capsys.readouterr().out
    assert f"WRONG   provider.toml: {settings}:6: revision: 0: expected a whole number from 1" in text
    assert "        → docs/provider-toml.md has every key and its form\n" in text
    assert text.endswith("\n1 wrong\n") or "1 wrong, " in text.splitlines()[-1]


def test_a_folder_that_is_none_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(monkeypatch, "nothing") == 2
    assert capsys.readouterr().err == "provider: nothing is no folder\n"


def test_a_program_that_does_not_start_or_serves_something_else(tea: Path) -> None:
    source = tea / "tea.py"
    source.write_text(source.read_text().replace('contract="acme:tea"', 'contract="acme:coffee"'))
    assert bad(project.checks(tea)) == [
        "wrong program: provider.toml says acme:tea: the program does not serve that, but acme:coffee, acme:tea/tea@0.1.0"
    ]
    source.write_text("import nothing_of_that_name")
    assert bad(project.checks(tea)) == [
        "wrong program: python -m tea does not start: ModuleNotFoundError: No module named 'nothing_of_that_name'"
    ]
    source.unlink()
    assert bad(project.checks(tea)) == [
        f"wrong provider.toml: {tea / 'provider.toml'}: module 'tea': neither tea.py nor tea/__main__.py is there"
    ]


def test_what_is_served_on_1x_hosts_alone_is_named_and_compared(tea: Path) -> None:
    source, settings = tea / "tea.py", tea / "provider.toml"
    source.write_text(source.read_text().replace('contract="acme:tea", ', ""))
    settings.write_text(settings.read_text().replace('contract = "acme:tea"\n', ""))
    assert "python -m tea starts, and serves acme:tea/tea@0.1.0" in [item.message for item in project.checks(tea)]
    settings.write_text(settings.read_text().replace("tea@0.1.0", "tea@0.2.0"))
    assert bad(project.checks(tea)) == [
        "wrong program: provider.toml says acme:tea/tea@0.2.0: the program does not serve that, but acme:tea/tea@0.1.0"
    ]


def test_a_provider_that_only_calls_may_say_whom(tea: Path) -> None:
    (tea / "tea.py").write_text("from provider_sdk import Config, Provider, main\nclass Tea(Provider[Config]): ...\nmain(Tea)\n")
    found = list(project.checks(tea))
    assert bad(found) == []
    assert "python -m tea starts, and serves nobody: it only calls" in [item.message for item in found]


def test_a_further_contract_is_another_name_of_what_is_served(tea: Path) -> None:
    settings = tea / "provider.toml"
    settings.write_text(settings.read_text().replace('contract = "acme:tea"', 'contracts = ["acme:tea", "acme:builtin:tea"]'))
    assert bad(project.checks(tea)) == []


def test_faults_of_the_manifest_come_by_their_lines(tmp_path: Path) -> None:
    manifest(tmp_path, "tea", "acme:tea", {})
    path = tmp_path / "wadm.yaml"
    path.write_text(path.read_text().replace("target: tea", "target: coffee"))
    assert bad(project.checks(tmp_path)) == [
        f"wrong wadm.yaml: {path}:10: drinker: linked to 'coffee', which is no provider of this manifest"
    ]


def test_a_lattice_that_runs_here_is_told_of(tmp_path: Path) -> None:
    manifest(tmp_path, "tea", "acme:tea", {})
    with hold(tmp_path / ".provider"):
        write_state(tmp_path / ".provider", State(4711, "nats://127.0.0.1:1", "default", "N", "SC"))
        assert bad(project.checks(tmp_path)) == ["warning lattice: one runs here already (process 4711)"]
    assert bad(project.checks(tmp_path)) == []


def test_a_port_that_is_taken_and_who_has_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        manifest(tmp_path, "web", "wasmcloud:httpserver", {"address": f"127.0.0.1:{port}"})
        (said,) = bad(places.checks(tmp_path))
    assert said.startswith(f"wrong port: wadm.yaml:10: 127.0.0.1:{port} cannot be used: ")
    assert f" by process {os.getpid()} (" in said
    assert bad(places.checks(tmp_path)) == []


def test_servers_that_the_manifest_names_are_asked_and_no_password_is_shown(tmp_path: Path) -> None:
    away = free_port()
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        there.listen()
        port = there.getsockname()[1]
        values = {"url": f"redis://:secret@127.0.0.1:{away}/0", "config_json": json.dumps({"endpoint": f"http://127.0.0.1:{port}/path"})}
        config = {"pools": [{"url": f"postgresql://me:secret@127.0.0.1:{port},127.0.0.2:{away}/db"}]}
        manifest(tmp_path, "kv", "wasmcloud:keyvalue", values, config)
        found = [item for item in places.checks(tmp_path) if item.subject == "server"]
    assert bad(found) == [
        f"wrong server: wadm.yaml:10: redis://127.0.0.1:{away}: Connection refused",
        f"wrong server: wadm.yaml:13: postgresql://127.0.0.2:{away}: Connection refused",
    ]
    assert [item.message for item in found if item.level is Level.OK] == [
        f"http://127.0.0.1:{port} takes connections",
        f"postgresql://127.0.0.1:{port} takes connections",
    ]
    assert "secret" not in repr(found)


@pytest.mark.parametrize("name", MANIFESTS)
def test_ports_and_servers_of_a_1x_manifest_are_those_of_its_named_configurations(tmp_path: Path, name: str) -> None:
    away = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / name).write_text(WRPC % (port, away, port))
        found = list(places.checks(tmp_path))
    assert [said.partition(": Address")[0].partition(": Connection")[0] for said in bad(found)] == [
        f"wrong port: {name}:10: 127.0.0.1:{port} cannot be used",
        f"wrong server: {name}:25: redis://127.0.0.1:{away}",
    ]
    assert f"postgresql://127.0.0.1:{port} takes connections" in [item.message for item in found]
    assert "secret" not in repr(found)


def test_a_server_that_does_not_answer_takes_a_short_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "WITHIN", 0.2)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        manifest(tmp_path, "kv", "wasmcloud:keyvalue", {"url": f"redis://127.0.0.1:{full.getsockname()[1]}"})
        (said,) = bad(places.checks(tmp_path))
    assert said.endswith("no answer within 0.2 s")


def nats_checked(monkeypatch: pytest.MonkeyPatch, url: str) -> list[Finding]:
    monkeypatch.setenv("NATS_URL", url)
    return list(bus.checks(Path()))


def test_a_nats_server_that_is_away_or_written_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    (said,) = bad(nats_checked(monkeypatch, f"nats://me:secret@127.0.0.1:{free_port()}"))
    assert said.startswith("wrong NATS: NATS_URL=nats://127.0.0.1:")
    assert "secret" not in said
    (said,) = bad(nats_checked(monkeypatch, "nats://127.0.0.1:port"))
    assert said.startswith("wrong NATS: NATS_URL: ")


async def test_a_nats_server_that_refuses_the_login_or_has_no_jetstream(monkeypatch: pytest.MonkeyPatch) -> None:
    async with NatsServer.start(url="", arguments=("--user", "me", "--pass", "right"), jetstream=False) as server:
        place = server.url.removeprefix("nats://")
        (said,) = bad(await asyncio.to_thread(nats_checked, monkeypatch, f"nats://me:wrong@{place}"))
        assert said.startswith(f"wrong NATS: NATS_URL=nats://{place}: ")
        (said,) = bad(await asyncio.to_thread(nats_checked, monkeypatch, f"nats://me:right@{place}"))
        assert said.startswith(f"warning JetStream: nats://{place} has none for this login (")
    async with NatsServer.start(url="") as server:
        assert bad(await asyncio.to_thread(nats_checked, monkeypatch, server.url)) == []


def test_a_machine_without_nats_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NATS_URL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert bad(bus.checks(tmp_path)) == ["wrong NATS: no nats-server is installed"]
    (tmp_path / "nats-server").write_text("#!/bin/sh\necho no such option >&2\nexit 3\n")
    (tmp_path / "nats-server").chmod(0o755)
    assert bad(bus.checks(tmp_path)) == [
        f"wrong NATS: {tmp_path / 'nats-server'} does not do its work: nats-server ended at once: no such option"
    ]


def test_a_package_of_another_version_an_extra_that_is_none_and_a_folder_for_temporary_files_that_is_none(
    tea: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tea / "provider.toml"
    settings.write_text(settings.read_text() + 'extras = ["nothing", "metrics"]\n')
    for name, version in (("msgspec", "0.1.0"), ("prometheus_client", "9.0"), ("pyinstaller", "5.0")):
        (tea / f"{name}-{version}.dist-info").mkdir()
        (tea / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tea)
    found = [line for line in bad(interpreter.checks(tea)) if "packages" in line]
    assert found[0] == "wrong packages: provider.toml asks for the extra nothing, which provider-sdk has not"
    assert found[1].startswith("wrong packages: msgspec 0.1.0 is not ")
    assert found[2].startswith("wrong packages: prometheus-client 9.0 is not ")
    assert found[3].startswith("warning packages: pyinstaller 5.0 is not ")
    assert len(found) == 4
    monkeypatch.setenv("TMPDIR", str(tea / "none"))
    assert bad(machine.checks(tea))[0].startswith(f"warning temporary files: TMPDIR={tea / 'none'} cannot be written")


def test_a_program_just_written_that_another_start_holds_open_for_a_moment_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.TemporaryDirectory", lambda prefix: contextlib.nullcontext(str(tmp_path)))
        held = (tmp_path / "program").open("ab")
        threading.Timer(0.2, held.close).start()
        found = list(machine.checks(tmp_path))
    assert held.closed
    assert [item.level for item in found if item.subject == "temporary files"] == [Level.OK], found


def test_programs_that_start_and_do_not_end_well_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libc.so.6").write_bytes(b"no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    (said,) = (line for line in bad(machine.checks(tmp_path)) if "temporary files" in line)
    assert re.search(r"^wrong temporary files: programs in \S+ cannot be run: Command .* returned non-zero exit status 127", said)


def test_what_other_packages_look_at_is_told_too_and_none_of_them_holds_up_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doctor_of_mine.py").write_text(
        "import time\n"
        "from provider_sdk.findings import wrong\n"
        "def checks(folder):\n    yield wrong('licence', f'none in {folder}', 'ask for one')\n"
        "def fails(folder):\n    raise KeyError('x')\n"
        "def hangs(folder):\n    time.sleep(60)\n    return ()\n"
    )
    (tmp_path / "mine-1.dist-info").mkdir()
    (tmp_path / "mine-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (tmp_path / "mine-1.dist-info" / "entry_points.txt").write_text(
        "[provider_sdk.doctor]\n"
        + "".join(f"{name} = doctor_of_mine:{name}\n" for name in ("checks", "fails", "hangs"))
        + "lacks = nothing_of_that_name:checks\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(verb, "OWN", ())
    monkeypatch.setattr(verb, "WITHIN", 1.0)
    since = time.monotonic()
    found = bad(item for items in verb.gather(tmp_path) for item in items)
    assert time.monotonic() - since < 30
    assert f"wrong licence: none in {tmp_path}" in found
    assert "warning fails: the check itself failed: KeyError: 'x'" in found
    assert "warning hangs: no answer within 1 s" in found
    assert "warning lacks: not looked at: nothing_of_that_name is not installed" in found
