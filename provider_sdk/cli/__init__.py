"""The `provider` command."""
