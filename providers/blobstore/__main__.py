"""Starts the blobstore: what a host runs."""

from provider_sdk import main
from providers.blobstore.provider import BlobstoreProvider

main(BlobstoreProvider)
