-- What a database is made of: all that a test can change but rows, among it rights, statistics and the database's settings. Of an
-- empty table it is the same whether its rows were counted.
WITH kept (what) AS (
    SELECT concat_ws(' ', oid, relname, relowner, relacl, reloptions, relpersistence,
        CASE WHEN relkind = 'r' THEN concat(relpages, '/', greatest(reltuples, 0)) END)
    FROM pg_class WHERE oid >= 16384 AND relkind <> 't'
    UNION ALL SELECT concat('attribute ', count(*), ' ', sum(xmin::text::bigint)) FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT concat('index ', count(*), ' ', sum(xmin::text::bigint)) FROM pg_index WHERE indexrelid >= 16384
    UNION ALL SELECT concat('trigger ', count(*), ' ', sum(xmin::text::bigint)) FROM pg_trigger WHERE tgrelid >= 16384
    UNION ALL SELECT concat('constraint ', count(*), ' ', sum(xmin::text::bigint)) FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT concat('function ', count(*), ' ', sum(xmin::text::bigint)) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT concat('rule ', count(*), ' ', sum(xmin::text::bigint)) FROM pg_rewrite WHERE oid >= 16384
    UNION ALL SELECT concat('statistic ', count(*), ' ', sum(xmin::text::bigint)) FROM pg_statistic WHERE starelid >= 16384
    UNION ALL SELECT concat('schema ', count(*), ' ', sum(xmin::text::bigint)) FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT concat('right ', count(*), ' ', sum(xmin::text::bigint)) FROM pg_default_acl
    UNION ALL SELECT concat('settings ', datacl, datconnlimit, (
        SELECT count(*) FROM pg_db_role_setting s WHERE s.setdatabase = d.oid
    )) FROM pg_database d WHERE datname = current_database()
    UNION ALL SELECT concat('migration ', m::text) FROM sluice_core.migrations m
    UNION ALL SELECT concat('repeatable ', r::text) FROM sluice_core.repeatable_objects r
    UNION ALL SELECT concat('locks ', count(*)) FROM sluice_core.contact_locks
)
SELECT md5(string_agg(what, chr(10) ORDER BY what)) FROM kept;
