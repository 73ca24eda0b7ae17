"""What a server's error, or the AWS library's, means to a caller: one table of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time as now
from typing import Any

from botocore import exceptions as aws

from provider_sdk import Code, ProviderError

NO_KEY, NO_BUCKET, NO_UPLOAD = "NoSuchKey", "NoSuchBucket", "NoSuchUpload"
SKEWED = "RequestTimeTooSkewed"
SHOWN = 200
FAILURES = (aws.ClientError, aws.BotoCoreError, OSError, RuntimeError)
"""What a call to the library may raise."""


@dataclass(frozen=True)
class Row:
    """Answers with one of these codes become `error`, with these words behind the server's name."""

    codes: tuple[str, ...]
    error: Code
    words: str


SERVER = (
    Row((NO_BUCKET,), Code.NOT_FOUND, "has no such bucket"),
    Row((NO_KEY, "NoSuchVersion"), Code.NOT_FOUND, "has no such object"),
    Row((NO_UPLOAD,), Code.UNAVAILABLE, "no longer knows the upload: somebody has aborted it"),
    Row(
        ("AccessDenied", "AllAccessDisabled", "AccountProblem", "XMinioAdminAccountNotEligible", "UnauthorizedAccess"),
        Code.PERMISSION_DENIED,
        "does not allow this to its credentials",
    ),
    Row(
        ("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "NotSignedUp", "XAdminUserNotFound"),
        Code.UNAUTHENTICATED,
        "does not know the access key: correct access_key_id, or the credentials that the AWS tools find",
    ),
    Row(("SignatureDoesNotMatch",), Code.UNAUTHENTICATED, "does not accept the signature: secret_access_key is not that of the access key"),
    Row(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"),
        Code.UNAUTHENTICATED,
        "says that the temporary credentials have expired: new ones are needed",
    ),
    Row(("InvalidToken", "InvalidTokenId"), Code.UNAUTHENTICATED, "does not accept session_token: it is not that of the access key"),
    Row(("InvalidIdentityToken",), Code.UNAUTHENTICATED, "does not accept the token of web_identity_token_file"),
    Row((SKEWED, "RequestInTheFuture"), Code.UNAVAILABLE, "does not accept the time of this machine: set its clock"),
    Row(
        (
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "InvalidRegion",
            "InvalidLocationConstraint",
        ),
        Code.PRECONDITION_FAILED,
        "has the bucket in another region: set region",
    ),
    Row(("TemporaryRedirect", "Redirect"), Code.UNAVAILABLE, "is moving the bucket"),
    Row(
        ("SlowDown", "SlowDownRead", "SlowDownWrite", "RequestLimitExceeded", "TooManyRequests", "ThrottlingException", "Throttling"),
        Code.UNAVAILABLE,
        "asks for fewer requests",
    ),
    Row(("ServiceUnavailable", "Busy", "XMinioServerNotInitialized", "ClientDisconnected"), Code.UNAVAILABLE, "takes no requests now"),
    Row(("InternalError", "InternalFailure"), Code.UNAVAILABLE, "has failed by a fault of its own"),
    Row(("RequestTimeout",), Code.UNAVAILABLE, "had the data too slowly"),
    Row(("OperationAborted", "ConditionalRequestConflict", "Conflict"), Code.UNAVAILABLE, "is busy with another request on the same thing"),
    Row(("EntityTooLarge", "MaxMessageLengthExceeded"), Code.INVALID_ARGUMENT, "does not take an object of this size"),
    Row(("EntityTooSmall",), Code.INVALID_ARGUMENT, "does not take parts of this size: raise part_size"),
    Row(
        ("QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "XMinioDiskFull"),
        Code.RESOURCE_EXHAUSTED,
        "has no room left",
    ),
    Row(("TooManyBuckets",), Code.RESOURCE_EXHAUSTED, "allows its account no more buckets"),
    Row(("BucketNotEmpty",), Code.PRECONDITION_FAILED, "does not remove the bucket: others write to it, or it keeps old versions"),
    Row(("BucketAlreadyExists",), Code.ALREADY_EXISTS, "has a bucket of this name, which is somebody else's"),
    Row(("PreconditionFailed",), Code.PRECONDITION_FAILED, "has another version of the object by now"),
    Row(("InvalidObjectState",), Code.PRECONDITION_FAILED, "has the object in an archive: it has to be restored first"),
    Row(("InvalidRange",), Code.OUT_OF_RANGE, "has no such range of the object"),
    Row(
        ("XMinioParentIsObject", "ParentIsObject", "ObjectParentIsFile", "XMinioObjectExistsAsDirectory", "ExistingObjectIsDirectory"),
        Code.PRECONDITION_FAILED,
        "cannot have both an object and others whose names go on from its name with a slash",
    ),
    Row(("KeyTooLongError", "KeyTooLong"), Code.INVALID_ARGUMENT, "does not take so long a name"),
    Row(
        ("XMinioInvalidObjectName", "XMinioInvalidResourceName", "InvalidURI"),
        Code.INVALID_ARGUMENT,
        "does not take this name of an object",
    ),
    Row(("InvalidBucketName",), Code.INVALID_ARGUMENT, "does not take this name of a bucket"),
    Row(("MetadataTooLarge",), Code.INVALID_ARGUMENT, "does not take so long a content type or encoding"),
    Row(
        ("BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "XAmzContentChecksumMismatch"),
        Code.UNAVAILABLE,
        "had the data damaged or cut on its way",
    ),
    Row(("NotImplemented", "MethodNotAllowed"), Code.UNSUPPORTED, "does not offer this operation"),
)
STATUS = (
    Row(("301", "308"), Code.PRECONDITION_FAILED, "has the bucket in another region: set region"),
    Row(("302", "307"), Code.UNAVAILABLE, "is moving the bucket"),
    Row(("400",), Code.INVALID_ARGUMENT, "does not take such a request"),
    Row(("401",), Code.UNAUTHENTICATED, "does not accept the credentials"),
    Row(("403",), Code.PERMISSION_DENIED, "does not allow this to its credentials"),
    Row(("404",), Code.NOT_FOUND, "has no such thing"),
    Row(("405", "501"), Code.UNSUPPORTED, "does not offer this operation"),
    Row(("409",), Code.UNAVAILABLE, "is busy with another request on the same thing"),
    Row(("412",), Code.PRECONDITION_FAILED, "has another version of the object by now"),
    Row(("413",), Code.INVALID_ARGUMENT, "does not take an object of this size"),
    Row(("416",), Code.OUT_OF_RANGE, "has no such range of the object"),
    Row(("429",), Code.UNAVAILABLE, "asks for fewer requests"),
    Row(("500", "502", "504"), Code.UNAVAILABLE, "has failed by a fault of its own"),
    Row(("503",), Code.UNAVAILABLE, "takes no requests now"),
    Row(("507",), Code.RESOURCE_EXHAUSTED, "has no room left"),
)
LIBRARY: tuple[tuple[type[BaseException], Code, str], ...] = (
    (aws.ProxyConnectionError, Code.UNAVAILABLE, "cannot be reached through the proxy: it does not answer; see proxy, or HTTPS_PROXY"),
    (aws.InvalidProxiesConfigError, Code.INVALID_ARGUMENT, "cannot be reached: proxy has to be http://host:port"),
    (
        aws.SSLError,
        Code.UNAVAILABLE,
        "cannot be trusted: no authority of ca_file, or of the system, has signed its certificate for this name",
    ),
    (aws.ConnectTimeoutError, Code.UNAVAILABLE, "cannot be reached: no connection within connect_timeout"),
    (aws.EndpointConnectionError, Code.UNAVAILABLE, "cannot be reached: nobody answers there"),
    (aws.ReadTimeoutError, Code.UNAVAILABLE, "was silent for longer than read_timeout"),
    (aws.ConnectionClosedError, Code.UNAVAILABLE, "has closed the connection"),
    (aws.ResponseStreamingError, Code.UNAVAILABLE, "has broken off its answer"),
    (aws.IncompleteReadError, Code.UNAVAILABLE, "has broken off its answer"),
    (
        aws.NoCredentialsError,
        Code.UNAUTHENTICATED,
        "needs credentials: give access_key_id and secret_access_key",
    ),
    (aws.PartialCredentialsError, Code.UNAUTHENTICATED, "needs credentials, and what the AWS tools find is a part of some"),
    (aws.TokenRetrievalError, Code.UNAUTHENTICATED, "needs credentials, and the sign-on of the AWS profile has expired"),
    (aws.UnauthorizedSSOTokenError, Code.UNAUTHENTICATED, "needs credentials, and the sign-on of the AWS profile has expired"),
    (aws.SSOTokenLoadError, Code.UNAUTHENTICATED, "needs credentials, and the sign-on of the AWS profile has expired"),
    (aws.CredentialRetrievalError, Code.UNAUTHENTICATED, "needs credentials, and what the AWS tools are told to ask does not give them"),
    (aws.ProfileNotFound, Code.INVALID_ARGUMENT, "cannot be used: AWS_PROFILE names a profile that is not there"),
    (aws.ConfigParseError, Code.INVALID_ARGUMENT, "cannot be used: the configuration file of the AWS tools cannot be read"),
    (aws.NoRegionError, Code.INVALID_ARGUMENT, "cannot be found: set region"),
    (aws.InvalidRegionError, Code.INVALID_ARGUMENT, "cannot be found: region is no name of one"),
    (aws.ParamValidationError, Code.INVALID_ARGUMENT, "does not take such a request"),
    (aws.EndpointProviderError, Code.INVALID_ARGUMENT, "cannot be found: endpoint, region and the name of the bucket do not fit together"),
    (aws.HTTPClientError, Code.UNAVAILABLE, "cannot be reached"),
    (OSError, Code.UNAVAILABLE, "cannot be reached"),
    (RuntimeError, Code.UNAUTHENTICATED, "needs credentials, and by the clock of this machine those from STS have expired on arrival"),
)
_BY_CODE = {code: row for row in (*STATUS, *SERVER) for code in row.codes}


def code_of(error: BaseException | None) -> str:
    """The server's code of what went wrong, of a ProviderError too: the status where there is no body, empty where no server spoke."""
    found = error.__cause__ if isinstance(error, ProviderError) else error
    return str(found.response.get("Error", {}).get("Code", "")) if isinstance(found, aws.ClientError) else ""


def status_of(error: BaseException | None) -> int:
    """The HTTP status, 0 where no server spoke."""
    found = error.__cause__ if isinstance(error, ProviderError) else error
    return int(_metadata(found).get("HTTPStatusCode", 0)) if isinstance(found, aws.ClientError) else 0


def refusal(where: str, error: BaseException) -> ProviderError:
    """The error that it is to a caller. `where` names the server."""
    found = _of_server(where, error) if isinstance(error, aws.ClientError) else _of_library(where, error)
    # The log would have the library's own stack, page after page.
    found.__cause__ = error.with_traceback(None)
    error.__suppress_context__ = True
    return found


def of_entry(entry: Mapping[str, Any]) -> aws.ClientError:
    """The error that an entry of a larger answer stands for."""
    return aws.ClientError({"Error": {"Code": str(entry.get("Code", "")), "Message": str(entry.get("Message", ""))}}, "DeleteObjects")


def _of_server(where: str, error: aws.ClientError) -> ProviderError:
    code, status = code_of(error), str(status_of(error))
    row = _BY_CODE.get(code) or _BY_CODE.get(status)
    if row is None:
        row = Row((), Code.INTERNAL, f"answers {code[:60]!a} (HTTP {status}), which means nothing here")
    who = f"S3 at {where}"
    words = row.words + _clock(error) if code == SKEWED else row.words + _region(error)
    if error.operation_name in ("AssumeRole", "AssumeRoleWithWebIdentity"):
        who, words = "STS", f"{words} (it was asked for the role of sts_config)"
    text = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
    return ProviderError.of(row.error, f"{who} {words}", detail=f"{code} {status}: {text[:SHOWN]}")


def _of_library(where: str, error: BaseException) -> ProviderError:
    kind, words = next(((kind, words) for cause, kind, words in LIBRARY if isinstance(error, cause)), (Code.INTERNAL, "cannot be asked"))
    return ProviderError.of(kind, f"S3 at {where} {words}", detail=type(error).__name__)


def _metadata(error: aws.ClientError) -> dict[str, Any]:
    return dict(error.response.get("ResponseMetadata", {}))


def _clock(error: aws.ClientError) -> str:
    try:
        theirs = parsedate_to_datetime(str(_metadata(error).get("HTTPHeaders", {}).get("date"))).timestamp()
    except (TypeError, ValueError):
        return ""
    ahead = round(now() - theirs)
    return f", which is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the server's"


def _region(error: aws.ClientError) -> str:
    if "region" not in _BY_CODE.get(code_of(error), Row((), Code.INTERNAL, "")).words:
        return ""
    found = _metadata(error).get("HTTPHeaders", {}).get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    return f" to {str(found)[:40]}" if found else ""
