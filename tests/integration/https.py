"""A client of an httpserver that speaks TLS, the settings for one, and foreign programs that do."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.certificates import Authority, Pair
from tests.integration.http_front import Running

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@dataclass(frozen=True)
class Pki:
    """`server` signs servers, `staff` and `guests` sign clients."""

    server: Authority
    staff: Authority
    guests: Authority

    @staticmethod
    def made_in(folder: Path) -> Pki:
        return Pki(*(Authority(folder, name) for name in ("server", "staff", "guests")))


def tls(pair: Pair, **further: object) -> str:
    """The setting `tls` as a link value."""
    return json.dumps({"cert_file": str(pair.cert), "priv_key_file": str(pair.key)} | further)


def asking(pair: Pair, how: str, authority: Authority) -> str:
    return tls(pair, client_certificates=how, client_ca_file=str(authority.cert))


def client(pki: Pki, cert: Pair | None = None, version: ssl.TLSVersion = TLS_1_3) -> ssl.SSLContext:
    """A client that checks the server's authority, but takes a certificate of any name, in order to look at it."""
    context = ssl.create_default_context(cafile=pki.server.cert)
    context.check_hostname = False
    context.minimum_version = context.maximum_version = version
    if cert is not None:
        context.load_cert_chain(cert.cert, cert.key)
    return context


@dataclass
class Visit:
    """One connection over which requests are made."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def name(self) -> str:
        """Whom the server's certificate is made out to."""
        found = self.writer.get_extra_info("peercert")
        return str(dict(entry[0] for entry in found["subject"])["commonName"])

    async def get(self, host: str = "a.test", *lines: str) -> int:
        """The status of a request; the connection stays."""
        self.writer.write("\r\n".join(["GET / HTTP/1.1", f"host: {host}", *lines, "", ""]).encode())
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        length = re.search(r"content-length: (\d+)", head)
        await self.reader.readexactly(int(length[1]) if length else 0)
        return int(head.split()[1])

    async def ended(self) -> None:
        """Returns when the server has closed it."""
        assert await asyncio.wait_for(self.reader.read(), 10) == b""


@asynccontextmanager
async def visit(port: int, context: ssl.SSLContext | None, name: str | None = "a.test") -> AsyncIterator[Visit]:
    # An empty name is what asyncio calls none.
    options = {} if context is None else {"ssl": context, "server_hostname": name or ""}
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)  # type: ignore[arg-type]
    try:
        yield Visit(reader, writer)
    finally:
        writer.transport.abort()


async def served_as(port: int, context: ssl.SSLContext, name: str | None) -> str:
    async with visit(port, context, name) as made:
        assert await made.get(name or "a.test") == 200
        return made.name


async def program(*command: object, sent: bytes = b"") -> str:
    """What a foreign program says."""
    made = await asyncio.create_subprocess_exec(*map(str, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = await asyncio.wait_for(made.communicate(sent), 60)
    return said.decode(errors="replace")


async def s_client(port: int, *options: object) -> str:
    return await program("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options)


async def curl(port: int, pki: Pki, *options: object, name: str = "a.test") -> str:
    """Status, body and the error, if one is met."""
    checks = ("--cacert", pki.server.cert, "--resolve", f"{name}:{port}:127.0.0.1", "--noproxy", "*")
    return await program("curl", "-sS", "-w", " %{http_code}", *checks, *options, f"https://{name}:{port}/")


def errors(it: Running) -> list[str]:
    return [line for line in it.lines if " ERROR " in line or "Traceback" in line or "Exception ignored" in line]
