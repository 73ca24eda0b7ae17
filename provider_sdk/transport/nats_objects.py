"""Large values beside the messages: the layout of JetStream's object store (wasmbus-0x.md §4.7), over requests alone.

nats-py's own object store writes no `modified`, which OTP hosts require, and copies all it has for each chunk that it reads.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from provider_sdk.errors import DeadlineExceeded, InvalidArgument, NotFound, ProviderError, ResourceExhausted, Unavailable
from provider_sdk.transport.base import Message, Transport
from provider_sdk.transport.nats import NoResponders

log = logging.getLogger("provider.nats")

CHUNK = 128 * 1024
AT_ONCE = 8
TIMEOUT = 10.0
CLEANUP_TIMEOUT = 2.0
_ROLLUP = {"Nats-Rollup": "sub"}
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_DIGEST = "SHA-256="


class _ApiError(Exception):
    """An error that JetStream answered."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("description", error)))
        self.code = error.get("code")


@dataclass(frozen=True, slots=True)
class _Metadata:
    """What is read of an object's metadata, and the whole of it."""

    key: str
    nuid: str
    size: int
    chunks: int
    digest: str
    whole: dict[str, Any]


class NatsObjects:
    """An ObjectStore (see base.py) in the bucket that hosts and providers of a lattice share."""

    def __init__(self, transport: Transport, bucket: str) -> None:
        if not _NAME.fullmatch(bucket):
            raise InvalidArgument(
                f"a message over 900 KiB needs an object store, and {bucket!r} cannot name one: only letters, digits, _ and - may"
            )
        self._transport = transport
        self._bucket = bucket
        self._stream = f"OBJ_{bucket}"

    async def put(self, name: str, data: bytes) -> None:
        """See ObjectStore."""
        with _explained(f"the message {name} of {len(data)} bytes"):
            async with asyncio.timeout(TIMEOUT):
                try:
                    await self._write(name, data)
                except NoResponders:
                    await self._create()
                    await self._write(name, data)

    async def _write(self, name: str, data: bytes) -> None:
        nuid = secrets.token_hex(11)
        step = min(CHUNK, self._transport.max_payload)
        view, starts, digest = memoryview(data), range(0, len(data), step), hashlib.sha256()
        try:
            for first in range(0, len(starts), AT_ONCE):
                pieces = [bytes(view[at : at + step]) for at in starts[first : first + AT_ONCE]]
                for piece in pieces:
                    digest.update(piece)
                await asyncio.gather(*(self._store(f"C.{nuid}", piece) for piece in pieces))
            body = json.dumps(self._metadata(name, nuid, len(data), len(starts), _DIGEST + _url64(digest.digest()))).encode()
            for key in _keys(name):
                await self._store(f"M.{key}", body, _ROLLUP)
        except NoResponders:
            raise
        except BaseException:
            await self._purge(f"C.{nuid}")
            raise

    def _metadata(self, name: str, nuid: str, size: int, chunks: int, digest: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return {
            "name": name,
            "description": None,
            "link": None,
            "bucket": self._bucket,
            "nuid": nuid,
            "size": size,
            "chunks": chunks,
            "digest": digest,
            "deleted": False,
            "modified": now,
            "mtime": now,
            "options": {"max_chunk_size": CHUNK},
        }

    async def take(self, name: str, limit: int) -> bytes:
        """See ObjectStore."""
        with _explained(f"the message {name}"):
            async with asyncio.timeout(TIMEOUT):
                found = await self._find(name)
            try:
                if found.size > limit:
                    raise ResourceExhausted(f"the message {name} has {found.size} bytes, and {limit} are the most that is taken")
                async with asyncio.timeout(TIMEOUT):
                    return await self._read(name, found)
            finally:
                await self._delete(name, found)

    async def _find(self, name: str) -> _Metadata:
        for key in _keys(name):
            try:
                answer = await self._api("STREAM.MSG.GET", {"last_by_subj": f"$O.{self._bucket}.M.{key}"})
            except _ApiError as error:
                if error.code != 404:
                    raise
                continue
            whole = json.loads(base64.b64decode(answer["message"]["data"]))
            if not whole.get("deleted"):
                found = _Metadata(key, str(whole["nuid"]), int(whole["size"]), int(whole["chunks"]), str(whole.get("digest") or ""), whole)
                if not _NAME.fullmatch(found.nuid) or found.size < 0 or not 0 <= found.chunks <= found.size:
                    raise ValueError("its metadata is malformed")
                return found
        raise NotFound(f"the message {name} is not in the object store {self._bucket} of the lattice")

    async def _read(self, name: str, found: _Metadata) -> bytes:
        # Acknowledged explicitly, and then never: older servers refuse a pull consumer that promises no acknowledgement.
        config = {
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "max_ack_pending": -1,
            "replay_policy": "instant",
            "filter_subject": f"$O.{self._bucket}.C.{found.nuid}",
            "inactive_threshold": int(TIMEOUT * 1e9),
        }
        consumer = (await self._api("CONSUMER.CREATE", {"stream_name": self._stream, "config": config}))["name"]
        arrived: asyncio.Queue[Message] = asyncio.Queue()
        inbox = f"_INBOX.{secrets.token_hex(11)}"
        subscription = await self._transport.subscribe(inbox, arrived.put)
        try:
            data = await self._pieces(f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}", inbox, arrived, found)
        finally:
            await subscription.unsubscribe()
            await self._quietly(f"CONSUMER.DELETE.{self._stream}.{consumer}", {})
        expected = found.digest.partition("=")[2].rstrip("=")
        if len(data) != found.size or (expected and expected != _url64(hashlib.sha256(data).digest()).rstrip("=")):
            raise Unavailable(
                f"the message {name} is damaged in the object store: its {len(data)} bytes are not the {found.size} of its metadata"
            )
        return data

    async def _pieces(self, subject: str, inbox: str, arrived: asyncio.Queue[Message], found: _Metadata) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while len(pieces) < found.chunks and size <= found.size:
            batch = min(AT_ONCE, found.chunks - len(pieces))
            await self._transport.publish(subject, json.dumps({"batch": batch, "no_wait": True}).encode(), reply=inbox)
            for _ in range(batch):
                message = await arrived.get()
                if message.headers and "Status" in message.headers:
                    raise ValueError("chunks of it are missing")
                pieces.append(message.data)
                size += len(message.data)
        return b"".join(pieces)

    async def _delete(self, name: str, found: _Metadata) -> None:
        """Leave a deletion marker, as every client does, and drop the rest; a failure is only logged."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        marker = {**found.whole, "deleted": True, "size": 0, "chunks": 0, "digest": "", "modified": now, "mtime": now}
        try:
            async with asyncio.timeout(CLEANUP_TIMEOUT):
                await self._store(f"M.{found.key}", json.dumps(marker).encode(), _ROLLUP)
                await self._purge(f"C.{found.nuid}")
                for key in _keys(name):
                    if key != found.key:
                        await self._purge(f"M.{key}")
        except (ProviderError, _ApiError, TimeoutError, ValueError) as error:
            log.warning("the message %s could not be deleted from the object store: %s", name, error)

    async def _purge(self, subject: str) -> None:
        await self._quietly(f"STREAM.PURGE.{self._stream}", {"filter": f"$O.{self._bucket}.{subject}"})

    async def _quietly(self, verb: str, body: Mapping[str, Any]) -> None:
        with contextlib.suppress(ProviderError, ValueError):
            await self._transport.request(f"$JS.API.{verb}", json.dumps(body).encode(), timeout=CLEANUP_TIMEOUT)

    async def _create(self) -> None:
        config = {
            "name": self._stream,
            "subjects": [f"$O.{self._bucket}.C.>", f"$O.{self._bucket}.M.>"],
            "retention": "limits",
            "discard": "new",
            "storage": "file",
            "num_replicas": 1,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_msgs_per_subject": -1,
            "max_msg_size": -1,
            "max_consumers": -1,
            "max_age": 0,
            "allow_rollup_hdrs": True,
            "allow_direct": True,
        }
        await self._api("STREAM.CREATE", config)

    async def _api(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._ask(f"$JS.API.{verb}.{self._stream}", json.dumps(body).encode())

    async def _store(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        await self._ask(f"$O.{self._bucket}.{subject}", data, headers)

    async def _ask(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = json.loads((await self._transport.request(subject, data, timeout=TIMEOUT, headers=headers)).data)
        if not isinstance(answer, dict):
            raise ValueError("JetStream answered something that is not an object")
        if "error" in answer:
            raise _ApiError(answer["error"])
        return answer


def _keys(name: str) -> list[str]:
    """The tokens that metadata is stored under: base64url, and the plain name, where OTP hosts before 0.60 look."""
    encoded = _url64(name.encode())
    return [encoded, name] if _NAME.fullmatch(name) else [encoded]


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except NoResponders as error:
        raise Unavailable(f"{what} needs JetStream, which the NATS server has not: start nats-server with -js") from error
    except _ApiError as error:
        if error.code == 503:
            raise Unavailable(f"{what} needs JetStream, and the NATS server has it not for this account: {error}") from error
        raise Unavailable(f"{what}: object store: {error}") from error
    except TimeoutError as error:
        raise DeadlineExceeded(f"{what}: the object store did not answer within {TIMEOUT:g} s") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable(f"{what} cannot be read from the object store: {error}") from error
