"""Starts the keyvalue: what a host runs."""

from provider_sdk import main
from providers.keyvalue.provider import KeyValueProvider

main(KeyValueProvider)
