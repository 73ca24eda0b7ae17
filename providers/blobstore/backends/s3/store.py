"""What all links on one place of S3 share."""

from __future__ import annotations

from pathlib import Path

from provider_sdk import ProviderError
from providers.blobstore.backend import Backend, Capability, Store
from providers.blobstore.backends.s3.backend import S3Backend
from providers.blobstore.backends.s3.calls import Calls
from providers.blobstore.backends.s3.client import Client
from providers.blobstore.backends.s3.containers import Buckets, Containers, Folders
from providers.blobstore.backends.s3.errors import NO_BUCKET, NO_UPLOAD, code_of, status_of
from providers.blobstore.backends.s3.ledger import Ledger, Upload
from providers.blobstore.config import BlobstoreConfig

MISSING = 404
CLOCKS = 5.0
"""Seconds by which the server's clock may differ from ours."""


class S3Store(Store):
    """A server, and the bucket there, if all containers are in one."""

    def __init__(self, config: BlobstoreConfig, data_dir: Path, client: Client) -> None:
        self._calls = Calls(client.client, client.where, config.connections)
        self._config = config
        self._ledger = Ledger(data_dir, client.client.meta.endpoint_url)
        self._known: dict[str, float] = {}
        own = {Capability.ANY_NAME, Capability.SIDE_BY_SIDE} if client.aws else set()
        self._capabilities = frozenset(own | ({Capability.ANY_CONTAINER} if config.bucket else set()))
        self._calls.begin(lambda: self._ledger.sweep(self._abort))

    def view(self, scope: str) -> Backend:
        containers: Containers = Buckets(self._calls, self._known, self._config.bucket_region)
        if self._config.bucket:
            base = "".join(f"{part}/" for part in (self._config.prefix.strip("/"), scope) if part)
            containers = Folders(self._calls, self._known, self._config.bucket, base)
        return S3Backend(self._calls, self._ledger, containers, self._capabilities, self._config.part_size)

    async def trouble(self) -> str:
        return await self._calls.trouble(self._probe)

    async def _probe(self) -> str:
        if self._config.bucket:
            await Folders(self._calls, {}, self._config.bucket, self._config.prefix).probe()
        else:
            await self._calls.ask("list_buckets", MaxBuckets=1)
        return ""

    def _abort(self, upload: Upload) -> bool:
        """End an upload that a process has left behind; whether it is over."""
        at = {"Bucket": upload.bucket, "Key": upload.key}
        try:
            for upload_id in [upload.upload_id] if upload.upload_id else self._nameless(upload):
                self._calls.request("abort_multipart_upload", **at, UploadId=upload_id)
        except ProviderError as error:
            return code_of(error) in (NO_UPLOAD, NO_BUCKET) or status_of(error) == MISSING
        return True

    def _nameless(self, upload: Upload) -> list[str]:
        """What may have begun as that upload, whose process had no answer to note any more: of its object, and at its time."""
        answer = self._calls.request("list_multipart_uploads", Bucket=upload.bucket, Prefix=upload.key)
        first, last = upload.since - CLOCKS, upload.since + self._config.read_timeout * self._config.max_attempts + CLOCKS
        return [
            str(item["UploadId"])
            for item in answer.get("Uploads", [])
            if item["Key"] == upload.key and first <= item["Initiated"].timestamp() <= last
        ]

    async def close(self) -> None:
        await self._calls.close()
