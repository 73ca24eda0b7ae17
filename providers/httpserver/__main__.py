"""Starts the httpserver: what a host runs."""

from provider_sdk import main
from providers.httpserver.provider import HttpServerProvider

main(HttpServerProvider)
