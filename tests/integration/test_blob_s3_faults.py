"""The blobstore on S3 while the server goes away, hangs or refuses, and how it is told apart in one line what to do about it."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import DeferredRefreshableCredentials

from provider_sdk import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Unauthenticated,
    Unavailable,
)
from providers.blobstore.backend import NO_DETAILS, Backend, Store
from providers.blobstore.backends.s3 import calls, store_key
from providers.blobstore.config import StsConfig
from tests.integration.blob_s3 import BUCKET, PART, Relay, a_store, config, content, make_bucket, put_large, refusal, until, uploads, whole
from tests.integration.certificates import Authority
from tests.servers import s3
from tests.servers.ports import free_port
from tests.servers.s3 import S3Server
from tests.tiers import scale

AT = "box"
ROLE = "arn:aws:iam::123456789012:role/blobs"
SIZE = scale(test=160 << 20, ci=256 << 20, soak=5 << 30)
GROWTH = 64 << 10
LARGE = 24 << 20
"""More than sockets hold on their way."""
READ_ONLY = {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": ["arn:aws:s3:::*"]}
needs_minio = pytest.mark.needs("minio")


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3.minio(tmp_path_factory.mktemp("minio")) as server:
        yield make_bucket(server)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3.moto(tmp_path_factory.mktemp("moto")) as server:
        yield make_bucket(server)


@pytest.fixture
async def relay(moto: S3Server) -> AsyncIterator[Relay]:
    async with Relay(moto).running() as relay:
        yield relay


@pytest.fixture
async def store(moto: S3Server, relay: Relay) -> AsyncIterator[Store]:
    async with a_store(moto, endpoint=relay.endpoint, read_timeout=5.0, part_size=PART) as store:
        await store.view("").create_container(AT)
        yield store


@pytest.fixture
def backend(store: Store) -> Backend:
    return store.view("")


async def test_a_body_that_breaks_off_is_gone_on_with(backend: Backend, relay: Relay) -> None:
    data = secrets.token_bytes(5 << 20)
    await backend.put(AT, "cut", data, NO_DETAILS)
    for cut in (1 << 16, 1 << 20, 3 << 20):
        relay.cut = cut
        assert await whole(backend, AT, "cut") == data
        relay.cut = cut
        part = await backend.open(AT, "cut", 1000, 4_000_000, lambda length: 10)
        assert await content(part) == data[1000:4_000_001]
    assert relay.cuts == 6


async def test_an_object_that_was_changed_or_removed_meanwhile_is_not_gone_on_with(moto: S3Server, backend: Backend, relay: Relay) -> None:
    data = secrets.token_bytes(LARGE)
    for words in ("was changed", "was removed"):
        await backend.put(AT, "moving", data, NO_DETAILS)
        reading = await backend.open(AT, "moving", 0, None, lambda length: 1000)
        if words == "was changed":
            moto.client().put_object(Bucket=BUCKET, Key=f"{AT}/moving", Body=data[::-1])
        else:
            moto.client().delete_object(Bucket=BUCKET, Key=f"{AT}/moving")
        relay.cut = 0
        error = await refusal(content(reading))
        assert isinstance(error, Unavailable) and words in error.message
        await reading.close()


async def test_a_server_that_hangs_is_silent_until_it_answers_again(store: Store, backend: Backend, relay: Relay) -> None:
    await backend.put(AT, "a", b"1", NO_DETAILS)
    assert await store.trouble() == ""
    relay.going.clear()
    error = await refusal(backend.info(AT, "a"))
    assert isinstance(error, Unavailable) and "was silent for longer than read_timeout" in error.message
    assert await store.trouble() == error.message
    relay.going.set()
    assert (await backend.info(AT, "a")).size == 1
    assert await store.trouble() == ""


async def test_health_asks_by_itself_one_at_a_time_and_waits_for_no_answer(
    store: Store, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "FRESH", 0.0)
    monkeypatch.setattr(calls, "SILENT", 0.5)
    relay.going.clear()
    relay.requests.clear()
    began = time.monotonic()
    lines = [await store.trouble() for _ in range(3)]
    assert lines[0] == "" and "has not answered for" in lines[2] and time.monotonic() - began < 3 * calls.PATIENCE + 3
    assert len(relay.requests) == 1
    relay.going.set()
    async with asyncio.timeout(30):
        while await store.trouble():
            await asyncio.sleep(0.05)


async def test_a_server_that_is_not_there_is_named() -> None:
    port = free_port()
    server = S3Server(name="nobody", folder=Path(), port=port, command=[])
    async with a_store(server) as store:
        error = await refusal(store.view("").containers())
        assert isinstance(error, Unavailable) and f"127.0.0.1:{port} cannot be reached: nobody answers there" in error.message
        assert await store.trouble() == error.message


async def test_a_bucket_that_is_not_there_is_no_missing_container(moto: S3Server) -> None:
    async with a_store(moto, bucket="no-such-bucket") as store:
        backend = store.view("")
        for call in (backend.containers(), backend.container(AT), backend.put(AT, "a", b"", NO_DETAILS), backend.objects(AT)):
            error = await refusal(call)
            assert isinstance(error, Unavailable) and "has no bucket 'no-such-bucket'" in error.message
        assert "has no bucket 'no-such-bucket'" in await store.trouble()


async def test_callers_that_give_up_leave_nothing_behind(store: Store, backend: Backend, relay: Relay) -> None:
    data = secrets.token_bytes(3 << 20)
    await backend.put(AT, "a", data, NO_DETAILS)
    relay.going.clear()
    callers = [asyncio.create_task(backend.open(AT, "a", 0, None, lambda length: 10)) for _ in range(8)]
    await asyncio.sleep(0.3)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    relay.going.set()
    async with asyncio.timeout(30):
        while relay.open > 8:  # as many as there were before may be kept for the next request
            await asyncio.sleep(0.05)
    assert await whole(backend, AT, "a") == data
    await store.close()
    async with asyncio.timeout(30):
        while relay.open:
            await asyncio.sleep(0.05)


async def test_a_read_that_was_given_up_loses_no_bytes(backend: Backend, relay: Relay) -> None:
    data = secrets.token_bytes(LARGE)
    await backend.put(AT, "long", data, NO_DETAILS)
    reading = await backend.open(AT, "long", 0, None, lambda length: 0)
    relay.going.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reading.read(len(data)), 0.2)
    relay.going.set()
    assert await content(reading, 1000_000) == data


async def test_a_write_that_was_given_up_has_taken_all_or_nothing(backend: Backend, relay: Relay) -> None:
    writing = await backend.create(AT, "a", NO_DETAILS)
    relay.going.clear()
    taken = b""
    for number in range(12):
        data = bytes([number]) * 3_000_000
        try:
            await asyncio.wait_for(writing.write(data), 0.1)
            taken += data
        except TimeoutError:
            relay.going.set()
            await writing.write(data[:5])
            taken += data[:5]
    await writing.commit()
    assert relay.going.is_set() and await whole(backend, AT, "a") == taken


async def test_a_part_that_the_server_does_not_take_ends_the_upload(backend: Backend, relay: Relay) -> None:
    writing = await backend.create(AT, "refused", NO_DETAILS)
    relay.going.clear()
    with pytest.raises(Unavailable):
        async with asyncio.timeout(20):
            while True:
                await writing.write(bytes(PART))
    relay.going.set()
    for call in (writing.write(b"1"), writing.commit()):
        assert isinstance(await refusal(call), Unavailable)
    await writing.abort()
    assert isinstance(await refusal(backend.info(AT, "refused")), NotFound)


def child(server: S3Server, data_dir: Path, *words: str) -> subprocess.Popen[str]:
    settings = {"bucket": BUCKET, "part_size": PART, **server.settings}
    command = [sys.executable, "-m", "tests.integration.blob_s3_child", json.dumps(settings), str(data_dir), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def test_uploads_of_a_process_that_was_killed_are_aborted_at_the_next_start(moto: S3Server, tmp_path: Path) -> None:
    process = child(moto, tmp_path, "upload")
    try:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        key = f"{AT}/large"
        await until(lambda: bool(uploads(moto, BUCKET, key)))
        async with a_store(moto, tmp_path, part_size=PART) as store:
            own = await store.view("").create(AT, "own", NO_DETAILS)
            await own.write(bytes(2 * PART))
            await until(lambda: bool(uploads(moto, BUCKET, f"{AT}/own")))
            # Its writer lives, so that nobody aborts it; nor what is on its way here.
            async with a_store(moto, tmp_path):
                await asyncio.sleep(0.5)
            assert len(uploads(moto, BUCKET, key)) == 1
            process.send_signal(signal.SIGKILL)
            process.wait()
            async with a_store(moto, tmp_path):
                await until(lambda: not uploads(moto, BUCKET, key))
            await own.commit()
            assert (await store.view("").info(AT, "own")).size == 2 * PART
        assert list((tmp_path / "s3-uploads").iterdir()) == []
    finally:
        process.kill()
        process.communicate()


@needs_minio
async def test_an_upload_whose_process_died_before_it_knew_its_name_is_aborted_and_no_other(minio: S3Server, tmp_path: Path) -> None:
    client, key = minio.client(), f"{AT}/nameless"
    for name in (key, f"{key}-other"):
        client.create_multipart_upload(Bucket=BUCKET, Key=name)
    async with a_store(minio, tmp_path):
        pass
    folder = tmp_path / "s3-uploads"
    folder.mkdir(exist_ok=True)
    endpoint = client.meta.endpoint_url
    for moment, left in ((int(time.time()) - 3600, 1), (int(time.time()), 0)):
        entry = {"endpoint": endpoint, "bucket": BUCKET, "key": key, "upload_id": "", "since": moment}
        (folder / "one.json").write_text(json.dumps(entry))
        async with a_store(minio, tmp_path):
            await until(lambda: not list(folder.iterdir()))
        assert (len(uploads(minio, BUCKET, key)), len(uploads(minio, BUCKET, f"{key}-other"))) == (left, 1)
    await asyncio.to_thread(
        client.abort_multipart_upload, Bucket=BUCKET, Key=f"{key}-other", UploadId=uploads(minio, BUCKET, f"{key}-other")[0]
    )


async def test_the_ledger_holds_no_secret_and_is_nobody_else_s(moto: S3Server, tmp_path: Path) -> None:
    async with a_store(moto, tmp_path, part_size=PART) as store:
        await store.view("").create_container(AT)
        writing = await store.view("").create(AT, "large", NO_DETAILS)
        await writing.write(bytes(2 * PART))
        await until(lambda: any((tmp_path / "s3-uploads").glob("*.json")))
        [file] = (tmp_path / "s3-uploads").iterdir()
        assert moto.secret_key not in file.read_text("utf-8") and file.stat().st_mode & 0o077 == 0
        await writing.abort()
        assert list((tmp_path / "s3-uploads").iterdir()) == []


async def test_an_upload_goes_on_where_it_cannot_be_written_down(moto: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "s3-uploads").write_bytes(b"no folder")
    async with a_store(moto, tmp_path, part_size=PART) as store:
        await store.view("").create_container(AT)
        await put_large(store.view(""), AT, "large", bytes(2 * PART))
    assert "cannot be written down" in caplog.text


@needs_minio
async def test_an_object_of_any_size_takes_little_memory_each_way(minio: S3Server, tmp_path: Path) -> None:
    process = child(minio, tmp_path, "transfer", str(SIZE))
    said, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    assert all(0 <= int(line) < GROWTH for line in said.split()) and len(said.split()) == 2
    minio.client().delete_object(Bucket=BUCKET, Key=f"{AT}/large")


@needs_minio
async def test_credentials_that_are_not_right_are_told_apart(minio: S3Server) -> None:
    for words, value in (("access_key_id", "somebody"), ("secret_access_key", "another")):
        settings: dict[str, Any] = {words: value}
        async with a_store(minio, **settings) as store:
            backend = store.view("")
            for call in (backend.containers(), backend.container(AT), backend.info(AT, "a"), backend.put(AT, "a", b"1", NO_DETAILS)):
                error = await refusal(call)
                assert isinstance(error, Unauthenticated) and words in error.message
            assert words in await store.trouble()
    async with a_store(minio, access_key_id=None, secret_access_key=None) as store:
        error = await refusal(store.view("").containers())
        assert isinstance(error, Unauthenticated) and "needs credentials" in error.message


@needs_minio
async def test_credentials_that_may_not_write_read(minio: S3Server) -> None:
    allowed = {
        "Version": "2012-10-17",
        "Statement": [READ_ONLY],
    }
    role = {"RoleArn": "arn:aws:iam::000000000000:role/any", "RoleSessionName": "reader", "Policy": json.dumps(allowed)}
    found = minio.client("sts").assume_role(**role)["Credentials"]
    async with a_store(minio) as store:
        await store.view("").create_container(AT)
        await store.view("").put(AT, "a", b"1", NO_DETAILS)
    temporary = {"access_key_id": found["AccessKeyId"], "secret_access_key": found["SecretAccessKey"]}
    async with a_store(minio, **temporary, session_token=found["SessionToken"]) as store:
        backend = store.view("")
        assert await whole(backend, AT, "a") == b"1"
        assert isinstance(await refusal(backend.put(AT, "a", b"2", NO_DETAILS)), PermissionDenied)
        failures = await backend.remove(AT, ["a", "b"])
        assert set(failures) == {"a", "b"} and all(isinstance(error, PermissionDenied) for error in failures.values())
        assert await store.trouble() == ""
    async with a_store(minio, **temporary, session_token="another") as store:
        assert isinstance(await refusal(store.view("").containers()), Unauthenticated)


@needs_minio
@pytest.mark.parametrize("seconds", [-5000, 5000])
async def test_a_clock_that_is_off_is_told_by_how_much(minio: S3Server, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    now = datetime.now
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now(UTC) + timedelta(seconds=seconds))
    monkeypatch.setattr("providers.blobstore.backends.s3.errors.now", lambda: now(UTC).timestamp() + seconds)
    async with a_store(minio) as store:
        error = await refusal(store.view("").containers())
        assert isinstance(error, Unavailable)
        assert "set its clock, which is" in error.message and ("ahead of" if seconds > 0 else "behind") in error.message
        assert any(f" {5000 + off} s " in error.message for off in range(-3, 4))


@needs_minio
async def test_https_is_for_servers_that_the_authority_vouches_for(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "ca", "ours"), Authority(tmp_path / "ca", "other")
    with s3.minio(tmp_path / "minio", tls=(authority.issue("localhost"), authority.cert)) as server:
        make_bucket(server)
        async with a_store(server) as store:
            await store.view("").create_container(AT)
            await store.view("").put(AT, "a", b"1", NO_DETAILS)
            assert await whole(store.view(""), AT, "a") == b"1"
        for ca_file in (None, str(other.cert)):
            async with a_store(server, ca_file=ca_file) as store:
                error = await refusal(store.view("").containers())
                assert isinstance(error, Unavailable) and "cannot be trusted" in error.message and "ca_file" in error.message
    (tmp_path / "empty.pem").write_bytes(b"")
    for name, words in (("missing.pem", "No such file"), ("empty.pem", "no certificates")):
        with pytest.raises(InvalidArgument, match=words):
            async with a_store(server, ca_file=str(tmp_path / name)):
                pass


@needs_minio
async def test_a_bucket_in_another_region_is_found_and_a_new_one_is_told_where_it_belongs(tmp_path: Path) -> None:
    with s3.minio(tmp_path / "minio", region="eu-south-2") as server:
        make_bucket(server)
        async with a_store(server, region="us-west-2") as store:
            await store.view("").create_container(AT)
            await store.view("").put(AT, "a", b"1", NO_DETAILS)
            assert await whole(store.view(""), AT, "a") == b"1"
        async with a_store(server, region="us-west-2", bucket=None) as store:
            error = await refusal(store.view("").create_container(AT))
            assert isinstance(error, PreconditionFailed) and "set region to eu-south-2" in error.message


async def test_a_proxy_is_gone_through(moto: S3Server, relay: Relay) -> None:
    async with a_store(moto, proxy=relay.endpoint) as store:
        await store.view("").create_container(AT)
        assert relay.count("PUT", "http://") + relay.count("HEAD", "http://")
    async with a_store(moto, proxy=f"http://127.0.0.1:{free_port()}") as store:
        error = await refusal(store.view("").containers())
        assert isinstance(error, Unavailable) and "proxy" in error.message


class Clock:
    """The time that the AWS library goes by."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(DeferredRefreshableCredentials.__init__, "__defaults__", (clock.now,))
    monkeypatch.setattr("botocore.credentials._local_now", clock.now)
    return clock


async def test_a_role_is_assumed_once_and_again_before_its_credentials_expire(
    moto: S3Server, relay: Relay, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = StsConfig(role=ROLE, session="of-a-test", external_id="a secret word")
    async with Relay(moto).running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint)
        async with a_store(moto, endpoint=relay.endpoint, sts_config=role) as store:
            backend = store.view("")
            assert sts.requests == []
            await backend.create_container(AT)
            for _ in range(3):
                await backend.put(AT, "a", b"1", NO_DETAILS)
            assert sts.count("POST") == 1
            assert b"RoleSessionName=of-a-test" in sts.sent and b"ExternalId=a+secret+word" in sts.sent
            assert b"X-Amz-Security-Token: " in relay.sent and moto.access_key.encode() not in relay.sent
            clock.ahead = timedelta(minutes=30)
            await backend.put(AT, "a", b"1", NO_DETAILS)
            assert sts.count("POST") == 1
            clock.ahead = timedelta(minutes=52)
            await backend.put(AT, "a", b"1", NO_DETAILS)
            assert sts.count("POST") == 2


async def test_a_role_is_assumed_by_the_token_that_a_service_account_has_by_then(
    moto: S3Server, relay: Relay, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    role = StsConfig(role=ROLE, web_identity_token_file=token)
    settings: dict[str, Any] = {"access_key_id": None, "secret_access_key": None, "sts_config": role}
    with pytest.raises(Unauthenticated, match=r"web_identity_token_file: '.*token' cannot be read: No such file"):
        async with a_store(moto, **settings):
            pass
    token.write_text("first\n")
    async with Relay(moto).running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint)
        async with a_store(moto, endpoint=relay.endpoint, **settings) as store:
            await store.view("").create_container(AT)
            assert b"Action=AssumeRoleWithWebIdentity" in sts.sent and b"WebIdentityToken=first&" in sts.sent + b"&"
            assert b"X-Amz-Security-Token: " in relay.sent and b"Authorization: " not in sts.sent
            token.write_text("second\n")
            clock.ahead = timedelta(minutes=52)
            await store.view("").put(AT, "a", b"1", NO_DETAILS)
            assert b"WebIdentityToken=second&" in sts.sent + b"&" and sts.count("POST") == 2


async def test_credentials_that_have_expired_on_arrival_are_told(moto: S3Server, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.ahead = timedelta(hours=2)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.endpoint)
    async with a_store(moto, sts_config=StsConfig(role=ROLE)) as store:
        error = await refusal(store.view("").containers())
        assert isinstance(error, Unauthenticated) and "clock" in error.message


async def test_a_role_that_cannot_be_assumed_is_told(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{free_port()}")
    async with a_store(moto, sts_config=StsConfig(role=ROLE)) as store:
        error = await refusal(store.view("").containers())
        assert isinstance(error, Unavailable) and "cannot be reached" in error.message


def test_links_that_differ_in_anything_that_s3_is_told_have_stores_of_their_own(moto: S3Server) -> None:
    one = store_key(config(moto), Path("/a"))
    assert one == store_key(config(moto, aliases={"a": "b"}, max_streams=3), Path("/a"))
    differing: list[dict[str, Any]] = [
        *({"bucket": "other"}, {"prefix": "p"}, {"secret_access_key": "s"}, {"session_token": "t"}, {"region": "eu-west-1"}),
        *({"sts_config": StsConfig(role="r")}, {"connections": 3}, {"part_size": PART}, {"addressing": "virtual"}, {"max_attempts": 9}),
    ]
    keys = [store_key(config(moto, **settings), Path("/a")) for settings in differing]
    assert len({one, *keys}) == len(differing) + 1
