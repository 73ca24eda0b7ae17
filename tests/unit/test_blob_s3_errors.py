"""What callers are told when S3, or the AWS library, refuses: a code of ours and one line that says what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore import exceptions as aws

from provider_sdk import Code, ProviderError
from providers.blobstore.backends.s3.errors import LIBRARY, SERVER, STATUS, code_of, of_entry, refusal, status_of

WHERE = "storage.example:9000"
SERVER_SAYS = {
    "NoSuchBucket": (404, Code.NOT_FOUND, "no such bucket"),
    "NoSuchKey": (404, Code.NOT_FOUND, "no such object"),
    "NoSuchVersion": (404, Code.NOT_FOUND, "no such object"),
    "NoSuchUpload": (404, Code.UNAVAILABLE, "no longer knows the upload"),
    "AccessDenied": (403, Code.PERMISSION_DENIED, "does not allow"),
    "AllAccessDisabled": (403, Code.PERMISSION_DENIED, "does not allow"),
    "AccountProblem": (403, Code.PERMISSION_DENIED, "does not allow"),
    "UnauthorizedAccess": (403, Code.PERMISSION_DENIED, "does not allow"),
    "XMinioAdminAccountNotEligible": (403, Code.PERMISSION_DENIED, "does not allow"),
    "InvalidAccessKeyId": (403, Code.UNAUTHENTICATED, "access_key_id"),
    "InvalidClientTokenId": (403, Code.UNAUTHENTICATED, "access_key_id"),
    "UnrecognizedClientException": (400, Code.UNAUTHENTICATED, "access_key_id"),
    "NotSignedUp": (403, Code.UNAUTHENTICATED, "access_key_id"),
    "XAdminUserNotFound": (404, Code.UNAUTHENTICATED, "access_key_id"),
    "SignatureDoesNotMatch": (403, Code.UNAUTHENTICATED, "secret_access_key"),
    "ExpiredToken": (400, Code.UNAUTHENTICATED, "have expired"),
    "ExpiredTokenException": (400, Code.UNAUTHENTICATED, "have expired"),
    "RequestExpired": (400, Code.UNAUTHENTICATED, "have expired"),
    "TokenRefreshRequired": (400, Code.UNAUTHENTICATED, "have expired"),
    "InvalidToken": (400, Code.UNAUTHENTICATED, "session_token"),
    "InvalidTokenId": (403, Code.UNAUTHENTICATED, "session_token"),
    "InvalidIdentityToken": (400, Code.UNAUTHENTICATED, "web_identity_token_file"),
    "RequestTimeTooSkewed": (403, Code.UNAVAILABLE, "set its clock"),
    "RequestInTheFuture": (403, Code.UNAVAILABLE, "set its clock"),
    "PermanentRedirect": (301, Code.PRECONDITION_FAILED, "set region"),
    "AuthorizationHeaderMalformed": (400, Code.PRECONDITION_FAILED, "set region"),
    "IllegalLocationConstraintException": (400, Code.PRECONDITION_FAILED, "set region"),
    "InvalidRegion": (400, Code.PRECONDITION_FAILED, "set region"),
    "InvalidLocationConstraint": (400, Code.PRECONDITION_FAILED, "set region"),
    "TemporaryRedirect": (307, Code.UNAVAILABLE, "is moving the bucket"),
    "Redirect": (307, Code.UNAVAILABLE, "is moving the bucket"),
    "SlowDown": (503, Code.UNAVAILABLE, "fewer requests"),
    "SlowDownRead": (503, Code.UNAVAILABLE, "fewer requests"),
    "SlowDownWrite": (503, Code.UNAVAILABLE, "fewer requests"),
    "RequestLimitExceeded": (503, Code.UNAVAILABLE, "fewer requests"),
    "TooManyRequests": (429, Code.UNAVAILABLE, "fewer requests"),
    "ThrottlingException": (400, Code.UNAVAILABLE, "fewer requests"),
    "Throttling": (400, Code.UNAVAILABLE, "fewer requests"),
    "ServiceUnavailable": (503, Code.UNAVAILABLE, "takes no requests now"),
    "Busy": (503, Code.UNAVAILABLE, "takes no requests now"),
    "XMinioServerNotInitialized": (503, Code.UNAVAILABLE, "takes no requests now"),
    "ClientDisconnected": (499, Code.UNAVAILABLE, "takes no requests now"),
    "InternalError": (500, Code.UNAVAILABLE, "a fault of its own"),
    "InternalFailure": (500, Code.UNAVAILABLE, "a fault of its own"),
    "RequestTimeout": (400, Code.UNAVAILABLE, "too slowly"),
    "OperationAborted": (409, Code.UNAVAILABLE, "busy with another request"),
    "ConditionalRequestConflict": (409, Code.UNAVAILABLE, "busy with another request"),
    "Conflict": (409, Code.UNAVAILABLE, "busy with another request"),
    "EntityTooLarge": (400, Code.INVALID_ARGUMENT, "this size"),
    "MaxMessageLengthExceeded": (400, Code.INVALID_ARGUMENT, "this size"),
    "EntityTooSmall": (400, Code.INVALID_ARGUMENT, "part_size"),
    "QuotaExceeded": (403, Code.RESOURCE_EXHAUSTED, "no room left"),
    "XMinioAdminBucketQuotaExceeded": (400, Code.RESOURCE_EXHAUSTED, "no room left"),
    "XMinioStorageFull": (507, Code.RESOURCE_EXHAUSTED, "no room left"),
    "XMinioDiskFull": (507, Code.RESOURCE_EXHAUSTED, "no room left"),
    "InsufficientStorage": (507, Code.RESOURCE_EXHAUSTED, "no room left"),
    "TooManyBuckets": (400, Code.RESOURCE_EXHAUSTED, "no more buckets"),
    "BucketNotEmpty": (409, Code.PRECONDITION_FAILED, "others write to it, or it keeps old versions"),
    "BucketAlreadyExists": (409, Code.ALREADY_EXISTS, "somebody else's"),
    "PreconditionFailed": (412, Code.PRECONDITION_FAILED, "another version"),
    "InvalidObjectState": (403, Code.PRECONDITION_FAILED, "archive"),
    "InvalidRange": (416, Code.OUT_OF_RANGE, "no such range"),
    "XMinioParentIsObject": (400, Code.PRECONDITION_FAILED, "with a slash"),
    "ParentIsObject": (400, Code.PRECONDITION_FAILED, "with a slash"),
    "ObjectParentIsFile": (409, Code.PRECONDITION_FAILED, "with a slash"),
    "XMinioObjectExistsAsDirectory": (409, Code.PRECONDITION_FAILED, "with a slash"),
    "ExistingObjectIsDirectory": (409, Code.PRECONDITION_FAILED, "with a slash"),
    "KeyTooLongError": (400, Code.INVALID_ARGUMENT, "so long a name"),
    "KeyTooLong": (400, Code.INVALID_ARGUMENT, "so long a name"),
    "XMinioInvalidObjectName": (400, Code.INVALID_ARGUMENT, "name of an object"),
    "XMinioInvalidResourceName": (400, Code.INVALID_ARGUMENT, "name of an object"),
    "InvalidURI": (400, Code.INVALID_ARGUMENT, "name of an object"),
    "InvalidBucketName": (400, Code.INVALID_ARGUMENT, "name of a bucket"),
    "MetadataTooLarge": (400, Code.INVALID_ARGUMENT, "content type"),
    "BadDigest": (400, Code.UNAVAILABLE, "damaged or cut"),
    "InvalidDigest": (400, Code.UNAVAILABLE, "damaged or cut"),
    "XAmzContentSHA256Mismatch": (400, Code.UNAVAILABLE, "damaged or cut"),
    "XAmzContentChecksumMismatch": (400, Code.UNAVAILABLE, "damaged or cut"),
    "IncompleteBody": (400, Code.UNAVAILABLE, "damaged or cut"),
    "NotImplemented": (501, Code.UNSUPPORTED, "does not offer"),
    "MethodNotAllowed": (405, Code.UNSUPPORTED, "does not offer"),
}
STATUSES = {
    301: Code.PRECONDITION_FAILED,
    302: Code.UNAVAILABLE,
    307: Code.UNAVAILABLE,
    308: Code.PRECONDITION_FAILED,
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNSUPPORTED,
    409: Code.UNAVAILABLE,
    412: Code.PRECONDITION_FAILED,
    413: Code.INVALID_ARGUMENT,
    416: Code.OUT_OF_RANGE,
    429: Code.UNAVAILABLE,
    500: Code.UNAVAILABLE,
    501: Code.UNSUPPORTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
    507: Code.RESOURCE_EXHAUSTED,
}
URL = "https://key:hush@storage.example/bucket"
LIBRARY_SAYS: list[tuple[BaseException, Code, str]] = [
    (aws.ProxyConnectionError(proxy_url="http://me:hush@proxy:1", error="refused"), Code.UNAVAILABLE, "proxy"),
    (aws.InvalidProxiesConfigError(error="hush"), Code.INVALID_ARGUMENT, "proxy has to be"),
    (aws.SSLError(endpoint_url=URL, error=ValueError("hush")), Code.UNAVAILABLE, "ca_file"),
    (aws.ConnectTimeoutError(endpoint_url=URL), Code.UNAVAILABLE, "connect_timeout"),
    (aws.EndpointConnectionError(endpoint_url=URL), Code.UNAVAILABLE, "nobody answers there"),
    (aws.ReadTimeoutError(endpoint_url=URL), Code.UNAVAILABLE, "read_timeout"),
    (aws.ConnectionClosedError(endpoint_url=URL), Code.UNAVAILABLE, "closed the connection"),
    (aws.ResponseStreamingError(error="hush"), Code.UNAVAILABLE, "broken off"),
    (aws.IncompleteReadError(actual_bytes=1, expected_bytes=2), Code.UNAVAILABLE, "broken off"),
    (aws.NoCredentialsError(), Code.UNAUTHENTICATED, "access_key_id and secret_access_key"),
    (aws.PartialCredentialsError(provider="env", cred_var="hush"), Code.UNAUTHENTICATED, "a part of some"),
    (aws.TokenRetrievalError(provider="sso", error_msg="hush"), Code.UNAUTHENTICATED, "sign-on"),
    (aws.UnauthorizedSSOTokenError(), Code.UNAUTHENTICATED, "sign-on"),
    (aws.SSOTokenLoadError(error_msg="hush"), Code.UNAUTHENTICATED, "sign-on"),
    (aws.CredentialRetrievalError(provider="process", error_msg="hush"), Code.UNAUTHENTICATED, "told to ask"),
    (aws.ProfileNotFound(profile="hush"), Code.INVALID_ARGUMENT, "AWS_PROFILE"),
    (aws.ConfigParseError(path="hush"), Code.INVALID_ARGUMENT, "configuration file"),
    (aws.NoRegionError(), Code.INVALID_ARGUMENT, "set region"),
    (aws.InvalidRegionError(region_name="hush"), Code.INVALID_ARGUMENT, "region"),
    (aws.ParamValidationError(report="hush"), Code.INVALID_ARGUMENT, "such a request"),
    (aws.EndpointProviderError(msg="hush"), Code.INVALID_ARGUMENT, "do not fit together"),
    (aws.HTTPClientError(error="hush"), Code.UNAVAILABLE, "cannot be reached"),
    (RuntimeError("hush"), Code.UNAUTHENTICATED, "expired on arrival"),
    (ConnectionResetError("hush"), Code.UNAVAILABLE, "cannot be reached"),
]


def said(code: str, status: int, *, operation: str = "PutObject", headers: dict[str, str] | None = None, **more: str) -> aws.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "hush\nhush", **more},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}},
    }
    return aws.ClientError(response, operation)


def checked(error: ProviderError, code: Code, words: str) -> None:
    assert error.code is code
    assert words in error.message and WHERE in error.message
    assert "\n" not in error.message and "hush" not in error.message


@pytest.mark.parametrize("code", SERVER_SAYS)
def test_a_server_s_code_is_one_of_ours_and_a_line(code: str) -> None:
    status, ours, words = SERVER_SAYS[code]
    error = refusal(WHERE, cause := said(code, status))
    checked(error, ours, words)
    assert error.__cause__ is cause and (code_of(error), status_of(error)) == (code, status)
    assert "\n" not in error.detail


@pytest.mark.parametrize("status", STATUSES)
def test_where_there_is_no_code_the_status_decides(status: int) -> None:
    checked(refusal(WHERE, said(str(status), status)), STATUSES[status], "")
    checked(refusal(WHERE, said("", status)), STATUSES[status], "")
    checked(refusal(WHERE, said("SomethingNew", status)), STATUSES[status], "")


def test_a_code_and_a_status_that_nobody_knows_are_named() -> None:
    error = refusal(WHERE, said("Odd\nCode", 418))
    checked(error, Code.INTERNAL, r"'Odd\nCode' (HTTP 418)")


@pytest.mark.parametrize(("cause", "code", "words"), LIBRARY_SAYS, ids=lambda value: type(value).__name__)
def test_an_error_of_the_library_is_a_line_without_what_it_quotes(cause: BaseException, code: Code, words: str) -> None:
    error = refusal(WHERE, cause)
    checked(error, code, words)
    assert error.__cause__ is cause and "hush" not in error.detail and (code_of(error), status_of(error)) == ("", 0)


def test_each_row_of_the_tables_is_among_these() -> None:
    assert {code for row in SERVER for code in row.codes} == set(SERVER_SAYS)
    assert {code for row in STATUS for code in row.codes} == {str(status) for status in STATUSES}
    assert {kind for kind, _, _ in LIBRARY if kind is not OSError} == {type(cause) for cause, _, _ in LIBRARY_SAYS} - {ConnectionResetError}


@pytest.mark.parametrize(("ahead", "words"), [(1000, "1000 s ahead of"), (-86_400, "86400 s behind")])
def test_a_clock_that_is_off_is_told_by_how_much(ahead: int, words: str) -> None:
    theirs = format_datetime(datetime.now(UTC) - timedelta(seconds=ahead), usegmt=True)
    message = refusal(WHERE, said("RequestTimeTooSkewed", 403, headers={"date": theirs})).message
    number, direction = words.split(" s ")
    assert any(f"{int(number) + off} s {direction} the server's" in message for off in (-1, 0, 1))


def test_a_clock_that_is_off_by_nobody_knows_how_much_is_named_all_the_same() -> None:
    for headers in ({}, {"date": "not a date"}):
        checked(refusal(WHERE, said("RequestTimeTooSkewed", 403, headers=headers)), Code.UNAVAILABLE, "set its clock")


def test_of_a_bucket_that_is_elsewhere_the_region_is_named() -> None:
    for code, status in (("PermanentRedirect", 301), ("301", 301), ("AuthorizationHeaderMalformed", 400)):
        error = refusal(WHERE, said(code, status, headers={"x-amz-bucket-region": "eu-west-1"}))
        checked(error, Code.PRECONDITION_FAILED, "set region to eu-west-1")
    checked(
        refusal(WHERE, said("AuthorizationHeaderMalformed", 400, Region="eu-south-2")), Code.PRECONDITION_FAILED, "set region to eu-south-2"
    )


@pytest.mark.parametrize("operation", ["AssumeRole", "AssumeRoleWithWebIdentity"])
def test_what_the_role_is_refused_for_is_said_of_the_role(operation: str) -> None:
    error = refusal(WHERE, said("AccessDenied", 403, operation=operation))
    assert error.code is Code.PERMISSION_DENIED and error.message.startswith("STS does not allow") and "sts_config" in error.message


def test_an_entry_of_a_larger_answer_is_refused_as_an_answer_is() -> None:
    checked(refusal(WHERE, of_entry({"Key": "a", "Code": "AccessDenied", "Message": "hush"})), Code.PERMISSION_DENIED, "does not allow")
    checked(refusal(WHERE, of_entry({"Key": "a"})), Code.INTERNAL, "answers ''")
