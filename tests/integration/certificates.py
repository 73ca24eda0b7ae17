"""Certificates for tests, made by the openssl program: authorities, and pairs of certificate and key that they sign."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

EC = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("rsa:2048",)


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, each a PEM file."""

    cert: Path
    key: Path

    @property
    def bundle(self) -> Path:
        """Both in one file."""
        file = self.cert.with_suffix(".bundle.pem")
        file.write_bytes(self.cert.read_bytes() + self.key.read_bytes())
        return file

    def copied_to(self, folder: Path) -> Pair:
        """In place of what `folder` has under the names that a server reads."""
        folder.mkdir(exist_ok=True)
        copy = Pair(folder / "cert.pem", folder / "key.pem")
        shutil.copy(self.cert, copy.cert)
        shutil.copy(self.key, copy.key)
        return copy

    def encrypted(self, password: str, form: str) -> Path:
        """The key encrypted, as PKCS #8 or in the traditional form."""
        file = self.key.with_suffix(f".{form}.pem")
        how = ("pkcs8", "-topk8") if form == "pkcs8" else ("ec", "-aes256")
        openssl(*how, "-in", self.key, "-passout", f"pass:{password}", "-out", file)
        return file


class Authority:
    """Signs certificates; `cert` is its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.cert, self._key = folder / f"{name}.ca.pem", folder / f"{name}.ca.key"
        self._request(self.cert, self._key, name, EC, "keyUsage=critical,keyCertSign")

    def issue(self, name: str, *further: str, usage: str = "serverAuth", kind: tuple[str, ...] = EC) -> Pair:
        """A certificate for host names, or with `clientAuth` for somebody."""
        stem = f"{self.cert.stem}.{name.replace('*', 'any').replace(' ', '-')}.{usage}.{kind[0].replace(':', '')}"
        pair = Pair(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        if not pair.cert.exists():
            names = ",".join(f"DNS:{one}" for one in (name.replace(" ", "-"), *further))
            extensions = ("basicConstraints=critical,CA:FALSE", f"extendedKeyUsage={usage}", f"subjectAltName={names}")
            self._request(pair.cert, pair.key, name, kind, *extensions, signed=("-CA", self.cert, "-CAkey", self._key))
        return pair

    @staticmethod
    def _request(cert: Path, key: Path, name: str, kind: tuple[str, ...], *extensions: str, signed: tuple[object, ...] = ()) -> None:
        added = [part for extension in extensions for part in ("-addext", extension)]
        made = ("-newkey", *kind, "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-sha256")
        openssl("req", "-x509", *made, "-subj", f"/CN={name}", *added, *signed)
