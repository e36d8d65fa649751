-- name: find
-- Known runs among $1, $2, and their parents and $3, $4; `behind`: work on the ends of runs is left, so all ancestors too.
-- One index look-up for each, independent of PostgreSQL's estimates.
WITH RECURSIVE known AS (
    SELECT found.* FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, run_id)
    CROSS JOIN LATERAL (
        SELECT r.workspace_id, r.run_id, r.contact_id, r.parent_run_id FROM workflow_runs r
        WHERE r.workspace_id = wanted.workspace_id AND r.run_id = wanted.run_id LIMIT 1
    ) AS found
), above (workspace_id, run_id) AS (
    (
        SELECT workspace_id, parent_run_id FROM known WHERE parent_run_id IS NOT NULL
        UNION
        SELECT * FROM unnest($3::text[], $4::text[])
    )
    UNION
    SELECT found.workspace_id, found.parent_run_id FROM above CROSS JOIN LATERAL (
        SELECT r.workspace_id, r.parent_run_id FROM workflow_runs r
        WHERE r.workspace_id = above.workspace_id AND r.run_id = above.run_id AND r.parent_run_id IS NOT NULL LIMIT 1
    ) AS found
    WHERE EXISTS (SELECT FROM workspaces_behind b WHERE b.workspace_id = above.workspace_id)
), found AS (
    SELECT workspace_id, run_id, contact_id FROM known
    UNION
    SELECT found.* FROM above CROSS JOIN LATERAL (
        SELECT r.workspace_id, r.run_id, r.contact_id FROM workflow_runs r
        WHERE r.workspace_id = above.workspace_id AND r.run_id = above.run_id LIMIT 1
    ) AS found
)
SELECT workspace_id, run_id, contact_id,
    EXISTS (SELECT FROM workspaces_behind b WHERE b.workspace_id = found.workspace_id) AS behind
FROM found

-- name: lock_runs
-- A run whose contact went away, and whose step has not come yet, has that end already.
SELECT run.workspace_id, run.run_id, run.workflow_id, run.contact_id, run.trigger, run.parent_run_id, run.started_at, run.finished_at,
    run.outcome, run.contact_step_at, run.contact_step_id, coalesce(run.cut_at, later.cut_at) AS cut_at,
    coalesce(run.cut_reason, later.cut_reason) AS cut_reason, run.state, run.reason, run.halted_at, run.halted_by, run.published,
    run.published_reason, run.published_step_id, run.published_at, run.published_revision, run.revision
FROM (
    SELECT * FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, run_id) ORDER BY workspace_id, run_id
) AS wanted
CROSS JOIN LATERAL (
    SELECT r.* FROM workflow_runs r WHERE r.workspace_id = wanted.workspace_id AND r.run_id = wanted.run_id LIMIT 1 FOR UPDATE
) AS run
LEFT JOIN LATERAL (
    SELECT c.cut_at, c.cut_reason FROM cuts_left c
    WHERE c.workspace_id = run.workspace_id AND c.contact = run.contact_id::text AND coalesce(run.known_at < c.known_before, true)
    ORDER BY c.number LIMIT 1
) AS later ON run.state = 'running' AND run.cut_at IS NULL

-- name: count_running
SELECT count(*), clock_timestamp() FROM workflow_runs r
WHERE r.workspace_id = $1 AND r.contact_id = $2 AND coalesce(r.halted_at, r.finished_at, 'infinity') = 'infinity'

-- name: of_contact
SELECT found.running, found.at, (found.run).run_id FROM runs_alive($1, $2, $6, $3, $4, $5, $7, $8) AS found

-- name: of_contacts
SELECT changed.workspace_id, changed.contact_id, (found.run).run_id
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS changed (workspace_id, contact_id, since, until)
CROSS JOIN LATERAL runs_alive(changed.workspace_id, changed.contact_id, changed.until, false, changed.since, '', NULL, $5) AS found

-- name: judged_before
-- Of several works the oldest comes first.
SELECT r.workspace_id, r.run_id, work.change
FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, run_id)
CROSS JOIN LATERAL (
    SELECT r.workspace_id, r.run_id, r.contact_id, r.known_at FROM workflow_runs r
    WHERE r.workspace_id = wanted.workspace_id AND r.run_id = wanted.run_id AND r.published IS NULL LIMIT 1
) AS r
CROSS JOIN LATERAL (
    SELECT w.details -> 'change' AS change FROM pending_work w
    WHERE w.workspace_id = r.workspace_id AND w.kind = 'halt runs' AND w.subject = r.contact_id::text
        AND w.details -> 'change' IS NOT NULL
        AND coalesce(r.known_at < (w.details ->> 'known_before')::timestamptz, true)
    ORDER BY w.number LIMIT 1
) AS work

-- name: children
-- A range in the order of the index for children: if nearly all runs have one parent, PostgreSQL would otherwise search the few
-- children of another one among all runs.
SELECT p.workspace_id, child.run_id, p.run_id AS parent, child.contact_id
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS p (workspace_id, run_id, after, position)
CROSS JOIN LATERAL (
    SELECT r.run_id, r.contact_id FROM workflow_runs r
    WHERE r.workspace_id = p.workspace_id AND (r.parent_run_id, r.run_id) > (p.run_id, p.after) AND r.parent_run_id <= p.run_id
        AND r.run_id <> p.run_id
    ORDER BY r.parent_run_id, r.run_id LIMIT $4
) AS child
ORDER BY p.position, child.run_id LIMIT $4

-- name: running_below
-- Level by level, only the first $3.
WITH RECURSIVE below (workspace_id, run_id, contact_id, state) AS (
    SELECT workspace_id, run_id, NULL::uuid, 'running' FROM unnest($1::text[], $2::text[]) AS top (workspace_id, run_id)
    UNION ALL
    SELECT child.* FROM below CROSS JOIN LATERAL (
        SELECT r.workspace_id, r.run_id, r.contact_id, r.state FROM workflow_runs r
        WHERE r.workspace_id = below.workspace_id AND (r.parent_run_id, r.run_id) > (below.run_id, '')
            AND r.parent_run_id <= below.run_id
        ORDER BY r.parent_run_id, r.run_id LIMIT $3
    ) AS child
    WHERE below.state = 'running'
)
SELECT workspace_id, run_id, contact_id FROM below LIMIT $3

-- name: count_halts
-- How many runs become halted, and their engine must hear of it, after the history of a contact changed between $3 and $4: its runs that had not
-- ended by then, and what is below them, each level as a set. A run counts against what it is stored as, or, where an earlier change
-- has not reached all of them, against what the history $5 makes of it. Also how many runs of the contact there are, and how many of
-- them were judged: not those whose parents form a circle, unless $6 begins at every run.
WITH RECURSIVE judged AS (
    SELECT (found.run).run_id, true AS own, false AS below, e.*
    FROM runs_alive($1, $2, $4, false, $3, '', NULL, NULL) AS found
    LEFT JOIN workflow_runs p ON p.workspace_id = $1 AND p.run_id = (found.run).parent_run_id AND p.run_id <> (found.run).run_id
    CROSS JOIN LATERAL run_change(found.run, p.trigger, CASE WHEN p.state IN ('halted', 'refused') THEN p.halted_at END, p.reason,
        p.trigger, CASE WHEN p.state IN ('halted', 'refused') THEN p.halted_at END, p.reason, $2, $5::tstzrange[]) AS e
    WHERE ($6 OR NOT coalesce(p.contact_id = $2
        AND coalesce(p.halted_at, p.finished_at, 'infinity') >= $3 AND p.started_at < coalesce($4::timestamptz, 'infinity'), false))
    UNION
    SELECT (child.r).run_id, child.own, true, e.*
    FROM judged j
    CROSS JOIN LATERAL (
        SELECT r, r.contact_id = $2 AND coalesce(r.halted_at, r.finished_at, 'infinity') >= $3
            AND r.started_at < coalesce($4::timestamptz, 'infinity') AS own
        FROM workflow_runs r
        WHERE r.workspace_id = $1 AND (r.parent_run_id, r.run_id) > (j.run_id, '') AND r.parent_run_id <= j.run_id
            AND r.run_id <> j.run_id
        ORDER BY r.parent_run_id, r.run_id OFFSET 0
    ) AS child
    CROSS JOIN LATERAL run_change(child.r, j.trigger, j.stopped_at, j.stop_reason, j.trigger_before, j.stopped_before,
        j.stop_reason_before, $2, $5::tstzrange[]) AS e
    WHERE child.own OR j.changed
)
SELECT count(*) FILTER (WHERE found.halts) AS halts, count(*) FILTER (WHERE found.own) AS judged, (
    SELECT count(*) FROM runs_alive($1, $2, $4, false, $3, '', NULL, NULL)
) AS runs
FROM (
    -- One that was reached from above was judged by what its parent is now.
    SELECT bool_or(own) AS own, coalesce(bool_or(halts) FILTER (WHERE below), bool_or(halts)) AS halts FROM judged GROUP BY run_id
) AS found

-- name: count_children
SELECT count(*) FROM unnest($1::text[], $2::text[], $3::text[]) AS p (workspace_id, run_id, after)
CROSS JOIN LATERAL (
    SELECT FROM workflow_runs r
    WHERE r.workspace_id = p.workspace_id AND r.parent_run_id = p.run_id AND r.run_id > p.after OFFSET 0
) AS child

-- name: add_runs
INSERT INTO workflow_runs
SELECT * FROM json_populate_recordset(
    json_populate_record(NULL::workflow_runs, json_build_object('known_at', clock_timestamp())), $1::json)
ORDER BY workspace_id, run_id
ON CONFLICT DO NOTHING
RETURNING run_id

-- name: note_steps
INSERT INTO workflow_steps (workspace_id, run_id, step_id, asked_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS new (workspace_id, run_id, step_id, asked_at)
ORDER BY workspace_id, run_id, step_id
ON CONFLICT DO NOTHING

-- name: steps_asked
SELECT s.workspace_id, s.run_id, s.step_id, s.asked_at
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (workspace_id, run_id, step_id)
JOIN workflow_steps s USING (workspace_id, run_id, step_id)

-- name: save_runs
-- LIMIT tells PostgreSQL the number of rows; otherwise it estimates a hundred.
UPDATE workflow_runs r SET trigger = new.trigger, finished_at = new.finished_at, outcome = new.outcome,
    contact_step_at = new.contact_step_at, contact_step_id = new.contact_step_id,
    cut_at = new.cut_at, cut_reason = new.cut_reason,
    state = new.state, reason = new.reason, halted_at = new.halted_at, halted_by = new.halted_by,
    published = new.published, published_reason = new.published_reason, published_step_id = new.published_step_id, published_at = new.published_at,
    published_revision = new.published_revision, revision = new.revision
FROM (SELECT * FROM json_populate_recordset(NULL::workflow_runs, $1::json) ORDER BY workspace_id, run_id LIMIT $2) AS new
WHERE r.workspace_id = new.workspace_id AND r.run_id = new.run_id
