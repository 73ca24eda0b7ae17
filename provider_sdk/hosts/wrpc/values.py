"""Arguments and results as bytes (wrpc-1x.md §4), by codecs derived once from an interface's annotations.

Arguments stand one behind the other, without a count. The result of an operation with an error type is `result<T, E>`. Bytes after the
values are left alone, as the hosts leave them.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from provider_sdk.errors import Internal, InvalidArgument, ProviderError
from provider_sdk.hosts.wrpc.channels import Channels, Encoded, Pending
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.outgoing import discard_aside
from provider_sdk.hosts.wrpc.value_annotations import Derivation
from provider_sdk.hosts.wrpc.value_bytes import Fault, Incomplete, Place, Reader, Writer
from provider_sdk.hosts.wrpc.value_compounds import Row, part
from provider_sdk.hosts.wrpc.value_kinds import Kind
from provider_sdk.interface import Failure, Operation, kebab_case

__all__ = ["Incomplete", "OperationCodec", "operation_codec"]


def _sent_wrong(message: str) -> ProviderError:
    return Internal(f"the value to send is wrong: {message}")


def _answered_wrong(message: str) -> ProviderError:
    return Internal(f"the answer is malformed: {message}")


class OperationCodec:
    """How one operation's arguments, result and errors go over the wire.

    `parameter_paths` and `result_paths` are the index paths (§3.3) on which streams and futures come or go; those inside lists and
    streams cannot be told beforehand.
    """

    def __init__(self, arguments: Row, result: Kind, failure: tuple[Failure, Kind] | None, first: bool) -> None:
        self._arguments = arguments
        self._failure = failure
        inner = part(result, 0, "") if first and failure else result
        self._result = inner if first else part(inner, 0, "")
        self._asked = Place("", "", InvalidArgument)
        self._answered = Place("", "result", _answered_wrong)
        self._answering = Place("", "result", _sent_wrong)
        self.parameter_paths = arguments.paths()
        self.result_paths = self._result.paths()

    def encode_arguments(self, arguments: tuple[Any, ...]) -> Encoded:
        """A call out; InvalidArgument where an argument does not fit."""
        pending: list[Pending] = []
        writer = Writer(self._asked, pending)
        try:
            self._arguments.write_all(writer, arguments)
        except Fault as fault:
            discard_aside(pending)
            raise self._asked.error(fault) from None
        return Encoded(b"".join(writer), pending)

    def decode_arguments(self, data: bytes, channels: Channels) -> tuple[Any, ...]:
        """A call in; Incomplete where bytes are missing, InvalidArgument names the member that does not fit."""
        reader = Reader(data, self._asked)
        try:
            values = self._arguments.read_all(reader)
        except Fault as fault:
            raise self._asked.error(fault) from None
        if reader.waiting:
            _attach(reader, channels)
        return tuple(values)

    def encode_result(self, value: Any) -> Encoded:
        """An answer; Internal for a result of another type than declared."""
        pending: list[Pending] = []
        writer = Writer(self._answering, pending)
        if self._failure is not None:
            writer.append(b"\x00")
        try:
            self._result.write(writer, value)
        except Fault as fault:
            discard_aside(pending)
            raise self._answering.error(fault) from None
        return Encoded(b"".join(writer), pending)

    def encode_failure(self, error: ProviderError) -> bytes | None:
        """An answer that is an error; None where the operation has no type for it: the answer just ends (§3.2 rule 11)."""
        if self._failure is None:
            return None
        failure, kind = self._failure
        writer = Writer(self._answering, [])
        writer.append(b"\x01")
        try:
            kind.write(writer, failure.encode(error))
        except Fault as fault:
            raise self._answering.error(fault.within(".err")) from None
        return b"".join(writer)

    def decode_result(self, data: bytes, channels: Channels) -> Any:
        """The result of a call out, or its error, which is raised. Incomplete where bytes are missing, Internal for what does not fit."""
        reader = Reader(data, self._answered)
        try:
            if self._failure is not None and reader.choice():
                self._raise(reader, *self._failure)
            value = self._result.read(reader)
        except Fault as fault:
            raise self._answered.error(fault) from None
        if reader.waiting:
            _attach(reader, channels)
        return value

    def _raise(self, reader: Reader, failure: Failure, kind: Kind) -> None:
        try:
            value = kind.read(reader)
        except Fault as fault:
            raise fault.within(".err") from None
        raise failure.decode(value)


def _attach(reader: Reader, channels: Channels) -> None:
    for waiting in reader.waiting:
        waiting.attach(None, channels)


@cache
def operation_codec(operation: Operation, era: Era = Era.SECOND) -> OperationCodec:
    """The codec of an operation; TypeError names the parameter that cannot go over the wire."""
    kind = partial(_kind, operation, Derivation(era))
    members = [(kebab_case(item.name), kind(f"parameter {item.name}", item.annotation)) for item in operation.parameters]
    first = era is Era.FIRST
    # v1.0 gives a single parameter no index, as it gives none to the result.
    arguments = Row(members, numbered=not first or len(members) > 1)
    failure = None
    if operation.failure is not None:
        failure = operation.failure, kind("error", operation.failure.annotation)
        if failure[1].deferred:
            raise TypeError(f"{operation.interface.__name__}.{operation.method}, error: an error holds no streams or futures")
    return OperationCodec(arguments, kind("result", operation.result), failure, first)


def _kind(operation: Operation, derivation: Derivation, what: str, annotation: Any) -> Kind:
    try:
        return derivation.kind(annotation)
    except TypeError as error:
        raise TypeError(f"{operation.interface.__name__}.{operation.method}, {what}: {error}") from None
