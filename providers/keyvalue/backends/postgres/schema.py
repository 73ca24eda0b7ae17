"""The tables and functions in the database, made and brought up to date by whoever comes first.

`keys` alone says what exists: a list or set is the number of a collection there, and whoever changes one holds its row. A collection that
no row names any more is left in `garbage` and removed piece by piece. Names are bytes; a key of more than 1000 is known by its first 1000
and its SHA-256, because an index holds no longer ones.
"""

from __future__ import annotations

from typing import Any

from provider_sdk import PreconditionFailed

TEXT, LIST, SET = 1, 2, 3
FULL = -4
LONGEST_ID = 1000
"""Bytes of a key that are its id."""

FIRST = """
CREATE SEQUENCE {schema}.collections;
CREATE TABLE {schema}.keys (
    namespace bytea NOT NULL,
    key bytea NOT NULL,
    whole bytea,
    kind smallint NOT NULL,
    value bytea,
    collection bigint,
    members bigint NOT NULL DEFAULT 0,
    tail bigint NOT NULL DEFAULT 0,
    expires timestamptz,
    PRIMARY KEY (namespace, key)
);
CREATE INDEX keys_expires ON {schema}.keys (expires) WHERE expires IS NOT NULL;
CREATE TABLE {schema}.items (collection bigint, position bigint, value bytea NOT NULL, PRIMARY KEY (collection, position));
CREATE TABLE {schema}.members (collection bigint, digest bytea, value bytea NOT NULL, PRIMARY KEY (collection, digest));
CREATE TABLE {schema}.garbage (collection bigint PRIMARY KEY);

CREATE FUNCTION {schema}.leave() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.garbage VALUES (OLD.collection);
    RETURN NULL;
END $$;
CREATE TRIGGER replaced AFTER UPDATE ON {schema}.keys FOR EACH ROW
    WHEN (OLD.collection IS NOT NULL AND OLD.collection IS DISTINCT FROM NEW.collection) EXECUTE FUNCTION {schema}.leave();
CREATE TRIGGER removed AFTER DELETE ON {schema}.keys FOR EACH ROW
    WHEN (OLD.collection IS NOT NULL) EXECUTE FUNCTION {schema}.leave();

-- A counter's text after adding; NULL where it is none, or the sum has more than 32 bits.
CREATE FUNCTION {schema}.total(value bytea, delta bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(value) <= 20 AND encode(value, 'escape') ~ '^(0|-?[1-9][0-9]*)$' THEN
        CASE WHEN encode(value, 'escape')::numeric + delta BETWEEN -2147483648 AND 2147483647 THEN
            (encode(value, 'escape')::numeric + delta)::text::bytea
        END
    END
$$;

-- The row of a key, locked; where there is none or its time is over, an empty one of the wanted kind.
CREATE FUNCTION {schema}.claim(space bytea, name bytea, full_name bytea, wanted smallint) RETURNS {schema}.keys LANGUAGE plpgsql AS $$
DECLARE
    held {schema}.keys;
BEGIN
    LOOP
        SELECT * INTO held FROM {schema}.keys WHERE namespace = space AND key = name FOR NO KEY UPDATE;
        IF FOUND AND held.expires <= now() THEN
            UPDATE {schema}.keys
            SET kind = wanted, value = NULL, collection = nextval('{schema}.collections'), members = 0, tail = 0, expires = NULL
            WHERE namespace = space AND key = name RETURNING * INTO held;
        ELSIF NOT FOUND THEN
            INSERT INTO {schema}.keys (namespace, key, whole, kind, collection)
            VALUES (space, name, full_name, wanted, nextval('{schema}.collections')) ON CONFLICT DO NOTHING RETURNING * INTO held;
        END IF;
        IF FOUND THEN
            RETURN held;
        END IF;
    END LOOP;
END $$;

-- The functions below answer with a count, or: -1, -2, -3: another kind is there; -4: it is full.
CREATE FUNCTION {schema}.list_add(space bytea, name bytea, full_name bytea, item bytea, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    held {schema}.keys := {schema}.claim(space, name, full_name, 2::smallint);
BEGIN
    IF held.kind <> 2 THEN
        RETURN -held.kind;
    ELSIF held.members >= most THEN
        RETURN -4;
    END IF;
    UPDATE {schema}.keys SET members = members + 1, tail = tail + 1 WHERE namespace = space AND key = name;
    INSERT INTO {schema}.items VALUES (held.collection, held.tail + 1, item);
    RETURN held.members + 1;
END $$;

CREATE FUNCTION {schema}.set_add(space bytea, name bytea, full_name bytea, item bytea, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    held {schema}.keys := {schema}.claim(space, name, full_name, 3::smallint);
BEGIN
    IF held.kind <> 3 THEN
        RETURN -held.kind;
    ELSIF EXISTS (SELECT FROM {schema}.members WHERE collection = held.collection AND digest = sha256(item)) THEN
        RETURN 0;
    ELSIF held.members >= most THEN
        RETURN -4;
    END IF;
    INSERT INTO {schema}.members VALUES (held.collection, sha256(item), item);
    UPDATE {schema}.keys SET members = members + 1 WHERE namespace = space AND key = name;
    RETURN 1;
END $$;

-- From a list the first equal item, from a set the member.
CREATE FUNCTION {schema}.take(space bytea, name bytea, item bytea, wanted smallint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    held {schema}.keys;
BEGIN
    SELECT * INTO held FROM {schema}.keys
    WHERE namespace = space AND key = name AND (expires IS NULL OR expires > now()) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    ELSIF held.kind <> wanted THEN
        RETURN -held.kind;
    ELSIF wanted = 2 THEN
        DELETE FROM {schema}.items WHERE collection = held.collection AND position = (
            SELECT position FROM {schema}.items WHERE collection = held.collection AND value = item ORDER BY position LIMIT 1);
    ELSE
        DELETE FROM {schema}.members WHERE collection = held.collection AND digest = sha256(item);
    END IF;
    IF NOT FOUND THEN
        RETURN 0;
    ELSIF held.members = 1 THEN
        DELETE FROM {schema}.keys WHERE namespace = space AND key = name;
    ELSE
        UPDATE {schema}.keys SET members = members - 1 WHERE namespace = space AND key = name;
    END IF;
    RETURN 1;
END $$;

CREATE FUNCTION {schema}.put(space bytea, name bytea, full_name bytea, what smallint, things bytea[], ends timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
    many bigint := cardinality(things);
BEGIN
    IF many = 0 THEN
        DELETE FROM {schema}.keys WHERE namespace = space AND key = name;
        RETURN;
    ELSIF what <> 1 THEN
        made := nextval('{schema}.collections');
    END IF;
    INSERT INTO {schema}.keys AS k (namespace, key, whole, kind, value, collection, members, tail, expires)
    VALUES (space, name, full_name, what, CASE WHEN what = 1 THEN things[1] END, made, many, many, ends)
    ON CONFLICT (namespace, key) DO UPDATE SET kind = excluded.kind, value = excluded.value, collection = excluded.collection,
        members = excluded.members, tail = excluded.tail, expires = excluded.expires;
    IF what = 2 THEN
        INSERT INTO {schema}.items SELECT made, number, thing FROM unnest(things) WITH ORDINALITY AS given (thing, number);
    ELSIF what = 3 THEN
        INSERT INTO {schema}.members SELECT made, sha256(thing), thing FROM unnest(things) AS given (thing);
    END IF;
END $$;

-- Removes up to `most` rows that nobody can see any more, unless another session is at it; how many it were.
CREATE FUNCTION {schema}.purge(most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    done bigint;
    more bigint;
    left_over bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('wasmcloud keyvalue purge {name}', 0)) THEN
        RETURN 0;
    END IF;
    DELETE FROM {schema}.keys WHERE expires <= now() AND ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.keys WHERE expires <= now() ORDER BY expires LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS done = ROW_COUNT;
    FOR left_over IN SELECT collection FROM {schema}.garbage LOOP
        EXIT WHEN done >= most;
        DELETE FROM {schema}.items WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {schema}.items WHERE collection = left_over LIMIT most - done));
        GET DIAGNOSTICS more = ROW_COUNT;
        done := done + more;
        DELETE FROM {schema}.members WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {schema}.members WHERE collection = left_over LIMIT most - done));
        GET DIAGNOSTICS more = ROW_COUNT;
        done := done + more;
        IF done < most THEN
            DELETE FROM {schema}.garbage WHERE collection = left_over;
            done := done + 1;
        END IF;
    END LOOP;
    RETURN done;
END $$;
"""

# Keys have numbers in the order in which they were made, to be listed by; counters have the bounds of whoever counts.
SECOND = """
CREATE SEQUENCE {schema}.numbers;
ALTER TABLE {schema}.keys ADD COLUMN number bigint NOT NULL DEFAULT nextval('{schema}.numbers');
CREATE INDEX keys_listing ON {schema}.keys (namespace, number);

DROP FUNCTION {schema}.total(bytea, bigint);
-- A counter's text after adding; NULL where it is none, or the sum is out of bounds.
CREATE FUNCTION {schema}.total(value bytea, delta bigint, lowest bigint, highest bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(value) <= 20 AND encode(value, 'escape') ~ '^(0|-?[1-9][0-9]*)$' THEN
        CASE WHEN encode(value, 'escape')::numeric + delta BETWEEN lowest AND highest THEN
            (encode(value, 'escape')::numeric + delta)::text::bytea
        END
    END
$$;

-- Who watches which namespace, and until when unless he says so again.
CREATE TABLE {schema}.watches (owner bytea PRIMARY KEY, namespace bytea NOT NULL, ends timestamptz NOT NULL);
CREATE FUNCTION {schema}.tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    gone boolean := TG_OP = 'DELETE';
    held {schema}.keys;
BEGIN
    IF gone THEN
        held := OLD;
    ELSE
        held := NEW;
    END IF;
    IF (gone OR held.kind = 1) AND EXISTS (SELECT FROM {schema}.watches w WHERE w.namespace = held.namespace AND w.ends > now()) THEN
        PERFORM pg_notify('{name}', CASE WHEN gone THEN 'DEL' ELSE 'SET' END
            || ' ' || encode(held.namespace, 'hex') || ' ' || encode(held.key, 'hex'));
    END IF;
    RETURN NULL;
END $$;
-- Switched on by whoever watches first: until then a write costs nothing more.
CREATE TRIGGER told AFTER INSERT OR UPDATE OR DELETE ON {schema}.keys FOR EACH ROW EXECUTE FUNCTION {schema}.tell();
ALTER TABLE {schema}.keys DISABLE TRIGGER told;

CREATE FUNCTION {schema}.watch(who bytea, space bytea, seconds float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = '{schema}.keys'::regclass AND tgname = 'told' AND tgenabled = 'D') THEN
        ALTER TABLE {schema}.keys ENABLE TRIGGER told;
    END IF;
    DELETE FROM {schema}.watches WHERE ends <= now();
    INSERT INTO {schema}.watches VALUES (who, space, now() + seconds * interval '1 second');
END $$;
"""

STEPS = (FIRST, SECOND)
"""What leads from each version to the next; a step that was published is never changed."""
VERSION = len(STEPS)


async def ensure(connection: Any, name: str) -> None:
    """Make the schema, or bring it up to date; PreconditionFailed where it is newer than we are, or somebody else's."""
    if await _version(connection, name) == VERSION:
        return
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock(hashtextextended('wasmcloud keyvalue schema {name}', 0))")
        version = await _version(connection, name)
        if version > VERSION:
            raise PreconditionFailed(
                f"the schema {name} is of version {version}, and this provider knows {VERSION}: it was made by a newer provider; "
                "run that one, or name another with ?schema= in the url"
            )
        if not await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", name):
            await connection.execute(f'CREATE SCHEMA "{name}"')
        if not version:
            if await connection.fetchval("SELECT count(*) FROM pg_class WHERE relnamespace = $1::regnamespace", name):
                raise PreconditionFailed(f"the schema {name} holds something else's tables: name another with ?schema= in the url")
            await connection.execute(f'CREATE TABLE "{name}".version (version integer NOT NULL); INSERT INTO "{name}".version VALUES (0)')
        for step in STEPS[version:]:
            await connection.execute(step.replace("{schema}", f'"{name}"').replace("{name}", name))
        await connection.execute(f'UPDATE "{name}".version SET version = {VERSION}')


async def _version(connection: Any, name: str) -> int:
    """0 where there is none yet."""
    # Not to_regclass: it may remember from before the lock that there was none.
    there = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'version'"
    if not await connection.fetchval(there, name):
        return 0
    found: int = await connection.fetchval(f'SELECT max(version) FROM "{name}".version')
    return found
