"""What a link lets its callers write: names and values as bytes, within its settings."""

from __future__ import annotations

from provider_sdk import InvalidArgument, ResourceExhausted
from providers.keyvalue.backend import shown
from providers.keyvalue.config import KeyValueConfig


class Limits:
    """The sizes that one link allows. ResourceExhausted, which names the setting, for what exceeds one."""

    def __init__(self, config: KeyValueConfig) -> None:
        self._config = config

    def key(self, text: str) -> bytes:
        """A key as it is stored."""
        key = encoded(text)
        if len(key) > self._config.max_key_size:
            raise ResourceExhausted(
                f"the key {shown(key)} has {len(key)} bytes, and max_key_size is {self._config.max_key_size}", retryable=False
            )
        return key

    def value(self, key: bytes, value: bytes) -> bytes:
        """A value for the key, if it is not too long."""
        if len(value) > self._config.max_value_size:
            most = self._config.max_value_size
            raise ResourceExhausted(
                f"a value for the key {shown(key)} has {len(value)} bytes, and max_value_size is {most}", retryable=False
            )
        return value

    def sets(self, names: list[str]) -> list[bytes]:
        """The keys of sets that one operation names."""
        if len(names) > self._config.max_sets:
            raise ResourceExhausted(f"{len(names)} sets are named, and max_sets is {self._config.max_sets}", retryable=False)
        return [self.key(name) for name in names]

    def batch(self, count: int) -> None:
        """See whether so many keys may be named at once."""
        if count > self._config.max_batch:
            raise ResourceExhausted(f"{count} keys are named, and max_batch is {self._config.max_batch}", retryable=False)


def encoded(text: str) -> bytes:
    """UTF-8; InvalidArgument for what is no Unicode text."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{text[:80]!a} is no text: half of a pair at {error.start}") from None
