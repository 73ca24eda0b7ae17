"""Real S3 servers for tests, on loopback: minio and versitygw, built once by `.ci/servers` and kept in a cache, and moto.

moto serves where the others are not built. It takes any key and any signature: it never judges those.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provider_sdk.lattice.nats_server import GUARD
from tests.integration.certificates import Pair
from tests.servers.built import found

STARTING = 30.0
ACCESS_KEY, SECRET_KEY = "tester", "a secret/of+tests"
REGION = "us-east-1"
BUILT = ("minio", "versitygw")


def free_port() -> int:
    """A port of loopback that is free."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(eq=False)
class S3Server:
    """One process, which may be ended and begun again on its port. `authority` is the PEM file of whoever signed its certificate."""

    name: str
    folder: Path
    port: int
    command: list[str]
    environment: Mapping[str, str]
    authority: Path | None = None
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION
    _guard: subprocess.Popen[bytes] | None = None
    _pid: int = 0
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """Host and port. Certificates are for names."""
        return f"{'localhost' if self.authority else '127.0.0.1'}:{self.port}"

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http{'s' if self.authority else ''}://{self.host}"

    @property
    def settings(self) -> dict[str, Any]:
        """What a link says to get there; whether it names a bucket is up to the test."""
        ca = {"ca_file": str(self.authority)} if self.authority else {}
        return {
            "backend": "s3",
            "endpoint": self.endpoint,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "region": self.region,
            **ca,
        }

    def client(self, service: str = "s3", **options: Any) -> Any:
        """A client of the AWS library, for what the test itself looks at or puts there."""
        if options:
            return self._client(service, **options)
        if service not in self._clients:
            self._clients[service] = self._client(service)
        return self._clients[service]

    def _client(self, service: str, **options: Any) -> Any:
        import boto3  # a third of a second, and most tests need none
        from botocore.config import Config

        checksums: Any = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
        options.setdefault("config", Config(s3={"addressing_style": "path"}, **checksums))
        options.setdefault("aws_access_key_id", self.access_key)
        options.setdefault("aws_secret_access_key", self.secret_key)
        verify = {"verify": str(self.authority)} if self.authority else {}
        make: Any = boto3.session.Session().client
        return make(service, endpoint_url=self.endpoint, region_name=self.region, **verify, **options)

    def start(self) -> S3Server:
        """Begin, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Under a guard, because a test run that is killed would leave it.
        words = [sys.executable, "-I", str(GUARD), *self.command]
        environment = {**os.environ, **self.environment}
        self._guard = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self._guard.stdout is not None
        self._pid = int(self._guard.stdout.readline().split()[0])
        end = time.monotonic() + STARTING
        while not self._answers():
            assert self._guard.poll() is None, f"{self.name} has ended: {self._guard.stdout.read().decode()}"
            assert time.monotonic() < end, f"{self.name} does not answer"
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        kind: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        more: dict[str, Any] = {}
        if self.authority:
            kind, more = http.client.HTTPSConnection, {"context": ssl.create_default_context(cafile=str(self.authority))}
        connection = kind(self.host, timeout=2.0, **more)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """End it as a crash does."""
        os.kill(self._pid, signal.SIGKILL)
        assert self._guard is not None
        self._guard.communicate()

    def pause(self) -> None:
        """Let it hang."""
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it where it runs."""
        if self._guard is not None and self._guard.poll() is None:
            with suppress(ProcessLookupError):
                self.kill()


@contextmanager
def _running(server: S3Server) -> Iterator[S3Server]:
    try:
        yield server.start()
    finally:
        server.stop()


@contextmanager
def minio(folder: Path, *, tls: tuple[Pair, Path] | None = None, region: str = REGION, port: int = 0) -> Iterator[S3Server]:
    """A minio. `tls` has a certificate for `localhost` and the file of its authority."""
    port, certificates = port or free_port(), folder / "certs"
    certificates.mkdir(parents=True, exist_ok=True)
    if tls:
        shutil.copy(tls[0].cert, certificates / "public.crt")
        shutil.copy(tls[0].key, certificates / "private.key")
    listening = ["--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{free_port()}"]
    command = [str(found("minio")), "server", "--quiet", "--certs-dir", str(certificates), *listening, str(folder / "data")]
    environment = {
        "MINIO_ROOT_USER": ACCESS_KEY,
        "MINIO_ROOT_PASSWORD": SECRET_KEY,
        "MINIO_SITE_REGION": region,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "HOME": str(folder),
    }
    with _running(S3Server("minio", folder, port, command, environment, tls[1] if tls else None, region=region)) as server:
        yield server


@contextmanager
def versitygw(folder: Path, *, port: int = 0) -> Iterator[S3Server]:
    """A versitygw on plain files."""
    port = port or free_port()
    places = {name: str((folder / name).absolute()) for name in ("iam", "meta", "versions", "data")}
    for place in places.values():
        Path(place).mkdir(parents=True, exist_ok=True)
    # Not every file system takes extended attributes; beside the files, those of an overwritten object stay.
    meta = [] if _takes_attributes(folder) else ["--sidecar", places["meta"]]
    listening = ["--port", f"127.0.0.1:{port}", "--region", REGION, "--iam-dir", places["iam"]]
    storage = ["posix", *meta, "--versioning-dir", places["versions"], places["data"]]
    environment = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    with _running(S3Server("versitygw", folder, port, [str(found("versitygw")), *listening, *storage], environment)) as server:
        yield server


def _takes_attributes(folder: Path) -> bool:
    try:
        os.setxattr(folder, "user.probe", b"1")
    except OSError:
        return False
    return True


@contextmanager
def moto(folder: Path, *, port: int = 0) -> Iterator[S3Server]:
    """A moto, which also has STS and other regions."""
    port = port or free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(S3Server("moto", folder, port, command, {"MOTO_ENABLE_ISO_REGIONS": "false"})) as server:
        yield server


SERVERS = {"moto": moto, "minio": minio, "versitygw": versitygw}
