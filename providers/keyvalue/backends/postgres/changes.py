"""Changes of a namespace as the server tells them: a trigger notifies while somebody watches, on a connection that only listens."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import NoReturn

from provider_sdk import Unavailable
from providers.keyvalue.backends.postgres.address import Address
from providers.keyvalue.backends.postgres.connection import Connection
from providers.keyvalue.backends.postgres.errors import failed
from providers.keyvalue.backends.postgres.schema import LONGEST_ID
from providers.keyvalue.backends.postgres.statements import Statements
from providers.keyvalue.changes import Change, Tell

RENEW_EVERY, WATCHED_FOR = 2.0, 15.0
ANSWER, CLOSE_LIMIT = 5.0, 0.2


async def follow(
    address: Address, connect_timeout: float, statements: Statements, name: bytes, tell: Tell, ready: Callable[[], None]
) -> NoReturn:
    """Tell of changes of the namespace: of keys of up to 1000 bytes, by which they are known. Unavailable when the connection ends."""

    def heard(payload: str) -> None:
        change, space, key = payload.split(" ")
        identifier = bytes.fromhex(key)
        if bytes.fromhex(space) == name and len(identifier) <= LONGEST_ID:
            tell(Change(change), identifier)

    connection = await Connection.open(address, connect_timeout)
    owner = os.urandom(8)
    try:
        await connection.listen(address.schema, heard)
        await _answer(connection, address, statements.watch, owner, name, WATCHED_FOR)
        ready()
        while True:
            await asyncio.sleep(RENEW_EVERY)
            if not await _answer(connection, address, statements.renew, owner, WATCHED_FOR):
                raise Unavailable(f"PostgreSQL at {address} did not tell of changes for a time")
    finally:
        await connection.close(CLOSE_LIMIT)


async def _answer(connection: Connection, address: Address, text: str, *arguments: object) -> list[object]:
    try:
        async with asyncio.timeout(ANSWER):
            statement = await connection.prepare(text)
            rows: list[object] = await statement.fetch(*arguments)
            return rows
    except TimeoutError:
        raise Unavailable(f"PostgreSQL at {address} did not answer in time") from None
    except Exception as error:  # asyncpg raises anything once a connection is gone
        raise failed(str(address), error, "") from error
