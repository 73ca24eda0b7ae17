"""`provider package …`. Each module here adds its verbs to `app`; what it does lives in the package, and is imported when a verb runs."""

from provider_packaging.cli import archives, build, floor, keys, registry
from provider_packaging.cli.app import app

__all__ = ["app", "archives", "build", "floor", "keys", "registry"]
