"""Settings of the blobstore: where the objects are, how they are reached, and how they are cut in chunks."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from provider_sdk import Config, InvalidArgument, Layer, Secret, setting
from provider_sdk.config import Loaded, WrongSettings, unfold_json
from providers.blobstore.environment import from_env_file, from_environment

SCHEMES = {"file": "local", "s3": "s3", "memory": "memory"}
IN_URL = {
    "local": frozenset({"connections", "durability", "per_actor"}),
    "s3": frozenset(
        {
            *("addressing", "ca_file", "checksums", "connect_timeout", "connections", "endpoint", "max_attempts"),
            *("part_size", "per_actor", "proxy", "read_timeout", "region", "retry_mode"),
        }
    ),
    "memory": frozenset({"per_actor"}),
}
HINTS = {"root": "local", "bucket": "s3", "endpoint": "s3", "accesskeyid": "s3", "stsconfig": "s3"}
"""What kind of store a setting speaks for where nobody names one: links of the official providers do not."""
LESSER_HINTS = frozenset({"region", "bucketregion", "secretaccesskey", "sessiontoken"})
"""What speaks for S3 where nothing else says anything: all that a link says which has its credentials from the machine."""
ALIAS = "alias_"
NO_STORE = "no store is named: objects go to blobs in data_dir; set root to another folder, or url, or backend=s3"


class StsConfig(Config):
    """A role to assume with the credentials that are given."""

    role: str | None = setting(None, doc="ARN of the role to assume.")
    region: str | None = setting(None, doc="Region of STS; default: that of the store.")
    session: str = setting("blobstore_s3_provider", doc="Name of the session, seen in the logs of AWS.")
    external_id: str | None = setting(None, doc="External id, where the role asks for one.")
    web_identity_token_file: Path | None = setting(
        None, doc="File with the token of a service account, by which the role is assumed; no other credentials are needed then."
    )


class BlobstoreConfig(Config):
    """Settings of one link. `url` says where in one line; without it, `backend` and the settings of its own."""

    url: str | None = setting(
        None,
        doc="file:///folder, s3://bucket/prefix?endpoint=… (containers below the prefix), s3://?endpoint=… (containers are buckets) or "
        "memory://name; behind the ? may stand other settings of that kind, but no secrets.",
    )
    backend: str | None = setting(None, choices=("local", "s3", "memory"), doc="The kind of store, where no url says it.")

    root: Path | None = setting(None, doc="local: the folder; default: blobs in data_dir. As the official key ROOT.")
    per_actor: bool | None = setting(
        None,
        doc="A place of its own for each actor or component, below the folder or prefix, under its key or id; default: no for S3, yes for "
        "local files, but on 1.x hosts only where no root is named.",
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
    bucket_region: str | None = setting(None, doc="s3: the region in which buckets are made; default: region.")
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
        doc="Largest answer that goes in one piece; default: 1 MiB, or 16 MiB where both ends of a range are named. A larger one "
        "goes in chunks of 512 KiB at most.",
    )
    upload_timeout: float = setting(
        300.0,
        unit="seconds",
        minimum=0.1,
        doc="0.x: an upload without a chunk for so long is given up. 1.x: a download of which nothing is taken.",
    )
    chunk_timeout: float = setting(10.0, unit="seconds", minimum=0.1, doc="What an actor may take for one chunk of a download.")
    max_streams: int = setting(100, minimum=1, doc="Uploads, and downloads, of one link at the same time.")

    def __post_init__(self) -> None:
        if self.kind == "s3":
            for name in ("endpoint", "proxy"):
                _check_address(name, getattr(self, name))
            if self.prefix and not self.bucket:
                raise InvalidArgument("prefix: it is for keys in one bucket, and no bucket is named")
            if self.per_actor and not self.bucket:
                raise InvalidArgument("per_actor: for S3 it needs one bucket with all containers in it: name a bucket")
            if (self.access_key_id is None) != (self.secret_access_key is None):
                raise InvalidArgument("access_key_id and secret_access_key: one is there without the other")
            if self.sts_config is not None and not self.sts_config.role:
                raise InvalidArgument("sts_config: no role is named")
            if self.sts_config is not None and self.sts_config.web_identity_token_file and self.sts_config.external_id:
                raise InvalidArgument("sts_config: a role that is assumed by web_identity_token_file takes no external_id")

    @property
    def kind(self) -> str:
        """local, s3 or memory."""
        if self.backend is None and self.root is None and (self.bucket or self.endpoint or self.access_key_id or self.sts_config):
            return "s3"
        return self.backend or "local"

    @property
    def chosen(self) -> bool:
        """Whether somebody said which store it is to be."""
        return self.backend is not None or self.root is not None or self.kind != "local"

    def scope(self, peer: str, *, component: bool = False) -> str:
        """Below what the objects of a link's actor lie, or of a component of 1.x, to which a named root is the folder itself by default."""
        apart = self.kind == "local" and not (component and self.root is not None)
        return peer if (apart if self.per_actor is None else self.per_actor) else ""

    @classmethod
    def load(cls, *layers: Layer, ignore: Collection[str] | None = ()) -> Loaded[Self]:
        """As Config.load; aliases of all layers are taken together, later ones winning. A warning where no store is named."""
        faults: list[str] = []
        aliases: dict[str, str] = {}
        parts: list[Layer] = []
        for layer in layers:
            try:
                parts += [_without_aliases(part, aliases) for part in _parts(layer)]
            except InvalidArgument as error:
                faults.append(error.message)
        if faults:
            raise WrongSettings(faults, [], [])
        process = from_environment()
        bottom, top = Layer("the environment", process.fill), Layer("the environment", process.override)
        hinted = Layer("what the other settings say", {"backend": _hinted([top, *parts])})
        loaded = super().load(bottom, hinted, *parts, top, Layer("aliases", {"aliases": aliases}), ignore=ignore)
        said, kind = _hinted(parts), loaded.config.kind
        if said is not None and kind not in (said, "memory"):
            loaded.warnings.append(f"{'root is' if said == 'local' else 'settings for S3 are'} given and not used: the backend is {kind}")
        if not loaded.config.chosen:
            loaded.warnings.append(NO_STORE)
        return loaded


def _parts(layer: Layer) -> list[Layer]:
    """A layer as several, lowest precedence first: its env file, `config_json`, `config_b64`, and its own keys with the url taken apart."""
    parts, below = [], []
    for part in unfold_json(layer, ("config_json", "config_b64")):
        values = dict(part.values)
        for key in [key for key in values if key.lower() == "env"]:
            path = values.pop(key)
            if path is not None and path != "":
                found = from_env_file(part.source, path, secret=part.secret)
                below.append(Layer(f"{part.source}: env", found.fill, secret=True))
                values = {
                    name: value for name, value in values.items() if _folded(name) not in map(_folded, found.override)
                } | found.override
        url = next((key for key in values if key.lower() == "url"), None)
        if url is not None and values[url]:
            values = {**values, **_of_url(part, values[url], {_folded(key) for key in values})}
        parts.append(Layer(part.source, values, part.secret))
    return [*below, *parts]


def _hinted(parts: list[Layer]) -> str | None:
    """The kind of store of which the last settings speak, for where nobody names one."""
    said, names = None, set[str]()
    for part in parts:
        given = {_folded(key): key for key, value in part.values.items() if value is not None and value != ""}
        kinds = {HINTS[name] for name in given if name in HINTS}
        if {"root", "bucket"} <= given.keys() and "backend" not in given:
            raise InvalidArgument(
                f"{part.source}: {given['root']} and {given['bucket']}: one is for local files, the other for S3: set backend"
            )
        said = "local" if "local" in kinds else "s3" if kinds else said
        names |= given.keys()
    return "s3" if said is None and "backend" not in names and names & LESSER_HINTS else said


def _folded(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def _check_address(name: str, address: str | None) -> None:
    """InvalidArgument for what is no http(s)://host[:port]; a login there would be seen in logs and errors."""
    if not address:
        return
    try:
        split = urlsplit(address)
        good = split.scheme in ("http", "https") and bool(split.hostname) and (split.port is None or split.port > 0)
    except ValueError:
        good = False
    if not good:
        raise InvalidArgument(f"{name}: it has to be http://host:port or https://host:port")
    if split.username is not None or split.password is not None:
        raise InvalidArgument(f"{name}: no login belongs there")


def _of_url(layer: Layer, url: object, given: set[str]) -> dict[str, object]:
    """The settings that a url stands for; InvalidArgument where it cannot be one, or where they are given beside it."""
    source = f"{layer.source}: url"
    try:
        split = urlsplit(str(url))
        host, login = split.netloc, split.username or split.password
    except ValueError:
        raise InvalidArgument(f"{source}: this is no URL") from None
    backend = SCHEMES.get(split.scheme)
    if backend is None or "://" not in str(url):
        raise InvalidArgument(f"{source}: it has to begin with file://, s3:// or memory://")
    if login:
        raise InvalidArgument(f"{source}: no login belongs there: give access_key_id and secret_access_key")
    if split.fragment or str(url).endswith("#"):
        raise InvalidArgument(f"{source}: a # in it is written as %23")
    pairs = parse_qsl(split.query, keep_blank_values=True)
    query = dict(pairs)
    known = IN_URL[backend]
    unknown = sorted(set(query) - known)
    if unknown:
        name = "a name" if layer.secret else ascii(unknown[0][:60])
        raise InvalidArgument(f"{source}: {name} cannot stand behind the ?; what can: {', '.join(sorted(known))}")
    if len(query) < len(pairs):
        raise InvalidArgument(f"{source}: a setting stands there twice")
    found: dict[str, object] = {"backend": backend, **query}
    path = unquote(split.path)
    if backend == "local":
        if host not in ("", "localhost") or not path.startswith("/"):
            raise InvalidArgument(f"{source}: a folder is named as file:///folder, with three slashes")
        found["root"] = path
    else:
        found |= {"bucket": unquote(host) or None, "prefix": path.strip("/")}
    twice = sorted(name for name in found if _folded(name) in given)
    if twice:
        raise InvalidArgument(f"{layer.source}: {twice[0]}: it is given here and by the url")
    return found


def _without_aliases(layer: Layer, aliases: dict[str, str]) -> Layer:
    """The layer without its aliases, which are added to those before."""
    rest: dict[str, Any] = {}
    for key, value in layer.values.items():
        if key.lower() == "aliases":
            found = _object(value)
            if found is None or not all(isinstance(item, str) and item for pair in found.items() for item in pair):
                raise InvalidArgument(f"{layer.source}: aliases: it has to be an object of names, each with the name of a container")
            aliases.update(found)
        elif key.startswith(ALIAS):
            name = key.removeprefix(ALIAS)
            if not name or not isinstance(value, str) or not value:
                raise InvalidArgument(f"{layer.source}: {key}: an alias needs a name, and the name of a container")
            aliases[name] = value
        else:
            rest[key] = value
    return Layer(layer.source, rest, layer.secret)


def _object(value: object) -> dict[str, Any] | None:
    """A JSON object, as such or as text: the values of a link are text."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None
