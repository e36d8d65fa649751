-- Empties a database for the next test. Small tables keep their pages, which PostgreSQL plans for as for none; to truncate a
-- table takes longer. Of messages it is told how large their index was in the beginning.
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();

DO $$
DECLARE
    found record;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR found IN
        SELECT c.oid::regclass AS name, pg_relation_size(c.oid) > 8 * 8192 OR c.relname = 'messages' AS is_truncated
        FROM pg_class c
        WHERE c.relnamespace IN ('sluice_core'::regnamespace, 'sluice_console'::regnamespace) AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0
            AND c.relname NOT IN ('migrations', 'repeatable_objects', 'contact_locks')
    LOOP
        IF found.is_truncated THEN
            EXECUTE format('TRUNCATE %s', found.name);
        ELSE
            EXECUTE format('DELETE FROM %s', found.name);
        END IF;
    END LOOP;
    PERFORM setval(c.oid, 1, false) FROM pg_class c WHERE c.relnamespace = 'sluice_core'::regnamespace AND c.relkind = 'S';
    INSERT INTO sluice_core.generations (generation, began_bytes) VALUES (0, pg_relation_size('sluice_core.messages_pkey'));
END $$;
