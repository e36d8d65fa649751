-- Workers read and write sends as one JSON text, because the rows are wide and hold arrays.

-- name: known
SELECT s.workspace_id, s.send_id FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, send_id)
JOIN sends s USING (workspace_id, send_id)

-- name: add
INSERT INTO sends SELECT * FROM json_populate_recordset(NULL::sends, $1::json) ORDER BY workspace_id, send_id
ON CONFLICT DO NOTHING
RETURNING workspace_id, send_id

-- name: save
UPDATE sends s SET contact_id = CASE
        WHEN new.status = 'held' THEN coalesce(present(new.workspace_id, new.contact_id), new.contact_id) ELSE s.contact_id
    END,
    status = new.status, reason = new.reason, reasons = new.reasons, reason_keys = new.reason_keys,
    confirmed_keys = new.confirmed_keys, confirmed_by = new.confirmed_by, confirmed_at = new.confirmed_at,
    first_dispatched_at = new.first_dispatched_at, attempt = new.attempt, best_attempt = new.best_attempt,
    revision = new.revision, held_at = new.held_at, expires_at = new.expires_at, retry_at = new.retry_at,
    recheck_at = new.recheck_at, claim_by = new.claim_by, message_id = new.message_id, accepted_at = new.accepted_at,
    ended_at = new.ended_at, updated_at = new.updated_at
FROM (SELECT * FROM json_populate_recordset(NULL::sends, $1::json) ORDER BY workspace_id, send_id) AS new
WHERE s.workspace_id = new.workspace_id AND s.send_id = new.send_id

-- name: read
SELECT s.* FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, send_id)
JOIN sends s USING (workspace_id, send_id)

-- name: addressed
SELECT s.workspace_id, s.send_id, s.contact_id, s.channel, s.channel_id, s.scope, s.lookup, s.message_id, s.accepted_at
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, send_id)
JOIN sends s USING (workspace_id, send_id)

-- name: lock
SELECT * FROM sends
WHERE (workspace_id, send_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, send_id FOR UPDATE

-- name: lock_rows
SELECT FROM sends
WHERE (workspace_id, send_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
ORDER BY workspace_id, send_id FOR UPDATE

-- name: lock_expired
-- The status is asked of the row that is locked: the hold may have been answered since the snapshot. Both expire by then, so
-- that whichever PostgreSQL begins with, it reads no others.
SELECT s.workspace_id, s.send_id FROM holds h JOIN sends s USING (workspace_id, send_id)
WHERE h.expires_at <= $1 AND h.answered_by IS NULL AND s.status = 'held' AND s.expires_at <= $1
ORDER BY h.expires_at LIMIT $2 FOR UPDATE OF s SKIP LOCKED

-- name: lock_run_out
SELECT workspace_id, send_id FROM sends
WHERE status = 'dispatched' AND claim_by <= $1 AND recheck_at IS NULL
ORDER BY claim_by LIMIT $2 FOR UPDATE SKIP LOCKED

-- name: due
-- Sends whose next attempt is due, and sends with a denied claim that is not published yet.
SELECT workspace_id, send_id FROM (
    SELECT workspace_id, send_id, sum(bytes) OVER (ORDER BY retry_at, send_id) - bytes AS before FROM (
        SELECT workspace_id, send_id, retry_at, octet_length(content::text) AS bytes FROM sends
        WHERE retry_at <= $1 ORDER BY retry_at LIMIT $2
    ) AS s
) AS s
WHERE before < $3
UNION
SELECT workspace_id, send_id FROM (
    SELECT workspace_id, send_id, sum(bytes) OVER (ORDER BY recheck_at, send_id) - bytes AS before FROM (
        SELECT workspace_id, send_id, recheck_at, octet_length(content::text) AS bytes FROM sends
        WHERE recheck_at IS NOT NULL ORDER BY recheck_at LIMIT $2
    ) AS s
) AS s
WHERE before < $3

-- name: contacts_on_file
SELECT c.workspace_id, c.contact_id, shown(c.edited, 'phone', c.phone) AS phone, shown(c.edited, 'email', c.email) AS email
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN living_contacts c USING (workspace_id, contact_id)

-- name: identities_of
SELECT i.workspace_id, i.contact_id, i.identity_id, i.channel, i.scope, i.lookup, i.address, i.connected_at
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, contact_id)
JOIN identities i USING (workspace_id, contact_id)
WHERE i.removed_at IS NULL

-- name: owners
SELECT wanted.position, i.identity_id, i.contact_id, i.address, i.connected_at, i.opted_out
FROM unnest($1::text::text[], $2::text::text[], $3::text::text[], $4::text::text[]) WITH ORDINALITY
    AS wanted (workspace_id, channel, scope, lookup, position)
JOIN identities i USING (workspace_id, channel, scope, lookup)
WHERE i.ended_at IS NULL AND NOT EXISTS (
    SELECT FROM deleted_contacts d
    WHERE d.workspace_id = i.workspace_id AND d.contact_id = i.contact_id AND NOT d.cut_off OFFSET 0
)

-- name: halted_runs
SELECT r.workspace_id, r.run_id FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, run_id)
JOIN stopped_runs r USING (workspace_id, run_id)

-- name: lock_run_revisions
SELECT r.workspace_id, r.run_id, r.revision
FROM unnest($1::text[], $2::text[]) AS wanted (workspace_id, run_id)
JOIN workflow_runs r USING (workspace_id, run_id)
ORDER BY r.workspace_id, r.run_id FOR UPDATE OF r

-- name: link_identities
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, began_at, opted_out, opted_at, opted_by)
SELECT new.workspace_id, new.channel, new.scope, new.lookup, new.address, new.contact_id, before.ended_at,
    coalesce(before.opted_out, false), before.opted_at, before.opted_by
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[])
    AS new (workspace_id, channel, scope, lookup, address, contact_id)
LEFT JOIN LATERAL (
    SELECT i.ended_at, i.opted_out, i.opted_at, i.opted_by FROM identities i
    WHERE i.workspace_id = new.workspace_id AND i.channel = new.channel AND i.scope = new.scope AND i.lookup = new.lookup
        AND i.ended_at IS NOT NULL
    ORDER BY i.ended_at DESC LIMIT 1
) AS before ON true
ORDER BY new.workspace_id, new.channel, new.scope, new.lookup
ON CONFLICT DO NOTHING

-- name: move_messages
-- Gives a send's message, which may have been an echo, its values. That is rare, so this searches every generation.
WITH moved AS (
    UPDATE messages m SET event_time = new.event_time, counted = new.counted, block_start = new.block_start,
        send_id = new.send_id, kind = new.kind,
        -- The first record that shows the message in its cycle.
        recorded_at = CASE
            WHEN m.event_time >= new.cycle_start AND m.event_time < new.cycle_end THEN least(m.recorded_at, new.recorded_at)
            ELSE new.recorded_at
        END
    FROM (SELECT new.*, g.generation
        FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::boolean[], $7::timestamptz[],
            $8::timestamptz[], $9::timestamptz[], $10::timestamptz[])
            AS new (workspace_id, message_id, send_id, kind, event_time, counted, block_start, recorded_at, cycle_start, cycle_end)
        CROSS JOIN generations g
        ORDER BY workspace_id, message_id) AS new
    WHERE m.generation = new.generation AND m.workspace_id = new.workspace_id AND m.message_id = new.message_id
        AND (m.send_id = new.send_id OR m.kind = 'echo')
    RETURNING m.workspace_id, m.identity_id
)
INSERT INTO inbox_news (workspace_id, identity_ids)
SELECT workspace_id, array_agg(DISTINCT identity_id) FROM moved GROUP BY workspace_id
