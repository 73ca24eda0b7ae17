"""Whole calls on 1.x (wrpc-1x.md §4.3): arguments, results and errors as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from provider_sdk.errors import Internal, NotFound, ProviderError, error_of, error_text
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.interface import Failure
from provider_sdk.types import U8, U64, Case
from tests.unit.wit_wire import Paths, codec_of


@dataclass
class NoSuchStore:
    pass


@dataclass
class AccessDenied:
    pass


class Other(Case[str]):
    pass


Trouble = NoSuchStore | AccessDenied | Other


def _trouble(error: ProviderError) -> NoSuchStore | Other:
    return NoSuchStore() if isinstance(error, NotFound) else Other(error.message)


def _error(trouble: Any) -> ProviderError:
    return Internal(trouble.value) if isinstance(trouble, Other) else NotFound("no such store")


@dataclass
class Keys:
    keys: list[str]
    cursor: U64 | None


@dataclass
class ObjectId:
    container: str
    name: str


@dataclass
class Info:
    created_at: U64
    size: U64


@dataclass
class Message:
    subject: str
    body: bytes
    reply_to: str | None = None


STORE = Failure(Trouble, _trouble, _error)
TEXT = Failure(str, error_text, error_of)

CALLS: list[tuple[tuple[Any, ...], tuple[Any, ...], str, Any, Failure, Any, str]] = [
    ((str, str), ("default", "counter"), "07 64656661756c74 07 636f756e746572", bytes | None, STORE, b"7", "00 01 01 37"),
    ((str, str), ("default", "counter"), "07 64656661756c74 07 636f756e746572", bytes | None, STORE, None, "00 00"),
    ((str, str, U64), ("default", "counter", 1), "07 64656661756c74 07 636f756e746572 01", U64, STORE, 42, "00 2a"),
    ((str, str, U64), ("default", "counter", 1), "07 64656661756c74 07 636f756e746572 01", U64, STORE, 300, "00 ac02"),
    ((str, U64 | None), ("", None), "00 00", Keys, STORE, Keys(["a", "b"], 17), "00 02 0161 0162 01 11"),
    (
        (str, list[str]),
        ("b", ["k1", "k2"]),
        "01 62 02 026b31 026b32",
        list[tuple[str, bytes] | None],
        STORE,
        [("k1", b"v"), None],
        "00 02 01 026b31 0176 00",
    ),
    ((str, list[tuple[str, bytes]]), ("b", [("k1", b"v")]), "01 62 01 026b31 0176", None, STORE, None, "00"),
    ((ObjectId,), (ObjectId("c", "o"),), "01 63 01 6f", Info, TEXT, Info(1700000000, 11), "00 80e2cfaa06 0b"),
    ((Message,), (Message("a.b", b"hi"),), "03 612e62 02 6869 00", None, TEXT, None, "00"),
]


@pytest.mark.parametrize(("annotations", "arguments", "asked", "result", "failure", "value", "answered"), CALLS)
def test_whole_calls(
    annotations: tuple[Any, ...], arguments: tuple[Any, ...], asked: str, result: Any, failure: Failure, value: Any, answered: str
) -> None:
    for era in Era:
        codec = codec_of(*annotations, result=result, failure=failure, era=era)
        assert codec.encode_arguments(arguments).data == bytes.fromhex(asked)
        assert codec.decode_arguments(bytes.fromhex(asked), Paths()) == arguments
        assert codec.encode_result(value).data == bytes.fromhex(answered)
        assert codec.decode_result(bytes.fromhex(answered), Paths()) == value


def test_an_error_is_a_value_of_the_operations_error_type_and_is_raised_again() -> None:
    codec = codec_of(result=bytes | None, failure=STORE)
    assert codec.encode_failure(NotFound("x")) == bytes.fromhex("01 00")
    assert codec.encode_failure(Internal("boom")) == bytes.fromhex("01 02 04 626f6f6d")
    with pytest.raises(NotFound, match="no such store"):
        codec.decode_result(b"\x01\x00", Paths())
    with pytest.raises(Internal, match="boom"):
        codec.decode_result(bytes.fromhex("01 02 04 626f6f6d"), Paths())


def test_a_text_for_an_error_carries_its_code() -> None:
    codec = codec_of(failure=TEXT)
    sent = codec.encode_failure(NotFound("no such key"))
    assert sent == b"\x01\x17no such key [not_found]"
    with pytest.raises(NotFound, match=r"^no such key$"):
        codec.decode_result(sent, Paths())


def test_without_an_error_type_an_error_has_no_bytes() -> None:
    assert codec_of(result=str).encode_failure(NotFound("x")) is None


def test_no_parameters_and_no_result_are_no_bytes() -> None:
    codec = codec_of()
    assert codec.encode_arguments(()).data == b""
    assert codec.decode_arguments(b"", Paths()) == ()
    assert codec.encode_result(None).data == b""
    assert codec.decode_result(b"", Paths()) is None


def test_bytes_behind_the_values_are_left_alone() -> None:
    assert codec_of(U8, result=U8).decode_arguments(b"\x07\x08", Paths()) == (7,)
    assert codec_of(U8, result=U8).decode_result(b"\x07\x08", Paths()) == 7


def test_an_answer_with_a_malformed_error_is_malformed() -> None:
    with pytest.raises(
        Internal, match=r"^the answer is malformed: result\.err: expected one of NoSuchStore, AccessDenied, Other, got number 9$"
    ):
        codec_of(failure=STORE).decode_result(b"\x01\x09", Paths())
