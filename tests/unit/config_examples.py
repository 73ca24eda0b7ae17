"""Configuration classes with settings of every kind, and what loading them says."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from provider_sdk.config import Config, Layer, Secret, setting
from provider_sdk.errors import InvalidArgument


class Color(StrEnum):
    RED = "red"
    DARK_BLUE = "dark-blue"


class Tls(Config):
    cert_file: Path = setting(doc="Certificate chain, PEM.")
    key_file: Path | None = setting(None, doc="Private key, PEM.")
    passphrase: Secret = setting(Secret(""), doc="Of the private key.")


class Everything(Config):
    """One of each."""

    limit: ClassVar[int] = 7

    name: str = setting("Hello", doc="A name.", aliases=("title", "label"))
    ready: bool = setting(False, doc="A switch.")
    port: int = setting(8000, doc="A port.", minimum=1, maximum=65535)
    ratio: float = setting(0.5, doc="A share.", minimum=0.0, maximum=1.0)
    wait: float = setting(1.5, doc="A time.", unit="seconds", minimum=0.001)
    tick: int = setting(200, doc="A tick.", unit="milliseconds")
    size: int = setting(1024, doc="A size.", unit="bytes", official=("max_content_len",))
    password: Secret = setting(Secret("default-secret"), doc="A secret.")
    tokens: list[Secret] = setting([], doc="Secrets.")
    folder: Path = setting(Path("/data"), doc="A folder.")
    mode: Literal["fs", "S3"] = setting("fs", doc="A mode | or two.")
    color: Color = setting(Color.RED, doc="A colour.")
    level: str | None = setting(None, doc="A level.", choices=("info", "debug"))
    tags: list[str] = setting(["x"], doc="Tags.")
    hosts: tuple[str, ...] = setting((), doc="Hosts.")
    ports: list[int] = setting([], doc="Ports.")
    buckets: dict[str, str] = setting({}, doc="Buckets by alias.")
    maybe: int | None = setting(None, doc="Perhaps a number.")
    note: str | None = setting(None, doc="Perhaps a note.")
    tls: Tls | None = setting(None, doc="TLS.")


class Listener(Config):
    address: str = setting("127.0.0.1:8000", doc="Where to listen.", official=("address", "port"), aliases=("listen",))


class Sink(Config):
    url: str = setting("nowhere", doc="Where to.")
    depth: int = setting(3, doc="How deep.")


class Outer(Config):
    sink: Sink = setting(Sink(url="default"), doc="The sink.")
    tls: Tls | None = setting(None, doc="TLS.")


def read(**values: object) -> Everything:
    return Everything.load(Layer("link values", values)).config


def fault(cls: type[Config], *layers: Layer) -> str:
    with pytest.raises(InvalidArgument) as caught:
        cls.load(*layers)
    return str(caught.value)


def link_fault(**values: object) -> str:
    return fault(Everything, Layer("link values", values))
