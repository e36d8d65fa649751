"""A database's schema as sentences to compare: the same for two databases that differ in nothing but their history."""

import asyncpg

_SCHEMA = """
WITH mine AS (SELECT oid, nspname FROM pg_namespace WHERE nspname IN ('sluice', 'sluice_core'))
SELECT format('%s %s.%s %s %s', c.relkind, n.nspname, c.relname, c.reloptions, t.reloptions) AS what,
    CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) WHEN 'i' THEN pg_get_indexdef(c.oid) END AS definition,
    c.relacl::text AS rights
FROM pg_class c JOIN mine n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
UNION ALL
SELECT format('column %s.%s', a.attrelid::regclass, a.attname),
    concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, a.attidentity, a.attgenerated,
        pg_get_expr(d.adbin, d.adrelid)), a.attacl::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN mine n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0
UNION ALL
SELECT format('constraint %s %s', conrelid::regclass, conname), pg_get_constraintdef(k.oid), NULL
FROM pg_constraint k JOIN mine n ON n.oid = k.connamespace
UNION ALL
SELECT 'function ' || p.oid::regprocedure, pg_get_functiondef(p.oid), p.proacl::text
FROM pg_proc p JOIN mine n ON n.oid = p.pronamespace
UNION ALL
SELECT format('schema %s', nspname), NULL, nspacl::text FROM pg_namespace WHERE oid IN (SELECT oid FROM mine)
UNION ALL
SELECT format('new %s in %s', a.defaclobjtype, n.nspname), NULL, a.defaclacl::text
FROM pg_default_acl a JOIN mine n ON n.oid = a.defaclnamespace
UNION ALL
SELECT 'repeatable', kind, name FROM sluice_core.repeatable_objects
UNION ALL
SELECT 'file', name, checksum FROM sluice_core.migrations
UNION ALL
SELECT 'generation', generation::text, began_bytes::text FROM sluice_core.generations
UNION ALL
SELECT 'contact_locks', count(*)::text, max(bucket)::text FROM sluice_core.contact_locks
"""


async def schema_of(url: str) -> set[tuple[str | None, ...]]:
    """Tables, columns, indexes, constraints, views, functions, rights, storage parameters, and the first rows."""
    connection = await asyncpg.connect(url)
    try:
        return {tuple(row) for row in await connection.fetch(_SCHEMA)}
    finally:
        await connection.close()
