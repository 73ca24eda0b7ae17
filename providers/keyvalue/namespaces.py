"""Names of namespaces: which part of a store belongs to a link, to each of its callers, and to each of their buckets.

    name                of the link, and of its buckets "" and "default"
    name/actor          of one caller, where the link has per_actor
    name//bucket        of another bucket, where buckets are namespaces
    name/actor/bucket   of one caller's bucket

In each part % and / are escaped, so that no two of them meet.
"""

from __future__ import annotations

import logging
from typing import Any

from provider_sdk import InvalidArgument
from providers.keyvalue.backend import Backend, Store
from providers.keyvalue.config import KeyValueConfig

OWN = ("", "default")
"""The buckets that are the link's own namespace: what 0.x actors of the link see, which know no buckets."""
LONGEST_BUCKET = 256
MOST_TOLD = 100
"""Buckets of one link's caller that the log tells of: a component makes up as many as it likes."""


def namespace_of(config: KeyValueConfig, actor: str, bucket: str = "") -> str:
    """The name of a namespace in the store; InvalidArgument for a bucket that cannot be one."""
    parts = [config.namespace]
    if config.per_actor:
        parts.append(actor)
    if config.buckets == "namespace" and bucket not in OWN:
        if not bucket.isprintable() or len(bucket.encode("utf-8", "surrogatepass")) > LONGEST_BUCKET:
            raise InvalidArgument(f"{bucket[:80]!a} is no bucket: its name is printable text of at most {LONGEST_BUCKET} bytes")
        parts = [config.namespace, actor if config.per_actor else "", bucket]
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


class Buckets:
    """The buckets of one link's caller. In Redis, those with keys of their own are told to `log`, since the official provider has none."""

    def __init__(
        self, store: Store, config: KeyValueConfig, actor: str, log: logging.LoggerAdapter[Any] | logging.Logger | None = None
    ) -> None:
        self._store, self._config, self._actor = store, config, actor
        self._log = log if config.kind == "redis" else None
        self._told: set[str] = set()
        self.own = store.namespace(namespace_of(config, actor))

    def __getitem__(self, bucket: str) -> Backend:
        if bucket in OWN or self._config.buckets == "ignore":
            return self.own
        name = namespace_of(self._config, self._actor, bucket)
        if self._log is not None and bucket not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(bucket)
            text = "bucket %s has keys of its own (%s:…); the official provider keeps all in one: buckets=ignore"
            self._log.info(text, bucket, name)
        return self._store.namespace(name)
