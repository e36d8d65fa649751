-- name: find_families
-- Known runs among $1, $2 with everything below them and their parents; of $3, $4 only the runs themselves.
-- LIMIT and OFFSET 0 keep the look-ups by index: the size of a recursion cannot be estimated, and a guess too high reads
-- the whole table.
WITH RECURSIVE below (workspace_id, run_id) AS (
    SELECT workspace_id, run_id FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, run_id)
    UNION
    SELECT child.workspace_id, child.run_id
    FROM below
    CROSS JOIN LATERAL (
        SELECT r.workspace_id, r.run_id FROM workflow_runs r
        WHERE r.workspace_id = below.workspace_id AND r.parent_run_id = below.run_id OFFSET 0
    ) AS child
), known AS (
    SELECT found.* FROM below CROSS JOIN LATERAL (
        SELECT r.workspace_id, r.run_id, r.contact_id, r.parent_run_id FROM workflow_runs r
        WHERE r.workspace_id = below.workspace_id AND r.run_id = below.run_id LIMIT 1
    ) AS found
), above (workspace_id, run_id) AS (
    SELECT workspace_id, parent_run_id FROM known WHERE parent_run_id IS NOT NULL
    UNION
    SELECT * FROM unnest($3::text[], $4::text[])
)
SELECT workspace_id, run_id, contact_id FROM known
UNION
SELECT found.* FROM above CROSS JOIN LATERAL (
    SELECT r.workspace_id, r.run_id, r.contact_id FROM workflow_runs r
    WHERE r.workspace_id = above.workspace_id AND r.run_id = above.run_id LIMIT 1
) AS found

-- name: lock_runs
SELECT workspace_id, run_id, workflow_id, contact_id, trigger, parent_run_id, started_at, finished_at, outcome,
    contact_step_at, contact_step_id, cut_at, cut_reason, state, reason, halted_at, halted_by,
    told, told_reason, told_step_id, told_at, told_revision, revision
FROM workflow_runs
WHERE (workspace_id, run_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY workspace_id, run_id FOR UPDATE

-- name: runs_of_contacts
-- Runs of $1, $2 that had not ended before $3.
SELECT r.workspace_id, r.run_id, r.contact_id
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS changed (workspace_id, contact_id, since)
JOIN workflow_runs r ON r.workspace_id = changed.workspace_id AND r.contact_id = changed.contact_id
    AND coalesce(r.halted_at, r.finished_at, 'infinity') >= changed.since
ORDER BY r.workspace_id, r.run_id

-- name: add_runs
INSERT INTO workflow_runs
SELECT * FROM json_populate_recordset(NULL::workflow_runs, $1::json)
ORDER BY workspace_id, run_id
ON CONFLICT DO NOTHING
RETURNING run_id

-- name: save_runs
UPDATE workflow_runs r SET trigger = new.trigger, finished_at = new.finished_at, outcome = new.outcome,
    contact_step_at = new.contact_step_at, contact_step_id = new.contact_step_id,
    cut_at = new.cut_at, cut_reason = new.cut_reason,
    state = new.state, reason = new.reason, halted_at = new.halted_at, halted_by = new.halted_by,
    told = new.told, told_reason = new.told_reason, told_step_id = new.told_step_id, told_at = new.told_at,
    told_revision = new.told_revision, revision = new.revision
FROM (SELECT * FROM json_populate_recordset(NULL::workflow_runs, $1::json) ORDER BY workspace_id, run_id) AS new
WHERE r.workspace_id = new.workspace_id AND r.run_id = new.run_id
