"""The standard pack: providers that replace the official ones."""
