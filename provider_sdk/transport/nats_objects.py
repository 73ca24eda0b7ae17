"""Large values beside the messages: JetStream's object store in the layout of wasmbus-0x.md §4.7.

Written here, because what nats-py writes lacks the `modified` that OTP hosts require; read and deleted with nats-py.
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
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js.errors import BucketNotFoundError, ObjectNotFoundError, ServiceUnavailableError
from nats.js.object_store import ObjectStore as NatsObjectStore

from provider_sdk.errors import DeadlineExceeded, InvalidArgument, NotFound, ResourceExhausted, Unavailable

if TYPE_CHECKING:
    from provider_sdk.transport.nats import NatsTransport

log = logging.getLogger("provider.nats")

CHUNK = 128 * 1024
AT_ONCE = 8
TIMEOUT = 10.0
_NAME = re.compile(r"[A-Za-z0-9_-]+")


class NatsObjects:
    """An ObjectStore (see base.py) in the bucket that hosts and providers of a lattice share."""

    def __init__(self, transport: NatsTransport, bucket: str) -> None:
        if not _NAME.fullmatch(bucket):
            raise InvalidArgument(f"messages over 900 KiB need an object store, and {bucket!r} cannot name one: only letters, digits, _ and - may")
        self._transport = transport
        self._bucket = bucket

    async def _store(self) -> tuple[Any, NatsObjectStore]:
        context = self._transport.client.jetstream(timeout=TIMEOUT)
        try:
            return context, await context.object_store(self._bucket)
        except BucketNotFoundError:
            return context, await context.create_object_store(self._bucket)

    async def put(self, name: str, data: bytes) -> None:
        """See ObjectStore."""
        with _translated(name, len(data)):
            context, _ = await self._store()
            nuid = secrets.token_hex(11)
            subject = f"$O.{self._bucket}.C.{nuid}"
            pieces = range(0, len(data), CHUNK)
            view = memoryview(data)
            for start in range(0, len(pieces), AT_ONCE):
                window = pieces[start : start + AT_ONCE]
                await asyncio.gather(*(context.publish(subject, bytes(view[at : at + CHUNK])) for at in window))
            meta = f"$O.{self._bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"
            body = json.dumps(self._metadata(name, nuid, data, len(pieces))).encode()
            await context.publish(meta, body, headers={"Nats-Rollup": "sub"})

    def _metadata(self, name: str, nuid: str, data: bytes, chunks: int) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return {
            "name": name,
            "description": None,
            "link": None,
            "bucket": self._bucket,
            "nuid": nuid,
            "size": len(data),
            "chunks": chunks,
            "digest": "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode(),
            "deleted": False,
            "modified": now,
            "mtime": now,
            "options": {"max_chunk_size": CHUNK},
        }

    async def take(self, name: str, limit: int) -> bytes:
        """See ObjectStore."""
        with _translated(name, 0):
            async with asyncio.timeout(TIMEOUT):
                _, store = await self._store()
                info = await store.get_info(name)
                if (info.size or 0) > limit:
                    raise ResourceExhausted(f"the message {name} has {info.size} bytes, more than {limit}")
                data = (await store.get(name)).data or b""
            if len(data) != (info.size or 0):
                raise Unavailable(f"the message {name} has {len(data)} bytes in the object store, its metadata says {info.size}")
            try:
                await store.delete(name)
            except (NatsError, TimeoutError) as error:
                log.warning("object %s could not be deleted: %s", name, error)
            return data


@contextlib.contextmanager
def _translated(name: str, size: int) -> Iterator[None]:
    what = f"the message {name}" + (f" of {size} bytes" if size else "")
    try:
        yield
    except ObjectNotFoundError as error:
        raise NotFound(f"{what} is not in the lattice's object store") from error
    except (NoRespondersError, ServiceUnavailableError) as error:
        raise Unavailable(f"{what} needs JetStream, which the NATS server has not: start it with -js") from error
    except TimeoutError as error:
        raise DeadlineExceeded(f"{what}: the object store did not answer within {TIMEOUT:g} s") from error
    except (NatsError, OSError, ValueError) as error:
        raise Unavailable(f"{what}: object store: {str(error) or type(error).__name__}") from error
