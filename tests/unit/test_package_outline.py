"""What a provider says of itself: an argument for each operation, which goes over the wire as it stands."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from enum import Enum

import msgpack
import pytest

from provider_sdk import Config, Interface, setting
from provider_sdk.contracts.blobstore import Blobstore
from provider_sdk.contracts.httpserver import HttpServer
from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.contracts.numbergen import NumberGen
from provider_sdk.hosts.wasmbus.outline import outline
from provider_sdk.hosts.wasmbus.values import operation_codec
from provider_sdk.types import U8, U32, Case


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Count(Case[U32]): ...


@dataclass
class Nothing: ...


@dataclass
class Tree:
    user_name: str
    weight: float
    leaves: list[Tree]
    size: Size = Size.SMALL
    note: str | None = None
    named: dict[str, U8] = field(default_factory=dict)


class Everything(Interface, contract="acme:everything", wit="acme:everything/all@1.0.0"):
    @abstractmethod
    async def nothing(self) -> None: ...

    @abstractmethod
    async def one(self, tree: Tree) -> str: ...

    @abstractmethod
    async def several(self, low: U8, high_max: U8, data: bytes, size: Size, sure: bool, either: Count | Nothing) -> None: ...

    @abstractmethod
    async def rows(self, pairs: list[tuple[str, U32]], table: dict[str, Tree], maybe: str | None, more: str = "") -> None: ...


class Settings(Config):
    word: str = setting("Hello", doc="A word.")


def test_it_names_contracts_operations_and_settings() -> None:
    found = outline((Everything,), Settings)
    (interface,) = found["interfaces"]
    assert (interface["contract"], interface["wit"]) == ("acme:everything", "acme:everything/all@1.0.0")
    assert [item["operation"] for item in interface["operations"]] == [
        f"Everything.{name}" for name in ("Nothing", "One", "Several", "Rows")
    ]
    assert "argument" not in interface["operations"][0]
    assert interface["operations"][1]["argument"] == {
        "userName": "Ada",
        "weight": 1.5,
        "leaves": [{"userName": "Ada", "weight": 1.5, "leaves": []}],
    }
    assert found["settings"]["word"]["default"] == "Hello"


@pytest.mark.parametrize("interface", [Everything, Blobstore, HttpServer, KeyValue, NumberGen])
def test_every_example_is_an_argument_that_the_operation_takes(interface: type[Interface]) -> None:
    (said,) = outline((interface,), Settings)["interfaces"]
    for operation, told in zip(interface.operations(), said["operations"], strict=True):
        payload = msgpack.packb(told["argument"]) if "argument" in told else b""
        arguments, _ = operation_codec(operation).decode_arguments(payload)
        assert len(arguments) == len(operation.parameters), told
