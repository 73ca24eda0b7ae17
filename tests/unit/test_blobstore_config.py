"""Settings of the blobstore: the official keys as they are, urls, what contradicts itself, precedence, secrets, the environment."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from provider_sdk import InvalidArgument, Layer, Secret
from providers.blobstore.config import NO_STORE, BlobstoreConfig, StsConfig

ENVIRONMENT = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT", "AWS_ROLE_ARN"),
    *("AWS_ROLE_REGION", "AWS_ROLE_SESSION_NAME", "AWS_ROLE_EXTERNAL_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("MAX_CHUNK_SIZE", "MAX_CHUNK_SIZE_BYTES"),
)
ROLE = "arn:aws:iam::123456789012:role/example"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def load(*layers: Mapping[str, object]) -> BlobstoreConfig:
    """Link values, or several layers from the lowest on; none of their names is unknown."""
    loaded = BlobstoreConfig.load(*(Layer(f"layer {number}", values) for number, values in enumerate(layers)))
    assert loaded.warnings == ([] if loaded.config.chosen else [NO_STORE])
    return loaded.config


def warnings(values: Mapping[str, object]) -> list[str]:
    return [line for line in BlobstoreConfig.load(Layer("link values", values)).warnings if line != NO_STORE]


def refused(*layers: Mapping[str, object]) -> str:
    with pytest.raises(InvalidArgument) as caught:
        load(*layers)
    return caught.value.message


def b64(values: Mapping[str, object]) -> str:
    return base64.b64encode(json.dumps(values).encode()).decode()


OFFICIAL = {
    "access_key_id": "AKIA",
    "secret_access_key": "hunter2",
    "session_token": "hunter3",
    "region": "eu-west-1",
    "max_attempts": 5,
    "sts_config": {"role": ROLE, "region": "us-east-2", "session": "mine", "external_id": "42"},
    "endpoint": "http://127.0.0.1:9000",
    "aliases": {"pictures": "acme-pictures"},
    "max_chunk_size_bytes": 4096,
    "tls_use_webpki_roots": True,
}


class TestOfficialKeysWorkAsTheyAre:
    def test_root_of_the_provider_of_files(self) -> None:
        config = load({"ROOT": "/srv/blobs"})
        assert (config.kind, config.root, config.scope("MABC"), config.chosen) == ("local", Path("/srv/blobs"), "MABC", True)

    @pytest.mark.parametrize("key", ["config_json", "config_b64"])
    def test_the_object_of_the_provider_of_s3(self, key: str) -> None:
        config = load({key: json.dumps(OFFICIAL) if key == "config_json" else b64(OFFICIAL)})
        assert (config.kind, config.bucket, config.scope("MABC"), config.chosen) == ("s3", None, "", True)
        assert (config.access_key_id, config.secret_access_key, config.session_token) == ("AKIA", Secret("hunter2"), Secret("hunter3"))
        assert config.sts_config == StsConfig(role=ROLE, region="us-east-2", session="mine", external_id="42")
        assert (config.region, config.endpoint, config.max_attempts) == ("eu-west-1", "http://127.0.0.1:9000", 5)
        assert (config.aliases, config.max_chunk_size, config.tls_use_webpki_roots) == ({"pictures": "acme-pictures"}, 4096, True)

    @pytest.mark.parametrize("missing", [None, ""])
    def test_what_that_object_leaves_open_is_null_or_not_there(self, missing: object) -> None:
        names = ("session_token", "region", "sts_config", "endpoint", "max_chunk_size_bytes")
        config = load({"config_json": json.dumps({**OFFICIAL, **dict.fromkeys(names, missing)})})
        assert (config.kind, config.sts_config, config.max_chunk_size) == ("s3", None, None)
        assert not config.region and not config.endpoint and not config.session_token

    def test_a_role_alone(self) -> None:
        config = load({"config_json": json.dumps({"sts_config": {"role": ROLE}})})
        assert (config.kind, config.sts_config) == ("s3", StsConfig(role=ROLE, session="blobstore_s3_provider"))

    def test_base64_wins_over_plain_json(self) -> None:
        config = load({"config_b64": b64({"endpoint": "http://a:1"}), "config_json": '{"endpoint": "http://b:1", "region": "r"}'})
        assert (config.endpoint, config.region) == ("http://a:1", "r")

    @pytest.mark.parametrize("key", ["MAX_CHUNK_SIZE", "max_chunk_size", "max_chunk_size_bytes", "MAX_CHUNK_SIZE_BYTES"])
    def test_every_name_of_the_largest_chunk(self, key: str) -> None:
        assert load({key: "64k"}).max_chunk_size == 65536

    def test_aliases_as_keys_with_their_names_as_they_are_written(self) -> None:
        config = load({"config_json": json.dumps({"aliases": {"a": "one", "b": "two"}}), "alias_b": "three", "alias_Big-C_d": "four"})
        assert config.aliases == {"a": "one", "b": "three", "Big-C_d": "four"}

    def test_aliases_of_all_layers_together(self) -> None:
        layers = ({"alias_a": "1", "aliases": {"b": "1"}}, {"alias_b": "2"}, {"aliases": '{"c": "3"}'})
        assert load(*layers).aliases == {"a": "1", "b": "2", "c": "3"}

    @pytest.mark.parametrize(
        "values",
        [
            {"alias_": "x"},
            {"alias_a": ""},
            {"alias_a": 1},
            {"aliases": "a=b"},
            {"aliases": {"a": 1}},
            {"aliases": {"": "b"}},
            {"aliases": []},
        ],
    )
    def test_an_alias_that_names_nothing_is_refused(self, values: Mapping[str, object]) -> None:
        assert "alias" in refused(values)

    @pytest.mark.parametrize("value", ["nonsense", "[]", "{", "null"])
    @pytest.mark.parametrize("key", ["config_json", "config_b64"])
    def test_an_object_that_is_none_is_refused_without_being_shown(self, key: str, value: str) -> None:
        message = refused({key: value})
        assert message == f"layer 0: {key}: the value is not {'base64 of ' if key == 'config_b64' else ''}a JSON object"


class TestEnvFile:
    def write(self, folder: Path, text: str) -> dict[str, object]:
        (folder / "s3.env").write_text(text)
        return {"env": str(folder / "s3.env")}

    def test_fills_what_is_not_set_and_leaves_the_process_alone(self, tmp_path: Path) -> None:
        text = f"""
            # credentials
            export AWS_ACCESS_KEY_ID=AKIA
            AWS_SECRET_ACCESS_KEY='hunt # er2'
            AWS_SESSION_TOKEN="hunter3"
            AWS_REGION=eu-west-1 # home
            AWS_ROLE_ARN={ROLE}
            MAX_CHUNK_SIZE=1000
            OTHER=x
            nonsense
        """
        config = load(self.write(tmp_path, text))
        assert (config.kind, config.access_key_id, config.region, config.max_chunk_size) == ("s3", "AKIA", "eu-west-1", 1000)
        assert (config.secret_access_key, config.session_token) == (Secret("hunt # er2"), Secret("hunter3"))
        assert config.sts_config == StsConfig(role=ROLE)
        assert load({}).region is None

    def test_a_role_may_be_that_of_a_service_account(self, tmp_path: Path) -> None:
        config = load(self.write(tmp_path, f"AWS_ROLE_ARN={ROLE}\nAWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token\n"))
        assert config.sts_config == StsConfig(role=ROLE, web_identity_token_file=Path("/var/run/token"))

    def test_the_object_of_the_link_wins_over_it(self, tmp_path: Path) -> None:
        text = "AWS_ACCESS_KEY_ID=file\nAWS_SECRET_ACCESS_KEY=file\nAWS_REGION=file\n"
        config = load({**self.write(tmp_path, text), "config_json": json.dumps({**OFFICIAL, "region": None, "sts_config": None})})
        assert (config.access_key_id, config.region) == ("AKIA", None)

    def test_its_endpoint_and_role_win_over_the_link(self, tmp_path: Path) -> None:
        text = f"AWS_ENDPOINT=https://file\nAWS_ROLE_ARN={ROLE}\nAWS_ROLE_REGION=file\n"
        given = {"Endpoint": "http://link", "sts_config": {"role": "other", "region": "link", "external_id": "7"}}
        config = load({**self.write(tmp_path, text), "config_json": json.dumps(given)})
        assert (config.endpoint, config.sts_config) == ("https://file", StsConfig(role=ROLE, region="file", external_id="7"))

    def test_a_file_that_cannot_be_read_is_named_but_not_where_it_is_a_secret(self, tmp_path: Path) -> None:
        assert refused({"env": f"{tmp_path}/none"}) == f"layer 0: env: '{tmp_path}/none' cannot be read: No such file or directory"
        assert "Is a directory" in refused({"env": str(tmp_path)})
        (tmp_path / "bytes").write_bytes(b"AWS_REGION=\xff")
        assert "not text" in refused({"env": str(tmp_path / "bytes")})
        with pytest.raises(InvalidArgument, match="env: <secret> cannot be read"):
            BlobstoreConfig.load(Layer("link secrets", {"env": "hunter2"}, secret=True))

    def test_no_file_is_no_fault(self) -> None:
        assert load({"env": ""}).kind == "local"


class TestEnvironment:
    def test_fills_what_nobody_sets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_REGION", "env")
        monkeypatch.setenv("MAX_CHUNK_SIZE_BYTES", "77")
        assert (load({}).region, load({}).max_chunk_size, load({}).kind) == ("env", 77, "local")
        assert load({"region": "link", "max_chunk_size": 78}).region == "link"

    def test_its_endpoint_and_role_win_over_everything(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT", "http://env:1")
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        for values in ({}, {"url": "s3://b?endpoint=http://link:1"}, {"config_json": json.dumps({**OFFICIAL, "sts_config": None})}):
            config = load(values)
            assert (config.kind, config.endpoint, config.sts_config) == ("s3", "http://env:1", StsConfig(role=ROLE)), values

    def test_its_endpoint_makes_no_s3_of_a_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT", "nonsense")
        assert [load(values).kind for values in ({"ROOT": "/srv"}, {"backend": "local"}, {"url": "file:///srv"})] == ["local"] * 3

    def test_credentials_are_left_to_the_search_of_the_aws_tools(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        assert (load({}).access_key_id, load({}).kind) == (None, "local")

    def test_a_role_for_a_web_identity_is_that_of_the_aws_tools_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token")
        assert load({"bucket": "b"}).sts_config is None


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("file:///srv/blobs", {"kind": "local", "root": Path("/srv/blobs")}),
            ("FILE://localhost/srv/a%20b%23", {"kind": "local", "root": Path("/srv/a b#")}),
            ("file:///srv?durability=normal&per_actor=no&connections=3", {"durability": "normal", "per_actor": False, "connections": 3}),
            ("s3://acme", {"kind": "s3", "bucket": "acme", "prefix": "", "endpoint": None}),
            ("s3://acme/some/where/", {"kind": "s3", "bucket": "acme", "prefix": "some/where"}),
            ("s3://?endpoint=http://127.0.0.1:9000&addressing=path", {"kind": "s3", "bucket": None, "addressing": "path"}),
            ("s3://acme?region=eu-west-1&part_size=16m&max_attempts=1", {"region": "eu-west-1", "part_size": 16 << 20, "max_attempts": 1}),
            ("s3://acme?read_timeout=2m&connect_timeout=500ms", {"read_timeout": 120.0, "connect_timeout": 0.5}),
            ("memory://", {"kind": "memory", "bucket": None}),
            ("memory://a?per_actor=true", {"kind": "memory", "bucket": "a", "per_actor": True}),
        ],
    )
    def test_says_in_one_line_where(self, url: str, expected: Mapping[str, object]) -> None:
        config = load({"url": url})
        assert {name: getattr(config, name) for name in expected} == expected and config.chosen

    @pytest.mark.parametrize(
        ("url", "complaint"),
        [
            ("/srv/blobs", "has to begin with file://, s3:// or memory://"),
            ("http://127.0.0.1:9000/bucket", "has to begin with"),
            ("s3:/acme", "s3://"),
            ("file:/srv", "file://"),
            ("file://srv/blobs", "three slashes"),
            ("file://", "three slashes"),
            ("s3://AKIA:hunter2@acme", "no login belongs there"),
            ("s3://[acme", "no URL"),
            ("s3://acme?secret_access_key=hunter2", "'secret_access_key' cannot stand behind the ?; what can: addressing, "),
            ("s3://acme?durability=full", "'durability' cannot stand"),
            ("file:///srv?endpoint=http://x", "'endpoint' cannot stand"),
            ("memory://a?region=x", "'region' cannot stand"),
            ("s3://acme?region=a&region=b", "twice"),
            ("s3://acme/a#b", "%23"),
            ("file:///srv/a#", "%23"),
            ("s3://acme?max_attempts=0", 'max_attempts: "0" is not a whole number from 1 to 100'),
            ("s3://?per_actor=yes", "per_actor: for S3 it needs one bucket"),
            ("s3:///some/where", "prefix: it is for keys in one bucket"),
            ("s3://acme?endpoint=127.0.0.1:9000", "endpoint: it has to be http://host:port"),
            ("s3://acme?endpoint=http://me:hunter2@h", "endpoint: no login"),
            ("s3://acme?endpoint=http://h:99999", "endpoint: it has to be"),
            ("s3://acme?proxy=socks5://h", "proxy: it has to be http://host:port"),
        ],
    )
    def test_that_cannot_be_is_refused_in_one_line(self, url: str, complaint: str) -> None:
        message = refused({"url": url})
        assert complaint in message and "hunter2" not in message and "\n" not in message

    @pytest.mark.parametrize(
        ("url", "beside", "name"),
        [
            ("file:///srv", {"ROOT": "/tmp"}, "root"),
            ("file:///srv", {"backend": "local"}, "backend"),
            ("s3://acme", {"bucket": "other"}, "bucket"),
            ("s3://acme", {"prefix": "p"}, "prefix"),
            ("s3://acme?part_size=8m", {"partSize": "9m"}, "part_size"),
        ],
    )
    def test_and_the_same_beside_it_is_refused(self, url: str, beside: Mapping[str, object], name: str) -> None:
        assert refused({"url": url, **beside}) == f"layer 0: {name}: it is given here and by the url"


class TestPrecedence:
    def test_secrets_win_over_link_values_and_these_over_the_providers_configuration(self) -> None:
        provider = {"url": "s3://acme/p", "region": "one", "access_key_id": "one", "max_streams": 7, "secret_access_key": "one"}
        config = load(provider, {"region": "two", "access_key_id": "two"}, {"secret_access_key": "three"})
        assert (config.bucket, config.prefix, config.region, config.max_streams) == ("acme", "p", "two", 7)
        assert (config.access_key_id, config.secret_access_key) == ("two", Secret("three"))

    def test_a_url_takes_the_place_of_another_whole(self) -> None:
        config = load({"url": "s3://acme/p?region=x"}, {"url": "file:///srv"})
        assert (config.kind, config.root) == ("local", Path("/srv"))
        config = load({"url": "file:///srv"}, {"url": "s3://?endpoint=http://h"})
        assert (config.kind, config.bucket, config.endpoint) == ("s3", None, "http://h")
        config = load({"url": "s3://acme/p"}, {"url": "s3://other"})
        assert (config.bucket, config.prefix) == ("other", "")

    def test_the_links_own_keys_win_over_its_object(self) -> None:
        assert load({"config_json": '{"region": "object"}', "region": "own"}).region == "own"

    def test_what_a_later_layer_speaks_of_is_the_kind(self) -> None:
        assert load({"ROOT": "/srv"}, {"bucket": "acme"}).kind == "s3"
        assert load({"bucket": "acme"}, {"ROOT": "/srv"}).kind == "local"

    def test_a_kind_that_is_named_stays_and_a_warning_tells_what_is_not_used(self) -> None:
        for layers, unused in (
            (({"url": "s3://acme"}, {"ROOT": "/srv"}), "root is given and not used: the backend is s3"),
            (
                ({"backend": "local"}, {"config_json": '{"endpoint": "http://h"}'}),
                "settings for S3 are given and not used: the backend is local",
            ),
        ):
            loaded = BlobstoreConfig.load(*(Layer("layer", values) for values in layers))
            assert loaded.warnings == [unused]


class TestKinds:
    @pytest.mark.parametrize(
        ("values", "kind", "scope"),
        [
            ({}, "local", "M1"),
            ({"backend": "s3"}, "s3", ""),
            ({"backend": "memory"}, "memory", ""),
            ({"backend": "local", "per_actor": "no"}, "local", ""),
            ({"bucket": "acme"}, "s3", ""),
            ({"bucket": "acme", "per_actor": "yes"}, "s3", "M1"),
            ({"endpoint": "http://h"}, "s3", ""),
            ({"access_key_id": "a", "secret_access_key": "b"}, "s3", ""),
            ({"max_attempts": 2}, "local", "M1"),
            ({"ROOT": ""}, "local", "M1"),
        ],
    )
    def test_follow_from_what_is_given(self, values: Mapping[str, object], kind: str, scope: str) -> None:
        config = load(values)
        assert (config.kind, config.scope("M1")) == (kind, scope)

    @pytest.mark.parametrize(
        "values",
        [
            {"config_json": json.dumps({"region": "eu-west-1", "aliases": {"pics": "acme-pictures"}})},
            {"config_b64": b64({"region": "eu-west-1"})},
            {"BUCKET_REGION": "eu-west-1", "alias_pics": "acme-pictures"},
            {"region": "eu-west-1"},
            {"session_token": "x"},
        ],
    )
    def test_a_region_alone_is_s3_with_the_credentials_of_the_machine(self, values: Mapping[str, object]) -> None:
        assert (load(values).kind, load(values).chosen) == ("s3", True)

    @pytest.mark.parametrize(
        "named", [{"ROOT": "/srv"}, {"url": "file:///srv"}, {"backend": "local"}, {"config_json": json.dumps({"root": "/srv"})}]
    )
    def test_a_region_makes_no_s3_of_a_folder_whichever_is_said_last(self, named: Mapping[str, object]) -> None:
        region = {"region": "x"}
        assert [load(*layers).kind for layers in ((region, named), (named, region), ({**named, **region},))] == ["local"] * 3

    def test_nothing_said_is_told(self) -> None:
        assert [load(values).chosen for values in ({}, {"durability": "normal"}, {"backend": "local"})] == [False, False, True]

    @pytest.mark.parametrize(
        ("values", "complaint"),
        [
            ({"ROOT": "/srv", "bucket": "acme"}, "layer 0: ROOT and bucket: one is for local files, the other for S3: set backend"),
            ({"bucket": "acme", "access_key_id": "a"}, "access_key_id and secret_access_key: one is there without the other"),
            ({"secret_access_key": "s"}, "access_key_id and secret_access_key: one is there without the other"),
            ({"bucket": "acme", "sts_config": {"region": "x"}}, "sts_config: no role is named"),
            (
                {"bucket": "acme", "sts_config": {"role": ROLE, "external_id": "7", "web_identity_token_file": "/token"}},
                "sts_config: a role that is assumed by web_identity_token_file takes no external_id",
            ),
            ({"backend": "ftp"}, 'backend: "ftp" is not one of "local", "s3", "memory"'),
            ({"backend": "s3", "prefix": "p"}, "prefix: it is for keys in one bucket"),
            ({"part_size": "1m"}, 'part_size: "1m" is not a size'),
            ({"max_streams": 0}, "max_streams: 0 is not a whole number of at least 1"),
        ],
    )
    def test_a_contradiction_is_refused(self, values: Mapping[str, object], complaint: str) -> None:
        assert complaint in refused(values)


class TestSecrets:
    def test_are_in_no_repr(self) -> None:
        text = repr(load({"config_json": json.dumps(OFFICIAL)}))
        assert "hunter" not in text and "AKIA" in text

    def test_layers_that_are_secret_are_in_no_repr_and_no_error(self, tmp_path: Path) -> None:
        (tmp_path / "env").write_text("AWS_ACCESS_KEY_ID=hunter2\nAWS_SECRET_ACCESS_KEY=hunter2\nMAX_CHUNK_SIZE=hunter2\n")
        assert "hunter2" not in refused({"env": str(tmp_path / "env")})
        layer = Layer("link secrets", {"access_key_id": "hunter2", "secret_access_key": "hunter2", "region": "hunter2"}, secret=True)
        assert "hunter2" not in repr(BlobstoreConfig.load(layer).config)
        for values in (
            {"part_size": "hunter2"},
            {"url": "hunter2"},
            {"url": "s3://a?hunter2=x"},
            {"endpoint": "hunter2"},
            {"alias_a": ["hunter2"]},
        ):
            with pytest.raises(InvalidArgument) as caught:
                BlobstoreConfig.load(Layer("link secrets", values, secret=True))
            assert "hunter2" not in caught.value.message, values


def test_an_unknown_setting_warns_with_the_nearest_one() -> None:
    assert warnings({"buckt": "x"}) == ['link values: unknown setting "buckt" is ignored: did you mean "bucket"?']
    assert warnings({"url": "memory://", "config_json": '{"acces_key_id": "x"}'}) == [
        'link values: config_json: unknown setting "acces_key_id" is ignored: did you mean "access_key_id"?'
    ]


def test_every_fault_of_all_layers_is_told_at_once() -> None:
    message = refused({"url": "nonsense"}, {"env": "/none"}, {"alias_": "x"})
    assert message.count("; ") == 2 and "url" in message and "env" in message and "alias_" in message
