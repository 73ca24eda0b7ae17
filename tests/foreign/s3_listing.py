"""Listings as S3 has them, made of those of the contract: common prefixes, markers, two versions of the answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

from provider_sdk.contracts.blobstore import ObjectMetadata
from tests.foreign.blobs import Blobs
from tests.foreign.s3_words import Refused, etag, iso

MOST = 1000


@dataclass
class Page:
    """`last`: the last key or common prefix that is in it."""

    objects: list[ObjectMetadata] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.objects) + len(self.prefixes)


@dataclass
class Asked:
    """The query of a listing. What comes of it is behind `after`, and not below it where it is a common prefix."""

    prefix: str
    delimiter: str
    after: str
    most: int

    @classmethod
    def of(cls, query: Mapping[str, str], after: str) -> Asked:
        try:
            most = int(query.get("max-keys", MOST))
        except ValueError:
            most = -1
        if most < 0:
            raise Refused(400, "InvalidArgument", "max-keys is no number")
        return cls(query.get("prefix", ""), query.get("delimiter", ""), after, min(most, MOST))

    def group(self, name: str) -> str | None:
        """The common prefix that stands for a name."""
        if not self.delimiter:
            return None
        at = name.find(self.delimiter, len(self.prefix))
        return None if at < 0 else name[: at + len(self.delimiter)]

    def behind(self, name: str) -> bool:
        return name.encode() > self.after.encode() and (not self.after or self.group(name) != self.after)


async def page_of(blobs: Blobs, bucket: str, asked: Asked) -> Page:
    page = Page()
    if not asked.most:
        await blobs.calls.get_container_info(bucket)
        return page
    async for found in blobs.listed(bucket, asked.prefix, asked.after, page=asked.most):
        group = asked.group(found.object_id)
        if not asked.behind(found.object_id) or (group is not None and group == page.last):
            continue
        if len(page) == asked.most:
            page.truncated = True
            break
        if group is None:
            page.objects.append(found)
        else:
            page.prefixes.append(group)
        page.last = group or found.object_id
    return page


async def listing(blobs: Blobs, bucket: str, query: Mapping[str, str]) -> bytes:
    """The answer to GET of a bucket."""
    if query.get("list-type") == "2":
        return await _second(blobs, bucket, query)
    asked = Asked.of(query, query.get("marker", ""))
    page = await page_of(blobs, bucket, asked)
    root = _result(bucket, query, asked, page)
    _text(root, "Marker", _escaped(asked.after, query))
    if page.truncated and asked.delimiter:
        _text(root, "NextMarker", _escaped(page.last, query))
    return tostring(root)


async def _second(blobs: Blobs, bucket: str, query: Mapping[str, str]) -> bytes:
    token = query.get("continuation-token")
    asked = Asked.of(query, base64.urlsafe_b64decode(token).decode() if token else query.get("start-after", ""))
    page = await page_of(blobs, bucket, asked)
    root = _result(bucket, query, asked, page)
    _text(root, "KeyCount", str(len(page)))
    if "start-after" in query:
        _text(root, "StartAfter", _escaped(query["start-after"], query))
    if token is not None:
        _text(root, "ContinuationToken", token)
    if page.truncated:
        _text(root, "NextContinuationToken", base64.urlsafe_b64encode(page.last.encode()).decode())
    return tostring(root)


def _result(bucket: str, query: Mapping[str, str], asked: Asked, page: Page) -> Element:
    root = Element("ListBucketResult")
    _text(root, "Name", bucket)
    _text(root, "Prefix", _escaped(asked.prefix, query))
    _text(root, "MaxKeys", str(asked.most))
    _text(root, "IsTruncated", str(page.truncated).lower())
    if query.get("encoding-type"):
        _text(root, "EncodingType", "url")
    if asked.delimiter:
        _text(root, "Delimiter", _escaped(asked.delimiter, query))
    for found in page.objects:
        item = SubElement(root, "Contents")
        _text(item, "Key", _escaped(found.object_id, query))
        _text(item, "Size", str(found.content_length))
        _text(item, "ETag", etag(found))
        _text(item, "LastModified", iso(found.last_modified))
    for prefix in page.prefixes:
        _text(SubElement(root, "CommonPrefixes"), "Prefix", _escaped(prefix, query))
    return root


def _escaped(name: str, query: Mapping[str, str]) -> str:
    return quote(name) if query.get("encoding-type") else name


def _text(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = text
