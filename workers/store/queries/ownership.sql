-- name: load
-- Each identity is one look-up in the primary key, whatever PostgreSQL estimates.
SELECT i.workspace_id, i.channel, i.scope, i.lookup, i.identity_id, i.address, i.contact_id, i.home_id, i.began_at, i.ended_at,
    i.removed_at, i.removed_by
FROM unnest($1::text[], $2::bigint[]) AS wanted (workspace_id, identity_id)
CROSS JOIN LATERAL (
    SELECT i.* FROM identities i WHERE i.workspace_id = wanted.workspace_id AND i.identity_id = wanted.identity_id LIMIT 1
) AS i

-- name: removed_from
-- Addresses whose messages the blocks of these contacts judge, in two halves, which have an index each.
SELECT i.workspace_id, i.channel, i.scope, i.lookup, i.identity_id, i.address, i.contact_id, i.home_id, i.began_at, i.ended_at,
    i.removed_at, i.removed_by
FROM unnest($1::text[], $2::uuid[]) AS wanted (workspace_id, home_id)
CROSS JOIN LATERAL (
    SELECT i.* FROM identities i
    WHERE i.workspace_id = wanted.workspace_id AND i.contact_id = wanted.home_id AND i.home_id IS NULL AND i.removed_at IS NOT NULL
    UNION ALL
    SELECT i.* FROM identities i
    WHERE i.workspace_id = wanted.workspace_id AND i.home_id = wanted.home_id AND i.removed_at IS NOT NULL
) AS i

-- name: following
-- Who has the address next after $5: in two halves, which have an index each.
SELECT i.workspace_id, i.channel, i.scope, i.lookup, i.identity_id, i.address, i.contact_id, i.home_id, i.began_at, i.ended_at,
    i.removed_at, i.removed_by
FROM (
    SELECT i.* FROM identities i
    WHERE i.lookup = $4 AND i.scope = $3 AND i.channel = $2 AND i.workspace_id = $1 AND i.ended_at IS NULL
    UNION ALL
    SELECT i.* FROM identities i
    WHERE i.lookup = $4 AND i.scope = $3 AND i.channel = $2 AND i.workspace_id = $1 AND i.ended_at IS NOT NULL
        AND i.ended_at > $5
) AS i
WHERE i.began_at >= $5 AND (i.began_at < i.ended_at OR i.ended_at IS NULL) AND i.identity_id <> $6
ORDER BY i.began_at LIMIT 1

-- name: save
-- An interaction that is another's now connected nobody here.
UPDATE identities i SET began_at = new.began_at, ended_at = new.ended_at, removed_at = new.removed_at, removed_by = new.removed_by,
    connected_at = CASE WHEN i.connected_at >= new.ended_at THEN NULL ELSE i.connected_at END
FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::uuid[])
    AS new (workspace_id, identity_id, began_at, ended_at, removed_at, removed_by)
WHERE i.workspace_id = new.workspace_id AND i.identity_id = new.identity_id

-- name: note_moved
UPDATE contact_locks SET moved_at = clock_timestamp()
WHERE bucket = ANY (ARRAY(SELECT DISTINCT bucket(contact_id) FROM unnest($1::uuid[]) AS contact_id))

-- name: misplaced
-- Messages of the addresses $2, and of those of the deleted contacts $3, from before they began and after they ended: the oldest ones,
-- $4 at most.
SELECT own.contact_id, own.identity_id, own.channel, own.scope, own.lookup, own.address, m.generation, m.message_id, m.channel_id,
    m.event_time, m.counted
FROM (
    SELECT i.contact_id, i.identity_id, i.channel, i.scope, i.lookup, i.address, i.began_at, i.ended_at FROM identities i
    WHERE i.workspace_id = $1 AND i.identity_id = ANY ($2::bigint[])
    UNION ALL
    SELECT i.contact_id, i.identity_id, i.channel, i.scope, i.lookup, i.address, i.began_at, least(i.ended_at, d.deleted_at)
    FROM deleted_contacts d
    JOIN deleted_identities i ON i.workspace_id = d.workspace_id AND i.contact_id = d.contact_id AND NOT i.erased
    WHERE d.workspace_id = $1 AND d.contact_id = ANY ($3::uuid[])
) AS own
CROSS JOIN LATERAL (
    SELECT '-infinity'::timestamptz AS since, own.began_at AS until WHERE own.began_at IS NOT NULL
    UNION ALL
    SELECT own.ended_at, 'infinity' WHERE own.ended_at IS NOT NULL
) AS span
JOIN generations g ON g.last_event >= span.since
CROSS JOIN LATERAL (
    (SELECT m.generation, m.message_id, m.channel_id, m.event_time, m.counted FROM messages m
    WHERE m.generation = g.generation AND m.identity_id = own.identity_id AND m.drop_reason IS NULL
        AND m.event_time >= span.since AND m.event_time < span.until AND m.kind NOT IN ('send', 'broadcast')
    ORDER BY m.event_time LIMIT $4)
    UNION ALL
    (SELECT m.generation, m.message_id, m.channel_id, m.event_time, m.counted FROM messages m
    WHERE m.generation = g.generation AND m.identity_id = own.identity_id AND m.drop_reason IS NOT NULL
        AND m.event_time >= span.since AND m.event_time < span.until
    ORDER BY m.event_time LIMIT $4)
) AS m
ORDER BY m.event_time, m.message_id LIMIT $4

-- name: count_misplaced
SELECT count(*) FROM identities i
CROSS JOIN LATERAL (
    SELECT '-infinity'::timestamptz AS since, i.began_at AS until WHERE i.began_at IS NOT NULL
    UNION ALL
    SELECT i.ended_at, 'infinity' WHERE i.ended_at IS NOT NULL
) AS span
JOIN generations g ON g.last_event >= span.since
CROSS JOIN LATERAL (
    SELECT FROM messages m
    WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NULL
        AND m.event_time >= span.since AND m.event_time < span.until AND m.kind NOT IN ('send', 'broadcast')
    UNION ALL
    SELECT FROM messages m
    WHERE m.generation = g.generation AND m.identity_id = i.identity_id AND m.drop_reason IS NOT NULL
        AND m.event_time >= span.since AND m.event_time < span.until
) AS m
WHERE i.workspace_id = $1 AND i.identity_id = $2

-- name: give
-- The inbox has to look again at both: `messages` is as it was before.
WITH given AS (
    UPDATE messages m SET identity_id = new.identity_id, body = CASE WHEN NOT new.erased THEN m.body END,
        erase_at = CASE WHEN NOT new.erased THEN m.erase_at END
    FROM (SELECT * FROM unnest($1::int[], $2::uuid[], $3::bigint[], $4::boolean[]) AS new (generation, message_id, identity_id, erased)
        ORDER BY generation, message_id) AS new
    WHERE m.generation = new.generation AND m.message_id = new.message_id
    RETURNING m.workspace_id, m.generation, m.message_id, m.identity_id
)
INSERT INTO inbox_news (workspace_id, identity_ids)
SELECT workspace_id, array_agg(identity_id) FROM (
    SELECT workspace_id, identity_id FROM given
    UNION
    SELECT g.workspace_id, m.identity_id FROM given g JOIN messages m ON m.generation = g.generation AND m.message_id = g.message_id
) AS concerned
GROUP BY workspace_id
