"""The httpserver without the cost of signing: every call carries the token of the first, for the SDK has no setting that turns signing off.

The name is replaced inside this process, and the bench looks at the calls to see that it was.
"""

from __future__ import annotations

from collections.abc import Callable

from provider_sdk import main
from provider_sdk.hosts.wasmbus import client
from providers.httpserver.provider import HttpServerProvider

SIGNING = "sign_invocation_claims"


class SameToken:
    """Signs once, then gives the same bytes."""

    def __init__(self, sign: Callable[..., str]) -> None:
        self._sign = sign
        self._token = ""

    def __call__(self, *call: object) -> str:
        self._token = self._token or self._sign(*call)
        return self._token


if __name__ == "__main__":
    vars(client)[SIGNING] = SameToken(vars(client)[SIGNING])
    main(HttpServerProvider)
