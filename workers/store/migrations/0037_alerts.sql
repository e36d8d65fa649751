-- Alerts about `mac_limit`: which cycles must be compared with the limit, and what was told.

-- Rows are only added, so that no two transactions wait for one row; the job that compares them deletes them. A cycle
-- may be there several times. Rows live for a second: for vacuum see batch_outbox.
CREATE TABLE sluice_core.alert_checks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id text NOT NULL,
    cycle_start timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = false);

CREATE TABLE sluice_core.told_alerts (
    workspace_id text NOT NULL,
    cycle_start timestamptz NOT NULL,
    threshold smallint NOT NULL,        -- percent of the limit
    told_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, cycle_start, threshold)
);

-- Limits could be set before anything compared counts with them.
INSERT INTO sluice_core.alert_checks (workspace_id, cycle_start)
SELECT c.workspace_id, c.cycle_start FROM sluice_core.mac_cycles c
WHERE c.status = 'open' AND EXISTS (
    SELECT FROM sluice_core.effective_settings h
    WHERE h.workspace_id = c.workspace_id AND h.channel_id = '' AND h.name = 'mac_limit'
);
