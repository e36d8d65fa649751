-- What `sluice doctor` asks. Only catalogs, which every login may read.

-- name: about
SELECT current_setting('server_version_num')::int / 10000 AS version, current_user::text AS login, r.rolsuper AS superuser,
    pg_is_in_recovery() AS standby, ARRAY(
        SELECT name FROM unnest($1::text[]) AS s (name) JOIN pg_roles ON rolname = name
        WHERE pg_has_role(name, 'USAGE') ORDER BY name
    ) AS roles
FROM pg_roles AS r WHERE r.rolname = current_user

-- name: settings
SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[])

-- name: limits
-- The server keeps some connections for superusers. This connection counts nowhere.
SELECT 'the server (max_connections)' AS of,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0) AS most,
    (SELECT coalesce(sum(numbackends), 0) FROM pg_stat_database WHERE datid <> 0)::int - 1 AS used
UNION ALL
SELECT 'the database ' || datname, datconnlimit, (
    SELECT numbackends FROM pg_stat_database WHERE datname = current_database()
)::int - 1
FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0
UNION ALL
SELECT 'the login ' || rolname, rolconnlimit, (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user)::int - 1
FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0

-- name: lacking
-- Rights that a role should have and this login does not. Workers may not delete or change everything.
WITH wanted (schema, kind, role, wanted) AS (VALUES
    ('sluice', 'v', 'sluice_worker', ARRAY['SELECT']),
    ('sluice', 'v', 'sluice_reader', ARRAY['SELECT']),
    ('sluice', 'v', 'sluice_console', ARRAY['SELECT']),
    ('sluice_core', 'r', 'sluice_worker', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']),
    ('sluice_console', 'r', 'sluice_console', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'])
), never (name, rights) AS (VALUES
    ('migrations', ARRAY['INSERT', 'UPDATE', 'DELETE']),
    ('repeatable_objects', ARRAY['INSERT', 'UPDATE', 'DELETE']),
    ('generations', ARRAY['DELETE']),
    ('message_fingerprints', ARRAY['DELETE']),
    ('contact_locks', ARRAY['INSERT', 'DELETE']),
    ('send_confirmations', ARRAY['UPDATE', 'DELETE'])
), called (role, name) AS (VALUES
    ('sluice_sender', 'claim_send'), ('sluice_sender', 'may_send'),
    ('sluice_sender', 'join_senders'), ('sluice_sender', 'leave_senders'),
    ('sluice_console', 'dead_letter_settle'), ('sluice_console', 'impact'),
    ('sluice_worker', 'claim_send'), ('sluice_worker', 'dead_letter_settle')
), seen (role, name) AS (VALUES
    ('sluice_sender', 'sends'), ('sluice_sender', 'send_attempts'), ('sluice_sender', 'send_groups'),
    ('sluice_sender', 'held_sends'), ('sluice_sender', 'send_confirmations')
)
SELECT format('%s ON %s.%s', lacks, schema, name) FROM (
    SELECT 1 AS place, w.schema, c.relname::text AS name, one AS lacks
    FROM wanted AS w
    JOIN pg_namespace AS n ON n.nspname = w.schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind::text = w.kind
    CROSS JOIN unnest(w.wanted) AS one
    WHERE w.role = $1 AND NOT has_table_privilege(c.oid, one)
        AND NOT EXISTS (SELECT FROM never AS x WHERE x.name = c.relname AND one = ANY (x.rights))
    UNION ALL
    SELECT 2, 'sluice', c.relname::text, 'SELECT'
    FROM seen AS s
    JOIN pg_class AS c ON c.relname = s.name AND c.relnamespace = to_regnamespace('sluice')
    WHERE s.role = $1 AND NOT has_table_privilege(c.oid, 'SELECT')
    UNION ALL
    SELECT 3, 'FUNCTION sluice', f.name, 'EXECUTE'
    FROM called AS f
    JOIN pg_proc AS p ON p.proname = f.name AND p.pronamespace = to_regnamespace('sluice')
    WHERE f.role = $1 AND NOT has_function_privilege(p.oid, 'EXECUTE')
) AS found
ORDER BY place, schema, name, lacks

-- name: progress
SELECT topic, max(partition) AS highest FROM sluice.partitions WHERE next_offset IS NOT NULL GROUP BY topic

-- name: clock
SELECT extract(epoch FROM clock_timestamp())::float8
