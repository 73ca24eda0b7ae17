"""Settings of the blobstore: where the objects are, how they are reached, and how they are cut in chunks."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from provider_sdk import Config, InvalidArgument, Layer, Secret, setting
from provider_sdk.config import Loaded, unfold_json
from providers.blobstore.environment import from_env_file, from_environment

SCHEMES = {"file": "local", "s3": "s3", "memory": "memory"}
IN_URL = frozenset(
    {
        *("addressing", "ca_file", "checksums", "connect_timeout", "connections", "durability", "endpoint"),
        *("max_attempts", "part_size", "per_actor", "proxy", "read_timeout", "region", "retry_mode"),
    }
)
ALIAS = "alias_"


class StsConfig(Config):
    """A role to assume with the credentials that are given."""

    role: str | None = setting(None, doc="ARN of the role to assume.")
    region: str | None = setting(None, doc="Region of STS; default: that of the store.")
    session: str = setting("blobstore_s3_provider", doc="Name of the session, seen in the logs of AWS.")
    external_id: str | None = setting(None, doc="External id, where the role asks for one.")


class BlobstoreConfig(Config):
    """Settings of one link. `url` says where in one line; without it, `backend` and the settings of its own."""

    url: str | None = setting(
        None,
        doc="file:///folder, s3://bucket/prefix?endpoint=… (containers below the prefix), s3://?endpoint=… (containers are buckets) or "
        "memory://; behind the ? may stand other settings, but no secrets.",
    )
    backend: str | None = setting(None, choices=("local", "s3", "memory"), doc="The kind of store, where no url says it.")

    root: Path | None = setting(None, doc="local: the folder; default: blobs in data_dir. As the official key ROOT.")
    per_actor: bool | None = setting(
        None, doc="A place of its own for each actor, below the folder or prefix, under its key; default: yes for local files, no for S3."
    )
    durability: str = setting(
        "full",
        choices=("full", "normal"),
        doc="local: full: what is acknowledged survives a power cut; normal: the end of the process only, writes are faster.",
    )

    bucket: str | None = setting(
        None, doc="s3: the bucket whose folders are the containers; without it each container is a bucket. memory: a name."
    )
    prefix: str = setting("", doc="s3: what the keys in that bucket begin with.")
    endpoint: str | None = setting(None, doc="s3: http://host:port or https://… of a server that speaks S3; default: AWS.")
    region: str | None = setting(None, doc="s3: the region; default: us-east-1 for an endpoint, else as the AWS tools find it.")
    access_key_id: str | None = setting(None, doc="s3: the key; without it, credentials are looked for as the AWS tools do.")
    secret_access_key: Secret | None = setting(None, doc="s3: the key's secret.")
    session_token: Secret | None = setting(None, doc="s3: the token of temporary credentials.")
    sts_config: StsConfig | None = setting(None, doc="s3: a role to assume.")
    addressing: str = setting(
        "auto", choices=("auto", "path", "virtual"), doc="s3: where the bucket's name stands; auto: in the path for an endpoint."
    )
    ca_file: Path | None = setting(None, doc="s3: PEM file of the authorities for https; default: the system's.")
    proxy: str | None = setting(None, doc="s3: http://host:port of a proxy; default: as HTTPS_PROXY says.")
    checksums: str = setting(
        "auto",
        choices=("auto", "when_required", "when_supported"),
        doc="s3: whether requests carry checksums that not every server knows; auto: when_required for an endpoint.",
    )
    retry_mode: str = setting("standard", choices=("standard", "adaptive", "legacy"), doc="s3: how failed requests are tried again.")
    max_attempts: int = setting(3, minimum=1, maximum=100, doc="s3: how often one request is tried in all.")
    connect_timeout: float = setting(5.0, unit="seconds", minimum=0.1, doc="s3: what connecting may take.")
    read_timeout: float = setting(30.0, unit="seconds", minimum=0.1, doc="s3: how long the server may be silent.")
    connections: int = setting(16, minimum=1, maximum=1000, doc="Requests to S3, or pieces of work on files, at once.")
    part_size: int = setting(
        8 << 20,
        unit="bytes",
        minimum=5 << 20,
        maximum=5 << 30,
        doc="s3: size of the first parts of an upload; later ones are larger, for S3 takes 10,000.",
    )
    tls_use_webpki_roots: bool = setting(False, doc="Accepted as the official provider's; it changes nothing: see ca_file.")

    aliases: dict[str, str] = setting({}, doc="Other names for containers: name → container. Also as settings alias_NAME.")
    max_chunk_size: int | None = setting(
        None,
        unit="bytes",
        minimum=1,
        maximum=512 << 20,
        official=("MAX_CHUNK_SIZE", "max_chunk_size_bytes"),
        doc="Largest chunk of an answer; default: 1 MiB for the first, 16 MiB where both ends of a range are named, 512 KiB for the rest.",
    )
    upload_timeout: float = setting(300.0, unit="seconds", minimum=0.1, doc="An upload without a chunk for so long is given up.")
    chunk_timeout: float = setting(10.0, unit="seconds", minimum=0.1, doc="What an actor may take for one chunk of a download.")
    max_streams: int = setting(100, minimum=1, doc="Uploads, and downloads, of one link at the same time.")

    def __post_init__(self) -> None:
        if self.kind == "s3":
            if self.prefix and not self.bucket:
                raise InvalidArgument("prefix: it is for keys in one bucket, and no bucket is named")
            if self.per_actor and not self.bucket:
                raise InvalidArgument("per_actor: for S3 it needs one bucket with all containers in it: name a bucket")
            if (self.access_key_id is None) != (self.secret_access_key is None):
                raise InvalidArgument("access_key_id and secret_access_key: one is there without the other")

    @property
    def kind(self) -> str:
        """local, s3 or memory."""
        if self.backend is None and self.root is None and (self.bucket or self.endpoint or self.access_key_id or self.sts_config):
            return "s3"  # a link of the official S3 provider says no more
        return self.backend or "local"

    @property
    def chosen(self) -> bool:
        """Whether somebody said which store it is to be."""
        return self.backend is not None or self.root is not None or self.kind != "local"

    def scope(self, actor: str) -> str:
        """Below what the objects of a link's actor lie."""
        return actor if (self.kind == "local" if self.per_actor is None else self.per_actor) else ""

    @classmethod
    def load(cls, *layers: Layer, ignore: Collection[str] | None = ()) -> Loaded[Self]:
        """As Config.load; aliases of all layers are taken together, later ones winning."""
        faults: list[str] = []
        aliases: dict[str, str] = {}
        parts: list[Layer] = []
        for layer in layers:
            try:
                parts += [_without_aliases(part, aliases) for part in _parts(layer)]
            except InvalidArgument as error:
                faults.append(error.message)
        if faults:
            raise InvalidArgument("; ".join(faults))
        process = from_environment()
        bottom, top = Layer("the environment", process.fill), Layer("the environment", process.override)
        return super().load(bottom, *parts, top, Layer("aliases", {"aliases": aliases}), ignore=ignore)


def _parts(layer: Layer) -> list[Layer]:
    """A layer as several, lowest precedence first: its env file, `config_b64`, `config_json`, and its own keys with the url taken apart."""
    parts = []
    for part in unfold_json(layer):
        values = dict(part.values)
        for key in [key for key in values if key.lower() == "env"]:
            found = from_env_file(layer.source, values.pop(key))
            parts.append(Layer(f"{layer.source}: env", found.fill, secret=True))
            values.update(found.override)
        url = next((key for key in values if key.lower() == "url"), None)
        if url is not None and values[url]:
            values = {**values, **_of_url(part.source, values[url], {key.lower() for key in values})}
        parts.append(Layer(part.source, values, part.secret))
    return parts


def _of_url(source: str, url: object, given: set[str]) -> dict[str, object]:
    """The settings that a url stands for; InvalidArgument where it cannot be one, or where they are given beside it."""
    try:
        split = urlsplit(str(url))
        host, login = split.netloc, split.username or split.password
    except ValueError:
        raise InvalidArgument(f"{source}: url: this is no URL") from None
    backend = SCHEMES.get(split.scheme)
    if backend is None:
        raise InvalidArgument(f"{source}: url: it has to begin with file://, s3:// or memory://")
    if login:
        raise InvalidArgument(f"{source}: url: no login belongs there: give access_key_id and secret_access_key")
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    unknown = sorted(set(query) - IN_URL)
    if unknown:
        raise InvalidArgument(f"{source}: url: {unknown[0]!a} cannot stand behind the ?; what can: {', '.join(sorted(IN_URL))}")
    found: dict[str, object] = {"backend": backend, **query}
    path = unquote(split.path)
    if backend == "local":
        if host not in ("", "localhost") or not path.startswith("/"):
            raise InvalidArgument(f"{source}: url: a folder is named as file:///folder, with three slashes")
        found["root"] = path
    else:
        found |= {"bucket": unquote(host) or None, "prefix": path.strip("/")}
    twice = sorted(given & set(found))
    if twice:
        raise InvalidArgument(f"{source}: {twice[0]}: it is given here and by the url")
    return found


def _without_aliases(layer: Layer, aliases: dict[str, str]) -> Layer:
    """The layer without its aliases, which are added to those before."""
    rest: dict[str, Any] = {}
    for key, value in layer.values.items():
        if key.lower() == "aliases":
            if not isinstance(value, dict) or not all(isinstance(item, str) and item for pair in value.items() for item in pair):
                raise InvalidArgument(f"{layer.source}: aliases: it has to be an object of names, each with the name of a container")
            aliases.update(value)
        elif key.startswith(ALIAS):
            name = key.removeprefix(ALIAS)
            if not name or not isinstance(value, str) or not value:
                raise InvalidArgument(f"{layer.source}: {key}: an alias needs a name, and the name of a container")
            aliases[name] = value
        else:
            rest[key] = value
    return Layer(layer.source, rest, layer.secret)
