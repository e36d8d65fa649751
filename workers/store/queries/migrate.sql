-- The migration runner's own statements; it runs before any migration and so names its schema itself.

-- name: lock
SELECT pg_advisory_lock(hashtext('sluice.migrate'))

-- name: missing_roles
SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) ORDER BY place

-- name: may_make_roles
SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user

-- name: owner
SELECT quote_ident(pg_get_userbyid(nspowner)) FROM pg_namespace WHERE nspname = 'sluice_core'

-- name: began
SELECT to_regclass('sluice_core.migrations') IS NOT NULL

-- name: prepare
CREATE SCHEMA IF NOT EXISTS sluice_core;
CREATE TABLE IF NOT EXISTS sluice_core.migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
-- What the repeatable files made: dropped before they are applied again. Objects that others made are left alone.
CREATE TABLE IF NOT EXISTS sluice_core.repeatable_objects (
    kind text NOT NULL CHECK (kind IN ('VIEW', 'FUNCTION')),
    name text NOT NULL,             -- with its schema, a function also with the types of its arguments
    PRIMARY KEY (kind, name)
);

-- name: exists
SELECT to_regclass('sluice.migrations') IS NOT NULL

-- name: known
SELECT name, checksum FROM sluice.migrations ORDER BY name

-- name: works
SELECT has_schema_privilege('sluice_core', 'USAGE')

-- name: applied
SELECT name, checksum FROM sluice_core.migrations ORDER BY name

-- name: record
INSERT INTO sluice_core.migrations (name, checksum) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at

-- name: forget
DELETE FROM sluice_core.migrations WHERE name = ANY ($1::text[])

-- name: made
-- One statement for each kind, because PostgreSQL drops objects that depend on each other only together. Views depend on functions.
DELETE FROM sluice_core.repeatable_objects
RETURNING kind, name

-- name: drop_views
DROP VIEW {names}

-- name: drop_functions
DROP FUNCTION {names}

-- name: note_made
-- Every view and function that this transaction created. Functions of triggers are of migrations, as the triggers are.
INSERT INTO sluice_core.repeatable_objects (kind, name)
SELECT 'VIEW', format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('sluice', 'sluice_core') AND c.relkind = 'v' AND c.xmin = pg_current_xact_id()::xid
UNION ALL
SELECT 'FUNCTION', format('%I.%I(%s)', n.nspname, p.proname, (
    SELECT string_agg(t.oid::regtype::text, ', ' ORDER BY a.place)
    FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, place) JOIN pg_type t ON t.oid = a.type
))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname IN ('sluice', 'sluice_core') AND p.xmin = pg_current_xact_id()::xid
    AND p.prorettype <> 'trigger'::regtype
