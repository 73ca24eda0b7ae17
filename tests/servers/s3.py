"""Real S3 servers for tests, on loopback: minio and versitygw, built once by `.ci/servers` and kept in a cache, and moto.

moto serves where the others are not built. It takes any key and any signature: it never judges those.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.certificates import Pair
from tests.servers.built import found
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess, running

ACCESS_KEY, SECRET_KEY = "tester", "a secret/of+tests"
REGION = "us-east-1"
BUILT = ("minio", "versitygw")


@dataclass(eq=False, kw_only=True)
class S3Server(ServerProcess):
    """A server that speaks S3."""

    name: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION
    _clients: dict[str, Any] = field(default_factory=dict)

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
    with running(
        S3Server(
            name="minio",
            folder=folder,
            port=port,
            command=command,
            environment=environment,
            authority=tls[1] if tls else None,
            region=region,
        )
    ) as server:
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
    command = [str(found("versitygw")), *listening, *storage]
    with running(S3Server(name="versitygw", folder=folder, port=port, command=command, environment=environment)) as server:
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
    environment = {"MOTO_ENABLE_ISO_REGIONS": "false"}
    with running(S3Server(name="moto", folder=folder, port=port, command=command, environment=environment)) as server:
        yield server


SERVERS = {"moto": moto, "minio": minio, "versitygw": versitygw}
