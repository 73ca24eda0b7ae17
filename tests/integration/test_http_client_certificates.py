"""Client certificates: who is let in, what the actor is told (RFC 9440), and that no way leads around them."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.certificates import Pair
from tests.integration.http_front import Actor, Running, greet, running
from tests.integration.https import TLS_1_2, TLS_1_3, Pki, asking, client, curl, errors, s_client, served_as, tls, visit
from tests.servers.ports import free_port

pytestmark = pytest.mark.needs("openssl")
BOTH_VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.made_in(tmp_path_factory.mktemp("pki"))


def ann(pki: Pki) -> Pair:
    return pki.staff.issue("ann of staff", usage="clientAuth")


def guest(pki: Pki) -> Pair:
    return pki.guests.issue("a guest", usage="clientAuth")


def value_of(cert: Path) -> list[str]:
    """The Client-Cert header for a certificate: its DER form in base64 between colons (RFC 9440 §2.2, RFC 9651 §3.3.5)."""
    return [f":{base64.b64encode(ssl.PEM_cert_to_DER_cert(cert.read_text())).decode()}:"]


async def status(port: int, context: ssl.SSLContext, host: str = "a.test", name: str = "a.test", *lines: str) -> int | str:
    """The status of one request, or `refused` where the handshake fails."""
    try:
        async with visit(port, context, name) as made:
            return await made.get(host, *lines)
    except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
        return "refused"


@asynccontextmanager
async def two_links(pki: Pki, **settings: str) -> AsyncIterator[tuple[Running, int, dict[str, Actor]]]:
    """A link for each of `settings`, which are its `tls`, at one port: `a` answers for a.test and so on."""
    async with running() as it:
        port, actors = free_port(), {}
        for letter, setting in settings.items():
            actors[letter] = await it.actor(greet)
            await it.link(actors[letter].key, port=str(port), hosts=f"{letter}.test", tls=setting)
            await it.said(f"link up.*{actors[letter].key}")
        yield it, port, actors


# Who is let in


@BOTH_VERSIONS
async def test_required_lets_nobody_in_without_a_certificate_of_the_authority(pki: Pki, version: ssl.TLSVersion) -> None:
    async with running() as it:
        actor, port = await it.serve(greet, tls=asking(pki.server.issue("a.test"), "required", pki.staff))
        assert await status(port, client(pki, ann(pki), version)) == 200
        assert actor.asked[-1].header["client-cert"] == value_of(ann(pki).cert)
        for refused in (None, guest(pki), pki.staff.issue("a server"), pki.server.issue("somebody", usage="clientAuth")):
            assert await status(port, client(pki, refused, version)) == "refused"
        assert (len(actor.asked), errors(it)) == (1, [])


@pytest.mark.needs("curl")
async def test_the_client_learns_why_it_was_refused(pki: Pki) -> None:
    async with running() as it:
        _, port = await it.serve(greet, tls=asking(pki.server.issue("a.test"), "required", pki.staff))
        shown = ("--cert", guest(pki).cert, "--key", guest(pki).key)
        assert await curl(port, pki, "--cert", ann(pki).cert, "--key", ann(pki).key) == "hello 200"
        assert "certificate required" in await curl(port, pki)
        assert "unknown ca" in await curl(port, pki, *shown)
        assert "alert handshake failure" in await curl(port, pki, "--tls-max", "1.2")


@BOTH_VERSIONS
async def test_optional_lets_all_in_but_those_with_a_wrong_certificate(pki: Pki, version: ssl.TLSVersion) -> None:
    async with running() as it:
        actor, port = await it.serve(greet, tls=asking(pki.server.issue("a.test"), "optional", pki.staff))
        assert await status(port, client(pki, None, version)) == 200
        assert "client-cert" not in actor.asked[-1].header
        assert await status(port, client(pki, ann(pki), version)) == 200
        assert actor.asked[-1].header["client-cert"] == value_of(ann(pki).cert)
        assert await status(port, client(pki, guest(pki), version)) == "refused"


async def test_none_asks_nobody_and_takes_clients_that_have_one(pki: Pki) -> None:
    async with running() as it:
        actor, port = await it.serve(greet, tls=tls(pki.server.issue("a.test")))
        assert await status(port, client(pki, ann(pki))) == 200
        assert "client-cert" not in actor.asked[-1].header
        assert "No client certificate CA names sent" in await s_client(port, "-tls1_2")
        assert "Requested Signature Algorithms" not in await s_client(port)


# What the actor is told


@pytest.mark.parametrize("how", ["none", "optional", "required"])
async def test_what_the_client_writes_under_the_headers_name_never_reaches_the_actor(pki: Pki, how: str) -> None:
    forged = ("Client-Cert: :Zm9yZ2Vk:", "client-cert: :Zm9yZ2Vk:", "CLIENT-CERT-CHAIN: :Zm9yZ2Vk:", "client_cert: :Zm9yZ2Vk:")
    async with running() as it:
        setting = tls(pki.server.issue("a.test")) if how == "none" else asking(pki.server.issue("a.test"), how, pki.staff)
        actor, port = await it.serve(greet, tls=setting)
        assert await status(port, client(pki, ann(pki)), "a.test", "a.test", *forged) == 200
        told = {name: value for name, value in actor.asked[0].header.items() if "client" in name}
        assert told == ({} if how == "none" else {"client-cert": value_of(ann(pki).cert)})


async def test_behind_a_proxy_that_ends_tls_its_word_is_taken_and_nobody_elses(pki: Pki) -> None:
    async with running() as it:
        actor, port = await it.serve(greet, trusted_proxies="127.0.0.1")
        async with visit(port, None) as made:
            assert await made.get("a.test", "client-cert: :AAAA:") == 200
        assert actor.asked[-1].header["client-cert"] == [":AAAA:"]
        actor, port = await it.serve(greet, trusted_proxies="192.0.2.1")
        async with visit(port, None) as made:
            assert await made.get("a.test", "client-cert: :AAAA:") == 200
        assert "client-cert" not in actor.asked[-1].header


# No way around


@BOTH_VERSIONS
async def test_a_connection_under_another_links_name_is_misdirected(pki: Pki, version: ssl.TLSVersion) -> None:
    """SNI and Host may differ: the certificate that was shown, or not, was for the first."""
    server = pki.server
    settings = {
        "a": tls(server.issue("a.test")),
        "b": asking(server.issue("b.test"), "required", pki.staff),
        "c": asking(server.issue("c.test"), "required", pki.guests),
        "d": asking(server.issue("d.test"), "optional", pki.staff),
    }
    async with two_links(pki, **settings) as (it, port, actors):
        expected = {
            # with a certificate of:  nobody's, staff's, guests'; each to the hosts a, b, c, d
            "a": ([200, 421, 421, 421], [200, 421, 421, 421], [200, 421, 421, 421]),
            "b": (["refused"] * 4, [200, 200, 421, 200], ["refused"] * 4),
            "c": (["refused"] * 4, ["refused"] * 4, [200, 421, 200, 421]),
            "d": ([200, 403, 421, 200], [200, 200, 421, 200], ["refused"] * 4),
        }
        for letter, rows in expected.items():
            for shown, row in zip((None, ann(pki), guest(pki)), rows, strict=True):
                context = client(pki, shown, version)
                assert [await status(port, context, f"{host}.test", f"{letter}.test") for host in "abcd"] == row, (letter, shown)
        assert [asked.header.get("client-cert") for asked in actors["b"].asked] == [value_of(ann(pki).cert)] * 2
        assert [asked.header.get("client-cert") for asked in actors["c"].asked] == [value_of(guest(pki).cert)]
        assert not [asked for asked in actors["a"].asked if "client-cert" in asked.header]
        assert errors(it) == []


@BOTH_VERSIONS
async def test_a_session_is_not_taken_up_under_another_links_name(pki: Pki, version: ssl.TLSVersion) -> None:
    """As CVE-2025-23419 had it: the certificate shown to one would count for the other, whose authority never signed it."""
    settings = {
        "a": asking(pki.server.issue("a.test"), "required", pki.staff),
        "b": asking(pki.server.issue("b.test"), "required", pki.guests),
        "c": tls(pki.server.issue("c.test")),
    }
    async with two_links(pki, **settings) as (_, port, actors):
        for shown, under, elsewhere in ((ann(pki), "a", "b"), (guest(pki), "b", "a"), (None, "c", "a")):
            context = client(pki, shown, version)
            session, _ = await asyncio.to_thread(resumed, port, context, f"{under}.test", None)
            assert (await asyncio.to_thread(resumed, port, context, f"{under}.test", session))[1]
            before = len(actors[elsewhere].asked)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.to_thread(resumed, port, context, f"{elsewhere}.test", session)
            assert len(actors[elsewhere].asked) == before


def resumed(port: int, context: ssl.SSLContext, name: str, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession, bool]:
    """Make a request; gives the session, and whether the one that was given was taken up."""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname=name, session=session) as made,
    ):
        made.sendall(f"GET / HTTP/1.1\r\nhost: {name}\r\n\r\n".encode())
        if not made.recv(4096).startswith(b"HTTP/1.1 200"):
            raise ConnectionError
        found = made.session
        assert found is not None
        return found, bool(made.session_reused)


@BOTH_VERSIONS
async def test_a_session_that_is_taken_up_keeps_its_certificate(pki: Pki, version: ssl.TLSVersion) -> None:
    async with running() as it:
        actor, port = await it.serve(greet, tls=asking(pki.server.issue("a.test"), "required", pki.staff))
        context = client(pki, ann(pki), version)
        session, _ = await asyncio.to_thread(resumed, port, context, "a.test", None)
        assert (await asyncio.to_thread(resumed, port, context, "a.test", session))[1]
        assert [asked.header["client-cert"] for asked in actor.asked] == [value_of(ann(pki).cert)] * 2


async def test_a_session_from_before_an_authority_was_taken_out_is_worth_nothing(pki: Pki, tmp_path: Path) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(pki.staff.cert.read_bytes() + pki.guests.cert.read_bytes())
    async with running() as it:
        setting = tls(pki.server.issue("a.test"), client_certificates="required", client_ca_file=str(authorities))
        _, port = await it.serve(greet, tls=setting)
        context = client(pki, guest(pki))
        session, _ = await asyncio.to_thread(resumed, port, context, "a.test", None)
        async with visit(port, context) as from_before:
            assert await from_before.get() == 200
            authorities.write_bytes(pki.staff.cert.read_bytes())
            await it.said("certificates loaded anew")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.to_thread(resumed, port, context, "a.test", session)
            assert await from_before.get() == 421
            await from_before.ended()


async def test_a_connection_goes_on_when_an_authority_is_added(pki: Pki, tmp_path: Path) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(pki.staff.cert.read_bytes())
    async with running() as it:
        setting = tls(pki.server.issue("a.test"), client_certificates="required", client_ca_file=str(authorities))
        _, port = await it.serve(greet, tls=setting)
        async with visit(port, client(pki, ann(pki))) as from_before:
            assert await from_before.get() == 200
            assert await status(port, client(pki, guest(pki))) == "refused"
            authorities.write_bytes(pki.guests.cert.read_bytes() + pki.staff.cert.read_bytes())
            await it.said("certificates loaded anew")
            assert await status(port, client(pki, guest(pki))) == 200
            assert await from_before.get() == 200


# Settings that change, links that differ


async def test_a_connection_goes_on_when_the_links_other_settings_change(pki: Pki) -> None:
    async with running() as it:
        port = free_port()
        setting = asking(pki.server.issue("a.test"), "required", pki.staff)
        actor, _ = await it.serve(greet, port=str(port), tls=setting)
        async with visit(port, client(pki, ann(pki))) as from_before:
            assert await from_before.get() == 200
            await it.said("link up")
            await it.link(actor.key, port=str(port), tls=setting, cache_control="no-store")
            await it.said("link up")
            assert [await from_before.get() for _ in range(3)] == [200, 200, 200]
            assert actor.asked[-1].header["client-cert"] == value_of(ann(pki).cert)


async def test_a_connection_is_misdirected_once_its_link_asks_for_certificates(pki: Pki) -> None:
    async with running() as it:
        port = free_port()
        pair = pki.server.issue("a.test")
        actor, _ = await it.serve(greet, port=str(port), tls=tls(pair))
        async with visit(port, client(pki, ann(pki))) as from_before:
            assert await from_before.get() == 200
            await it.said("link up")
            await it.link(actor.key, port=str(port), tls=asking(pair, "required", pki.staff))
            await it.said("link up")
            assert await from_before.get() == 421
            await from_before.ended()
        assert await status(port, client(pki, ann(pki))) == 200


@pytest.mark.parametrize("to_tls", [True, False])
async def test_a_connection_is_misdirected_once_its_link_speaks_otherwise(pki: Pki, to_tls: bool) -> None:
    async with running() as it:
        port = free_port()
        secure = {"tls": tls(pki.server.issue("a.test"))}
        actor, _ = await it.serve(greet, port=str(port), **({} if to_tls else secure))
        async with visit(port, None if to_tls else client(pki)) as from_before:
            assert await from_before.get() == 200
            await it.said("link up")
            await it.link(actor.key, port=str(port), **(secure if to_tls else {}))
            await it.said("link up")
            assert await from_before.get() == 421
            await from_before.ended()
        async with visit(port, client(pki) if to_tls else None) as after:
            assert await after.get() == 200


async def test_links_of_one_host_ask_alike_or_the_second_fails_and_names_the_first(pki: Pki) -> None:
    pair = pki.server.issue("a.test")
    async with running() as it:
        port = free_port()
        first, _ = await it.serve(greet, port=str(port), hosts="a.test", tls=asking(pair, "required", pki.staff))
        second = await it.actor(greet)
        for other in (tls(pair), asking(pair, "optional", pki.staff), asking(pair, "required", pki.guests)):
            await it.link(second.key, port=str(port), hosts="a.test,b.test", path_prefix="/b", tls=other)
            await it.said(f"link failed.*the link {first.key}\\S* asks clients of host a.test for certificates in another way")
        await it.link(second.key, port=str(port), hosts="b.test", tls=tls(pair))
        await it.said(f"link up.*{second.key}")
        assert await served_as(port, client(pki), "b.test") == "a.test"
        third = await it.actor(greet)
        await it.link(third.key, port=str(port), hosts="a.test", path_prefix="/c", tls=asking(pair, "required", pki.staff))
        await it.said(f"link up.*{third.key}")
        assert await status(port, client(pki, ann(pki))) == 200
