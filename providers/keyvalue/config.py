"""Settings of the keyvalue: where its data is, who sees what of it, and how much."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Self

from provider_sdk import Config, InvalidArgument, Layer, Secret, setting
from provider_sdk.config import Loaded, unfold_json
from providers.keyvalue.backend import checked_name
from providers.keyvalue.changes import Interest, parse

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
CONNECTION_TIMEOUT = "BACKEND_CONNECTION_TIMEOUT_MS"
WITHOUT_EFFECT = (
    CONNECTION_TIMEOUT,
    "BACKEND_RECONNECT_NUM_RETRIES",
    "BACKEND_RECONNECT_MAX_DELAY_MS",
    "BACKEND_RESPONSE_TIMEOUT_MS",
    "DISABLE_DEFAULT_CONNECTION",
    "SHARE_CONNECTIONS_BY_URL",
)
"""Of the official Redis provider: here a store connects again by itself, calls have the host's time, links share what they can."""
NO_STORE = (
    "no store is named: data goes to keyvalue.db in data_dir; for Redis as the official provider has it, set url=redis://127.0.0.1:6379"
)


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
    buckets: str = setting(
        "namespace",
        choices=("namespace", "ignore"),
        doc="1.x: namespace: each bucket has keys of its own, those of the buckets default and without a name being the link's; "
        "ignore: all buckets are one, as the official Redis provider has it.",
    )
    watch: str = setting(
        "",
        doc="1.x, a link to a component that exports watcher: the changes that it is told of, SET@key and DEL@key with commas between, "
        "SET@user:* for all keys that begin so; as the official key.",
    )

    max_key_size: int = setting(64 << 10, unit="bytes", minimum=1, doc="Longest key.")
    max_value_size: int = setting(64 << 20, unit="bytes", minimum=1, doc="Longest text, list item or member of a set.")
    max_list_items: int = setting(1_000_000, minimum=1, doc="Items of a list.")
    max_set_members: int = setting(1_000_000, minimum=1, doc="Members of a set.")
    max_sets: int = setting(1000, minimum=1, doc="Sets that one union or intersection names.")
    max_batch: int = setting(10_000, minimum=1, doc="1.x: keys that one get-many, set-many or delete-many names.")
    keys_per_page: int = setting(1000, minimum=1, maximum=100_000, doc="1.x: keys of one answer of list-keys.")

    def __post_init__(self) -> None:
        checked_name(self.namespace)
        parse(self.watch)
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
    def interest(self) -> Interest:
        """What `watch` says."""
        return parse(self.watch)

    @property
    def chosen(self) -> bool:
        """Whether somebody said which store it is to be."""
        return self.url is not None or self.backend is not None or self.path is not None

    @classmethod
    def load(cls, *layers: Layer, ignore: Collection[str] | None = ()) -> Loaded[Self]:
        """As Config.load; a warning where no store is named, for the official provider's is another one then."""
        loaded = super().load(*layers, ignore=ignore)
        if not loaded.config.chosen:
            loaded.warnings.append(NO_STORE)
        return loaded

    @classmethod
    def expand(cls, layer: Layer) -> list[Layer]:
        """`config_b64` and `config_json` unfolded, and the official names that mean something else here or nothing."""
        return [unfolded for part in unfold_json(layer) for unfolded in _official(part)]


def _official(layer: Layer) -> list[Layer]:
    """An empty URL is none; a time in milliseconds becomes a setting below the rest; what has no effect is left out."""
    rest, found = dict[str, object](), list[Layer]()
    for key, value in layer.values.items():
        name = key.replace("-", "_").upper()
        if name == CONNECTION_TIMEOUT and value:
            found.append(Layer(f"{layer.source}: {CONNECTION_TIMEOUT}", {"connect_timeout": f"{value}ms"}, layer.secret))
        elif name not in WITHOUT_EFFECT and (name != "URL" or value):
            rest[key] = value
    return [*found, Layer(layer.source, rest, layer.secret)]
