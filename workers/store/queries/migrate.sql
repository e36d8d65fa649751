-- The migration runner's own statements; it runs before any migration and so names its schema itself.

-- name: lock
SELECT pg_advisory_lock(hashtext('sluice.migrate'))

-- name: unlock
SELECT pg_advisory_unlock(hashtext('sluice.migrate'))

-- name: prepare
CREATE SCHEMA IF NOT EXISTS sluice_core;
CREATE TABLE IF NOT EXISTS sluice_core.migrations (
    number int PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: exists
SELECT to_regclass('sluice_core.migrations') IS NOT NULL

-- name: applied
SELECT number, name, checksum FROM sluice_core.migrations ORDER BY number

-- name: record
INSERT INTO sluice_core.migrations (number, name, checksum) VALUES ($1, $2, $3)
