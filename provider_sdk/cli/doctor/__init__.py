"""`provider doctor`: what is missing or wrong, each line with what to do. Each module here is a group of checks."""

from provider_sdk.cli.doctor.verb import doctor

__all__ = ["doctor"]
