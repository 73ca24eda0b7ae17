"""The statements, each one round trip. $1 is the namespace, $2 the key's id; now() is when the server took the statement up."""

from __future__ import annotations

ALIVE = "(k.expires IS NULL OR k.expires > now())"
OVER = "k.expires <= now()"
HERE = f"FROM {{schema}}.keys k WHERE k.namespace = $1 AND k.key = $2 AND {ALIVE}"
NAMED = f"""WITH named AS MATERIALIZED (
    SELECT k.key, k.kind, k.collection, k.members FROM {{schema}}.keys k WHERE k.namespace = $1 AND k.key = ANY ($2::bytea[]) AND {ALIVE})
SELECT key, kind, NULL::bytea AS value FROM named WHERE kind <> 3 UNION ALL SELECT NULL, 3, value FROM """


class Statements:
    """The texts for one schema."""

    def __init__(self, schema: str) -> None:
        def made(text: str) -> str:
            return text.replace("{schema}", f'"{schema}"')

        self.ping = "SELECT 1"
        self.get = made(f"SELECT k.kind, k.value {HERE}")
        self.contains = made(f"SELECT 1 {HERE}")
        self.delete = made(f"DELETE FROM {{schema}}.keys k WHERE k.namespace = $1 AND k.key = $2 RETURNING {ALIVE}")
        self.set = made(SET)
        self.get_several = made(GET_SEVERAL)
        self.set_several = made(SET_SEVERAL)
        self.increment = made(INCREMENT)
        self.delete_several = made("DELETE FROM {schema}.keys k WHERE k.namespace = $1 AND k.key = ANY ($2::bytea[])")
        self.listing = made(LISTING)
        self.watch = made("SELECT {schema}.watch($1, $2, $3)")
        self.renew = made(
            "UPDATE {schema}.watches SET ends = now() + $2::float8 * interval '1 second' WHERE owner = $1 AND ends > now() RETURNING 1"
        )
        self.list_add = made("SELECT {schema}.list_add($1, $2, $3, $4, $5)")
        self.set_add = made("SELECT {schema}.set_add($1, $2, $3, $4, $5)")
        self.take = made("SELECT {schema}.take($1, $2, $3, $4)")
        self.list_range = made(LIST_RANGE)
        self.union = made(NAMED + UNION)
        self.intersection = made(NAMED + INTERSECTION)
        self.page = made(PAGE)
        self.read = made(READ)
        self.put = made("SELECT {schema}.put($1, $2, $3, $4, $5, CASE WHEN $6::float8 > 0 THEN to_timestamp($6) END)")
        self.stats = made(STATS)
        self.purge = made("SELECT {schema}.purge($1)")


GET_SEVERAL = f"""
SELECT w.number, k.kind, k.value FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS w (space, id, number)
JOIN {{schema}}.keys k ON k.namespace = w.space AND k.key = w.id AND {ALIVE}"""

LISTING = f"""
SELECT k.number, coalesce(k.whole, k.key) FROM {{schema}}.keys k
WHERE k.namespace = $1 AND k.number > $2 AND {ALIVE} ORDER BY k.number LIMIT $3"""

INSERT = "INSERT INTO {schema}.keys AS k (namespace, key, whole, kind, value, expires) "
REPLACE = """ ON CONFLICT (namespace, key) DO UPDATE
SET kind = 1, value = excluded.value, collection = NULL, members = 0, tail = 0, expires = excluded.expires"""
SET = f"{INSERT} VALUES ($1, $2, $3, 1, $4, CASE WHEN $5::bigint > 0 THEN now() + $5 * interval '1 second' END) {REPLACE}"
# In order of the keys, so that no two of these statements wait for each other.
SET_SEVERAL = f"""{INSERT}
SELECT w.space, w.id, w.whole, 1, w.value, CASE WHEN w.seconds > 0 THEN now() + w.seconds * interval '1 second' END
FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bigint[]) AS w (space, id, whole, value, seconds)
ORDER BY w.space, w.id {REPLACE}"""

INCREMENT = f"""
INSERT INTO {{schema}}.keys AS k (namespace, key, whole, kind, value) VALUES ($1, $2, $3, 1, $4::bigint::text::bytea)
ON CONFLICT (namespace, key) DO UPDATE
SET kind = 1, collection = NULL, members = 0, tail = 0,
    value = CASE WHEN {OVER} THEN excluded.value ELSE {{schema}}.total(k.value, $4, $5, $6) END,
    expires = CASE WHEN {OVER} THEN NULL ELSE k.expires END
WHERE {OVER} OR k.kind = 1 AND {{schema}}.total(k.value, $4, $5, $6) IS NOT NULL
RETURNING k.value"""

# Where nothing was ever taken out of a list, an item's position is known; else those before it are counted.
LIST_RANGE = f"""
WITH k AS (
    SELECT k.kind, k.collection, k.members, k.tail = k.members AS whole,
        greatest(0, $3::bigint + CASE WHEN $3 < 0 THEN k.members ELSE 0 END) AS first,
        $4::bigint + CASE WHEN $4 < 0 THEN k.members ELSE 0 END AS last
    {HERE})
SELECT k.kind, i.value FROM k LEFT JOIN LATERAL (
    SELECT position, value FROM {{schema}}.items
    WHERE collection = k.collection AND position > CASE WHEN k.whole THEN k.first ELSE 0 END
    ORDER BY position OFFSET CASE WHEN k.whole THEN 0 ELSE k.first END LIMIT greatest(0, least(k.last + 1, k.members) - k.first)
) i ON true ORDER BY i.position"""

UNION = """(SELECT DISTINCT ON (m.digest) m.value FROM named n JOIN {schema}.members m USING (collection) WHERE n.kind = 3) found"""

INTERSECTION = """(
    SELECT m.value FROM {schema}.members m
    WHERE m.collection = (SELECT collection FROM named ORDER BY members LIMIT 1)
    AND (SELECT count(*) FROM named) = cardinality($2)
    AND NOT EXISTS (SELECT FROM named n WHERE NOT EXISTS (
        SELECT FROM {schema}.members o WHERE o.collection = n.collection AND o.digest = m.digest))) found"""

PAGE = f"""
SELECT k.key, k.kind, octet_length(k.value) AS size FROM {{schema}}.keys k
WHERE k.namespace = $1 AND k.key >= $2 AND {ALIVE} ORDER BY k.key LIMIT 1000"""

READ = f"""
SELECT k.key, k.whole, k.kind, coalesce(extract(epoch FROM k.expires), 0)::float8 AS expires, coalesce(e.value, k.value) AS value
FROM {{schema}}.keys k LEFT JOIN LATERAL (
    SELECT position, value FROM {{schema}}.items WHERE collection = k.collection
    UNION ALL SELECT 0, value FROM {{schema}}.members WHERE collection = k.collection
) e ON true WHERE k.namespace = $1 AND k.key = ANY ($2::bytea[]) AND {ALIVE} ORDER BY k.key, e.position"""

STATS = f"""
SELECT count(*) FILTER (WHERE k.kind = 1) AS texts, count(*) FILTER (WHERE k.kind = 2) AS lists,
    count(*) FILTER (WHERE k.kind = 3) AS sets, count(k.expires) AS expiring,
    coalesce(sum(octet_length(coalesce(k.whole, k.key)) + coalesce(octet_length(k.value), 0)
        + coalesce((SELECT sum(octet_length(value)) FROM {{schema}}.items WHERE collection = k.collection), 0)
        + coalesce((SELECT sum(octet_length(value)) FROM {{schema}}.members WHERE collection = k.collection), 0)), 0)::bigint AS size
FROM {{schema}}.keys k WHERE k.namespace = $1 AND {ALIVE}"""
