"""Settings of the httpserver, under the names of the official one (wasmbus-0x.md §9.1)."""

from __future__ import annotations

import socket
from dataclasses import replace

from provider_sdk import Config, InvalidArgument, Layer, setting
from provider_sdk.config import unfold_json


class HttpServerConfig(Config):
    """Settings of one link: where it listens and what it lets through."""

    address: str = setting("127.0.0.1:8000", doc="ip:port to listen on; port 0 takes a free one and logs it.")
    port: int | None = setting(None, minimum=0, maximum=65535, doc="Port to listen on at 127.0.0.1; overrides an address given beside it.")
    readonly_mode: bool = setting(False, doc="Refuse every method but GET and HEAD with 405.")
    cache_control: str | None = setting(None, doc="Cache-Control header of responses that have none of their own.")
    timeout_ms: int | None = setting(
        None, unit="milliseconds", minimum=1, doc="How long the actor may take before 503; default: what the host says that calls may take."
    )
    max_content_len: int = setting(100 << 20, unit="bytes", minimum=0, maximum=1 << 30, doc="Longest request body; longer ones get 413.")

    def __post_init__(self) -> None:
        _ = self.bind

    @property
    def bind(self) -> tuple[str, int]:
        """IP address and port to listen on."""
        if self.port is not None:
            return "127.0.0.1", self.port
        host, colon, port = self.address.strip().rpartition(":")
        host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not (colon and _is_ip(host) and port.isdecimal() and port.isascii() and int(port) <= 65535):
            raise InvalidArgument(f"address: {self.address!r} is not ip:port, such as 127.0.0.1:8080")
        return host, int(port)

    @classmethod
    def expand(cls, layer: Layer) -> list[Layer]:
        """`config_b64` and `config_json` unfolded; an address overrides a port that was given in an earlier place."""
        parts = unfold_json(layer)
        for part in parts:
            if any(name.lower() == "tls" and value for name, value in part.values.items()):
                raise InvalidArgument(
                    f"{part.source}: tls: HTTPS is not served by this version: remove it, and end TLS in front of the provider"
                )
        return [_without_earlier_port(part) for part in parts]


def _without_earlier_port(layer: Layer) -> Layer:
    given = {key.lower() for key in layer.values}
    return replace(layer, values={**layer.values, "port": None}) if "address" in given and "port" not in given else layer


def _is_ip(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False
