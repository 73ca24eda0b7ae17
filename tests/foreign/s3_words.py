"""How the S3 view says things: moments, entity tags, refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from provider_sdk import ProviderError
from provider_sdk.contracts.blobstore import ObjectMetadata
from provider_sdk.types import Timestamp

ERRORS = {
    "invalid_argument": (400, "InvalidArgument"),
    "permission_denied": (403, "AccessDenied"),
    "resource_exhausted": (507, "InsufficientStorage"),
    "unavailable": (503, "ServiceUnavailable"),
}


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status, self.code = status, code

    @classmethod
    def of(cls, error: ProviderError) -> Refused:
        return cls(*ERRORS.get(error.code, (500, "InternalError")), error.message)


def etag(info: ObjectMetadata) -> str:
    """The contract has no checksums: an object's tag is of its size and second."""
    return f'"{info.content_length:x}-{_moment(info.last_modified).timestamp():.0f}"'


def iso(moment: Timestamp | None) -> str:
    return _moment(moment).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def http_date(moment: Timestamp | None) -> str:
    return format_datetime(_moment(moment), usegmt=True)


def _moment(moment: Timestamp | None) -> datetime:
    return datetime.fromtimestamp(moment.sec if moment else 0, UTC)
