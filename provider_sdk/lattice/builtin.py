"""The two contracts that 0.x hosts answer themselves (wasmbus-0x.md §8.3, §8.4)."""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Callable
from typing import Any

import msgpack

from provider_sdk.errors import InvalidArgument, Unsupported

NUMBERGEN = "wasmcloud:builtin:numbergen"
LOGGING = "wasmcloud:builtin:logging"
CONTRACTS = frozenset({NUMBERGEN, LOGGING})

_LEVELS = {"trace": 5, "debug": 10, "info": 20, "warn": 30, "error": 40, "critical": 50}
_HIGHEST_U32 = (1 << 32) - 1


def answer(contract: str, operation: str, payload: bytes, actor: str) -> bytes:
    """The result's bytes of a built-in operation asked by `actor` (a name for the log). InvalidArgument, Unsupported."""
    handler = _OPERATIONS.get((contract, operation))
    if handler is None:
        raise Unsupported(f"method not handled {operation}")
    try:
        argument = msgpack.unpackb(payload) if payload else None
    except ValueError as error:
        raise InvalidArgument(f"{operation}: the argument is not msgpack: {error}") from None
    return handler(argument, actor)


def _guid(argument: Any, actor: str) -> bytes:
    return _pack(str(uuid.uuid4()))


def _random(argument: Any, actor: str) -> bytes:
    return _pack(secrets.randbelow(_HIGHEST_U32 + 1))


def _in_range(argument: Any, actor: str) -> bytes:
    lowest, highest = _u32(argument, "min"), _u32(argument, "max")
    if lowest > highest:
        raise InvalidArgument(f"NumberGen.RandomInRange: min {lowest} is above max {highest}")
    return _pack(lowest + secrets.randbelow(highest - lowest + 1))


def _write_log(argument: Any, actor: str) -> bytes:
    level, text = (argument.get(name) for name in ("level", "text")) if isinstance(argument, dict) else (None, None)
    if level not in _LEVELS:
        raise InvalidArgument(f"unsupported log level {level!r}")
    logging.getLogger("lattice.actor").log(_LEVELS[level], "[%s] %s", actor, text)
    return b""


def _u32(argument: Any, name: str) -> int:
    value = argument.get(name) if isinstance(argument, dict) else None
    if type(value) is not int or not 0 <= value <= _HIGHEST_U32:
        raise InvalidArgument(f"NumberGen.RandomInRange: {name}: expected 0 to {_HIGHEST_U32}, got {value!r}")
    return value


def _pack(value: Any) -> bytes:
    data: bytes = msgpack.packb(value)
    return data


_OPERATIONS: dict[tuple[str, str], Callable[[Any, str], bytes]] = {
    (NUMBERGEN, "NumberGen.GenerateGuid"): _guid,
    (NUMBERGEN, "NumberGen.Random32"): _random,
    (NUMBERGEN, "NumberGen.RandomInRange"): _in_range,
    (LOGGING, "Logging.WriteLog"): _write_log,
}
