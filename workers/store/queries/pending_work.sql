-- Pending work: work in steps.

-- name: add
INSERT INTO pending_work (workspace_id, kind, subject, command_id, details, cursor, done, total)
SELECT workspace_id, kind, subject, command_id, details, cursor, done, total
FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::json[], $6::text[], $7::bigint[], $8::bigint[])
    AS new (workspace_id, kind, subject, command_id, details, cursor, done, total)
ORDER BY workspace_id, kind, subject, command_id
ON CONFLICT DO NOTHING

-- name: add_since
-- As `add`; where it is there already it begins again, if it has to begin earlier.
INSERT INTO pending_work AS known (workspace_id, kind, subject, command_id, details, total)
VALUES ($1, $2, $3, $4, json_build_object('since', $5::timestamptz), $6)
ON CONFLICT (workspace_id, kind, subject, command_id) DO UPDATE SET details = excluded.details, cursor = NULL
WHERE (excluded.details ->> 'since')::timestamptz < (known.details ->> 'since')::timestamptz

-- name: earliest
SELECT min((w.details ->> $3)::timestamptz) FROM pending_work w WHERE w.workspace_id = $1 AND w.kind = $2

-- name: choose
-- The workspace with work that waited longest; goes from workspace to workspace by index, because one may have many rows.
WITH RECURSIVE waiting (workspace_id) AS (
    (SELECT workspace_id FROM pending_work ORDER BY workspace_id LIMIT 1)
    UNION ALL
    SELECT (SELECT p.workspace_id FROM pending_work p WHERE p.workspace_id > waiting.workspace_id ORDER BY p.workspace_id LIMIT 1)
    FROM waiting WHERE waiting.workspace_id IS NOT NULL
), chosen AS (
    SELECT w.workspace_id FROM waiting w LEFT JOIN work_turns t USING (workspace_id)
    WHERE w.workspace_id IS NOT NULL
    ORDER BY t.served_at NULLS FIRST, w.workspace_id LIMIT 1
)
INSERT INTO work_turns (workspace_id, served_at) SELECT workspace_id, clock_timestamp() FROM chosen
ON CONFLICT (workspace_id) DO UPDATE SET served_at = excluded.served_at
RETURNING workspace_id

-- name: next
SELECT workspace_id, kind, subject, command_id, details, cursor, done, total, number FROM pending_work
WHERE workspace_id = $1 ORDER BY number LIMIT 1

-- name: save_step
UPDATE pending_work SET cursor = $5, done = done + $6
WHERE workspace_id = $1 AND kind = $2 AND subject = $3 AND command_id = $4

-- name: finished
DELETE FROM pending_work WHERE workspace_id = $1 AND kind = $2 AND subject = $3 AND command_id = $4

-- name: take_back
DELETE FROM pending_work WHERE workspace_id = $1 AND kind = $2
RETURNING workspace_id, kind, subject, command_id, details, cursor, done, total

-- name: subjects
SELECT wanted.workspace_id, wanted.subject FROM unnest($2::text[], $3::text[]) AS wanted (workspace_id, subject)
WHERE EXISTS (
    SELECT FROM pending_work w WHERE w.workspace_id = wanted.workspace_id AND w.kind = $1 AND w.subject = wanted.subject
)

-- name: judge_as_before
-- What is left of these works is judged by the history before a change that comes now; of several changes the first counts.
UPDATE pending_work w SET details = (
    w.details::jsonb || jsonb_build_object('change', new.change::jsonb, 'known_before', clock_timestamp())
)::json
FROM unnest($2::text[], $3::text[], $4::text[]) AS new (workspace_id, subject, change)
WHERE w.workspace_id = new.workspace_id AND w.kind = $1 AND w.subject = new.subject AND w.details -> 'change' IS NULL
