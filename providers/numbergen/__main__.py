"""Starts the numbergen: what a host runs."""

from provider_sdk import main
from providers.numbergen.provider import NumberGenProvider

main(NumberGenProvider)
