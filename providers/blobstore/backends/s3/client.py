"""How the AWS library is told where to go and as whom."""

from __future__ import annotations

import base64
import functools
import hashlib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.configprovider
import botocore.credentials
import botocore.loaders
import botocore.session
import botocore.utils
from botocore.config import Config

from provider_sdk import InvalidArgument, Unauthenticated
from providers.blobstore.backends.s3.errors import FAILURES, refusal
from providers.blobstore.config import BlobstoreConfig

OF_AWS = (".amazonaws.com", ".amazonaws.com.cn")
SERVICES = ["s3", "sts"]
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Client:
    """The library's client, the server's name for messages, and whether that is AWS."""

    client: Any
    where: str
    aws: bool


class _Loader(botocore.loaders.Loader):
    """Looks for the two services that are used, and not through the four hundred that there are."""

    def list_available_services(self, type_name: str) -> list[str]:
        return SERVICES


class _Role(botocore.credentials.CredentialProvider):
    """Credentials of a role, assumed at the first request and again some minutes before they expire."""

    METHOD = CANONICAL_NAME = "sts_config"

    def __init__(self, fetcher: botocore.credentials.CachedCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> Any:
        return botocore.credentials.DeferredRefreshableCredentials(self._fetcher.fetch_credentials, self.METHOD)


def make_client(config: BlobstoreConfig) -> Client:
    """The client of a configuration; InvalidArgument where it cannot be one. Nothing is connected."""
    session = _session()
    endpoint = config.endpoint or _configured(session)
    host = urlsplit(endpoint).netloc.rpartition("@")[2] if endpoint else ""
    aws = not endpoint or (urlsplit(endpoint).hostname or "").endswith(OF_AWS)
    where = host or "AWS"
    try:
        if config.access_key_id and config.secret_access_key:
            token = config.session_token.reveal() if config.session_token else None
            session.set_credentials(config.access_key_id, config.secret_access_key.reveal(), token)
        verify = _checked_authorities(config)
        if config.sts_config is not None and config.sts_config.role:
            session = _assuming(session, config, verify)
        region = config.region or (None if aws else DEFAULT_REGION)
        client = session.create_client("s3", region_name=region, endpoint_url=endpoint, verify=verify, config=_options(config, aws=aws))
    except FAILURES as error:
        raise refusal(where, error) from error
    except ValueError as error:
        raise InvalidArgument(f"endpoint: it has to be http://host:port or https://host, and is {host[:80]!a}") from error
    if not aws:
        client.meta.events.register("before-call.s3.DeleteObjects", _with_md5)
    return Client(client, where, aws)


def _session() -> Any:
    session = botocore.session.Session()
    session.register_component("data_loader", _Loader())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return session


def _moment(value: Any) -> datetime:
    """A time of an answer. The library's own way takes longer for a page of objects than the server."""
    try:
        return datetime.fromisoformat(value) if value[:1].isdigit() else parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return botocore.utils.parse_timestamp(value)


def _configured(session: Any) -> str | None:
    """The endpoint that the environment or the files of the AWS tools name."""
    try:
        full, scoped = session.full_config, session.get_scoped_config()
        found: str | None = botocore.configprovider.ConfiguredEndpointProvider(full, scoped, "s3").provide()
    except FAILURES as error:
        raise refusal("AWS", error) from error
    return found


def _checked_authorities(config: BlobstoreConfig) -> str | None:
    if config.ca_file is None:
        return None
    try:
        ssl.create_default_context(cafile=str(config.ca_file))
    except (OSError, ValueError) as error:
        reason = "it has no certificates in PEM form" if isinstance(error, ssl.SSLError | ValueError) else error.strerror
        raise InvalidArgument(f"ca_file: {str(config.ca_file)[:200]!a} cannot be used: {reason}") from error
    return str(config.ca_file)


def _options(config: BlobstoreConfig, *, aws: bool) -> Config:
    style = config.addressing if config.addressing != "auto" or aws else "path"
    checksums = config.checksums if config.checksums != "auto" else "when_supported" if aws else "when_required"
    options: Any = {
        "s3": {"addressing_style": style},
        "max_pool_connections": config.connections,
        "request_checksum_calculation": checksums,
        "response_checksum_validation": checksums,
    }
    return _transport(config).merge(Config(**options))


def _transport(config: BlobstoreConfig) -> Config:
    """What holds for STS too."""
    proxies = {"http": config.proxy, "https": config.proxy} if config.proxy else None
    retries: Any = {"mode": config.retry_mode, "total_max_attempts": config.max_attempts}
    return Config(
        connect_timeout=config.connect_timeout,
        read_timeout=config.read_timeout,
        retries=retries,
        proxies=proxies,
        tcp_keepalive=True,
        parameter_validation=False,  # what is sent is made here
        user_agent_extra=f"provider-sdk/{metadata.version('provider-sdk')}",
    )


def _assuming(base: Any, config: BlobstoreConfig, verify: str | None) -> Any:
    """A session with the credentials of the role, assumed by the token of a service account or else by those of `base`."""
    sts, transport = config.sts_config, _transport(config)
    assert sts is not None
    role, extra = sts.role or "", {"RoleSessionName": sts.session} | ({"ExternalId": sts.external_id} if sts.external_id else {})
    region = sts.region or config.region or base.get_config_variable("region") or DEFAULT_REGION

    def client(*service: str, config: Config | None = None, **given: Any) -> Any:
        merged = transport.merge(config) if config else transport
        return base.create_client(*service, region_name=region, verify=verify, config=merged, **given)

    fetcher: botocore.credentials.CachedCredentialFetcher
    if sts.web_identity_token_file is not None:
        token = functools.partial(_token, sts.web_identity_token_file)
        token()
        fetcher = botocore.credentials.AssumeRoleWithWebIdentityCredentialFetcher(client, token, role, extra_args=extra)
    else:
        source = base.get_credentials()
        if source is None:
            raise botocore.exceptions.NoCredentialsError
        fetcher = botocore.credentials.AssumeRoleCredentialFetcher(client, source, role, extra_args=extra)
    session = _session()
    session.register_component("credential_provider", botocore.credentials.CredentialResolver([_Role(fetcher)]))
    return session


def _token(path: Path) -> str:
    """The token that is in the file now: whoever issues it writes a new one before it expires."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text (UTF-8)"
        raise Unauthenticated(f"sts_config.web_identity_token_file: {str(path)[:200]!a} cannot be read: {reason}") from None


def _with_md5(params: dict[str, Any], **_: Any) -> None:
    """The library sends a newer checksum where S3 asks for one, and servers that do not know it want this."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
