"""The start of a provider as hosts do it, and as people and broken hosts do it: one clear line, at once."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provider_sdk.nkeys import KeyPair, Prefix

PROGRAM = Path(__file__).parents[1] / "faults" / "echo.py"
NOWHERE = "nats://127.0.0.1:9"


HOST_DATA_1X = {"lattice_rpc_prefix": "default", "lattice_rpc_url": NOWHERE, "provider_key": "echo"}


def host_data(**changes: Any) -> dict[str, Any]:
    cluster = KeyPair.generate(Prefix.CLUSTER)
    data = {
        "host_id": KeyPair.generate(Prefix.SERVER).public,
        "lattice_rpc_prefix": "default",
        "link_name": "default",
        "lattice_rpc_user_jwt": "",
        "lattice_rpc_user_seed": "",
        "lattice_rpc_url": NOWHERE,
        "provider_key": KeyPair.generate(Prefix.PROVIDER).public,
        "invocation_seed": cluster.seed,
        "env_values": {},
        "instance_id": "i",
        "link_definitions": [],
        "cluster_issuers": [cluster.public],
        "default_rpc_timeout_ms": 2000,
        "structured_logging": False,
        "otel_config": {"traces_exporter": None, "exporter_otlp_endpoint": None},
    }
    data.update(changes)
    return {name: value for name, value in data.items() if value is not ...}


def line(data: object) -> bytes:
    return base64.b64encode(json.dumps(data).encode()) + b"\n"


def start(given: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, str(PROGRAM)], input=given, capture_output=True, timeout=60, check=False, env={})


MALFORMED: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "stdin is empty"),
    ("an empty line", b"\n", "stdin is empty"),
    ("no base64", b"{}!\n", "not base64"),
    ("no JSON", base64.b64encode(b"{") + b"\n", "not JSON"),
    ("no object", line([1]), "expected a JSON object"),
    ("a number for the prefix", line(host_data(lattice_rpc_prefix=3)), "lattice_rpc_prefix: expected a string"),
    ("a prefix that is no subject", line(host_data(lattice_rpc_prefix="a b")), "lattice_rpc_prefix"),
    ("no provider key", line(host_data(provider_key=...)), "provider_key"),
    ("no links", line(host_data(link_definitions=...)), "link_definitions"),
    ("a link without values", line(host_data(link_definitions=[{"actor_id": "M"}])), r"link_definitions\[0\].values"),
    ("no env_values", line(host_data(env_values=...)), "env_values"),
    ("no issuers", line(host_data(cluster_issuers=...)), "cluster_issuers"),
    ("a bad seed", line(host_data(invocation_seed="SCXX")), "invocation_seed"),
    ("a bad level", line(host_data(log_level="loud")), "log_level"),
    ("a bad configuration", line(host_data(config_json="{")), "config_json"),
    ("a wrong setting", line(host_data(config_json='{"max_calls": "many"}')), "max_calls"),
    ("a configuration nested too deep", line(host_data(config_json="[" * 100_000)), "config_json"),
    ("a time-out beyond all bounds", line(host_data(default_rpc_timeout_ms=10**400)), "default_rpc_timeout_ms"),
    ("a user JWT alone", line(host_data(lattice_rpc_user_jwt="e30")), "lattice_rpc_user_seed: missing"),
    ("a bad user seed", line(host_data(lattice_rpc_user_jwt="e30", lattice_rpc_user_seed="SU")), "lattice_rpc_user_seed"),
    ("an address of another protocol", line(host_data(lattice_rpc_url="http://x")), "lattice_rpc_url"),
    ("a CA file that is not there", line(host_data(config_json='{"nats_ca_file": "/nowhere/ca.pem"}')), "nats_ca_file"),
    ("a 1.x host's data without a provider", line({"lattice_rpc_prefix": "default"}), "provider_key: expected a string, got nothing"),
    ("a 1.x host's data with a bad X key", line({**HOST_DATA_1X, "provider_xkey_private_key": "SX"}), "provider_xkey_private_key"),
    ("a 1.x host's data with a bad link", line({**HOST_DATA_1X, "link_definitions": [{"name": 1}]}), r"link_definitions\[0\].name"),
    ("a 1.x host's data with a bad address", line({**HOST_DATA_1X, "lattice_rpc_url": "ws://x"}), "lattice_rpc_url"),
    ("a 1.x host's data with a wrong setting", line({**HOST_DATA_1X, "config": {"max_calls": "many"}}), "max_calls"),
]


@pytest.mark.parametrize(("given", "complaint"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_host_data_is_one_line_that_names_the_field(given: bytes, complaint: str) -> None:
    done = start(given)
    text = done.stderr.decode()
    assert done.returncode != 0
    assert done.stdout == b""
    assert text.count("\n") == 1, text
    assert re.search(complaint, text), text


def test_malformed_host_data_ends_within_a_second_of_a_bare_interpreters_start() -> None:
    def least(work: Callable[[], object]) -> tuple[float, float]:
        """Seconds of the processor, to which other processes add nothing, and of the clock."""
        taken = []
        for _ in range(3):
            began, before = time.monotonic(), os.times()
            work()
            after = os.times()
            own = after.children_user + after.children_system - before.children_user - before.children_system
            taken.append((own, time.monotonic() - began))
        return min(own for own, _ in taken), min(clock for _, clock in taken)

    bare, _ = least(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    own, clock = least(lambda: start(line(host_data(env_values=...))))
    assert own < bare + 1.0
    assert clock < 4.5  # it waits for nothing: NATS, which is not there, would be waited for for 5 s


def test_no_nats_server_is_one_line_that_names_the_address() -> None:
    done = start(line(host_data()))
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_started_by_hand_in_a_terminal_it_says_what_it_is_and_how_to_try_it(terminal: tuple[int, int]) -> None:
    done = subprocess.run([sys.executable, str(PROGRAM)], stdin=terminal[1], capture_output=True, timeout=60, check=False, text=True)
    assert done.returncode == 2
    assert "capability provider" in done.stdout
    assert "provider dev" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_schema_of_its_settings_is_printed_on_request() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), "--schema"], capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["properties"]["word"]["description"] == "What stands before the answer."


def test_an_unknown_option_is_one_line() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), "--frobnicate"], capture_output=True, timeout=60, check=False, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--frobnicate" in done.stderr
