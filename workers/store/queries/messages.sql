-- name: look_up
SELECT generation, message_id, content_digest FROM look_up_messages($1::uuid[])

-- name: count_conflicts
INSERT INTO message_conflicts (workspace_id, message_id, times, last_at)
SELECT workspace_id, message_id, times, $4 FROM unnest($1::text[], $2::uuid[], $3::bigint[])
    AS new (workspace_id, message_id, times)
ORDER BY workspace_id, message_id
ON CONFLICT (workspace_id, message_id) DO UPDATE
SET times = message_conflicts.times + excluded.times, last_at = excluded.last_at

-- name: latest_of_sender
-- The newest accepted message of each contact that says something about the attribute (name, language or avatar_url). One that
-- does so at $4 is stored: older ones, and generations in which there are only older ones, need no look.
SELECT wanted.workspace_id, wanted.contact_id, wanted.attribute, newest.said
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[]) AS wanted (workspace_id, contact_id, attribute, since)
CROSS JOIN LATERAL (
    SELECT own.said FROM identities i
    CROSS JOIN generations g
    CROSS JOIN LATERAL (
        SELECT m.body -> 'sender' ->> wanted.attribute AS said, m.event_time, m.message_id FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.drop_reason IS NULL AND m.event_time >= wanted.since AND m.body -> 'sender' ->> wanted.attribute IS NOT NULL
        ORDER BY m.event_time DESC, m.message_id DESC LIMIT 1
    ) AS own
    WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id AND g.last_event >= wanted.since
    ORDER BY own.event_time DESC, own.message_id DESC LIMIT 1
) AS newest

-- name: opening_messages
-- The newest accepted message of each contact that is later than its last closing: the witness that it is open.
SELECT wanted.workspace_id, wanted.contact_id, newest.event_time
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS wanted (workspace_id, contact_id, closed_at)
CROSS JOIN LATERAL (
    SELECT own.event_time FROM identities i
    CROSS JOIN generations g
    CROSS JOIN LATERAL (
        SELECT m.event_time FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
            AND m.drop_reason IS NULL AND m.kind = 'message' AND m.event_time > coalesce(wanted.closed_at, '-infinity')
        ORDER BY m.event_time DESC LIMIT 1
    ) AS own
    WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id
        AND g.last_event > coalesce(wanted.closed_at, '-infinity')
    ORDER BY own.event_time DESC LIMIT 1
) AS newest

-- name: stale
-- Messages whose block_start is not what the contact's history says. Each half of the table has an index of its own.
WITH wanted AS (
    SELECT wanted.*, c.blocks, i.identity_id, i.channel AS kind_of_channel, i.address
    FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS wanted (workspace_id, contact_id, since)
    JOIN contacts c USING (workspace_id, contact_id)
    JOIN identities i USING (workspace_id, contact_id)
), half AS (
    SELECT wanted.workspace_id, wanted.contact_id, wanted.blocks, wanted.address, m.* FROM wanted
    JOIN generations g ON g.last_event >= wanted.since
    CROSS JOIN LATERAL (
        SELECT m.generation, m.message_id, m.identity_id, m.channel_id, m.channel, m.kind, m.event_time, m.drop_reason,
            m.block_start, m.released, m.counted, m.revision, m.body::text AS body
        FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = wanted.identity_id
            AND m.event_time >= wanted.since AND m.drop_reason IS NULL
        UNION ALL
        SELECT m.generation, m.message_id, m.identity_id, m.channel_id, m.channel, m.kind, m.event_time, m.drop_reason,
            m.block_start, m.released, m.counted, m.revision, m.body::text
        FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = wanted.identity_id
            AND m.event_time >= wanted.since AND m.drop_reason IS NOT NULL
    ) AS m
)
SELECT * FROM half
WHERE block_start IS DISTINCT FROM (SELECT lower(b) FROM unnest(blocks) AS b WHERE half.event_time <@ b LIMIT 1)
    AND kind NOT IN ('send', 'broadcast')
ORDER BY workspace_id, contact_id, event_time, message_id
LIMIT $4

-- name: count_flips
SELECT wanted.workspace_id, wanted.contact_id, count(*) AS flips
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS wanted (workspace_id, contact_id, since)
JOIN contacts c USING (workspace_id, contact_id)
JOIN identities i USING (workspace_id, contact_id)
JOIN generations g ON g.last_event >= wanted.since
CROSS JOIN LATERAL (
    SELECT m.event_time, m.drop_reason, m.body IS NULL AS erased FROM messages m
    WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = i.identity_id
        AND m.event_time >= wanted.since AND m.drop_reason IS NULL AND NOT m.released AND m.kind IN ('message', 'reaction')
    UNION ALL
    SELECT m.event_time, m.drop_reason, m.body IS NULL FROM messages m
    WHERE m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.identity_id = i.identity_id
        AND m.event_time >= wanted.since AND m.drop_reason IS NOT NULL AND m.body IS NOT NULL
) AS m
WHERE (m.drop_reason IS NULL) = EXISTS (SELECT FROM unnest(c.blocks) AS b WHERE m.event_time <@ b)
GROUP BY wanted.workspace_id, wanted.contact_id

-- name: revise
UPDATE messages m SET drop_reason = new.drop_reason, mac_rule = new.mac_rule, block_start = new.block_start,
    counted = new.counted, released = new.released, revision = new.revision,
    decided_at = CASE WHEN new.revision = m.revision THEN m.decided_at ELSE $11 END,
    erase_at = CASE WHEN new.revision = m.revision THEN m.erase_at ELSE new.erase_at END,
    body = CASE WHEN new.erase_at <= $11 THEN NULL ELSE m.body END
FROM (SELECT * FROM unnest($1::int[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[],
        $8::boolean[], $9::int[], $10::timestamptz[])
    AS new (generation, workspace_id, message_id, drop_reason, mac_rule, block_start, counted, released, revision, erase_at)
    ORDER BY workspace_id, message_id) AS new
WHERE m.generation = new.generation AND m.workspace_id = new.workspace_id AND m.message_id = new.message_id

-- name: add_revisions_due
INSERT INTO revisions_due (workspace_id, contact_id, command_id, reason)
SELECT workspace_id, contact_id, command_id, 'block_history'
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS new (workspace_id, contact_id, command_id)
ORDER BY workspace_id, contact_id, command_id
ON CONFLICT DO NOTHING

-- name: revisions_due
SELECT workspace_id, contact_id, command_id FROM revisions_due ORDER BY requested_at LIMIT $1

-- name: revision_done
DELETE FROM revisions_due WHERE workspace_id = $1 AND contact_id = $2

-- name: releasable
SELECT wanted.position, m.generation, m.workspace_id, i.contact_id, i.address, m.message_id, m.identity_id, m.channel_id, m.channel,
    m.kind, m.event_time, m.drop_reason, m.block_start, m.released, m.counted, m.revision, m.body::text AS body
FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
    AS wanted (position, workspace_id, contact_id, "from", "to")
JOIN identities i ON i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.contact_id
CROSS JOIN generations g
JOIN messages m ON m.generation = g.generation AND m.workspace_id = i.workspace_id AND m.identity_id = i.identity_id
    AND m.event_time >= wanted."from" AND m.event_time < wanted."to"
WHERE m.drop_reason = 'contact_blocked' AND m.body IS NOT NULL
UNION ALL
SELECT wanted.position, m.generation, m.workspace_id, i.contact_id, i.address, m.message_id, m.identity_id, m.channel_id, m.channel,
    m.kind, m.event_time, m.drop_reason, m.block_start, m.released, m.counted, m.revision, m.body::text
FROM unnest($6::bigint[], $7::text[], $8::uuid[], $9::uuid[]) AS wanted (position, workspace_id, contact_id, message_id)
CROSS JOIN generations g
JOIN messages m ON m.generation = g.generation AND m.workspace_id = wanted.workspace_id AND m.message_id = wanted.message_id
JOIN identities i ON i.workspace_id = m.workspace_id AND i.identity_id = m.identity_id AND i.contact_id = wanted.contact_id
WHERE m.drop_reason = 'contact_blocked' AND m.body IS NOT NULL
ORDER BY 1, event_time, message_id

-- name: erase
UPDATE messages SET body = NULL, erase_at = NULL
WHERE (generation, message_id) IN (
    SELECT generation, message_id FROM messages
    WHERE erase_at <= $1 ORDER BY erase_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
