"""Real registries for tests, on loopback: Debian's docker-registry (2.8), its version 3, and the one of Google's Go library.

The first can ask for a login: Basic, or Bearer with tokens that a server of the test gives.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.integration.certificates import RSA, Authority, Pair, openssl
from tests.servers.built import found
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess, running

USER, PASSWORD = "tester", "a secret:of tests"
# bcrypt at its lowest cost, of USER and PASSWORD; its own program would be one more package.
HTPASSWD = "tester:$2b$04$TaqScWzwqz1nSyoz6olf5ulfrKb7S2.xgx7LR4JWbVffSfP1IZtM.\n"


@dataclass(eq=False, kw_only=True)
class RegistryServer(ServerProcess):
    """A registry."""

    path: ClassVar[str] = "/v2/"
    environment: Mapping[str, str] = field(default_factory=lambda: {"OTEL_TRACES_EXPORTER": "none"})


@contextmanager
def distribution(
    folder: Path,
    *,
    program: str = "docker-registry",
    login: bool = False,
    tokens: TokenServer | None = None,
    tls: tuple[Pair, Path] | None = None,
) -> Iterator[RegistryServer]:
    """Debian's docker-registry, or another version of it. `tls` has a certificate for `localhost` and the file of its authority."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if tls:
        settings["http"]["tls"] = {"certificate": str(tls[0].cert), "key": str(tls[0].key)}
    if login:
        (folder / "htpasswd").write_text(HTPASSWD)
        settings["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    if tokens:
        settings["auth"] = {"token": {**tokens.named, "rootcertbundle": str(tokens.pair.cert)}}
    # JSON is YAML too.
    (folder / "config.yml").write_text(json.dumps(settings))
    command = [str(found(program)), "serve", str(folder / "config.yml")]
    with running(RegistryServer(folder=folder, port=port, command=command, authority=tls[1] if tls else None)) as server:
        yield server


@contextmanager
def in_memory(folder: Path) -> Iterator[RegistryServer]:
    """The registry of Google's Go library: strict about ranges, and without much else."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with running(RegistryServer(folder=folder, port=port, command=[str(found("registry-go")), f"-port={port}"])) as server:
        yield server


@dataclass
class TokenServer:
    """Gives Bearer tokens to USER, by password or identity token; to others, for `public/` repositories, such as only allow to read."""

    pair: Pair
    port: int
    seconds: int = 300
    identity: str = "an identity token of tests"
    given: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    @property
    def named(self) -> dict[str, str]:
        """What the registry's settings say of it."""
        return {"realm": f"http://127.0.0.1:{self.port}/token", "service": "registry of tests", "issuer": "tests"}

    def token(self, scopes: list[str], *, known: bool) -> str:
        """A token for what may be done of the scopes."""
        access = []
        for scope in " ".join(scopes).split():
            kind, name, actions = scope.split(":")
            allowed = actions.split(",") if known else [one for one in actions.split(",") if one == "pull" and name.startswith("public/")]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        certificate = "".join(line for line in self.pair.cert.read_text().splitlines() if "-----" not in line)
        header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        times = {"exp": now + self.seconds, "nbf": now - 10, "iat": now}
        claims = {"iss": "tests", "sub": USER, "aud": self.named["service"], **times, "jti": str(len(self.given)), "access": access}
        signed = f"{_url64(json.dumps(header).encode())}.{_url64(json.dumps(claims).encode())}"
        data, signature = self.pair.cert.with_suffix(".data"), self.pair.cert.with_suffix(".signature")
        data.write_text(signed)
        openssl("dgst", "-sha256", "-sign", self.pair.key, "-out", signature, data)
        self.given.append(" ".join(scopes))
        return f"{signed}.{_url64(signature.read_bytes())}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def token_server(folder: Path, *, seconds: int = 300) -> Iterator[TokenServer]:
    """One on loopback; RSA, because openssl signs with it as tokens want it."""
    pair = Authority(folder, "tokens").issue("tokens", kind=RSA)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        """GET with Basic or nothing, and the POST of OAuth2."""

        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            right = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            self._answer("GET", parse_qs(urlsplit(self.path).query), known=given == right, wrong=bool(given) and given != right)

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            right = form.get("grant_type") == ["refresh_token"] and form.get("refresh_token") == [tokens.identity]
            self._answer("POST", form, known=right, wrong=not right)

        def _answer(self, method: str, asked: dict[str, list[str]], *, known: bool, wrong: bool) -> None:
            with lock:
                tokens.methods.append(method)
                wrong = wrong or asked.get("service") != [tokens.named["service"]]
                body = b"{}" if wrong else self._token(asked, known=known)
            self.send_response(401 if wrong else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _token(self, asked: dict[str, list[str]], *, known: bool) -> bytes:
            token = tokens.token(asked.get("scope", []), known=known)
            return json.dumps({"token": token, "expires_in": tokens.seconds}).encode()

        def log_message(self, format: str, *arguments: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tokens = TokenServer(pair, server.server_address[1], seconds)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield tokens
        finally:
            server.shutdown()
            thread.join()
