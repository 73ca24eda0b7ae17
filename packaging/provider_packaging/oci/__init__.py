"""Registries of the OCI distribution protocol: references, credentials, transfer of provider archives (packaging.md §2)."""
