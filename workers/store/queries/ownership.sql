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

-- name: has_messages
SELECT EXISTS (
    SELECT FROM generations g CROSS JOIN LATERAL (
        (SELECT m.message_id FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = $1 AND m.identity_id = $2 AND m.drop_reason IS NULL
            AND m.event_time >= $3 AND m.event_time < coalesce($4::timestamptz, 'infinity') LIMIT 1)
        UNION ALL
        (SELECT m.message_id FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = $1 AND m.identity_id = $2 AND m.drop_reason IS NOT NULL
            AND m.event_time >= $3 AND m.event_time < coalesce($4::timestamptz, 'infinity') LIMIT 1)
    ) AS m
    WHERE g.last_event >= $3
)

-- name: move_messages
UPDATE messages m SET identity_id = $5
FROM (
    SELECT m.generation, m.message_id FROM generations g CROSS JOIN LATERAL (
        SELECT m.generation, m.message_id FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = $1 AND m.identity_id = $2 AND m.drop_reason IS NULL
            AND m.event_time >= $3 AND m.event_time < coalesce($4::timestamptz, 'infinity')
        UNION ALL
        SELECT m.generation, m.message_id FROM messages m
        WHERE m.generation = g.generation AND m.workspace_id = $1 AND m.identity_id = $2 AND m.drop_reason IS NOT NULL
            AND m.event_time >= $3 AND m.event_time < coalesce($4::timestamptz, 'infinity')
    ) AS m
    WHERE g.last_event >= $3
) AS found
WHERE m.generation = found.generation AND m.message_id = found.message_id
RETURNING m.event_time, m.message_id, m.channel_id, m.counted
