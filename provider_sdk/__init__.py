"""Write wasmCloud capability providers in Python. This is the public surface; what is not named here may change."""

import provider_sdk.runtime.parent  # noqa: F401 # first: see there
from provider_sdk.config import Config, Layer, Secret, setting
from provider_sdk.context import Context
from provider_sdk.errors import (
    AlreadyExists,
    Code,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from provider_sdk.interface import Interface, Lattice, Target, fails, operation
from provider_sdk.link import Link, LinkKey, Role
from provider_sdk.main import main
from provider_sdk.provider import Provider
from provider_sdk.shared import Shared

__all__ = [
    "AlreadyExists",
    "Code",
    "Config",
    "Context",
    "DeadlineExceeded",
    "Interface",
    "Internal",
    "InvalidArgument",
    "Lattice",
    "Layer",
    "Link",
    "LinkKey",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "PreconditionFailed",
    "Provider",
    "ProviderError",
    "ResourceExhausted",
    "Role",
    "Secret",
    "Shared",
    "Target",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "fails",
    "main",
    "operation",
    "setting",
]
