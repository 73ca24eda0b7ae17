"""wrpc:http as bytes: the examples of wrpc-1x.md §4.3, and every case of its variants under its number (§5.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args

import pytest

from provider_sdk import ProviderError
from provider_sdk.contracts import wasi_http as http
from provider_sdk.contracts import wasi_http_errors as codes
from provider_sdk.contracts.wasi_http import IncomingHandler, NoTrailers, OutgoingHandler, Request, RequestOptions, Response
from provider_sdk.contracts.wasi_http_errors import ErrorCode, HttpFailure
from provider_sdk.errors import DeadlineExceeded, NotFound, ResourceExhausted, Unavailable
from provider_sdk.hosts.wrpc.channels import Channel
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.values import operation_codec
from provider_sdk.types import Case

(HANDLE,) = IncomingHandler.operations()
(SEND,) = OutgoingHandler.operations()
CODEC = operation_codec(HANDLE)


class Paths:
    """Channels on which nothing comes; `opened` are the paths."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, path: str) -> Channel:
        self.opened.append(path)
        return Nothing()


class Nothing:
    async def read(self) -> bytes:
        return b""

    def close(self) -> None:
        pass


async def hello() -> AsyncIterator[bytes]:
    yield b"hello"


def request(method: http.Method = http.Get()) -> Request:  # noqa: B008  # immutable
    headers = [("host", [b"localhost:8000"]), ("accept", [b"*/*"])]
    return Request(hello(), NoTrailers(), method, "/hi?x=1", http.Http(), "localhost:8000", headers)


def failure(error: ErrorCode) -> bytes:
    return CODEC.encode_failure(HttpFailure(error)) or b""


async def test_a_request_is_encoded_as_in_the_specification() -> None:
    encoded = CODEC.encode_arguments((request(),))
    expected = (
        "00 00 00 01 07 2f68693f783d31 01 00 01 0e 6c6f63616c686f73743a38303030 02"
        "04 686f7374 01 0e 6c6f63616c686f73743a38303030 06 616363657074 01 03 2a2f2a"
    )
    assert encoded.data == bytes.fromhex(expected)
    assert [item.path for item in encoded.pending] == ["0.0", "0.1"]
    body, trailers = [[piece async for piece in item.pieces(1000)] for item in encoded.pending]
    assert (b"".join(body), b"".join(trailers)) == (b"\x05hello\x00", b"\x00")


async def test_v1_0_has_other_paths_for_parameters_and_the_same_for_results() -> None:
    codec = operation_codec(HANDLE, Era.FIRST)
    assert [item.path for item in codec.encode_arguments((request(),)).pending] == ["0", "1"]
    paths = Paths()
    codec.decode_result(bytes.fromhex("00 00 00 c801 00"), paths)
    assert paths.opened == ["0.0", "0.1"]


async def test_a_response_is_read_as_in_the_specification() -> None:
    paths = Paths()
    given = bytes.fromhex("00 00 00 c801 01 0c 636f6e74656e742d74797065 01 0a 746578742f706c61696e")
    response: Response = CODEC.decode_result(given, paths)
    assert (response.status, response.headers) == (200, [("content-type", [b"text/plain"])])
    assert paths.opened == ["0.0", "0.1"]


def test_pieces_are_encoded_as_in_the_specification() -> None:
    assert CODEC.encode_arguments((request(http.Other("PURGE")),)).data[2:9] == bytes.fromhex("09 05 5055524745")
    assert failure(codes.ConnectionRefused()) == bytes.fromhex("01 06")
    assert failure(codes.InternalError("boom")) == bytes.fromhex("01 26 01 04 626f6f6d")
    options = RequestOptions(10_000_000_000, 10_000_000_000, 10_000_000_000)
    sent = operation_codec(SEND).encode_arguments((request(), options)).data
    assert sent.endswith(bytes.fromhex("01 01 80c8afa025 01 80c8afa025 01 80c8afa025"))
    assert operation_codec(SEND).encode_arguments((request(), None)).data.endswith(b"*/*\x00")


@pytest.mark.parametrize("number", range(39))
def test_every_error_code_goes_over_under_its_number_and_comes_back(number: int) -> None:
    case = get_args(ErrorCode)[number]
    value = case(codes.FieldSize("cookie", 7)) if "Header" in case.__name__ and "Section" not in case.__name__ else None
    if value is None and issubclass(case, Case):
        value = case(codes.FieldSize()) if case.__name__.endswith("TrailerSize") else case(None)
    error: ErrorCode = value or case()
    data = failure(error)
    assert data[:2] == bytes([1, number])
    with pytest.raises(HttpFailure) as caught:
        CODEC.decode_result(data, Paths())
    assert caught.value.error == error


def test_the_error_codes_are_those_of_wasi_http_in_their_order() -> None:
    named = {0: codes.DnsTimeout, 6: codes.ConnectionRefused, 14: codes.TlsAlertReceived, 17: codes.HttpRequestBodySize}
    named |= {24: codes.HttpRequestTrailerSize, 28: codes.HttpResponseBodySize, 33: codes.HttpResponseTimeout, 38: codes.InternalError}
    assert {number: get_args(ErrorCode)[number] for number in named} == named
    assert failure(codes.DnsError("x", 3)) == bytes.fromhex("01 01 01 01 78 01 03")
    assert failure(codes.HttpRequestHeaderSize(None)) == bytes.fromhex("01 16 00")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeadlineExceeded("late"), codes.HttpResponseTimeout()),
        (Unavailable("gone"), codes.DestinationUnavailable()),
        (ResourceExhausted("full"), codes.ConnectionLimitReached()),
        (NotFound("no such page"), codes.InternalError("no such page")),
    ],
)
def test_other_errors_of_an_implementation_become_codes(error: ProviderError, code: ErrorCode) -> None:
    with pytest.raises(HttpFailure) as caught:
        CODEC.decode_result(CODEC.encode_failure(error) or b"", Paths())
    assert caught.value.error == code


def test_methods_are_known_by_their_names() -> None:
    for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PURGE", "get"):
        assert http.method_name(http.method_of(name)) == name
    assert [get_args(http.Method).index(type(http.method_of(name))) for name in ("GET", "DELETE", "PATCH", "PURGE")] == [0, 4, 8, 9]
