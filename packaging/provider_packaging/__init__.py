"""From a folder to a signed provider archive in a registry, and down again: `provider package …`, documented in docs/packaging.md."""
