"""Why an HTTP request failed: the error codes of wasi:http 0.2, in the order that is their number on the wire (wrpc-1x.md §5.1)."""

from __future__ import annotations

from dataclasses import dataclass

from provider_sdk.errors import DeadlineExceeded, ProviderError, ResourceExhausted, Unavailable
from provider_sdk.types import U8, U16, U32, U64, Case


@dataclass(frozen=True, slots=True)
class FieldSize:
    """A header or trailer that is too long, as far as it is known."""

    field_name: str | None = None
    field_size: U32 | None = None


@dataclass(frozen=True, slots=True)
class DnsTimeout:
    """The name was not resolved in time."""


@dataclass(frozen=True, slots=True)
class DnsError:
    """The name was not resolved."""

    rcode: str | None = None
    info_code: U16 | None = None


@dataclass(frozen=True, slots=True)
class DestinationNotFound:
    """There is no such host."""


@dataclass(frozen=True, slots=True)
class DestinationUnavailable:
    """The host does not serve now."""


@dataclass(frozen=True, slots=True)
class DestinationIpProhibited:
    """The address is not allowed."""


@dataclass(frozen=True, slots=True)
class DestinationIpUnroutable:
    """No way leads to the address."""


@dataclass(frozen=True, slots=True)
class ConnectionRefused:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class ConnectionTerminated:
    """The connection broke."""


@dataclass(frozen=True, slots=True)
class ConnectionTimeout:
    """The connection was not made in time."""


@dataclass(frozen=True, slots=True)
class ConnectionReadTimeout:
    """Nothing came in time."""


@dataclass(frozen=True, slots=True)
class ConnectionWriteTimeout:
    """Nothing was taken in time."""


@dataclass(frozen=True, slots=True)
class ConnectionLimitReached:
    """There are too many connections."""


@dataclass(frozen=True, slots=True)
class TlsProtocolError:
    """TLS failed."""


@dataclass(frozen=True, slots=True)
class TlsCertificateError:
    """The certificate is not accepted."""


@dataclass(frozen=True, slots=True)
class TlsAlertReceived:
    """The other side ended TLS with an alert."""

    alert_id: U8 | None = None
    alert_message: str | None = None


@dataclass(frozen=True, slots=True)
class HttpRequestDenied:
    """The request is not allowed."""


@dataclass(frozen=True, slots=True)
class HttpRequestLengthRequired:
    """The request has to say how long its body is."""


class HttpRequestBodySize(Case[U64 | None]):
    """The request's body is too long."""


@dataclass(frozen=True, slots=True)
class HttpRequestMethodInvalid:
    """The method is none."""


@dataclass(frozen=True, slots=True)
class HttpRequestUriInvalid:
    """The URI is none."""


@dataclass(frozen=True, slots=True)
class HttpRequestUriTooLong:
    """The URI is too long."""


class HttpRequestHeaderSectionSize(Case[U32 | None]):
    """The request's headers are too long."""


class HttpRequestHeaderSize(Case[FieldSize | None]):
    """A header of the request is too long."""


class HttpRequestTrailerSectionSize(Case[U32 | None]):
    """The request's trailers are too long."""


class HttpRequestTrailerSize(Case[FieldSize]):
    """A trailer of the request is too long."""


@dataclass(frozen=True, slots=True)
class HttpResponseIncomplete:
    """The response broke off."""


class HttpResponseHeaderSectionSize(Case[U32 | None]):
    """The response's headers are too long."""


class HttpResponseHeaderSize(Case[FieldSize]):
    """A header of the response is too long."""


class HttpResponseBodySize(Case[U64 | None]):
    """The response's body is too long."""


class HttpResponseTrailerSectionSize(Case[U32 | None]):
    """The response's trailers are too long."""


class HttpResponseTrailerSize(Case[FieldSize]):
    """A trailer of the response is too long."""


class HttpResponseTransferCoding(Case[str | None]):
    """The response's transfer coding is not known."""


class HttpResponseContentCoding(Case[str | None]):
    """The response's content coding is not known."""


@dataclass(frozen=True, slots=True)
class HttpResponseTimeout:
    """There was no response in time."""


@dataclass(frozen=True, slots=True)
class HttpUpgradeFailed:
    """The protocol was not changed."""


@dataclass(frozen=True, slots=True)
class HttpProtocolError:
    """The other side does not speak HTTP."""


@dataclass(frozen=True, slots=True)
class LoopDetected:
    """The request came back to where it began."""


@dataclass(frozen=True, slots=True)
class ConfigurationError:
    """The settings are wrong."""


class InternalError(Case[str | None]):
    """Anything else."""


ErrorCode = (
    DnsTimeout
    | DnsError
    | DestinationNotFound
    | DestinationUnavailable
    | DestinationIpProhibited
    | DestinationIpUnroutable
    | ConnectionRefused
    | ConnectionTerminated
    | ConnectionTimeout
    | ConnectionReadTimeout
    | ConnectionWriteTimeout
    | ConnectionLimitReached
    | TlsProtocolError
    | TlsCertificateError
    | TlsAlertReceived
    | HttpRequestDenied
    | HttpRequestLengthRequired
    | HttpRequestBodySize
    | HttpRequestMethodInvalid
    | HttpRequestUriInvalid
    | HttpRequestUriTooLong
    | HttpRequestHeaderSectionSize
    | HttpRequestHeaderSize
    | HttpRequestTrailerSectionSize
    | HttpRequestTrailerSize
    | HttpResponseIncomplete
    | HttpResponseHeaderSectionSize
    | HttpResponseHeaderSize
    | HttpResponseBodySize
    | HttpResponseTrailerSectionSize
    | HttpResponseTrailerSize
    | HttpResponseTransferCoding
    | HttpResponseContentCoding
    | HttpResponseTimeout
    | HttpUpgradeFailed
    | HttpProtocolError
    | LoopDetected
    | ConfigurationError
    | InternalError
)
"""Why there is no response."""


class HttpFailure(ProviderError):
    """The other side answered with an error code, or is to be answered with it: `error`."""

    def __init__(self, error: ErrorCode) -> None:
        super().__init__("internal", repr(error))
        self.error = error


def error_code(error: ProviderError) -> ErrorCode:
    """The code that an error becomes."""
    if isinstance(error, HttpFailure):
        return error.error
    if isinstance(error, DeadlineExceeded):
        return HttpResponseTimeout()
    if isinstance(error, ResourceExhausted):
        return ConnectionLimitReached()
    if isinstance(error, Unavailable):
        return DestinationUnavailable()
    return InternalError(error.message)
