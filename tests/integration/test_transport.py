"""The NATS transport on real servers: addresses, credentials, TLS, limits, requests, and the object store."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
import pytest_asyncio

from provider_sdk.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PreconditionFailed,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import Credentials, Message
from provider_sdk.transport.nats import NatsTransport, connect
from provider_sdk.transport.nats_options import urls
from tests.waiting import until


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer.start(url="") as running:
        yield running


@asynccontextmanager
async def connected(url: str, **settings: Any) -> AsyncIterator[NatsTransport]:
    transport = await connect(Credentials(url, **settings))
    try:
        yield transport
    finally:
        await transport.close()


@asynccontextmanager
async def echoing(url: str) -> AsyncIterator[tuple[NatsTransport, str]]:
    async with connected(url) as transport:
        subject = f"echo.{secrets.token_hex(4)}"

        async def answer(message: Message) -> None:
            await transport.publish(message.reply, message.data, headers=message.headers)

        await transport.subscribe(subject, answer)
        await transport.flush()
        yield transport, subject


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["nats://127.0.0.1:4222"]),
        (" \n", ["nats://127.0.0.1:4222"]),
        ("0.0.0.0:4222", ["nats://0.0.0.0:4222"]),
        ("nats://a:1, tls://b:2,c:3", ["nats://a:1", "tls://b:2", "nats://c:3"]),
        ("hostname", ["nats://hostname"]),
        ("[::1]:4222", ["nats://[::1]:4222"]),
    ],
)
def test_the_forms_of_an_address(text: str, expected: list[str]) -> None:
    assert urls(text) == expected


@pytest.mark.parametrize("text", ["http://a:1", "nats://", "a:99999", "a:b", "ws://a", "a b:1", "nats://:4222"])
def test_a_bad_address_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"NATS address .* expected host:port"):
        urls(text)


def test_a_password_in_a_bad_address_is_not_shown() -> None:
    with pytest.raises(InvalidArgument) as caught:
        urls("http://user:hidden@host:1")
    assert "hidden" not in str(caught.value)


async def test_an_address_without_scheme_reaches_the_server(server: NatsServer) -> None:
    async with connected(f"0.0.0.0:{server.port}") as transport:
        assert transport.connected
        assert transport.max_payload == 1024 * 1024


async def test_the_first_address_may_be_dead(server: NatsServer) -> None:
    async with connected(f"127.0.0.1:1,{server.url}") as transport:
        await transport.flush()


async def test_without_a_server_one_line_says_so_within_the_bound() -> None:
    before = time.monotonic()
    with pytest.raises(
        Unavailable, match=r"no connection to NATS at nats://127.0.0.1:1 within 0.3 s \(.*\): start a server there"
    ) as caught:
        await connect(Credentials("nats://me:hidden@127.0.0.1:1", connect_timeout=0.3))
    assert time.monotonic() - before < 3
    assert "hidden" not in str(caught.value)


async def test_a_server_that_comes_late_is_waited_for(server: NatsServer) -> None:
    async with NatsServer.start(url="") as late:
        await late.kill()
        opening = asyncio.create_task(connect(Credentials(late.url)))
        await asyncio.sleep(0.3)
        await late.launch()
        await (await opening).close()


async def test_a_request_is_answered_with_its_headers(server: NatsServer) -> None:
    async with echoing(server.url) as (transport, subject):
        answer = await transport.request(subject, b"hello", timeout=2, headers={"traceparent": "00-é"})
        assert (answer.data, dict(answer.headers or {})) == (b"hello", {"traceparent": "00-é"})


async def test_many_requests_at_once_get_their_own_answers(server: NatsServer) -> None:
    async with echoing(server.url) as (transport, subject):
        wanted = [str(number).encode() for number in range(2000)]
        answers = await asyncio.gather(*(transport.request(subject, one, timeout=10) for one in wanted))
        assert [answer.data for answer in answers] == wanted


async def test_after_flush_a_subscription_is_there_for_other_connections(server: NatsServer) -> None:
    async with connected(server.url) as responder, connected(server.url) as caller:

        async def answer(message: Message) -> None:
            await responder.publish(message.reply, b"")

        for number in range(300):
            await responder.subscribe(f"at.once.{number}", answer)
            await responder.flush()
            await caller.request(f"at.once.{number}", b"", timeout=5)


async def test_without_responders_a_request_fails_at_once(server: NatsServer) -> None:
    async with connected(server.url) as transport:
        async with asyncio.timeout(2):
            with pytest.raises(Unavailable, match="no responders"):
                await transport.request("nobody.here", b"", timeout=60)


async def test_a_silent_responder_ends_in_deadline_exceeded(server: NatsServer) -> None:
    async with connected(server.url) as transport:

        async def silence(message: Message) -> None: ...

        await transport.subscribe("silent", silence)
        with pytest.raises(DeadlineExceeded, match=r"within 0\.1 s"):
            await transport.request("silent", b"", timeout=0.1)


async def test_a_queue_group_shares_messages_and_plain_subscriptions_do_not(server: NatsServer) -> None:
    async with connected(server.url) as one, connected(server.url) as two:
        grouped: list[bytes] = []
        plain: list[bytes] = []

        async def in_group(message: Message) -> None:
            grouped.append(message.data)

        async def alone(message: Message) -> None:
            plain.append(message.data)

        for transport in (one, two):
            await transport.subscribe("shared", in_group, queue="rpc")
            await transport.subscribe("shared", alone)
            await transport.flush()
        for number in range(10):
            await one.publish("shared", b"%d" % number)
        await one.flush()
        await two.flush()
        async with asyncio.timeout(5):
            while len(plain) < 20:
                await asyncio.sleep(0.01)
        assert len(grouped) == 10


async def test_after_unsubscribe_what_arrived_is_handled_and_nothing_more(server: NatsServer) -> None:
    async with connected(server.url) as transport:
        seen: list[bytes] = []

        async def note(message: Message) -> None:
            await asyncio.sleep(0.001)
            seen.append(message.data)

        subscription = await transport.subscribe("stop.me", note)
        for number in range(50):
            await transport.publish("stop.me", b"%d" % number)
        await transport.flush()
        await subscription.unsubscribe()
        await transport.publish("stop.me", b"late")
        await transport.flush()
        await until(lambda: len(seen) >= 50)
        assert seen == [b"%d" % number for number in range(50)]


async def test_a_message_over_the_limit_is_refused_and_the_connection_stands(server: NatsServer) -> None:
    async with echoing(server.url) as (transport, subject):
        with pytest.raises(ResourceExhausted, match="1048577 bytes is over the NATS server's limit of 1048576"):
            await transport.publish(subject, b"x" * (transport.max_payload + 1))
        assert len((await transport.request(subject, b"x" * transport.max_payload, timeout=5)).data) == transport.max_payload
        assert transport.reconnects == 0


async def test_header_bytes_count_against_the_limit(server: NatsServer) -> None:
    async with echoing(server.url) as (transport, subject):
        headers = {"k": "é" * 10}
        room = transport.max_payload - len(f"NATS/1.0\r\nk: {headers['k']}\r\n\r\n".encode())
        await transport.request(subject, b"x" * room, timeout=5, headers=headers)
        with pytest.raises(ResourceExhausted):
            await transport.publish(subject, b"x" * (room + 1), headers=headers)
        assert transport.reconnects == 0


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0"])
async def test_a_malformed_subject_is_refused(server: NatsServer, subject: str) -> None:
    async with connected(server.url) as transport:
        with pytest.raises(InvalidArgument):
            await transport.publish(subject, b"")
        with pytest.raises(InvalidArgument):
            await transport.request(subject, b"", timeout=1)
        await transport.flush()


async def test_an_exception_in_a_handler_ends_the_connection_for_good_with_its_reason(server: NatsServer) -> None:
    async with connected(server.url) as transport:

        async def broken(message: Message) -> None:
            raise RuntimeError("oh")

        await transport.subscribe("broken", broken)
        await transport.publish("broken", b"")
        async with asyncio.timeout(2):
            assert await transport.closed() == "the handler of broken failed: RuntimeError: oh"


async def test_after_close_nothing_is_sent(server: NatsServer) -> None:
    async with connected(server.url) as transport:
        await transport.close()
        assert not transport.connected
        with pytest.raises(Unavailable, match="closed"):
            await transport.publish("x", b"")


def test_aiohttp_is_not_imported_with_nats() -> None:
    code = "import sys; import provider_sdk.transport.nats; print('aiohttp' in sys.modules, 'nkeys' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False False\n"


def test_aiohttp_can_still_be_imported_after_nats() -> None:
    code = (
        "import provider_sdk.transport.nats, sys, importlib.util as u; print('aiohttp' in sys.modules, u.find_spec('aiohttp') is not False)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False True\n"


# Credentials


def jwt(issuer: KeyPair, subject: KeyPair, kind: str, **fields: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"jti": secrets.token_hex(8), "iat": int(time.time()), "iss": issuer.public, "sub": subject.public, "name": kind}
    if expires := fields.pop("exp", None):
        claims["exp"] = expires
    signed = f"{part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{part({**claims, 'nats': {'type': kind, 'version': 2, **fields}})}"
    return f"{signed}.{base64.urlsafe_b64encode(issuer.sign(signed.encode())).decode().rstrip('=')}"


class Operator:
    """An operator with one account, whose users it makes."""

    def __init__(self) -> None:
        self.operator, self.account = KeyPair.generate(Prefix.OPERATOR), KeyPair.generate(Prefix.ACCOUNT)
        self.limits = {"subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "wildcards": True}

    def config(self, folder: Path) -> Path:
        account = jwt(self.operator, self.account, "account", limits=self.limits)
        path = folder / "operator.conf"
        path.write_text(
            f"operator: {jwt(self.operator, self.operator, 'operator')}\nresolver: MEMORY\n"
            f"resolver_preload {{ {self.account.public}: {account} }}\n"
        )
        return path

    def user(self, **fields: Any) -> tuple[str, str]:
        user = KeyPair.generate(Prefix.USER)
        return jwt(self.account, user, "user", **({"subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}} | fields)), user.seed


async def test_user_jwt_and_seed_enter_where_nobody_else_does(tmp_path: Path) -> None:
    operator = Operator()
    async with NatsServer.start(url="", config=operator.config(tmp_path), jetstream=False) as server:
        user_jwt, seed = operator.user()
        async with connected(server.url, user_jwt=f" {user_jwt}\n", user_seed=f"{seed}\n") as transport:
            await transport.flush()
        other_seed = KeyPair.generate(Prefix.USER).seed
        before = time.monotonic()
        for credentials in (Credentials(server.url), Credentials(server.url, user_jwt, other_seed)):
            with pytest.raises(Unauthenticated, match="refused the credentials") as caught:
                await connect(credentials)
            assert other_seed not in str(caught.value)
        assert time.monotonic() - before < 4


async def test_a_forbidden_subject_does_not_end_the_connection(tmp_path: Path) -> None:
    operator = Operator()
    async with NatsServer.start(url="", config=operator.config(tmp_path), jetstream=False) as server:
        user_jwt, seed = operator.user(pub={"deny": ["secret"]}, sub={"deny": ["secret"]})
        async with connected(server.url, user_jwt=user_jwt, user_seed=seed) as transport:

            async def note(message: Message) -> None: ...

            await transport.subscribe("secret", note)
            await transport.publish("secret", b"")
            await transport.flush()
            with pytest.raises(DeadlineExceeded):
                await transport.request("secret", b"", timeout=0.2)
            assert transport.connected
            assert transport.reconnects == 0


@pytest.mark.parametrize(("user_jwt", "seed"), [("x", ""), ("", "SUAxx"), ("x", "SUAxx"), ("x", "rubbish")])
async def test_unusable_credentials_are_named_and_not_shown(user_jwt: str, seed: str) -> None:
    with pytest.raises(InvalidArgument, match=r"NATS (credentials|user seed): ") as caught:
        await connect(Credentials("127.0.0.1:1", user_jwt, seed))
    assert not seed or seed not in str(caught.value)


# TLS


def certificates(folder: Path) -> Path:
    """An authority `ca.pem` and a certificate of it for 127.0.0.1; the server's configuration."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    signs = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "2", *signs)
    openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nauthorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext")
    openssl("x509", "-req", "-in", "server.csr", *signing, "-out", "server.pem")
    config = folder / "tls.conf"
    config.write_text(f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key" }}\n')
    return config


@pytest.mark.needs("openssl")
async def test_tls_with_a_given_authority(tmp_path: Path) -> None:
    config = certificates(tmp_path)
    async with NatsServer.start(url="", config=config, jetstream=False) as server:
        for url in (f"tls://127.0.0.1:{server.port}", f"localhost:{server.port}"):
            async with connected(url, ca_file=tmp_path / "ca.pem") as transport:
                await transport.flush()
        for url in (f"tls://127.0.0.1:{server.port}", f"nats://127.0.0.1:{server.port}"):
            with pytest.raises(Unavailable, match="its certificate is not trusted"):
                await connect(Credentials(url))


@pytest.mark.parametrize("settings", [{"tls": True}, {}])
async def test_where_tls_is_asked_for_a_plain_server_is_refused(server: NatsServer, settings: dict[str, Any]) -> None:
    url = server.url if settings else f"tls://127.0.0.1:{server.port}"
    with pytest.raises(Unavailable, match="the server offers no TLS"):
        await connect(Credentials(url, connect_timeout=2.0, **settings))


async def test_a_missing_authority_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"certificate authorities in .*absent.pem: No such file"):
        await connect(Credentials("127.0.0.1:1", ca_file=tmp_path / "absent.pem"))


# The object store


@asynccontextmanager
async def jetstream(url: str) -> AsyncIterator[Any]:
    client = await nats.connect(url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


def fresh() -> str:
    return f"lattice-{secrets.token_hex(4)}"


@pytest.mark.parametrize("size", [0, 1, 128 * 1024, 128 * 1024 + 1, 3_000_000])
async def test_an_object_is_taken_as_it_was_put_and_is_gone_then(server: NatsServer, size: int) -> None:
    async with connected(server.url) as transport:
        store, data = transport.objects(fresh()), secrets.token_bytes(size)
        await store.put("id", data)
        assert await store.take("id", 3_000_000) == data
        with pytest.raises(NotFound):
            await store.take("id", 3_000_000)


async def test_the_layout_of_an_object(server: NatsServer) -> None:
    bucket, data = fresh(), b"x" * 300_000
    async with connected(server.url) as transport, jetstream(server.url) as js:
        await transport.objects(bucket).put("0189f7a0-r", data)
        keys = [base64.urlsafe_b64encode(b"0189f7a0-r").decode(), "0189f7a0-r"]
        found = [await js.get_last_msg(f"OBJ_{bucket}", f"$O.{bucket}.M.{key}") for key in keys]
        metadata = json.loads(found[0].data)
        assert found[0].data == found[1].data
        assert found[0].headers["Nats-Rollup"] == "sub"
        assert keys[0].endswith("==")
        assert metadata.pop("modified") == metadata.pop("mtime")
        nuid = metadata.pop("nuid")
        assert metadata == {
            "name": "0189f7a0-r",
            "description": None,
            "link": None,
            "bucket": bucket,
            "size": 300_000,
            "chunks": 3,
            "digest": f"SHA-256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()}",
            "deleted": False,
            "options": {"max_chunk_size": 131072},
        }
        info = await js.stream_info(f"OBJ_{bucket}", subjects_filter=f"$O.{bucket}.C.>")
        assert info.state.subjects == {f"$O.{bucket}.C.{nuid}": 3}
        assert info.config.discard == "new"
        assert info.config.allow_rollup_hdrs


async def test_other_clients_read_what_is_put_and_the_other_way_round(server: NatsServer) -> None:
    bucket, data = fresh(), secrets.token_bytes(1_200_000)
    async with connected(server.url) as transport, jetstream(server.url) as js:
        store = transport.objects(bucket)
        await store.put("ours", data)
        theirs = await js.object_store(bucket)
        assert (await theirs.get("ours")).data == data
        await theirs.put("theirs", data)
        assert await store.take("theirs", 2_000_000) == data


async def test_taking_leaves_a_deletion_marker_and_no_chunk(server: NatsServer) -> None:
    bucket = fresh()
    async with connected(server.url) as transport, jetstream(server.url) as js:
        store = transport.objects(bucket)
        await store.put("id", b"x" * 300_000)
        await store.take("id", 300_000)
        info = await js.stream_info(f"OBJ_{bucket}", subjects_filter=">")
        assert list(info.state.subjects) == [f"$O.{bucket}.M.aWQ="]
        marker = json.loads((await js.get_last_msg(f"OBJ_{bucket}", f"$O.{bucket}.M.aWQ=")).data)
        assert (marker["deleted"], marker["size"], marker["chunks"], marker["digest"]) == (True, 0, 0, "")


async def rewrite(js: Any, bucket: str, name: str, key: str | None = None, **changes: Any) -> None:
    """Change an object's metadata; a value of None leaves the field out."""
    encoded = base64.urlsafe_b64encode(name.encode()).decode()
    metadata = json.loads((await js.get_last_msg(f"OBJ_{bucket}", f"$O.{bucket}.M.{encoded}")).data) | changes
    body = {field: value for field, value in metadata.items() if value is not None}
    await js.purge_stream(f"OBJ_{bucket}", subject=f"$O.{bucket}.M.>")
    await js.publish(f"$O.{bucket}.M.{key or encoded}", json.dumps(body).encode(), headers={"Nats-Rollup": "sub"})


@pytest.mark.parametrize(
    "changes",
    [
        {"mtime": None},
        {"modified": None},
        {"mtime": None, "modified": None},
        {"digest": ""},
        {"options": None, "deleted": None},
        {"key": "id"},
    ],
)
async def test_objects_of_every_generation_are_read(server: NatsServer, changes: dict[str, Any]) -> None:
    bucket = fresh()
    async with connected(server.url) as transport, jetstream(server.url) as js:
        await transport.objects(bucket).put("id", b"data")
        await rewrite(js, bucket, "id", **changes)
        assert await transport.objects(bucket).take("id", 100) == b"data"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"digest": "SHA-256=" + "A" * 43 + "="}, "damaged"),
        ({"size": 3}, "damaged"),
        ({"chunks": 2}, "chunks of it are missing"),
        ({"nuid": "*"}, "malformed"),
        ({"size": -1}, "malformed"),
        ({"size": "many"}, "cannot be read"),
        ({"chunks": 10**9}, "malformed"),
    ],
)
async def test_a_damaged_object_is_refused(server: NatsServer, changes: dict[str, Any], words: str) -> None:
    bucket = fresh()
    async with connected(server.url) as transport, jetstream(server.url) as js:
        await transport.objects(bucket).put("id", b"data")
        await rewrite(js, bucket, "id", **changes)
        with pytest.raises(Unavailable, match=words):
            await transport.objects(bucket).take("id", 100)


async def test_an_object_over_the_limit_is_refused_and_dropped(server: NatsServer) -> None:
    async with connected(server.url) as transport:
        store = transport.objects(fresh())
        await store.put("id", b"x" * 1001)
        with pytest.raises(ResourceExhausted, match="1001 bytes, and 1000 are the most"):
            await store.take("id", 1000)
        with pytest.raises(NotFound):
            await store.take("id", 1001)


async def test_a_lattice_whose_name_cannot_be_a_bucket_is_named(server: NatsServer) -> None:
    async with connected(server.url) as transport:
        with pytest.raises(InvalidArgument, match=r"'a\.b' cannot name one"):
            transport.objects("a.b")


async def test_without_jetstream_one_line_says_so_at_once_and_for_that_call_only() -> None:
    async with NatsServer.start(url="", jetstream=False) as server, echoing(server.url) as (transport, subject):
        async with asyncio.timeout(2):
            with pytest.raises(Unavailable, match=r"the message id of 5 bytes needs JetStream, .* start nats-server with -js"):
                await transport.objects("default").put("id", b"large")
            with pytest.raises(Unavailable, match="needs JetStream"):
                await transport.objects("default").take("id", 1)
        assert (await transport.request(subject, b"x", timeout=2)).data == b"x"


# The server as a fixture


async def test_a_server_that_runs_already_is_used_as_it_is(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_URL", server.url)
    async with NatsServer.start() as running:
        assert (running.url, running.port, running.pid) == (server.url, server.port, 0)
        with pytest.raises(PreconditionFailed):
            await running.pause()
    async with connected(server.url):
        pass


async def test_a_port_in_use_is_one_line(server: NatsServer) -> None:
    with pytest.raises(Unavailable, match=r"nats-server ended at once: .*address already in use"):
        async with NatsServer.start(url="", port=server.port):
            pass


async def test_jetstreams_data_outlives_a_restart_in_a_given_folder(tmp_path: Path) -> None:
    async with NatsServer.start(url="", store=tmp_path) as server, connected(server.url) as transport:
        await transport.objects("default").put("id", b"data")
        await server.stop()
        await server.launch()
        async with asyncio.timeout(10):
            assert await transport.objects("default").take("id", 100) == b"data"


async def test_without_a_program_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sysconfig.get_path", lambda name: "")
    with pytest.raises(NotFound, match="install provider-sdk"):
        async with NatsServer.start(url=""):
            pass
