-- Sends travel between the workers and the table as one JSON text: their rows are wide and hold arrays.

-- name: known
SELECT s.workspace_id, s.send_id FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, send_id)
JOIN sends s USING (workspace_id, send_id)

-- name: add
INSERT INTO sends SELECT * FROM json_populate_recordset(NULL::sends, $1::json) ORDER BY workspace_id, send_id
ON CONFLICT DO NOTHING
RETURNING workspace_id, send_id

-- name: save
UPDATE sends s SET status = new.status, reason = new.reason, reasons = new.reasons, reason_keys = new.reason_keys,
    confirmed_keys = new.confirmed_keys, confirmed_by = new.confirmed_by, confirmed_at = new.confirmed_at,
    attempt = new.attempt, best_attempt = new.best_attempt, revision = new.revision, held_at = new.held_at,
    expires_at = new.expires_at, retry_at = new.retry_at, recheck_at = new.recheck_at, message_id = new.message_id,
    accepted_at = new.accepted_at, updated_at = new.updated_at
FROM (SELECT * FROM json_populate_recordset(NULL::sends, $1::json) ORDER BY workspace_id, send_id) AS new
WHERE s.workspace_id = new.workspace_id AND s.send_id = new.send_id

-- name: read
SELECT s.* FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, send_id)
JOIN sends s USING (workspace_id, send_id)

-- name: lock
SELECT * FROM sends
WHERE (workspace_id, send_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, send_id FOR UPDATE

-- name: of_groups
SELECT s.workspace_id, s.group_id, s.send_id FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, group_id)
JOIN sends s USING (workspace_id, group_id)
ORDER BY s.workspace_id, s.requested_at, s.send_id

-- name: held_to
-- Holds to these contacts, and holds to an address that is theirs.
SELECT s.workspace_id, s.send_id, wanted.contact_id
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN sends s USING (workspace_id, contact_id)
WHERE s.status = 'held'
UNION
SELECT s.workspace_id, s.send_id, wanted.contact_id
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN identities i USING (workspace_id, contact_id)
JOIN sends s USING (workspace_id, channel, scope, lookup)
WHERE s.status = 'held'

-- name: held_by_runs
SELECT s.workspace_id, s.send_id FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, run_id)
JOIN sends s USING (workspace_id, run_id)
WHERE s.status = 'held'

-- name: lock_expired
SELECT * FROM sends
WHERE status = 'held' AND expires_at <= $1
ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED

-- name: due
-- Sends whose next attempt is due, and sends whose claim was denied for a reason nobody has told yet.
(SELECT workspace_id, send_id FROM sends WHERE retry_at <= $1 ORDER BY retry_at LIMIT $2)
UNION
(SELECT workspace_id, send_id FROM sends WHERE recheck_at IS NOT NULL ORDER BY recheck_at LIMIT $2)

-- name: contacts_on_file
SELECT c.workspace_id, c.contact_id, c.phone, c.email
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN contacts c USING (workspace_id, contact_id)

-- name: identities_of
SELECT i.workspace_id, i.contact_id, i.identity_id, i.channel, i.scope, i.lookup, i.address, i.connected_at
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN identities i USING (workspace_id, contact_id)

-- name: owners
SELECT wanted.position, i.identity_id, i.contact_id, i.connected_at, i.opted_out
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
    AS wanted (workspace_id, channel, scope, lookup, position)
JOIN identities i USING (workspace_id, channel, scope, lookup)

-- name: halted_runs
SELECT r.workspace_id, r.run_id FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, run_id)
JOIN workflow_runs r USING (workspace_id, run_id)
WHERE r.state IN ('halted', 'refused') OR r.told IS NOT NULL

-- name: raise_run_revisions
-- An UPDATE locks rows in the order its join meets them: they are locked in the order of their keys before.
WITH locked AS MATERIALIZED (
    SELECT r.workspace_id, r.run_id, new.facts
    FROM unnest($1::text[], $2::text[], $3::integer[]) AS new (workspace_id, run_id, facts)
    JOIN workflow_runs r USING (workspace_id, run_id)
    ORDER BY r.workspace_id, r.run_id FOR UPDATE OF r
)
UPDATE workflow_runs r SET revision = r.revision + locked.facts
FROM locked
WHERE r.workspace_id = locked.workspace_id AND r.run_id = locked.run_id
RETURNING r.workspace_id, r.run_id, r.revision

-- name: link_identities
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id)
SELECT workspace_id, channel, scope, lookup, address, contact_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[])
    AS new (workspace_id, channel, scope, lookup, address, contact_id)
ORDER BY workspace_id, channel, scope, lookup
ON CONFLICT DO NOTHING

-- name: raise_contact_revisions
UPDATE contacts c SET revision = c.revision + 1
FROM (SELECT * FROM unnest($1::text[], $2::uuid[]) AS new (workspace_id, contact_id) ORDER BY workspace_id, contact_id) AS new
WHERE c.workspace_id = new.workspace_id AND c.contact_id = new.contact_id

-- name: move_messages
-- A send that moves is rare: it is looked for in every generation.
UPDATE messages m SET event_time = new.event_time, counted = new.counted, block_start = new.block_start
FROM (SELECT new.*, g.generation FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::boolean[], $6::timestamptz[])
    AS new (workspace_id, message_id, send_id, event_time, counted, block_start) CROSS JOIN generations g
    ORDER BY workspace_id, message_id) AS new
WHERE m.generation = new.generation AND m.workspace_id = new.workspace_id AND m.message_id = new.message_id
    AND m.send_id = new.send_id
