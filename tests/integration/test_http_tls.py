"""TLS as a client meets it: versions and ciphers, certificates by name, their change while it serves, clients that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from provider_sdk import InvalidArgument, Layer
from provider_sdk.testing import Manner
from providers.httpserver.config import TlsConfig
from providers.httpserver.tls import Certificates
from tests.integration.certificates import RSA, Pair
from tests.integration.http_front import ask, greet, running
from tests.integration.https import TLS_1_2, TLS_1_3, Pki, client, curl, errors, program, s_client, served_as, tls, visit
from tests.servers.ports import free_port

pytestmark = pytest.mark.needs("openssl")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.made_in(tmp_path_factory.mktemp("pki"))


# Versions, ciphers, groups


@pytest.mark.needs("curl")
@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_tls_1_2_and_1_3_are_spoken(pki: Pki, version: str) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("a.test")))
        assert await curl(port, pki, f"--tlsv{version}", "--tls-max", version) == "hello 200"
        assert f"TLSv{version}" in await s_client(port, f"-tls{version.replace('.', '_')}")


async def test_what_is_older_is_refused_by_the_server(pki: Pki) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("r.test", kind=RSA)))
        for version in ("-tls1", "-tls1_1"):
            assert "alert protocol version" in await s_client(port, version, "-cipher", "ALL:@SECLEVEL=0")


@pytest.mark.needs("curl")
async def test_1_3_can_be_the_least_version_of_one_link_beside_another(pki: Pki) -> None:
    async with running() as it:
        port = free_port()
        await it.serve(greet, port=str(port), hosts="a.test", tls=tls(pki.server.issue("a.test"), min_version="1.3"))
        second = await it.actor(greet)
        await it.link(second.key, port=str(port), hosts="b.test", tls=tls(pki.server.issue("b.test")))
        await it.said(f"link up.*{second.key}")
        assert "protocol version" in await curl(port, pki, "--tls-max", "1.2")
        assert await curl(port, pki, "--tls-max", "1.2", name="b.test") == "hello 200"
        assert await curl(port, pki) == "hello 200"


async def test_no_cipher_is_taken_that_has_no_forward_secrecy_or_no_authenticated_encryption(pki: Pki) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("r.test", kind=RSA)))
        for offered in ("ALL:COMPLEMENTOFALL:!ECDHE+AESGCM:!ECDHE+CHACHA20", "kRSA", "DHE", "ECDHE+SHA", "aNULL", "NULL"):
            assert "alert handshake failure" in await s_client(port, "-tls1_2", "-cipher", f"{offered}:@SECLEVEL=0"), offered


async def test_no_group_is_taken_that_costs_the_server_much(pki: Pki) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("a.test")))
        for group in ("ffdhe2048", "ffdhe8192", "X448", "P-521"):
            assert "alert handshake failure" in await s_client(port, "-groups", group), group


async def test_every_client_finds_a_group_that_it_knows(pki: Pki) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("r.test", kind=RSA)))
        chosen = {"X25519": "X25519", "P-256": "prime256v1", "P-384": "secp384r1", "X448:P-256": "prime256v1|X448"}
        for version in ("-tls1_2", "-tls1_3"):
            for offered, group in chosen.items():
                assert re.search(rf"Server Temp Key: (ECDH, )?({group})", await s_client(port, version, "-groups", offered)), (
                    version,
                    offered,
                )


@pytest.mark.needs("sslscan")
@pytest.mark.parametrize("kind", ["ec", "rsa"])
async def test_sslscan_finds_nothing_that_caps_a_grade(pki: Pki, kind: str) -> None:
    async with running() as it:
        pair = pki.server.issue("a.test") if kind == "ec" else pki.server.issue("r.test", kind=RSA)
        _, port = await it.serve(greet, tls=tls(pair))
        told = await program("sslscan", "--no-colour", "--show-sigs", "--xml=-", f"127.0.0.1:{port}")
        words = await program("sslscan", "--no-colour", "--no-ciphersuites", f"127.0.0.1:{port}")
        assert await served_as(port, client(pki), "a.test")
        assert errors(it) == []
    found = ET.fromstring(told)[0]
    assert {one.get("version") for one in found.iter("protocol") if one.get("enabled") == "1"} == {"1.2", "1.3"}
    assert {one.get("vulnerable") for one in found.iter("heartbleed")} == {"0"}
    ciphers = [(one.get("cipher", ""), one.get("strength"), int(one.get("bits", "0"))) for one in found.iter("cipher")]
    assert len(ciphers) == 6
    assert all(
        name.startswith(("TLS_", "ECDHE-")) and strength in ("strong", "acceptable") and bits >= 128 for name, strength, bits in ciphers
    )
    groups = {(one.get("sslversion"), one.get("name", "").split()[0]) for one in found.iter("group")}
    assert {name for version, name in groups if version == "TLSv1.3"} == {"x25519", "secp256r1", "secp384r1"}
    assert {name for version, name in groups if version == "TLSv1.2"} <= {"x25519", "secp256r1", "secp384r1", "secp521r1", "x448"}
    assert not [
        one for one in found.iter("connection-signature-algorithm") if "sha1" in one.get("name", "") or "md5" in one.get("name", "")
    ]
    assert {one.get("error") for one in found.iter("pk")} == {"false"}
    assert "Server supports TLS Fallback SCSV" in words
    assert "Session renegotiation not supported" in words
    assert "Compression disabled" in words or "does not support compression" in words


@pytest.mark.parametrize(("offered", "chosen"), [("h2,http/1.1", "ALPN protocol: http/1.1"), ("h2", "No ALPN negotiated")])
async def test_http_1_1_is_agreed_upon(pki: Pki, offered: str, chosen: str) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("a.test")))
        assert chosen in await s_client(port, "-alpn", offered)


# Files


WRONG = {
    "missing certificate": r"\S+nowhere\.pem cannot be read: No such file or directory",
    "missing key": r"\S+nowhere\.pem cannot be read: No such file or directory",
    "a folder": r"\S+folder cannot be read: Is a directory",
    "another's key": r"the private key in \S+b\.test\S+ does not belong to the certificate in \S+a\.test\S+",
    "encrypted, no password": r"the private key in \S+pkcs8\.pem is encrypted, and key_password is missing",
    "encrypted, wrong password": r"the private key in \S+pkcs8\.pem is encrypted, and key_password is not its password",
    "encrypted as of old": r"the private key in \S+trad\.pem is encrypted, and key_password is missing",
    "encrypted, endless password": r"the private key in \S+pkcs8\.pem is encrypted, and key_password is not its password",
    "not PEM": r"\S+junk holds no certificate in PEM form",
    "empty": r"\S+empty holds no certificate in PEM form",
    "certificate where the key belongs": r"\S+a\.test\S+\.pem holds no private key in PEM form",
    "damaged certificate": r"the certificate in \S+damaged\.pem is damaged",
    "damaged key": r"the private key in \S+damaged\.key is damaged",
    "a key that is too short": r"the certificate in \S+short\.test\S+ is not taken: ee key too small",
    "a name without a key": r"\S+a\.test\S+\.pem holds no private key in PEM form",
    "missing authority": r"\S+nowhere\.pem cannot be read: No such file or directory",
    "authority that is none": r"client_ca_file \S+junk holds no certificate in PEM form",
    "damaged authority": r"a certificate in client_ca_file \S+damaged\.pem is damaged",
}


def wrong_settings(pki: Pki, folder: Path, fault: str) -> TlsConfig:
    pair, other = pki.server.issue("a.test"), pki.server.issue("b.test")
    nowhere, junk, empty, damaged = (folder / name for name in ("nowhere.pem", "junk", "empty", "damaged.pem"))
    (folder / "folder").mkdir()
    junk.write_bytes(b"\x30\x82junk")
    empty.write_bytes(b"")
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    damaged.with_suffix(".key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    cert, key = {
        "missing certificate": (nowhere, pair.key),
        "missing key": (pair.cert, nowhere),
        "a folder": (folder / "folder", pair.key),
        "another's key": (pair.cert, other.key),
        "not PEM": (junk, pair.key),
        "empty": (empty, pair.key),
        "certificate where the key belongs": (pair.cert, pair.cert),
        "damaged certificate": (damaged, pair.key),
        "damaged key": (pair.cert, damaged.with_suffix(".key")),
    }.get(fault, (pair.cert, pair.key))
    if fault.startswith("encrypted"):
        key = pair.encrypted("right", "trad" if fault.endswith("of old") else "pkcs8")
    if fault == "a key that is too short":
        short = pki.server.issue("short.test", kind=("rsa:1024",))
        cert, key = short.cert, short.key
    values: dict[str, object] = {"cert_file": str(cert), "priv_key_file": str(key)}
    values |= {"encrypted, wrong password": {"key_password": "wrong"}, "encrypted, endless password": {"key_password": "x" * 5000}}.get(
        fault, {}
    )
    if "authority" in fault:
        file = {"missing authority": nowhere, "authority that is none": junk, "damaged authority": damaged}[fault]
        values |= {"client_certificates": "required", "client_ca_file": str(file)}
    if fault == "a name without a key":
        values["certificates"] = {"b.test": str(pair.cert)}
    return TlsConfig.load(Layer("tls", values)).config


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_file_is_told_in_one_line_that_names_it(pki: Pki, tmp_path: Path, fault: str) -> None:
    certificates = Certificates(wrong_settings(pki, tmp_path, fault), [], "link")
    with pytest.raises(InvalidArgument) as caught:
        certificates.load()
    assert re.fullmatch(rf"tls: {WRONG[fault]}", caught.value.message)


@pytest.mark.parametrize("manner", list(Manner))
async def test_a_wrong_file_fails_the_link_and_nothing_else(pki: Pki, manner: Manner) -> None:
    async with running(manner) as it:
        _, port = await it.serve(greet)
        second = await it.actor(greet)
        pair, other = pki.server.issue("a.test"), pki.server.issue("b.test")
        await it.link(second.key, address="127.0.0.1:0", tls=tls(Pair(pair.cert, other.key)))
        await it.said("link failed, will be retried: tls: the private key in .* does not belong to the certificate in")
        await it.health(f"link {second.key}.*failed: tls: the private key")
        assert (await ask(port)).status == 200
        assert not [line for line in it.lines if "Traceback" in line]


@pytest.mark.parametrize("form", ["pkcs8", "trad"])
async def test_an_encrypted_key_is_read_with_its_password_which_nobody_else_gets_to_see(pki: Pki, form: str) -> None:
    pair = pki.server.issue("a.test")
    async with running() as it:
        encrypted = Pair(pair.cert, pair.encrypted("open sesame", form))
        _, port = await it.serve(greet, tls=tls(encrypted, key_password="open sesame"))
        assert await served_as(port, client(pki), "a.test") == "a.test"
        assert not [line for line in it.lines if "sesame" in line]


# Names


async def test_the_certificate_is_chosen_by_the_name_that_the_client_asks_for(pki: Pki) -> None:
    further = {name: str(pki.server.issue(name).bundle) for name in ("b.test", "*.b.test", "deep.a.b.test")}
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("a.test"), certificates=further))
        expected = {
            "a.test": "a.test",
            "b.test": "b.test",
            "B.TEST": "b.test",
            "x.b.test": "*.b.test",
            "x.y.b.test": "*.b.test",
            "deep.a.b.test": "deep.a.b.test",
            "bb.test": "a.test",
            "elsewhere": "a.test",
            None: "a.test",
        }
        for version in (TLS_1_2, TLS_1_3):
            assert {name: await served_as(port, client(pki, version=version), name) for name in expected} == expected


async def test_links_at_one_port_bring_their_own_certificates_and_requests(pki: Pki) -> None:
    async with running() as it:
        port = free_port()
        actors = {}
        for name, hosts in (("a.test", "a.test"), ("b.test", "b.test,*.b.test"), ("any.test", "")):
            actor = await it.actor(greet)
            await it.link(actor.key, port=str(port), hosts=hosts, tls=tls(pki.server.issue(name)))
            await it.said(f"link up.*{actor.key}")
            actors[name] = actor
        names = {"a.test": "a.test", "b.test": "b.test", "x.y.b.test": "b.test", "elsewhere": "any.test", None: "any.test"}
        assert {name: await served_as(port, client(pki), name) for name in names if name} == {k: v for k, v in names.items() if k}
        assert await it_serves_without_a_name(port, client(pki)) == "any.test"
        assert {name: len(actor.asked) for name, actor in actors.items()} == {"a.test": 1, "b.test": 2, "any.test": 2}
        async with visit(port, client(pki), "a.test") as made:
            assert [await made.get(host) for host in ("a.test", "b.test", "elsewhere")] == [200, 200, 200]


async def it_serves_without_a_name(port: int, context: ssl.SSLContext) -> str:
    async with visit(port, context, None) as made:
        assert await made.get("elsewhere") == 200
        return made.name


async def test_a_client_that_asks_for_an_address_gets_the_link_that_has_it_as_a_host(pki: Pki) -> None:
    async with running() as it:
        port = free_port()
        for name, hosts in (("a.test", "127.0.0.1"), ("b.test", "b.test")):
            actor = await it.actor(greet)
            await it.link(actor.key, port=str(port), hosts=hosts, tls=tls(pki.server.issue(name)))
            await it.said(f"link up.*{actor.key}")
        async with visit(port, client(pki), None) as made:
            assert (made.name, await made.get("127.0.0.1")) == ("a.test", 200)


@pytest.mark.parametrize("first_is_plain", [True, False])
async def test_an_address_speaks_either_tls_or_not(pki: Pki, first_is_plain: bool) -> None:
    secure = {"tls": tls(pki.server.issue("a.test"))}
    async with running() as it:
        port = free_port()
        first, _ = await it.serve(greet, port=str(port), hosts="a.test", **({} if first_is_plain else secure))
        second = await it.actor(greet)
        await it.link(second.key, port=str(port), hosts="b.test", **(secure if first_is_plain else {}))
        speaks = "HTTP" if first_is_plain else "HTTPS"
        await it.said(rf"link failed.*address 127\.0\.0\.1:{port} speaks {speaks} for the link {first.key}")
        assert await (served_plainly(port) if first_is_plain else served_as(port, client(pki), "a.test"))


async def served_plainly(port: int) -> bool:
    async with visit(port, None) as made:
        return await made.get() == 200


# Certificates that change


async def test_new_files_are_taken_up_and_connections_go_on(pki: Pki, tmp_path: Path) -> None:
    files = pki.server.issue("old.test").copied_to(tmp_path)
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(files))
        async with visit(port, client(pki)) as before:
            assert (before.name, await before.get()) == ("old.test", 200)
            pki.server.issue("new.test").copied_to(tmp_path)
            await it.said("certificates loaded anew")
            assert await served_as(port, client(pki), "a.test") == "new.test"
            assert [await before.get() for _ in range(3)] == [200, 200, 200]
        assert errors(it) == []


async def test_files_are_followed_when_a_link_to_their_folder_is_turned(pki: Pki, tmp_path: Path) -> None:
    """As Kubernetes changes a mounted secret."""
    for name in ("old.test", "new.test"):
        pki.server.issue(name).copied_to(tmp_path / name)
    current = tmp_path / "current"
    current.symlink_to("old.test")
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(Pair(current / "cert.pem", current / "key.pem")))
        assert await served_as(port, client(pki), "a.test") == "old.test"
        turned = tmp_path / "turned"
        turned.symlink_to("new.test")
        turned.rename(current)
        await it.said("certificates loaded anew")
        assert await served_as(port, client(pki), "a.test") == "new.test"


async def test_broken_new_files_leave_the_old_ones_in_use_until_they_are_healed(pki: Pki, tmp_path: Path) -> None:
    files = pki.server.issue("old.test").copied_to(tmp_path)
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(files))
        files.key.write_text("what a strange key")
        await it.health(rf"{re.escape(str(files.key))} holds no private key in PEM form")
        await asyncio.sleep(2.5)  # it looks again
        told = errors(it)
        assert len(told) == 1
        assert re.search(
            rf"ERROR.*tls: {re.escape(str(files.key))} holds no private key.*the certificates from before stay in use", told[0]
        )
        assert await served_as(port, client(pki), "a.test") == "old.test"
        pki.server.issue("new.test").copied_to(tmp_path)
        await it.said("certificates loaded anew")
        assert await served_as(port, client(pki), "a.test") == "new.test"
        await it.health("^$")
        assert errors(it) == told


async def test_a_certificate_that_changes_a_moment_before_its_key_is_no_trouble(pki: Pki, tmp_path: Path) -> None:
    files, new = pki.server.issue("old.test").copied_to(tmp_path), pki.server.issue("new.test")
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(files))
        files.cert.write_bytes(new.cert.read_bytes())
        await asyncio.sleep(0.7)
        files.key.write_bytes(new.key.read_bytes())
        await it.said("certificates loaded anew")
        assert errors(it) == []
        assert await served_as(port, client(pki), "a.test") == "new.test"


# Clients that misbehave


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01", "half a greeting"])
async def test_a_handshake_that_is_not_finished_is_cut_off_and_gives_its_place_back(pki: Pki, sent: bytes | str) -> None:
    async with running() as it:
        limits = {"header_timeout": "0.5", "max_connections": "2"}
        _, port = await it.serve(greet, tls=tls(pki.server.issue("a.test")), **limits)
        made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _, writer in made:
            writer.write(_greeting()[:100] if isinstance(sent, str) else sent)
        for reader, writer in made:
            with contextlib.suppress(ConnectionResetError):  # what is unread when a connection is closed resets it
                assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
        assert await served_as(port, client(pki), "a.test") == "a.test"
        assert errors(it) == []


def _greeting() -> bytes:
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="a.test").do_handshake()
    return sent.read()


async def test_a_client_that_goes_silent_behind_its_greeting_is_cut_off(pki: Pki) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("a.test")), header_timeout="0.5")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_greeting())
        answered = await asyncio.wait_for(reader.read(), 10)
        assert answered[:1] == b"\x16"
        writer.close()
        assert await served_as(port, client(pki), "a.test") == "a.test"


async def test_http_to_the_tls_port_is_told_so_in_words(pki: Pki) -> None:
    async with running() as it:
        actor, port = await it.serve(greet, tls=tls(pki.server.issue("a.test")))
        answer = await ask(port)
        assert (answer.status, b"This port speaks HTTPS" in answer.body) == (400, True)
        assert await served_as(port, client(pki), "a.test") == "a.test"
        assert (len(actor.asked), errors(it)) == (1, [])


@pytest.mark.needs("curl")
async def test_tls_to_a_plain_port_does_no_harm(pki: Pki) -> None:
    async with running() as it:
        actor, port = await it.serve(greet)
        assert "curl: (35)" in await curl(port, pki)
        assert ((await ask(port)).status, len(actor.asked), errors(it)) == (200, 1, [])


@pytest.mark.parametrize("name", [b"\xff\xfe.te", b"a\n\x1b[2J", b"........"])
async def test_a_server_name_of_any_bytes_is_only_a_name_that_nobody_has(pki: Pki, name: bytes) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("a.test")))
        sent = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="x" * len(name)).do_handshake()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent.read().replace(b"x" * len(name), name))
        assert (await asyncio.wait_for(reader.read(1), 10)) == b"\x16"
        writer.close()
        assert await served_as(port, client(pki), "a.test") == "a.test"
        assert errors(it) == []


async def test_a_client_that_resets_in_the_middle_of_its_handshake_does_no_harm(pki: Pki) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=tls(pki.server.issue("a.test")), max_connections="4", header_timeout="100")
        for cut in (0, 10, 1000):
            for _ in range(8):
                with socket.create_connection(("127.0.0.1", port)) as made:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    made.sendall(_greeting()[:cut])
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert await served_as(port, client(pki), "a.test") == "a.test"
        assert errors(it) == []
