"""One connection with its prepared statements."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no annotations

from provider_sdk import PermissionDenied, ProviderError
from providers.keyvalue.backends.postgres.address import Address
from providers.keyvalue.backends.postgres.errors import not_connected, said, sqlstate
from providers.keyvalue.backends.postgres.schema import ensure

STATEMENT_LIMIT = 30.0
SCHEMA_LIMIT = 10.0
SESSION = {
    # Functions of ours may not find somebody else's of the same name.
    "search_path": "pg_catalog",
    "default_transaction_isolation": "read committed",
    "statement_timeout": str(round(STATEMENT_LIMIT * 1000)),
    # A plan that was made while the tables were empty must not read them from end to end later.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


class Connection:
    """Carries out one statement at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._statements: dict[str, Any] = {}

    @classmethod
    async def open(cls, address: Address, limit: float) -> Connection:
        """Connect within `limit` seconds, and see to the schema; a ProviderError that says in a line what is wrong."""
        tls = await asyncio.to_thread(address.tls)
        try:
            made = await asyncpg.connect(
                host=[host for host, _ in address.hosts],
                port=[port for _, port in address.hosts],
                user=address.user,
                password=address.password.reveal() if address.password else None,
                database=address.database,
                ssl=tls,
                timeout=limit,
                target_session_attrs=address.session,
                server_settings=SESSION | {"application_name": address.application},
            )
        except Exception as error:  # a server that is none makes asyncpg raise anything
            raise not_connected(str(address), error) from error
        try:
            async with asyncio.timeout(SCHEMA_LIMIT):
                await ensure(made, address.schema)
        except BaseException as error:
            made.terminate()
            if isinstance(error, Exception):
                raise _no_schema(address, error) from error
            raise
        return cls(made)

    @property
    def closed(self) -> bool:
        """Whether it can carry out nothing any more."""
        return bool(self._connection.is_closed())

    async def prepare(self, text: str) -> Any:
        """The statement, prepared on the server: `fetch(*arguments)` carries it out in one round trip."""
        statement = self._statements.get(text)
        if statement is None:
            statement = self._statements[text] = await self._connection.prepare(text)
        return statement

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with what anybody sends to the channel."""
        await self._connection.add_listener(channel, lambda connection, process, name, payload: heard(payload))

    def drop(self) -> None:
        """Close it without a word; who waits for an answer gets an error."""
        self._connection.terminate()

    async def close(self, limit: float) -> None:
        """Close it properly within `limit` seconds, else without a word."""
        try:
            await self._connection.close(timeout=limit)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.drop()


def _no_schema(address: Address, error: Exception) -> ProviderError:
    if isinstance(error, ProviderError):
        return ProviderError.of(error.code, f"PostgreSQL at {address}: {error}")
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return PermissionDenied(
            f"PostgreSQL at {address}: {said(error)} [{sqlstate(error)}]: the role needs CREATE on the database, to make the schema "
            f"{address.schema}, or all rights on that schema and what is in it"
        )
    return not_connected(str(address), error)
