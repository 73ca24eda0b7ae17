"""A store in PostgreSQL (11 or newer), which several providers may share: asyncpg, one schema made and kept by the provider.

    postgres://user:password@host:port/database?sslmode=verify-full&schema=keyvalue

The schema is `keyvalue`, or the one that the url names. How much of what is acknowledged survives a power cut is what the server is set to.
A pooler between must keep sessions: prepared statements and settings of the session are used (not pgbouncer in transaction mode).
"""

from providers.keyvalue.backends.postgres.store import open_store, store_key

__all__ = ["open_store", "store_key"]
