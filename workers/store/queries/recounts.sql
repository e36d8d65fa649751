-- Recounts a workspace, some contacts at a time.

-- name: contacts_from
-- Deleted contacts as well: their messages still count.
(SELECT contact_id FROM contacts WHERE workspace_id = $1 AND contact_id >= $2 ORDER BY contact_id LIMIT $3)
UNION ALL
(SELECT contact_id FROM deleted_contacts WHERE workspace_id = $1 AND contact_id >= $2 AND cut_off ORDER BY contact_id LIMIT $3)
ORDER BY contact_id LIMIT $3

-- name: number_of_contacts
SELECT (SELECT count(*) FROM contacts WHERE workspace_id = $1) + (SELECT count(*) FROM deleted_contacts WHERE workspace_id = $1 AND cut_off)

-- name: messages
-- Messages of these contacts ($2: in order, $3 and $4 the first and the last) since $5, contact by contact, oldest first, $9 at most;
-- of contact $6 only those after the message of that time and id. Reads no message of other contacts, and few more than it returns.
SELECT c.contact_id, m.* FROM unnest($2::uuid[]) AS c (contact_id)
CROSS JOIN LATERAL (
    SELECT own.* FROM owned_identities i
    CROSS JOIN generations g
    CROSS JOIN LATERAL (
        (SELECT m.generation, m.message_id, m.kind, m.channel_id, m.event_time, false AS dropped, m.block_start, m.counted, m.mac_rule,
            greatest(m.recorded_at, m.release_recorded_at) AS recorded_at
        FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.drop_reason IS NULL AND m.event_time >= CASE WHEN c.contact_id = $6 THEN greatest($5::timestamptz, $7::timestamptz) ELSE $5 END
            AND (c.contact_id <> $6 OR (m.event_time, m.message_id) > ($7, $8))
        ORDER BY m.event_time, m.message_id LIMIT $9)
        UNION ALL
        (SELECT m.generation, m.message_id, m.kind, m.channel_id, m.event_time, m.drop_reason = 'contact_blocked', m.block_start, m.counted, m.mac_rule,
            greatest(m.recorded_at, m.release_recorded_at)
        FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.drop_reason IS NOT NULL AND m.event_time >= CASE WHEN c.contact_id = $6 THEN greatest($5::timestamptz, $7::timestamptz) ELSE $5 END
            AND (c.contact_id <> $6 OR (m.event_time, m.message_id) > ($7, $8))
        ORDER BY m.event_time, m.message_id LIMIT $9)
    ) AS own
    WHERE i.workspace_id = $1 AND i.contact_id = c.contact_id
    ORDER BY own.event_time, own.message_id LIMIT $9
) AS m
WHERE c.contact_id >= $3 AND c.contact_id <= $4
ORDER BY c.contact_id, m.event_time, m.message_id LIMIT $9

-- name: save_counted
UPDATE messages m SET counted = new.counted, mac_rule = new.mac_rule
FROM (SELECT * FROM unnest($2::int[], $3::uuid[], $4::boolean[], $5::text[]) AS new (generation, message_id, counted, mac_rule)
    ORDER BY message_id) AS new
WHERE m.generation = new.generation AND m.workspace_id = $1 AND m.message_id = new.message_id

-- name: cycles_since
SELECT cycle_start, cycle_end FROM mac_cycles WHERE workspace_id = $1 AND cycle_end > $2 ORDER BY cycle_start

-- name: move_ends
WITH moved AS (
    UPDATE mac_cycles c SET cycle_end = new.cycle_end, closes_at = NULL, revision = c.revision + 1
    FROM unnest($2::timestamptz[], $3::timestamptz[]) AS new (cycle_start, cycle_end)
    WHERE c.workspace_id = $1 AND c.cycle_start = new.cycle_start
    RETURNING c.workspace_id, c.cycle_start, c.revision
)
INSERT INTO unpublished_cycles (workspace_id, cycle_start, shard, revision)
SELECT workspace_id, cycle_start, '', revision FROM moved ORDER BY cycle_start
ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE SET revision = excluded.revision

-- name: unsettle
-- Has contacts with late facts counted again before their cycles close.
UPDATE late_facts l SET settled = false
FROM (SELECT DISTINCT * FROM unnest($2::timestamptz[], $3::uuid[]) AS t (cycle_start, contact_id) ORDER BY 1, 2) AS changed
WHERE l.workspace_id = $1 AND l.cycle_start = changed.cycle_start AND l.contact_id = changed.contact_id AND l.settled

-- name: remove_cycles
-- Deletes the cycles among these, which no longer exist, that have no active contact. In order: PostgreSQL would
-- otherwise read all active contacts of the workspace, for a join or for the first that comes.
WITH empty AS MATERIALIZED (
    SELECT c.workspace_id, c.cycle_start FROM mac_cycles c
    LEFT JOIN LATERAL (
        SELECT m.contact_id FROM mac_contacts m WHERE m.workspace_id = c.workspace_id AND m.cycle_start = c.cycle_start
        ORDER BY m.contact_id LIMIT 1
    ) AS active ON true
    WHERE c.workspace_id = $1 AND c.cycle_start = ANY($2::timestamptz[]) AND active.contact_id IS NULL
), shards_gone AS (
    DELETE FROM mac_shards s USING empty e WHERE s.workspace_id = e.workspace_id AND s.cycle_start = e.cycle_start
), facts_gone AS (
    DELETE FROM late_facts l USING empty e WHERE l.workspace_id = e.workspace_id AND l.cycle_start = e.cycle_start
), cycles_gone AS (
    DELETE FROM mac_cycles c USING empty e WHERE c.workspace_id = e.workspace_id AND c.cycle_start = e.cycle_start
)
INSERT INTO unpublished_cycles (workspace_id, cycle_start, shard, revision)
SELECT workspace_id, cycle_start, '', 0 FROM empty ORDER BY cycle_start
ON CONFLICT (workspace_id, cycle_start, shard) DO UPDATE SET revision = excluded.revision

-- name: reset_cycles_from
UPDATE workspaces SET cycles_from = NULL WHERE workspace_id = $1
