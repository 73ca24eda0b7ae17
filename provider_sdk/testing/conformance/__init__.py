"""Suites that prove an implementation of a contract: subclass one in a test module, say what the store can, and run pytest.

They need pytest with pytest-asyncio in auto mode, and Hypothesis.
"""

import pytest

pytest.register_assert_rewrite(
    "provider_sdk.testing.conformance.blobstore",
    "provider_sdk.testing.conformance.keyvalue",
    "provider_sdk.testing.conformance.linearizability",
)
