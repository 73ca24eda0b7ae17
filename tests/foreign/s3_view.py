"""The S3 REST API as far as the contract blobstore can say it, over HTTP, for suites that judge S3 servers.

Containers are buckets. Bodies go as chunks of PutObject and PutChunk, and come as those of GetObject and ReceiveChunk. The parts of a
multipart upload are kept here and are the chunks of one upload when it is completed. Nobody's signature is looked at. What the contract
has no word for (versions, metadata of the user's, ACLs, checksums, conditions, copies) is refused as NotImplemented, or not there.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote
from xml.etree.ElementTree import Element, SubElement, tostring

from aiohttp import web

from provider_sdk import NotFound, ProviderError
from provider_sdk.contracts.blobstore import ContainerObject, ObjectMetadata, RemoveObjectsRequest
from tests.foreign.blobs import PIECE, Blobs, Door
from tests.foreign.s3_listing import MOST, listing
from tests.foreign.s3_words import Refused, etag, http_date, iso

XML = "application/xml"
LISTING = {"prefix", "delimiter", "marker", "max-keys", "encoding-type", "list-type", "continuation-token", "start-after"}
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class Parts:
    """An upload in parts, on its way."""

    bucket: str
    key: str
    content_type: str | None
    content_encoding: str | None
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Asked:
    """A request, its path taken apart."""

    request: web.Request
    bucket: str
    key: str

    @property
    def words(self) -> set[str]:
        return {name for name in self.request.query if not name.startswith("x-")}

    @property
    def details(self) -> tuple[str | None, str | None]:
        return self.request.headers.get("Content-Type"), self.request.headers.get("Content-Encoding")


class S3View:
    """Answers requests from one store."""

    def __init__(self, door: Door) -> None:
        self.blobs = Blobs(door)
        self.uploads: dict[str, Parts] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        number = secrets.token_hex(8)
        try:
            bucket, _, key = unquote(request.raw_path.partition("?")[0].removeprefix("/"), errors="strict").partition("/")
            response = await self._found(Asked(request, bucket, key))
        except Refused as refused:
            response = _error(request, refused, number)
        except ProviderError as error:
            response = _error(request, Refused.of(error), number)
        if not response.prepared:
            response.headers["x-amz-request-id"] = number
        return response

    async def _found(self, asked: Asked) -> web.StreamResponse:
        method = asked.request.method
        if not asked.bucket:
            return await self._buckets()
        kind = "object" if asked.key else "bucket"
        handle: Callable[[Asked], Awaitable[web.StreamResponse]] | None = getattr(self, f"{method.lower()}_{kind}", None)
        if handle is None:
            raise Refused(405, "MethodNotAllowed")
        try:
            return await handle(asked)
        except NotFound:
            there = await self.blobs.calls.container_exists(asked.bucket)
            raise Refused(404, "NoSuchKey" if there else "NoSuchBucket") from None

    async def _buckets(self) -> web.Response:
        root = Element("ListAllMyBucketsResult")
        buckets = SubElement(root, "Buckets")
        for info in await self.blobs.calls.list_containers():
            bucket = SubElement(buckets, "Bucket")
            SubElement(bucket, "Name").text = info.container_id
            SubElement(bucket, "CreationDate").text = iso(info.created_at)
        return _xml(root)

    async def put_bucket(self, asked: Asked) -> web.Response:
        _only(asked, set())
        await self.blobs.calls.create_container(asked.bucket)
        return web.Response(headers={"Location": f"/{asked.bucket}"})

    async def head_bucket(self, asked: Asked) -> web.Response:
        await self.blobs.calls.get_container_info(asked.bucket)
        return web.Response()

    async def delete_bucket(self, asked: Asked) -> web.Response:
        _only(asked, set())
        await self.blobs.calls.get_container_info(asked.bucket)
        async for _ in self.blobs.listed(asked.bucket, page=1):
            raise Refused(409, "BucketNotEmpty")
        await self.blobs.calls.delete_container(asked.bucket)
        return web.Response(status=204)

    async def get_bucket(self, asked: Asked) -> web.Response:
        _only(asked, LISTING)
        return web.Response(body=await listing(self.blobs, asked.bucket, asked.request.query), content_type=XML)

    async def post_bucket(self, asked: Asked) -> web.Response:
        if asked.words != {"delete"}:
            raise Refused(501, "NotImplemented")
        body = ET.fromstring(await asked.request.read())
        names = [item.text or "" for item in body.iterfind(".//{*}Object/{*}Key")]
        if not 0 < len(names) <= MOST:
            raise Refused(400, "MalformedXML")
        results = await self.blobs.calls.remove_objects(RemoveObjectsRequest(asked.bucket, names))
        failed = {item.key: item.error or "" for item in results if not item.success}
        root = Element("DeleteResult")
        quiet = body.findtext("{*}Quiet") == "true"
        for name in names:
            if name in failed:
                error = SubElement(root, "Error")
                SubElement(error, "Key").text, SubElement(error, "Code").text = name, "InvalidArgument"
                SubElement(error, "Message").text = failed[name]
            elif not quiet:
                SubElement(SubElement(root, "Deleted"), "Key").text = name
        return _xml(root)

    async def put_object(self, asked: Asked) -> web.Response:
        if "x-amz-copy-source" in asked.request.headers:
            raise Refused(501, "NotImplemented")
        if "uploadId" in asked.words:
            data = await asked.request.read()
            self._upload(asked).parts[int(asked.request.query["partNumber"])] = data
            return web.Response(headers={"ETag": _digest(data)})
        _only(asked, set())
        await self.blobs.send(asked.bucket, asked.key, _body(asked.request), *asked.details)
        return web.Response(headers={"ETag": etag(await self._info(asked))})

    async def head_object(self, asked: Asked) -> web.Response:
        _only(asked, set())
        info = await self._info(asked)
        return web.Response(headers={**_headers(info), "Content-Length": str(info.content_length)})

    async def get_object(self, asked: Asked) -> web.StreamResponse:
        _only(asked, set())
        info = await self._info(asked)
        start, end, status = None, None, 200
        headers = _headers(info)
        if "Range" in asked.request.headers:
            start, end = _range(asked.request.headers["Range"], info.content_length)
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end}/{info.content_length}"
        incoming = await self.blobs.opened(asked.bucket, asked.key, start, end)
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = incoming.size
        await response.prepare(asked.request)
        async for piece in incoming.pieces():
            await response.write(piece)
        await response.write_eof()
        return response

    async def delete_object(self, asked: Asked) -> web.Response:
        if "uploadId" in asked.words:
            self._upload(asked)
            del self.uploads[asked.request.query["uploadId"]]
        else:
            _only(asked, set())
            await self.blobs.remove(asked.bucket, [asked.key])
        return web.Response(status=204)

    async def post_object(self, asked: Asked) -> web.Response:
        """The beginning and the end of an upload in parts."""
        if asked.words == {"uploads"}:
            await self.blobs.calls.get_container_info(asked.bucket)
            number = secrets.token_hex(8)
            self.uploads[number] = Parts(asked.bucket, asked.key, *asked.details)
            root = Element("InitiateMultipartUploadResult")
            SubElement(root, "UploadId").text = number
            return _xml(root)
        if asked.words != {"uploadId"}:
            raise Refused(501, "NotImplemented")
        upload = self._upload(asked)
        await self.blobs.send(
            asked.bucket, asked.key, _joined(upload, await asked.request.read()), upload.content_type, upload.content_encoding
        )
        del self.uploads[asked.request.query["uploadId"]]
        root = Element("CompleteMultipartUploadResult")
        SubElement(root, "ETag").text = etag(await self._info(asked))
        return _xml(root)

    def _upload(self, asked: Asked) -> Parts:
        upload = self.uploads.get(asked.request.query["uploadId"])
        if upload is None or (upload.bucket, upload.key) != (asked.bucket, asked.key):
            raise Refused(404, "NoSuchUpload")
        return upload

    async def _info(self, asked: Asked) -> ObjectMetadata:
        return await self.blobs.calls.get_object_info(ContainerObject(asked.bucket, asked.key))


@asynccontextmanager
async def served(door: Door) -> AsyncIterator[int]:
    """A view over a store, on a port of loopback."""
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{rest:.*}", S3View(door).answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _only(asked: Asked, known: set[str]) -> None:
    if asked.words - known:
        raise Refused(501, "NotImplemented", ", ".join(sorted(asked.words - known)))


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_chunked(PIECE):
        yield piece


async def _joined(upload: Parts, wanted: bytes) -> AsyncIterator[bytes]:
    """The parts that the client names, each checked against what it says of it."""
    listed = ET.fromstring(wanted).findall("{*}Part")
    if not listed:
        raise Refused(400, "MalformedXML")
    for item in listed:
        data = upload.parts.get(int(item.findtext("{*}PartNumber") or 0))
        if data is None or _digest(data).strip('"') != (item.findtext("{*}ETag") or "").strip('"'):
            raise Refused(400, "InvalidPart")
        yield data


def _range(text: str, size: int) -> tuple[int, int]:
    found = RANGE.fullmatch(text)
    start, end = found.groups() if found else ("", "")
    if start:
        first, last = int(start), min(int(end or size), size - 1)
    elif end:
        first, last = max(0, size - int(end)), size - 1
    else:
        raise Refused(400, "InvalidArgument", "no range")
    if first > last:
        raise Refused(416, "InvalidRange")
    return first, last


def _headers(info: ObjectMetadata) -> dict[str, str]:
    headers = {
        "ETag": etag(info),
        "Last-Modified": http_date(info.last_modified),
        "Content-Type": info.content_type or "binary/octet-stream",
    }
    if info.content_encoding:
        headers["Content-Encoding"] = info.content_encoding
    return headers


def _digest(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _xml(root: Element) -> web.Response:
    return web.Response(body=tostring(root), content_type=XML)


def _error(request: web.Request, refused: Refused, number: str) -> web.Response:
    root = Element("Error")
    for tag, text in (("Code", refused.code), ("Message", str(refused)), ("Resource", request.path), ("RequestId", number)):
        SubElement(root, tag).text = text
    return web.Response(body=tostring(root), status=refused.status, content_type=XML)
