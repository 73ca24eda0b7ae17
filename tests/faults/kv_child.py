"""A process with an embedded store, to be killed and ill-treated.

`kv_child.py FILE DURABILITY write NAME`: eight callers count; each prints a line when four writes of a number are acknowledged.
`kv_child.py FILE DURABILITY ask`: does what each line of standard input says, all its calls at once, and prints the outcomes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from provider_sdk import ProviderError
from providers.keyvalue.backend import Backend, Store
from providers.keyvalue.backends.sqlite import open_store
from providers.keyvalue.config import KeyValueConfig

WRITERS = 8
PARTS = 5


async def write(backend: Backend, name: str) -> None:
    async def writer(number: int) -> None:
        key = f"{name} {number}"
        for count in itertools.count(1):
            await backend.set(f"text {key}".encode(), b"%d" % count, 0)
            await backend.increment(f"counter {key}".encode(), 1)
            await backend.list_add(f"list {key}".encode(), b"%d" % count, 1 << 30)
            await backend.set_many({f"part {part} {key}".encode(): b"%d" % count for part in range(PARTS)})
            # One write to a pipe, so that a line is there whole or not at all.
            os.write(1, f"{key} {count}\n".encode())

    await asyncio.gather(*(writer(number) for number in range(WRITERS)))


async def outcome(store: Store, call: list[Any]) -> dict[str, Any]:
    operation, *arguments = call
    try:
        if operation == "trouble":
            return {"result": await store.trouble()}
        if operation == "limit":
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (arguments[0] or hard, hard))
            return {"result": None}
        values = [argument.encode() if isinstance(argument, str) else argument for argument in arguments]
        result = await getattr(store.namespace(""), operation)(*values)
        return {"result": result.decode() if isinstance(result, bytes) else result}
    except ProviderError as error:
        return {"error": type(error).__name__, "message": str(error), "cause": type(error.__cause__).__name__}


async def ask(store: Store) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        outcomes = await asyncio.gather(*(outcome(store, call) for call in json.loads(line)))
        print(json.dumps(outcomes), flush=True)
    await store.close()


async def main() -> None:
    path = Path(sys.argv[1])
    store = open_store(KeyValueConfig(path=path, durability=sys.argv[2]), path.parent)
    await (write(store.namespace(""), sys.argv[4]) if sys.argv[3] == "write" else ask(store))


if __name__ == "__main__":
    asyncio.run(main())
