"""Settings of the keyvalue: where its data is, who sees what of it, and how much."""

from __future__ import annotations

from pathlib import Path

from provider_sdk import Config, InvalidArgument, Layer, Secret, setting
from provider_sdk.config import unfold_json
from providers.keyvalue.backend import checked_name

SCHEMES = {
    "memory": "memory",
    "sqlite": "sqlite",
    "redis": "redis",
    "rediss": "redis",
    "redis+cluster": "redis",
    "rediss+cluster": "redis",
    "redis+sentinel": "redis",
    "rediss+sentinel": "redis",
    "valkey": "redis",
    "valkeys": "redis",
    "postgres": "postgres",
    "postgresql": "postgres",
}


def _scheme(url: Secret) -> str:
    """Without urlsplit, whose errors quote the url."""
    scheme, found, _ = url.reveal().partition("://")
    return scheme.lower() if found else ""


class KeyValueConfig(Config):
    """Settings of one link. `url` says all in one; without it, `backend` and the settings of its own."""

    url: Secret | None = setting(
        None,
        doc="memory://, sqlite:///path (sqlite://name: below data_dir), redis://…, rediss://…, redis+cluster://…, redis+sentinel://… "
        "or postgres://…; as the official key.",
    )
    backend: str | None = setting(None, choices=("memory", "sqlite", "redis", "postgres"), doc="The kind of store, where no url says it.")
    path: Path | None = setting(None, doc="sqlite: the file; a relative path begins in data_dir; default: keyvalue.db there.")
    durability: str = setting(
        "full",
        choices=("full", "normal"),
        doc="sqlite: full: what is acknowledged survives a power cut; normal: the end of the process only, writes are faster.",
    )
    address: str | None = setting(None, doc="redis, postgres: host or host:port; default: 127.0.0.1 and the port of that kind of server.")
    username: str | None = setting(None, doc="redis, postgres: whom to log in as.")
    password: Secret | None = setting(None, doc="redis, postgres: the password; also in place of one in the url.")
    database: str | None = setting(None, doc="redis: number of the database; postgres: its name.")
    tls: bool = setting(False, doc="redis, postgres: encrypt, and check the server's certificate.")
    ca_file: Path | None = setting(None, doc="PEM file of the authorities for that; default: the system's.")
    connections: int = setting(10, minimum=1, maximum=1000, doc="redis, postgres: connections at once.")
    connect_timeout: float = setting(2.0, unit="seconds", minimum=0.1, doc="redis, postgres: what connecting may take.")

    namespace: str = setting("", doc="Keys of another namespace are not seen; the default is the one without a name.")
    per_actor: bool = setting(False, doc="A namespace of its own, below the link's, for each actor.")

    max_key_size: int = setting(64 << 10, unit="bytes", minimum=1, doc="Longest key.")
    max_value_size: int = setting(64 << 20, unit="bytes", minimum=1, doc="Longest text, list item or member of a set.")
    max_list_items: int = setting(1_000_000, minimum=1, doc="Items of a list.")
    max_set_members: int = setting(1_000_000, minimum=1, doc="Members of a set.")
    max_sets: int = setting(1000, minimum=1, doc="Sets that one union or intersection names.")

    def __post_init__(self) -> None:
        checked_name(self.namespace)
        if self.url is not None:
            scheme = _scheme(self.url)
            if scheme not in SCHEMES:
                raise InvalidArgument(f"url: {scheme or 'what is before ://'!r} is none of {', '.join(SCHEMES)}")
            if self.backend not in (None, SCHEMES[scheme]):
                raise InvalidArgument(f"backend: {self.backend} contradicts the url, which is for {SCHEMES[scheme]}")

    @property
    def kind(self) -> str:
        """memory, sqlite, redis or postgres."""
        if self.url is not None:
            return SCHEMES[_scheme(self.url)]
        return self.backend or "sqlite"

    @property
    def chosen(self) -> bool:
        """Whether somebody said which store it is to be."""
        return self.url is not None or self.backend is not None or self.path is not None

    @classmethod
    def expand(cls, layer: Layer) -> list[Layer]:
        """`config_b64` and `config_json` unfolded; an empty URL, as the official provider takes it, is none."""
        parts = unfold_json(layer)
        return [Layer(part.source, {k: v for k, v in part.values.items() if k.lower() != "url" or v}, part.secret) for part in parts]
