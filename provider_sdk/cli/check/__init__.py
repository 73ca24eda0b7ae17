"""`provider dev check`: what a manifest comes to here, with nothing started.

A manifest is read (lattice/manifests.py). Its providers become `Subject`s, which are the same for both generations (subjects.py).
The program of each is asked what it serves and what it makes of its settings (cli/outline.py). What that shows are findings (look.py).
"""

from provider_sdk.cli.check.look import look

__all__ = ["look"]
