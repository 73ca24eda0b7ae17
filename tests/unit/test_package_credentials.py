"""Where logins for registries are found, in which order, and that their secrets are shown nowhere."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from provider_packaging.oci import docker_files
from provider_packaging.oci.authorization import Challenge, challenges
from provider_packaging.oci.credentials import Credentials, find
from provider_packaging.oci.docker_files import docker_file, read
from provider_sdk.errors import InvalidArgument, NotFound, ProviderError, Unavailable

SECRET = "a secret:with a colon"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(tmp_path / "run")}


def auth(username: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def keep(file: Path, **content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def helper(environment: dict[str, str], name: str, script: str) -> None:
    program = Path(environment["HOME"], "bin", f"docker-credential-{name}")
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def named(found: Credentials | None) -> tuple[str, str] | None:
    return (found.username, found.password) if found else None


def test_variables_come_before_files(environment: dict[str, str]) -> None:
    keep(docker_file(environment), auths={"ghcr.io": auth("by-file")})
    assert named(find("ghcr.io", "acme/kv", environment)) == ("by-file", SECRET)
    environment |= {"OCI_REGISTRY": "ghcr.io", "OCI_REGISTRY_USER": "otp", "OCI_REGISTRY_PASSWORD": "p"}
    assert named(find("ghcr.io", "acme/kv", environment)) == ("otp", "p")
    environment |= {"WASMCLOUD_OCI_REGISTRY": "ghcr.io", "WASMCLOUD_OCI_REGISTRY_USER": "host", "WASMCLOUD_OCI_REGISTRY_PASSWORD": "p"}
    assert named(find("ghcr.io", "acme/kv", environment)) == ("host", "p")
    environment |= {"WASH_REG_USER": "wash", "WASH_REG_PASSWORD": "p"}
    assert named(find("ghcr.io", "acme/kv", environment)) == ("wash", "p")


def test_variables_go_to_no_other_registry(environment: dict[str, str]) -> None:
    environment |= {"OCI_REGISTRY": "https://ghcr.io/acme", "OCI_REGISTRY_USER": "otp", "OCI_REGISTRY_PASSWORD": "p"}
    assert named(find("ghcr.io", "acme/kv", environment)) == ("otp", "p")
    assert find("ghcr.io", "acmes/kv", environment) is None
    assert find("ghcr.io.example", "acme/kv", environment) is None
    environment |= {"WASH_REG_URL": "other.example", "WASH_REG_USER": "wash", "WASH_REG_PASSWORD": "p"}
    assert named(find("ghcr.io", "acme/kv", environment)) == ("otp", "p")
    del environment["WASH_REG_URL"]
    assert named(find("ghcr.io", "acme/kv", environment, target=False)) == ("otp", "p")


def test_files_are_asked_in_order(environment: dict[str, str], tmp_path: Path) -> None:
    places = [
        tmp_path / ".config" / "containers" / "auth.json",
        tmp_path / "run" / "containers" / "auth.json",
        tmp_path / "named.json",
        tmp_path / ".docker" / "config.json",
        tmp_path / "elsewhere" / "config.json",
    ]
    for number, place in enumerate(places):
        if place.name == "named.json":
            environment["REGISTRY_AUTH_FILE"] = str(place)
        if place.parent.name == "elsewhere":
            environment["DOCKER_CONFIG"] = str(place.parent)
        keep(place, auths={"ghcr.io": auth(f"user{number}")})
        assert named(find("ghcr.io", "acme/kv", environment)) == (f"user{number}", SECRET)


@pytest.mark.parametrize(
    "key", ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v1/", "https://ghcr.io/v2/", "ghcr.io/acme", "ghcr.io/acme/kv"]
)
def test_an_entry_is_found_under_any_of_its_names(environment: dict[str, str], key: str) -> None:
    keep(docker_file(environment), auths={key: auth("me"), "ghcr.io/acm": auth("other"), "gh": auth("other")})
    assert named(find("ghcr.io", "acme/kv", environment)) == ("me", SECRET)


def test_the_most_specific_place_decides(environment: dict[str, str]) -> None:
    keep(docker_file(environment), auths={"ghcr.io": auth("all"), "ghcr.io/acme": auth("acme")})
    assert named(find("ghcr.io", "acme/kv", environment)) == ("acme", SECRET)
    assert named(find("ghcr.io", "other/kv", environment)) == ("all", SECRET)


def test_docker_hub_has_a_name_of_its_own(environment: dict[str, str]) -> None:
    keep(docker_file(environment), auths={"https://index.docker.io/v1/": auth("hub")})
    assert named(find("docker.io", "acme/kv", environment)) == ("hub", SECRET)


def test_tokens_are_read(environment: dict[str, str]) -> None:
    entries = {"a.example": {**auth("00000000", ""), "identitytoken": "an id"}, "b.example": {"registrytoken": "a token"}}
    keep(docker_file(environment), auths=entries | {"c.example": auth("<token>", "an id")})
    found = [find(registry, "x", environment) for registry in ("a.example", "b.example", "c.example")]
    assert [(one.identity_token, one.registry_token) for one in found if one] == [("an id", ""), ("", "a token"), ("an id", "")]


def test_helpers_are_asked_for_their_registry_and_then_for_all(environment: dict[str, str]) -> None:
    helper(environment, "one", f'read server; echo "{{\\"Username\\": \\"one of $server\\", \\"Secret\\": \\"{SECRET}\\"}}"')
    helper(environment, "all", 'read server; echo "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"an id of $server\\"}"')
    keep(docker_file(environment), credHelpers={"ghcr.io": "one"}, credsStore="all", auths={"ghcr.io": auth("file")})
    assert named(find("ghcr.io", "acme/kv", environment)) == ("one of ghcr.io", SECRET)
    found = find("docker.io", "acme/kv", environment)
    assert found is not None and found.identity_token == "an id of https://index.docker.io/v1/"


def test_a_helper_that_has_nothing_leaves_it_to_the_file(environment: dict[str, str]) -> None:
    helper(environment, "empty", 'echo "credentials not found in native keychain"; exit 1')
    keep(docker_file(environment), credsStore="empty", auths={"ghcr.io": auth("file")})
    assert named(find("ghcr.io", "acme/kv", environment)) == ("file", SECRET)
    assert find("other.example", "acme/kv", environment) is None


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (f'echo "{SECRET}"; exit 3', "ended with code 3"),
        (f'echo "{SECRET}"', "answered no login"),
        (f'echo "[\\"{SECRET}\\"]"', "answered no login"),
        (f'echo "{SECRET}"; exec sleep 30', r"did not answer in 0\.3 s"),
        ("printf '\\377\\376'", "cannot be run|answered no login"),
    ],
)
def test_a_helper_that_fails_is_named_and_what_it_said_is_not_shown(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    helper(environment, "broken", script)
    monkeypatch.setattr(docker_files, "HELPER_SECONDS", 0.3)
    keep(docker_file(environment), credHelpers={"ghcr.io": "broken"})
    with pytest.raises(Unavailable, match=reason) as failed:
        find("ghcr.io", "acme/kv", environment)
    assert "docker-credential-broken" in failed.value.message and SECRET not in failed.value.message


def test_a_helper_that_is_not_there_is_named(environment: dict[str, str]) -> None:
    file = keep(docker_file(environment), credsStore="nowhere")
    with pytest.raises(NotFound, match=f"docker-credential-nowhere, which {file} names, is not on PATH"):
        find("ghcr.io", "acme/kv", environment)
    keep(docker_file(environment), credsStore="../../bin/sh")
    with pytest.raises(InvalidArgument, match="not the name of a credential helper"):
        find("ghcr.io", "acme/kv", environment)


@pytest.mark.parametrize(
    "content", [f'{{"{SECRET}', "[]", '{"auths": []}', '{"credHelpers": 1}', f'{{"auths": {{"ghcr.io": {{"auth": "{SECRET}"}}}}}}']
)
def test_a_file_that_is_wrong_is_named_and_not_shown(environment: dict[str, str], content: str) -> None:
    file = keep(docker_file(environment))
    file.write_text(content)
    with pytest.raises(InvalidArgument) as refused:
        find("ghcr.io", "acme/kv", environment)
    assert str(file) in refused.value.message and SECRET not in refused.value.message


def test_a_login_is_kept_in_the_file_for_its_owner_alone(environment: dict[str, str]) -> None:
    file = keep(docker_file(environment), auths={"other.example": auth("other")}, proxies={"default": {}})
    file.chmod(0o644)
    assert read(file).keep("ghcr.io", "me", SECRET, environment) == str(file)
    assert named(find("ghcr.io", "acme/kv", environment)) == ("me", SECRET)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and json.loads(file.read_text())["proxies"] == {"default": {}}
    assert read(file).forget("ghcr.io", environment) and not read(file).forget("ghcr.io", environment)
    assert find("ghcr.io", "acme/kv", environment) is None and find("other.example", "x", environment) is not None
    assert list(file.parent.iterdir()) == [file]


def test_a_login_is_kept_by_the_helper_that_the_file_names(environment: dict[str, str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    known = f'test -s "{store}" && cat "{store}" || {{ echo credentials not found; exit 1; }}'
    script = f'case $1 in store) cat >"{store}";; get) {known};; *) rm "{store}";; esac'
    helper(environment, "safe", script)
    file = keep(docker_file(environment), credsStore="safe")
    before = file.read_text()
    assert read(file).keep("ghcr.io", "me", SECRET, environment) == "docker-credential-safe"
    assert json.loads(store.read_text()) == {"ServerURL": "ghcr.io", "Username": "me", "Secret": SECRET}
    assert named(find("ghcr.io", "acme/kv", environment)) == ("me", SECRET) and file.read_text() == before
    assert read(file).forget("ghcr.io", environment) and not store.exists()
    assert not read(file).forget("ghcr.io", environment)


def test_no_representation_shows_a_secret(environment: dict[str, str]) -> None:
    keep(docker_file(environment), auths={"ghcr.io": {**auth("me"), "identitytoken": SECRET, "registrytoken": SECRET}})
    found, file = find("ghcr.io", "acme/kv", environment), read(docker_file(environment))
    assert found is not None
    shown = f"{found!r} {found} {found.named} {file!r} {file.entry('ghcr.io', '', environment)!r}"
    assert SECRET not in shown and auth("me")["auth"] not in shown and "me" in shown


def test_a_file_that_cannot_be_read_is_named(environment: dict[str, str]) -> None:
    docker_file(environment).parent.mkdir()
    docker_file(environment).symlink_to(docker_file(environment))
    with pytest.raises(ProviderError, match=r"config\.json"):
        read(docker_file(environment))


@pytest.mark.parametrize(
    ("headers", "read_as"),
    [
        (['Basic realm="a b"'], [Challenge("basic", {"realm": "a b"})]),
        (['Bearer realm="https://t/x",service=s,scope="a:b:pull,push"'], [("bearer", ("https://t/x", "s", "a:b:pull,push"))]),
        (
            ['Basic realm="x", Bearer realm="y, Basic z"'],
            [Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y, Basic z"})],
        ),
        (["Negotiate", 'bearer Realm = "q\\"q"'], [Challenge("negotiate", {}), Challenge("bearer", {"realm": 'q"q'})]),
        ([""], []),
    ],
)
def test_challenges_are_read_one_by_one(headers: list[str], read_as: list[Any]) -> None:
    wanted = [
        one if isinstance(one, Challenge) else Challenge(one[0], dict(zip(("realm", "service", "scope"), one[1], strict=True)))
        for one in read_as
    ]
    assert list(challenges(headers)) == wanted
