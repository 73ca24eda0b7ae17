"""Asks the greeter for a greeting, from a Python program.

provider dev up examples/greeter/wadm.yaml       in one terminal
python examples/greeter/caller.py Ada            in another, in the same folder
"""

from __future__ import annotations

import asyncio
import sys

from greeter import Greeter
from provider_sdk import ProviderError
from provider_sdk.lattice import attach


async def greet(name: str) -> str:
    """The greeting that the greeter of the dev lattice in this folder has for `name`."""
    async with attach() as lattice:
        return await Greeter.at(await lattice.find("greeter", "acme:greeter")).greet(name)


if __name__ == "__main__":
    try:
        print(asyncio.run(greet(sys.argv[1] if len(sys.argv) > 1 else "world")))
    except ProviderError as error:
        sys.exit(str(error))
