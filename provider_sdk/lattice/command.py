"""The JSON body of a command to a host's control interface."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from provider_sdk.errors import InvalidArgument


def read_body(data: bytes) -> Mapping[str, Any]:
    """The object in a request; empty for an empty one. InvalidArgument."""
    if not data:
        return {}
    try:
        body = json.loads(data)
    except ValueError as error:
        raise InvalidArgument(f"the request is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidArgument("the request is not a JSON object")
    return body


def read_text(body: Mapping[str, Any], name: str) -> str:
    """A member that is a string; InvalidArgument."""
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidArgument(f"{name}: expected a string")
    return value
