-- The console may read what sluice_reader may. No membership: only a login that may administer both roles could grant that.
GRANT SELECT ON ALL TABLES IN SCHEMA sluice TO sluice_console;

DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.pronamespace = 'sluice'::regnamespace AND has_function_privilege('sluice_reader', p.oid, 'EXECUTE')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO sluice_console', found.name);
    END LOOP;
END $$;
