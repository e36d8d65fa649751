-- Contacts that are active in a cycle, by the quarter of an hour that their proof lies in: days of any time zone are made of these.

-- Changes are added as rows, so that no two transactions wait for one row; a job sums them up.
CREATE TABLE sluice_core.mac_quarters (
    workspace_id text NOT NULL,
    cycle_start timestamptz NOT NULL,
    quarter timestamptz NOT NULL,
    active_contacts bigint NOT NULL,
    summed boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX mac_quarters_summed ON sluice_core.mac_quarters (workspace_id, cycle_start, quarter) WHERE summed;
CREATE INDEX mac_quarters_changes ON sluice_core.mac_quarters (workspace_id, cycle_start) WHERE NOT summed;

INSERT INTO sluice_core.mac_quarters (workspace_id, cycle_start, quarter, active_contacts, summed)
SELECT workspace_id, cycle_start, date_bin('15 minutes', first_counted_at, '2000-01-01T00:00:00Z'), count(*), true
FROM sluice_core.mac_contacts GROUP BY 1, 2, 3;

-- Whatever writes proofs, the counts follow: each statement adds a row for each quarter that it changed. A trigger sees the proof that
-- another transaction stored meanwhile; the statement that replaces it does not.
CREATE FUNCTION sluice_core.count_quarters() RETURNS trigger LANGUAGE plpgsql SET search_path = sluice_core, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO mac_quarters (workspace_id, cycle_start, quarter, active_contacts)
        SELECT workspace_id, cycle_start, date_bin('15 minutes', first_counted_at, '2000-01-01T00:00:00Z'), count(*)
        FROM came GROUP BY 1, 2, 3;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO mac_quarters (workspace_id, cycle_start, quarter, active_contacts)
        SELECT workspace_id, cycle_start, date_bin('15 minutes', first_counted_at, '2000-01-01T00:00:00Z'), -count(*)
        FROM went GROUP BY 1, 2, 3;
    ELSE
        INSERT INTO mac_quarters (workspace_id, cycle_start, quarter, active_contacts)
        SELECT workspace_id, cycle_start, date_bin('15 minutes', first_counted_at, '2000-01-01T00:00:00Z'), sum(more)
        FROM (
            SELECT workspace_id, cycle_start, first_counted_at, 1 AS more FROM came
            UNION ALL
            SELECT workspace_id, cycle_start, first_counted_at, -1 FROM went
        ) AS moved
        GROUP BY 1, 2, 3 HAVING sum(more) <> 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER count_quarters_that_came AFTER INSERT ON sluice_core.mac_contacts
    REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION sluice_core.count_quarters();
CREATE TRIGGER count_quarters_that_moved AFTER UPDATE ON sluice_core.mac_contacts
    REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION sluice_core.count_quarters();
CREATE TRIGGER count_quarters_that_went AFTER DELETE ON sluice_core.mac_contacts
    REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION sluice_core.count_quarters();
