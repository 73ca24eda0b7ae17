"""What the library has for objects below the beginning of a key: pages of them, and their removal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from provider_sdk import InvalidArgument, ProviderError
from providers.blobstore.backend import Details, ObjectInfo, shown
from providers.blobstore.backends.s3.calls import Calls
from providers.blobstore.backends.s3.errors import NO_BUCKET, NO_KEY, NO_UPLOAD, code_of, of_entry, refusal, status_of

BATCH = 1000
DEFAULT_TYPE = "binary/octet-stream"
"""What S3 itself says of an object that was put without a type."""
TYPE, ENCODING = "content-type", "content-encoding"
LONGEST_HEADER = 500
FRAMING = "aws-chunked"
"""A request's own encoding, which some servers leave in that of the object."""


async def keys(calls: Calls, bucket: str, base: str) -> AsyncIterator[list[str]]:
    """All keys that begin with `base`, in pages that are gone on from by key, so that they may be removed meanwhile."""
    behind = ""
    while True:
        where = {"StartAfter": behind} if behind else {}
        answer = await calls.ask("list_objects_v2", Bucket=bucket, Prefix=base, MaxKeys=BATCH, **where)
        found = [item["Key"] for item in answer.get("Contents", ())]
        if found:
            yield found
        if not found or not answer.get("IsTruncated"):
            return
        behind = found[-1]


async def remove(calls: Calls, bucket: str, names: Sequence[str]) -> dict[str, ProviderError]:
    """Remove keys; those that could not be. One that is not there counts as removed."""
    failures: dict[str, ProviderError] = {}
    # XML has no form for control characters.
    odd = [key for key in names if len(names) == 1 or any(c < " " for c in key)]
    plain = [key for key in names if key not in set(odd)] if odd else list(names)
    for start in range(0, len(plain), BATCH):
        listed: list[dict[str, Any]] = [{"Key": key} for key in plain[start : start + BATCH]]
        answer = await calls.ask("delete_objects", Bucket=bucket, Delete={"Objects": listed, "Quiet": True})
        for entry in answer.get("Errors", ()):
            if entry.get("Code") != NO_KEY:
                failures[str(entry.get("Key"))] = refusal(calls.where, of_entry(entry))
    for key in odd:
        try:
            await calls.ask("delete_object", Bucket=bucket, Key=key)
        except ProviderError as error:
            if code_of(error) == NO_BUCKET or status_of(error) not in range(400, 500):
                raise
            if code_of(error) not in (NO_KEY, "404"):
                failures[key] = error
    return failures


async def remove_all(calls: Calls, bucket: str, base: str) -> None:
    """Remove what begins with `base`, uploads on their way too."""
    await abort_uploads(calls, bucket, base)
    removed = True
    while removed:
        removed = False
        # Again, until nothing is left: some servers show `a/b` only when `a` has gone.
        async for page in keys(calls, bucket, base):
            removed = True
            for error in (await remove(calls, bucket, page)).values():
                raise error


async def abort_uploads(calls: Calls, bucket: str, base: str) -> None:
    """Abort the uploads whose keys begin with `base`, as far as the server names them."""
    answer = await calls.ask("list_multipart_uploads", Bucket=bucket, Prefix=base)
    for upload in answer.get("Uploads", ()):
        try:
            await calls.ask("abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        except ProviderError as error:
            if code_of(error) != NO_UPLOAD:
                raise


def nanoseconds(moment: datetime | None) -> int | None:
    """In whole seconds: an object's own answers say no more than that, and a listing's have to be the same."""
    return None if moment is None else int(moment.timestamp()) * 1_000_000_000


def listed(entry: Mapping[str, Any], base: str) -> ObjectInfo:
    """An object of a listing."""
    return ObjectInfo(entry["Key"][len(base) :], entry["Size"], nanoseconds(entry.get("LastModified")))


def answered(answer: Mapping[str, Any], name: str, size: int) -> ObjectInfo:
    """An object of its own answer."""
    return ObjectInfo(name, size, nanoseconds(answer.get("LastModified")), _details(answer))


def headers(details: Details) -> dict[str, Any]:
    """What is sent along with an object. What no header can say as it is goes into metadata of our own."""
    parts: dict[str, Any] = {}
    metadata = {}
    for header, key, value in (("ContentType", TYPE, details.content_type), ("ContentEncoding", ENCODING, details.content_encoding)):
        if value is None:
            continue
        if _plain(value):
            parts[header] = value
        else:
            metadata[key] = quote(value)
        if len(value) > LONGEST_HEADER or len(metadata.get(key, "")) > 2 * LONGEST_HEADER:
            raise InvalidArgument(f"S3 takes no {key} of this length: {shown(value)}")
    return parts | ({"Metadata": metadata} if metadata else {})


def _plain(value: str) -> bool:
    visible = bool(value) and value.isascii() and value.isprintable() and value == " ".join(value.split())
    return visible and value != DEFAULT_TYPE and FRAMING not in value


def _details(answer: Mapping[str, Any]) -> Details:
    own = answer.get("Metadata", {})
    kind: str | None = answer.get("ContentType") or None
    encoding: str | None = answer.get("ContentEncoding") or None
    if encoding and FRAMING in encoding:
        encoding = ",".join(coding for coding in map(str.strip, encoding.split(",")) if coding != FRAMING) or None
    kind = unquote(own[TYPE]) if TYPE in own else None if kind == DEFAULT_TYPE else kind
    return Details(kind, unquote(own[ENCODING]) if ENCODING in own else encoding)
