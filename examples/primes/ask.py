"""Asks for random numbers, and does not care who answers: any target behind the numbergen interface.

provider dev up examples/primes/wadm-provider.yaml     in one terminal
python examples/primes/ask.py numbergen                in another: numbers from the provider
provider dev down                                      then the same with the actor:
provider dev up examples/primes/wadm-actor.yaml
python examples/primes/ask.py primes                   primes only
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from provider_sdk import ProviderError, Target
from provider_sdk.contracts.numbergen import NumberGen
from provider_sdk.lattice import attach


async def numbers(target: Target, count: int, low: int, high: int) -> list[int]:
    """`count` numbers from `low` to `high` that `target` gives."""
    generator = NumberGen.at(target)
    return [await generator.random_in_range(low, high) for _ in range(count)]


async def ask(name: str, count: int, low: int, high: int) -> list[int]:
    """The same of the provider or actor that is called `name` in the dev lattice of this folder."""
    async with attach() as lattice:
        return await numbers(await lattice.find(name, "wasmcloud:numbergen"), count, low, high)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Asks a provider or an actor for random numbers.")
    options.add_argument("target", help="name or public key: numbergen, primes")
    options.add_argument("--count", type=int, default=10)
    options.add_argument("--min", type=int, default=1)
    options.add_argument("--max", type=int, default=100)
    given = options.parse_args()
    try:
        print(*asyncio.run(ask(given.target, given.count, given.min, given.max)))
    except ProviderError as error:
        sys.exit(str(error))
