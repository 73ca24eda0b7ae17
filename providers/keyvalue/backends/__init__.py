"""The backends of the keyvalue, one a file: `open_store` of each is called with its settings."""
